#include "postgres/sending.h"

#include <algorithm>

#include "core/text.h"
#include "postgres/clock.h"
#include "postgres/poison.h"
#include "postgres/preparation.h"
#include "postgres/shared_queue.h"
#include "postgres/transaction.h"
#include "postgres/upkeep.h"

namespace product_optimizer {

namespace {

constexpr std::uint64_t kRetryClaimNs = 1'000'000'000;
/* When all that waits is locked by others: the first pause, which doubles up to poll_interval. */
constexpr std::uint64_t kLockedPauseNs = 20'000'000;
/* After a claim that failed, the next ones are of one item until the row is found or long behind. */
constexpr int kSingleClaims = 200;
/* A claim outlives its request by this much; while its worker lives, nobody else takes it anyway. */
constexpr std::int64_t kLeaseMarginMs = 60'000;

/* How often to look where no wait is exact: at what the server has left, at who else waits. */
constexpr std::uint64_t kLookAgainNs = 20'000'000;

/* How many items to ask for; 0 with worker.throttle set when the limiter lets nothing through. */
std::int64_t HowMany(Worker& worker, std::uint64_t now_ns) {
  const auto busy = static_cast<std::int64_t>(CountBusy(worker));
  std::int64_t room = std::min(worker.settings.max_in_flight - busy, worker.settings.claim_batch_size);
  if (room <= 0) return 0;
  if (worker.block.no_key || worker.block.by_canary) return 0;
  if (!worker.block.reason.empty()) {
    /* One request at a time finds out whether the queue has healed. */
    return busy > 0 || now_ns < worker.block.probe_at_ns ? 0 : 1;
  }
  std::int64_t permits = 0;
  std::uint64_t wait_ns = kNever;
  worker.models[worker.settings.request.model];
  for (const auto& [model, experience] : worker.models) {
    const Room of_model = SharedRoom(BucketOfModel(worker, model), experience.IsInUse());
    permits = std::max(permits, std::min(of_model.requests, experience.FitInto(of_model.tokens)));
    const bool exact = of_model.next.gate != Gate::kServer && of_model.next.gate != Gate::kOpen;
    const std::uint64_t of_next = std::max(of_model.next.wait_ns, exact ? 0 : kLookAgainNs);
    if (of_next < wait_ns) {
      wait_ns = of_next;
      worker.throttle = std::string(GateName(of_model.next.gate)) + " of " + model;
    }
  }
  if (permits > 0) {
    worker.throttle.clear();
  } else {
    worker.claim_at_ns = SaturatingAdd(now_ns, wait_ns);
  }
  return std::min({room, permits, worker.single_claims > 0 ? std::int64_t{1} : permits});
}

/* Says once what went wrong, and waits a second. */
void ExplainFailure(Worker& worker, WorkResult done, const TransactionFailure& failure,
                    std::uint64_t now_ns) {
  worker.claim_at_ns = now_ns + kRetryClaimNs;
  if (done != WorkResult::kFailed || failure.message == worker.last_failure) return;
  worker.last_failure = failure.message;
  WarnLine("cannot claim: " + OneLine(failure.message, 400), "It is tried again every second.");
}

/* T1.  Null when it failed or the extension is gone. */
std::optional<ClaimResult> Claim(Worker& worker, Preparation& preparation, std::int64_t how_many,
                                 std::uint64_t now_ns) {
  ClaimResult result;
  TransactionFailure failure;
  const WorkResult done = RunTransaction(&failure, [&] {
    /*
     * On disk before the first byte leaves, else a crash forgets who was asked and hands out the same
     * fencing token twice.  A standby need not have it.
     */
    CommitLocally();
    worker.model_limits = ReadModelLimits(worker.settings.limits);
    const ClaimRequest request{how_many, worker.settings.claim_per_store,
                               worker.settings.request_timeout_ms + kLeaseMarginMs, worker.claimed_by, true};
    /*
     * A restore brings the mark of another home before the rows that must not be sent: who has seen the
     * rows sees the mark, if it looks behind them.
     */
    bool home_is_known = false;
    result = ClaimItems(request, [&](Candidate& candidate) {
      if (!home_is_known) TakeHome(worker, ReadHome());
      home_is_known = true;
      return worker.paused ? Choice::kLeave : preparation.Choose(candidate);
    });
    result.rows.clear(); /* they end with the transaction */
  });
  if (done == WorkResult::kCommitted) {
    worker.last_failure.clear();
    worker.single_claims = std::max(0, worker.single_claims - 1);
    return result;
  }
  preparation.GiveBack();
  ExplainFailure(worker, done, failure, now_ns);
  if (done == WorkResult::kFailed && MayBeOneRow(failure)) {
    const bool goes_on = worker.single_claims == 0 || SetAsideNextRow(worker, failure, now_ns);
    worker.single_claims = kSingleClaims;
    if (goes_on) worker.claim_at_ns = now_ns;
  }
  return std::nullopt;
}

/*
 * In a transaction of its own: for other claimers too while this worker claims nothing, and so that a
 * trigger that raises on a due item does not keep the others from being claimed.
 */
void PromoteWhenDue(Worker& worker, std::uint64_t now_ns) {
  if (now_ns < worker.due.AtNs()) return;
  TransactionFailure failure;
  const WorkResult done = RunTransaction(&failure, [&] { worker.due.Promote(now_ns); });
  if (done == WorkResult::kCommitted) {
    worker.due.Committed(now_ns);
    if (!worker.due.AnyRests()) worker.last_due_failure.clear();
    return;
  }
  std::string found;
  const bool goes_on = worker.due.Failed(failure, now_ns, &found);
  if (done == WorkResult::kFailed)
    ExplainBatch("cannot put due items in line: ", failure, goes_on, found, &worker.last_due_failure);
}

/* Somebody waits, as far as the queue knows, or may be asked again. */
bool StoresWait(std::uint64_t now_ns) {
  const QueueOutlook outlook = LookAtQueue();
  return outlook.waiting > 0 || outlook.next_unpark_ns <= now_ns;
}

void ClaimWhatCanLeave(Worker& worker, std::uint64_t now_ns) {
  if (worker.paused || worker.to_settle.size() > kMostUnwritten || now_ns < worker.claim_at_ns) return;
  if (!worker.maybe_work && !StoresWait(now_ns)) return;
  const std::int64_t how_many = HowMany(worker, now_ns);
  if (how_many <= 0) return;

  Preparation preparation(worker);
  std::optional<ClaimResult> claimed = Claim(worker, preparation, how_many, now_ns);
  preparation.StepAside();
  if (!claimed) return;
  preparation.NoteModelsInUse();
  const auto count = static_cast<std::int64_t>(claimed->items.size());
  worker.maybe_work = false;
  if (claimed->met_locked) {
    const auto longest = static_cast<std::uint64_t>(worker.settings.poll_interval_ms) * kNsPerMs;
    worker.poll_at_ns = now_ns + Doubling(kLockedPauseNs, longest, worker.locked_claims++);
  } else {
    worker.locked_claims = 0;
  }
  /* One store's limit is not worth a word while others are served. */
  if (count == 0 || claimed->left > 0) worker.throttle = preparation.throttle();
  if (preparation.wait_ns() != kNever && claimed->left > 0) {
    worker.claim_at_ns = SaturatingAdd(now_ns, preparation.wait_ns());
  } else if (count == 0 && preparation.wait_ns() != kNever) {
    /* Behind the stores that were passed over there may be some of another model. */
    worker.claim_at_ns = SaturatingAdd(now_ns, std::min(preparation.wait_ns(), kLookAgainNs));
  }

  if (count > 0) {
    worker.counted.claims++;
    worker.counted.items_claimed += count;
    for (const Item& item : claimed->items) worker.log.CountClaim(item.instance_id, now_ns);
  }
  preparation.Send(claimed->items, now_ns);
}

}  // namespace

void ClaimAndSend(Worker& worker, std::uint64_t now_ns) {
  if (!worker.wrong_owner.empty()) return;
  PromoteWhenDue(worker, now_ns);
  ClaimWhatCanLeave(worker, now_ns);
}

}  // namespace product_optimizer
