#include "postgres/blocking.h"

#include <algorithm>

#include "postgres/clock.h"
#include "postgres/preparation.h"

namespace product_optimizer {

namespace {

constexpr std::uint64_t kFirstProbeNs = 5'000 * kNsPerMs;
constexpr std::uint64_t kLongestProbeNs = 300'000 * kNsPerMs;
constexpr std::uint64_t kAgainNs = 1'000 * kNsPerMs;
constexpr std::uint64_t kNoRoomNs = 20 * kNsPerMs;
/* How long a suspect waits for others like it, and for the canary. */
constexpr std::uint64_t kCompanyNs = 2'000 * kNsPerMs;
constexpr std::uint64_t kVerdictNs = 30'000 * kNsPerMs;
/* So many in a row are suspicious when the settings have worked before; without that the first one is.  After
 * a canary that was answered it takes more for a while, and twice as many each time. */
constexpr int kSuspicious = 5;
constexpr int kSuspiciousAgain = 20;
constexpr int kMostSuspicious = 1000;
constexpr std::uint64_t kTrustNs = 60'000 * kNsPerMs;
constexpr char kProduct[] = R"({"title": "Test", "description": "A request that checks the settings."})";

template <typename Change>
void ForEachSuspect(Worker& worker, Change change) {
  for (Settlement& settlement : worker.to_settle)
    if (settlement.suspect) change(settlement);
}

/* The outcomes of the suspects are written, as they are or as a release. */
void Decided(Worker& worker, bool rows_are_to_blame) {
  ForEachSuspect(worker, [&](Settlement& settlement) {
    settlement.suspect = false;
    settlement.not_before_ns = 0;
    if (!rows_are_to_blame) settlement.decision.action = Action::kRelease;
  });
  worker.canary.in_a_row = 0;
  worker.canary.at_ns = kNever;
}

int EnoughInARow(const Canary& canary, std::uint64_t now_ns) {
  if (!canary.proven) return 1;
  return now_ns < canary.trusted_until_ns ? canary.enough_again : kSuspicious;
}

void Unblock(Worker& worker) {
  if (worker.block.reason.empty() || worker.block.no_key) return;
  worker.block = Block{};
  LogLine("the queue goes on");
}

}  // namespace

void BlockQueue(Worker& worker, const Outcome& outcome, bool of_model, std::uint64_t now_ns) {
  if (worker.block.no_key) return; /* that is the reason to be seen, and only a reload ends it */
  const bool news = worker.block.reason.empty();
  /* Answers of the same burst do not make the next probe come later. */
  if (news || worker.in_flight.empty()) {
    worker.block.probe_at_ns = now_ns + Doubling(kFirstProbeNs, kLongestProbeNs, worker.block.probes);
    worker.block.probes++;
  }
  worker.block.reason = outcome.error;
  worker.block.of_model = of_model;
  if (news)
    WarnLine("the queue is blocked: " + outcome.error,
             "It goes on by itself when a probe succeeds, and probes at once after a reload.");
}

void NoticeSuccess(Worker& worker, bool with_settings_model) {
  worker.key_works = true;
  if (with_settings_model || !worker.block.of_model) Unblock(worker);
  if (!with_settings_model) return;
  worker.canary.proven = true;
  Decided(worker, true);
}

void Suspect(Worker& worker, Settlement& settlement, std::uint64_t now_ns) {
  Canary& canary = worker.canary;
  if (worker.block.by_canary) {
    settlement.decision.action = Action::kRelease;
    return;
  }
  const bool asked = canary.in_flight || canary.at_ns != kNever;
  if (settlement.outcome.error_code != canary.error_code) {
    if (asked) return; /* one question at a time */
    Decided(worker, true);
    canary.error_code = settlement.outcome.error_code;
  }
  canary.in_a_row++;
  settlement.suspect = true;
  settlement.not_before_ns = now_ns + (asked ? kVerdictNs : kCompanyNs);
  if (asked || canary.in_a_row < EnoughInARow(canary, now_ns)) return;
  canary.at_ns = now_ns;
  settlement.not_before_ns = now_ns + kVerdictNs;
  ForEachSuspect(worker, [&](Settlement& other) { other.not_before_ns = now_ns + kVerdictNs; });
}

void JudgeByCanary(Worker& worker, Outcome outcome, std::uint64_t now_ns) {
  Canary& canary = worker.canary;
  canary.in_flight = false;
  const bool relevant = canary.in_a_row > 0 || !worker.block.reason.empty();
  if (canary.outdated || outcome.kind == OutcomeKind::kRetry || outcome.kind == OutcomeKind::kHoldOff) {
    if (relevant) canary.at_ns = now_ns + (canary.outdated ? 0 : kAgainNs);
    canary.outdated = false;
    return;
  }
  if (outcome.rejected_request || outcome.kind == OutcomeKind::kBlock) {
    if (!relevant) return; /* an item has succeeded in the meantime */
    if (outcome.rejected_request) outcome.error = "the API refuses these settings: " + outcome.error;
    Decided(worker, false);
    BlockQueue(worker, outcome, outcome.rejected_request || outcome.of_model_alone, now_ns);
    worker.block.by_canary = outcome.rejected_request;
    return;
  }
  canary.enough_again = now_ns < canary.trusted_until_ns ? std::min(canary.enough_again * 2, kMostSuspicious)
                                                         : kSuspiciousAgain;
  canary.trusted_until_ns = now_ns + kTrustNs;
  NoticeSuccess(worker, true);
}

void SendCanary(Worker& worker, std::uint64_t now_ns) {
  if (now_ns < CanaryAtNs(worker)) return;
  if (static_cast<std::int64_t>(worker.in_flight.size()) >= worker.settings.max_in_flight) {
    worker.canary.at_ns = now_ns + kNoRoomNs;
    return;
  }
  Preparation preparation(worker);
  Candidate candidate;
  candidate.item.payload = kProduct;
  if (preparation.Choose(candidate) != Choice::kTake) {
    worker.canary.at_ns = now_ns + std::min(preparation.wait_ns(), kAgainNs);
    return;
  }
  worker.canary.in_flight = true;
  worker.canary.at_ns = kNever;
  std::vector<Item> items{std::move(candidate.item)};
  preparation.Send(items, now_ns);
}

std::uint64_t CanaryAtNs(const Worker& worker) {
  if (!worker.wrong_owner.empty() || worker.paused || worker.block.no_key || worker.canary.in_flight)
    return kNever;
  if (!worker.block.by_canary) return worker.canary.at_ns;
  return worker.canary.at_ns == kNever ? worker.block.probe_at_ns
                                       : std::max(worker.canary.at_ns, worker.block.probe_at_ns);
}

void DoubtSettings(Worker& worker) {
  worker.key_works = false;
  worker.canary.proven = false;
  worker.canary.trusted_until_ns = 0;
  worker.canary.outdated = worker.canary.in_flight;
}

}  // namespace product_optimizer
