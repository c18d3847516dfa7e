#include "postgres/receiving.h"

#include <algorithm>
#include <ctime>

#include "core/text.h"
#include "openai/rate_headers.h"
#include "openai/reply.h"
#include "postgres/blocking.h"
#include "postgres/clock.h"
#include "postgres/poison.h"
#include "postgres/spi.h"
#include "postgres/transaction.h"
#include "postgres/upkeep.h"

namespace product_optimizer {

namespace {

constexpr std::size_t kSettledAtOnce = 100;
constexpr int kMostNamed = 20;
constexpr std::uint64_t kFirstRewriteNs = 200 * kNsPerMs;
constexpr std::uint64_t kLongestRewriteNs = 30'000 * kNsPerMs;
/* The share of the time that may go into waits for the same locks again is one in so many. */
constexpr std::uint64_t kLockShare = 10;

Outcome ReadCompletion(Api api, const HttpCompletion& completion, std::string_view key) {
  if (!completion.error_code.empty()) return ReadTransportFailure(completion.error_code, completion.error);
  return ReadReply(api, {completion.status, completion.headers, completion.body,
                         static_cast<std::int64_t>(std::time(nullptr)), key});
}

/* A 429 says so itself, and its wait is exact. */
void LearnFromHeaders(const InFlight& sent, const HttpCompletion& completion) {
  if (!completion.error_code.empty() || completion.status == 429) return;
  const RateHeaders headers = ReadRateHeaders(completion.headers);
  const auto reading = [](const RateDimension& dimension) -> std::optional<ServerReading> {
    if (!dimension.limit || !dimension.remaining || !dimension.reset_ms) return std::nullopt;
    return ServerReading{*dimension.limit, *dimension.remaining, *dimension.reset_ms};
  };
  const std::optional<ServerReading> requests = reading(headers.requests);
  const std::optional<ServerReading> tokens = reading(headers.tokens);
  if (requests || tokens)
    LearnShared(sent.bucket, sent.departure, requests ? &*requests : nullptr, tokens ? &*tokens : nullptr);
}

void CorrectBuckets(Worker& worker, const InFlight& sent, const HttpCompletion& completion,
                    const Outcome& outcome) {
  if (!completion.sent) {
    GiveBackShared(sent.bucket, sent.departure.at_ns, 1, sent.reserved_tokens);
    return;
  }
  LearnFromHeaders(sent, completion);
  ModelExperience& experience = worker.models[sent.bucket.model];
  if (outcome.prompt_tokens)
    experience.prompt_factor.Learn(sent.estimated_prompt_tokens, *outcome.prompt_tokens);
  if (outcome.completion_tokens) experience.completion_tokens.Learn(*outcome.completion_tokens);
  if (worker.settings.token_accounting == TokenAccounting::kUsed && outcome.prompt_tokens &&
      outcome.completion_tokens)
    SettleSharedTokens(sent.bucket, sent.departure.at_ns, sent.reserved_tokens,
                       static_cast<std::int64_t>(*outcome.prompt_tokens) + *outcome.completion_tokens);
}

/* Counts what was written, or that the claim had been lost. */
void Count(Counters& counted, const Settlement& settlement, bool held) {
  if (!held) {
    counted.late_results_rejected++;
    return;
  }
  switch (settlement.decision.action) {
    case Action::kComplete:
      counted.items_done++;
      break;
    case Action::kFail:
      counted.items_failed++;
      break;
    case Action::kRetry:
      counted.retries++;
      break;
    case Action::kRelease:
      break;
  }
}

bool Write(const Settlement& settlement) {
  const Outcome& outcome = settlement.outcome;
  const ClaimRef& claim = settlement.held.claim;
  switch (settlement.decision.action) {
    case Action::kComplete: {
      const Datum result = Call([&] { return JsonbDatum(outcome.result); });
      return CompleteItem(claim, {result, outcome.model, outcome.prompt_tokens, outcome.completion_tokens});
    }
    case Action::kRetry:
      return RetryItem(claim, {outcome.error, outcome.error_code}, settlement.decision.delay_ms);
    case Action::kRelease:
      return ReleaseItem(claim);
    case Action::kFail:
      break;
  }
  return FailItem(claim, {outcome.error, outcome.error_code});
}

/* Until when an outcome that could not be written waits. */
std::uint64_t RewriteAt(Settlement& settlement, std::uint64_t now_ns) {
  return now_ns + Doubling(kFirstRewriteNs, kLongestRewriteNs, settlement.failed_writes++);
}

/* One transaction for the given settlements; true when each is written and counted, or waits for somebody's
 * lock.  Else *culprit is the one that it failed at, null when that is not known. */
bool WriteTogether(Worker& worker, std::vector<Settlement*> batch, TransactionFailure* failure,
                   Settlement** culprit, std::uint64_t now_ns) {
  *culprit = nullptr;
  Counters counted{};
  std::vector<Settlement*> locked;
  const WorkResult done = RunTransaction(failure, [&] {
    /* First, so that a locked table is not taken for the fault of one row. */
    Call([] { LockRelationOid(RelnameGetRelid("job_items"), RowExclusiveLock); });
    std::vector<std::int64_t> ids;
    for (const Settlement* settlement : batch) ids.push_back(settlement->held.claim.id);
    const std::vector<std::int64_t> others = LockedByOthers(ids);
    const auto first_locked =
        std::stable_partition(batch.begin(), batch.end(), [&](const Settlement* settlement) {
          return std::find(others.begin(), others.end(), settlement->held.claim.id) == others.end();
        });
    locked.assign(first_locked, batch.end());
    batch.erase(first_locked, batch.end());
    for (Settlement* settlement : batch) {
      *culprit = settlement;
      Count(counted, *settlement, !IsSuperseded(worker, settlement->held) && Write(*settlement));
    }
    *culprit = nullptr;
  });
  if (done == WorkResult::kFailed) return false;
  worker.last_write_failure.clear();
  for (Settlement* settlement : locked) settlement->not_before_ns = RewriteAt(*settlement, now_ns);
  if (done == WorkResult::kNoExtension)
    counted.late_results_rejected += static_cast<std::int64_t>(batch.size());
  worker.counted.items_done += counted.items_done;
  worker.counted.items_failed += counted.items_failed;
  worker.counted.retries += counted.retries;
  worker.counted.late_results_rejected += counted.late_results_rejected;
  for (Settlement* settlement : batch) {
    if (settlement->decision.action == Action::kRetry) {
      const std::uint64_t due =
          NowNs() + static_cast<std::uint64_t>(settlement->decision.delay_ms) * kNsPerMs;
      worker.due.Expect(due);
    }
    settlement->written = true;
  }
  return true;
}

/* Whether the database can hold the answer alone, without anybody's trigger or constraint. */
bool CanBeStored(const Outcome& outcome, TransactionFailure* failure) {
  const WorkResult done = RunTransaction(failure, [&] {
    Call([&] {
      JsonbDatum(outcome.result);
      TextDatum(outcome.model);
    });
  });
  return done != WorkResult::kFailed || !MayBeOneRow(*failure);
}

/* An answer that no table can hold ends its item; any other trouble is tried again. */
void KeepForLater(Worker& worker, Settlement& settlement, TransactionFailure failure, bool by_its_row,
                  std::uint64_t now_ns) {
  const bool is_answer = settlement.decision.action == Action::kComplete;
  if (is_answer && MayBeOneRow(failure) && !settlement.refused &&
      !CanBeStored(settlement.outcome, &failure)) {
    settlement.decision.action = Action::kFail;
    settlement.outcome.error = OneLine("the answer cannot be stored: " + failure.message, 900);
    settlement.outcome.error_code = "unstorable_answer";
    worker.counted.paid_results_lost++;
    WarnLine("the answer to item " + std::to_string(settlement.held.claim.id) +
                 " can never be stored: " + OneLine(failure.message, 400),
             "It was paid, and its item fails.");
    return;
  }
  /* Or the database's encoding lacks a character of the error's own words. */
  if (!is_answer && ERRCODE_TO_CATEGORY(failure.sqlstate) == ERRCODE_DATA_EXCEPTION)
    settlement.outcome.error = InAnyEncoding(settlement.outcome.error);
  settlement.refused = by_its_row || MayBeOneRow(failure);
  settlement.not_before_ns = RewriteAt(settlement, now_ns);
  if (failure.message == worker.last_write_failure) return;
  worker.last_write_failure = failure.message;
  WarnLine("cannot write the outcome of item " + std::to_string(settlement.held.claim.id) + ": " +
               OneLine(failure.message, 400),
           "It is kept in memory and tried again.");
}

/* What was refused before does not take the others with it: those are written without it. */
void WriteBatch(Worker& worker, bool refused, std::uint64_t now_ns) {
  std::vector<Settlement*> batch;
  for (Settlement& settlement : worker.to_settle) {
    if (settlement.refused != refused || settlement.written || settlement.not_before_ns > now_ns) continue;
    batch.push_back(&settlement);
    if (batch.size() == kSettledAtOnce) break;
  }
  if (batch.empty()) return;
  const std::uint64_t began_ns = NowNs();
  TransactionFailure failure;
  Settlement* culprit;
  if (WriteTogether(worker, batch, &failure, &culprit, now_ns)) return;
  /* A row that waits for a lock, in a trigger, costs lock_timeout: one in a turn, the others at once. */
  const auto waits_for_lock = [&] {
    if (culprit == nullptr || failure.sqlstate != ERRCODE_LOCK_NOT_AVAILABLE) return false;
    KeepForLater(worker, *culprit, failure, true, NowNs());
    if (refused) worker.rewrite_at_ns = NowNs() + (NowNs() - began_ns) * (kLockShare - 1);
    return true;
  };
  if (waits_for_lock()) return;
  /* One row must not take the others with it; a locked table or a full disk takes them all. */
  for (Settlement* settlement : batch) {
    if (batch.size() > 1 && MayBeOneRow(failure) &&
        WriteTogether(worker, {settlement}, &failure, &culprit, now_ns))
      continue;
    if (waits_for_lock()) return;
    KeepForLater(worker, *settlement, failure, false, now_ns);
  }
}

}  // namespace

void Conclude(Worker& worker, const HeldClaim& held, Outcome outcome, const BucketRef& bucket,
              std::uint64_t left_at_ns, std::uint64_t now_ns) {
  const double random = std::uniform_real_distribution<double>(0, 1)(worker.random);
  int attempt = held.claim.attempt;
  if (outcome.kind == OutcomeKind::kHoldOff) {
    /* The attempt is given back, so it does not count them. */
    attempt = worker.models[bucket.model].hold_offs.Count(left_at_ns, now_ns);
  } else if (outcome.kind == OutcomeKind::kDone || outcome.kind == OutcomeKind::kTruncated) {
    worker.models[bucket.model].hold_offs.End(left_at_ns);
  }
  const Decision decision =
      Decide(outcome, attempt, held.max_attempts, held.was_truncated, worker.settings.retry, random);
  if (outcome.kind == OutcomeKind::kHoldOff) worker.counted.rate_limited++;
  if (decision.hold_off_ms > 0)
    HoldOffShared(bucket, left_at_ns, static_cast<std::uint64_t>(decision.hold_off_ms) * kNsPerMs,
                  outcome.slow_down);
  if (IsCanary(held)) return JudgeByCanary(worker, std::move(outcome), now_ns);
  /* Sent before the last reload, it says nothing of the settings as they are now. */
  const bool of_former_settings = left_at_ns != 0 && left_at_ns < worker.settings_since_ns;
  const bool with_settings_model = bucket.model == worker.settings.request.model;
  if (decision.block_queue && !of_former_settings)
    BlockQueue(worker, outcome, with_settings_model && outcome.of_model_alone, now_ns);
  if (outcome.kind == OutcomeKind::kDone && !of_former_settings) NoticeSuccess(worker, with_settings_model);
  Settlement settlement{held, std::move(outcome), decision};
  if (settlement.outcome.rejected_request && with_settings_model) {
    if (of_former_settings) {
      settlement.decision.action = Action::kRelease;
    } else {
      Suspect(worker, settlement, now_ns);
    }
  }
  worker.to_settle.push_back(std::move(settlement));
}

void Receive(Worker& worker, std::uint64_t now_ns) {
  for (HttpCompletion& completion : worker.http.Drive()) {
    const auto found = worker.in_flight.find(completion.id);
    const InFlight sent = std::move(found->second);
    worker.in_flight.erase(found);
    Outcome outcome = ReadCompletion(sent.api, completion, sent.api_key->key);
    /* A job that names a model nobody has, or may use, is that job's fault, and must not stop the others. */
    if (outcome.kind == OutcomeKind::kBlock && outcome.of_model_alone && sent.job_chose_model) {
      if (outcome.error_code == "model_not_found" || worker.key_works) {
        outcome.kind = OutcomeKind::kFail;
      } else { /* Or nothing is allowed to this key, or the URL is wrong. */
        worker.canary.at_ns = std::min(worker.canary.at_ns, now_ns);
      }
    }
    CorrectBuckets(worker, sent, completion, outcome);
    worker.counted.prompt_tokens += outcome.prompt_tokens.value_or(0);
    worker.counted.completion_tokens += outcome.completion_tokens.value_or(0);
    if (completion.error_code.empty())
      worker.latencies_ms.push_back(static_cast<std::uint64_t>(completion.seconds * 1000));
    Conclude(worker, sent.held, std::move(outcome), sent.bucket, sent.departure.at_ns, now_ns);
  }
}

void Settle(Worker& worker, std::uint64_t now_ns) {
  WriteBatch(worker, false, now_ns);
  if (now_ns >= worker.rewrite_at_ns) WriteBatch(worker, true, now_ns);
  for (const Settlement& settlement : worker.to_settle)
    if (settlement.written) ForgetClaim(worker, settlement.held);
  worker.to_settle.erase(std::remove_if(worker.to_settle.begin(), worker.to_settle.end(),
                                        [](const Settlement& settlement) { return settlement.written; }),
                         worker.to_settle.end());
}

void SettleAtExit(Worker& worker) {
  std::vector<std::int64_t> answered;
  /* What was refused before would take the others with it now; of a suspect nothing is known yet. */
  const auto may_be_written = [&](const Settlement& settlement) {
    return !settlement.refused && !settlement.suspect && !IsSuperseded(worker, settlement.held);
  };
  for (const Settlement& settlement : worker.to_settle)
    if (may_be_written(settlement)) answered.push_back(settlement.held.claim.id);
  const std::vector<std::int64_t> locked = ReleaseAllBut(worker.claimed_by, answered);
  for (Settlement& settlement : worker.to_settle) {
    const auto found = std::find(locked.begin(), locked.end(), settlement.held.claim.id);
    settlement.written = found != locked.end() && may_be_written(settlement) && Write(settlement);
  }
}

void DropAnswers(Worker& worker) {
  std::string ids;
  int count = 0;
  for (const Settlement& settlement : worker.to_settle) {
    if (settlement.written) Count(worker.counted, settlement, true);
    if (settlement.written || settlement.decision.action != Action::kComplete ||
        IsSuperseded(worker, settlement.held))
      continue;
    if (++count <= kMostNamed) ids += (count > 1 ? ", " : "") + std::to_string(settlement.held.claim.id);
  }
  worker.to_settle.clear();
  worker.counted.paid_results_lost += count;
  if (count == 0) return;
  WarnLine(std::to_string(count) + (count == 1 ? " answer" : " answers") +
               " could not be written before the worker had to go: item " + ids +
               (count > kMostNamed ? ", …" : ""),
           "They were paid, and will be asked for again.");
}

std::uint64_t SettleAtNs(const Worker& worker) {
  std::uint64_t at = kNever;
  for (const Settlement& settlement : worker.to_settle)
    at = std::min(at, settlement.refused ? std::max(settlement.not_before_ns, worker.rewrite_at_ns)
                                         : settlement.not_before_ns);
  return at;
}

}  // namespace product_optimizer
