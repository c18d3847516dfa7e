/*
 * queue_functions.cpp
 *   claim_pending_items(), complete_item(), fail_item(), release_item(): the queue for external workers.
 */
#include <string>

#include "core/retry_policy.h"
#include "core/text.h"
#include "postgres/arguments.h"
#include "postgres/claim.h"
#include "postgres/guard.h"
#include "postgres/owner_rights.h"
#include "postgres/queue_notes.h"
#include "postgres/settings.h"
#include "postgres/settle.h"
#include "postgres/shared_state.h"
#include "postgres/spi.h"

namespace product_optimizer {

namespace {

constexpr std::int32_t kMostItems = 10'000;
constexpr std::int64_t kLongestLeaseMs = std::int64_t{7} * 86'400'000;
constexpr std::int64_t kLongestDelayMs = std::int64_t{366} * 86'400'000;

/* Who claims, for claimed_by: the caller, not the owner who acts for it. */
std::string ClaimerName(Oid caller) {
  std::string role;
  Call([&] {
    role.assign(GetUserNameFromId(caller, false));
    ConvertToUtf8(role);
  });
  return role + " pid " + std::to_string(MyProcPid);
}

ClaimRef ClaimArguments(FunctionCallInfo fcinfo) {
  RefuseNull(fcinfo, 0, "item_id");
  return {PG_GETARG_INT64(0), static_cast<std::int16_t>(Int32Argument(fcinfo, 1, "attempt", 0, INT16_MAX))};
}

[[noreturn]] void RefuseUnknownItem(std::int64_t id) {
  ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                  errmsg("item %lld does not exist", static_cast<long long>(id)),
                  errhint("Pass the id of a row that claim_pending_items() returned.")));
  pg_unreachable();
}

/* A claim that does not hold is an answer; an item that does not exist is an error. */
bool HeldOrKnown(bool held, std::int64_t id) {
  if (!held && !LookUpItem(id).exists) Call([&] { RefuseUnknownItem(id); });
  return held;
}

}  // namespace

}  // namespace product_optimizer

using namespace product_optimizer;

extern "C" {

PGDLLEXPORT Datum product_optimizer_claim_pending_items(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(product_optimizer_claim_pending_items);
Datum product_optimizer_claim_pending_items(PG_FUNCTION_ARGS) {
  const std::int32_t max_items = Int32Argument(fcinfo, 0, "max_items", 1, kMostItems);
  const std::int32_t max_per_store = Int32Argument(fcinfo, 1, "max_per_store", 1, INT32_MAX);
  const std::int64_t lease_ms =
      IntervalArgumentMs(fcinfo, 2, "lease", 1, kLongestLeaseMs, "more than zero and at most 7 days");
  InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
  auto* const result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
  const Oid caller = GetUserId();
  return EntryAsOwner(fcinfo, [&]() -> Datum {
    const ClaimRequest request{max_items, max_per_store, lease_ms, ClaimerName(caller)};
    const ClaimResult claimed = ClaimItems(request, nullptr);
    if (claimed.rows.empty()) return Datum{0};
    Call([&] {
      /* The type of the table still has its dropped columns; a row of RETURNING does not. */
      TupleConversionMap* const map = convert_tuples_by_name(claimed.row_description, result->setDesc);
      for (HeapTuple row : claimed.rows)
        tuplestore_puttuple(result->setResult, map != nullptr ? execute_attr_map_tuple(row, map) : row);
    });
    return Datum{0};
  });
}

PGDLLEXPORT Datum product_optimizer_complete_item(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(product_optimizer_complete_item);
Datum product_optimizer_complete_item(PG_FUNCTION_ARGS) {
  const ClaimRef claim = ClaimArguments(fcinfo);
  RefuseNull(fcinfo, 2, "result");
  const Datum answer = PG_GETARG_DATUM(2);
  const std::int32_t prompt = PG_ARGISNULL(3) ? -1 : Int32Argument(fcinfo, 3, "prompt_tokens", 0, INT32_MAX);
  const std::int32_t completion =
      PG_ARGISNULL(4) ? -1 : Int32Argument(fcinfo, 4, "completion_tokens", 0, INT32_MAX);
  return EntryAsOwner(fcinfo, [&]() -> Datum {
    Completion completed{answer, {}, {}, {}};
    if (prompt >= 0) completed.prompt_tokens = prompt;
    if (completion >= 0) completed.completion_tokens = completion;
    return BoolGetDatum(HeldOrKnown(CompleteItem(claim, completed), claim.id));
  });
}

PGDLLEXPORT Datum product_optimizer_fail_item(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(product_optimizer_fail_item);
Datum product_optimizer_fail_item(PG_FUNCTION_ARGS) {
  const ClaimRef claim = ClaimArguments(fcinfo);
  RefuseNull(fcinfo, 2, "error");
  RefuseNull(fcinfo, 3, "retry");
  const Datum error = PG_GETARG_DATUM(2);
  const bool retry = PG_GETARG_BOOL(3);
  const std::int64_t delay_ms =
      PG_ARGISNULL(4) ? -1 : IntervalArgumentMs(fcinfo, 4, "delay", 0, kLongestDelayMs, "zero to 366 days");
  const char* status = nullptr;
  EntryAsOwner(fcinfo, [&]() -> Datum {
    Failure failure;
    Call([&] { TextFromDatum(error, failure.error); });
    const ItemState item = LookUpItem(claim.id);
    if (!item.exists) Call([&] { RefuseUnknownItem(claim.id); });
    Outcome outcome;
    outcome.kind = retry ? OutcomeKind::kRetry : OutcomeKind::kFail;
    if (delay_ms >= 0) outcome.retry_after_ms = delay_ms;
    const Decision decision = Decide(outcome, claim.attempt, item.max_attempts, false,
                                     CurrentSettings().retry, pg_prng_double(&pg_global_prng_state));
    const bool again = decision.action == Action::kRetry;
    const bool held = again ? RetryItem(claim, failure, decision.delay_ms) : FailItem(claim, failure);
    if (held && again) NoteNews(kNewsDue);
    if (held) status = again ? "SCHEDULED" : "FAILED";
    return Datum{0};
  });
  if (status == nullptr) PG_RETURN_NULL();
  PG_RETURN_TEXT_P(cstring_to_text(status));
}

PGDLLEXPORT Datum product_optimizer_release_item(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(product_optimizer_release_item);
Datum product_optimizer_release_item(PG_FUNCTION_ARGS) {
  const ClaimRef claim = ClaimArguments(fcinfo);
  return EntryAsOwner(fcinfo,
                      [&]() -> Datum { return BoolGetDatum(HeldOrKnown(ReleaseItem(claim), claim.id)); });
}

}  // extern "C"
