#include "core/take_in_turn.h"

#include <algorithm>

namespace product_optimizer {

namespace {

/* In the time that it takes to flow in, of the dimension that takes longer. */
std::uint64_t FlowOf(const Limits& limits, std::int64_t requests, std::int64_t tokens) {
  const auto flow = [](std::int64_t per_minute, std::int64_t n) {
    return per_minute <= 0 ? 0
                           : FlowTime({static_cast<std::uint64_t>(per_minute), 60'000'000'000, 1, 1},
                                      static_cast<std::uint64_t>(n), true);
  };
  return std::max(flow(limits.requests_per_minute, requests), flow(limits.tokens_per_minute, tokens));
}

/* Whoever is refused for good has nothing to come back for. */
void NoteRefusal(TurnTaking& turns, std::uint64_t who, std::uint64_t now_ns, const Verdict& verdict) {
  /* What others leave of the server's count is a guess; nobody is kept waiting for it for long. */
  constexpr std::uint64_t kLongestGuess = 1'000'000'000;
  if (verdict.gate == Gate::kServer) {
    NoteRefused(turns, who, now_ns, std::min(verdict.wait_ns, kLongestGuess));
  } else if (verdict.gate != Gate::kNeverFits) {
    NoteRefused(turns, who, now_ns, verdict.wait_ns);
  }
}

/* Whether others go first. */
Verdict CheckTurn(TurnTaking& turns, std::uint64_t who, std::uint64_t now_ns, bool wants_turn) {
  const std::uint64_t yield_ns = YieldNs(turns, who, now_ns);
  if (yield_ns == 0) return {};
  if (wants_turn) NoteRefused(turns, who, now_ns, yield_ns);
  return {Gate::kRequests, yield_ns};
}

}  // namespace

PairVerdict TakeInTurn(const LimitedBucket& model, const LimitedBucket& store, std::uint64_t now_ns,
                       const Asked& asked, TakeFunction take) {
  TurnTaking& turns = model.bucket->turns;
  const Verdict turn = CheckTurn(turns, asked.who, now_ns, true);
  if (turn.gate != Gate::kOpen) return {turn, false};
  if (store.bucket != nullptr) {
    const Verdict of_store = Check(*store.bucket, *store.limits, now_ns, asked.requests, asked.tokens);
    if (of_store.gate != Gate::kOpen) return {of_store, true};
  }
  const Verdict of_model = take(*model.bucket, *model.limits, now_ns, asked.requests, asked.tokens);
  if (of_model.gate != Gate::kOpen) {
    NoteRefusal(turns, asked.who, now_ns, of_model);
    return {of_model, false};
  }
  /* It cannot refuse: nothing changed since it was asked. */
  if (store.bucket != nullptr) take(*store.bucket, *store.limits, now_ns, asked.requests, asked.tokens);
  NoteTaken(turns, asked.who, now_ns, FlowOf(*model.limits, asked.requests, asked.tokens));
  return {of_model, false};
}

Room LookInTurn(const LimitedBucket& model, std::uint64_t now_ns, std::uint64_t who, bool wants_turn) {
  Bucket& bucket = *model.bucket;
  const Verdict turn = CheckTurn(bucket.turns, who, now_ns, wants_turn);
  if (turn.gate != Gate::kOpen) return {0, 0, turn};
  const Verdict next = Check(bucket, *model.limits, now_ns, 1, 1);
  if (wants_turn && next.gate == Gate::kOpen) NoteComing(bucket.turns, who, now_ns);
  if (wants_turn && next.gate != Gate::kOpen) NoteRefusal(bucket.turns, who, now_ns, next);
  return {AvailableRequests(bucket, *model.limits, now_ns), AvailableTokens(bucket, *model.limits, now_ns),
          next};
}

}  // namespace product_optimizer
