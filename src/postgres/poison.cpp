#include "postgres/poison.h"

#include "core/text.h"
#include "postgres/claim.h"
#include "postgres/spi.h"

namespace product_optimizer {

namespace {

Statement read_whole = {
    "SELECT i.payload::text, j.instructions, j.response_schema::text, j.params::text"
    "  FROM job_items i LEFT JOIN jobs j ON j.id = i.job_id WHERE i.id = $1",
    1,
    {INT8OID}};

/* Everything that a claim reads of an item. */
void ReadWhole(std::int64_t id) {
  std::string text;
  Call([&] {
    Arguments arguments;
    arguments.Set(0, Int64GetDatum(id));
    if (Execute(read_whole, arguments) == 0) return;
    for (int column = 1; column <= 4; column++) TextColumn(0, column, text);
  });
}

}  // namespace

bool MayBeOneRow(const TransactionFailure& failure) {
  switch (ERRCODE_TO_CATEGORY(failure.sqlstate)) {
    case ERRCODE_TRANSACTION_ROLLBACK:
    case ERRCODE_INSUFFICIENT_RESOURCES:
    case ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE: /* of its class: lock timeouts */
    case ERRCODE_OPERATOR_INTERVENTION:
    case ERRCODE_SYSTEM_ERROR:
    case ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION: /* a missing right or table is everybody's trouble */
    case ERRCODE_READ_ONLY_SQL_TRANSACTION:
      return false;
    default:
      return true;
  }
}

void ExplainBatch(const char* what, const TransactionFailure& failure, bool goes_on, const std::string& found,
                  std::string* last_failure) {
  if ((goes_on && found.empty()) || failure.message == *last_failure) return;
  *last_failure = failure.message;
  WarnLine(what + OneLine(failure.message, 400),
           goes_on ? found +
                         " rests for ten seconds, the others go on.  Look at the triggers and constraints "
                         "of job_items."
                   : "It is tried again every second.");
}

bool SetAsideNextRow(Worker& worker, const TransactionFailure& failure, std::uint64_t now_ns) {
  std::vector<Item> items;
  TransactionFailure second;
  /* Without a chooser neither payloads nor jobs are read. */
  const ClaimRequest one_item{1, 1, worker.settings.request_timeout_ms, worker.claimed_by, true};
  if (RunTransaction(&second, [&] { items = ClaimItems(one_item, nullptr).items; }) ==
      WorkResult::kCommitted) {
    bool found = false;
    for (const Item& item : items) {
      /* Only a row that is seen to be at fault pays for it. */
      TransactionFailure reading;
      const bool readable = RunTransaction(&reading, [&] { ReadWhole(item.id); }) != WorkResult::kFailed ||
                            !MayBeOneRow(reading);
      found |= !readable;
      Outcome outcome;
      outcome.kind = OutcomeKind::kFail;
      outcome.error = OneLine("the item cannot be read: " + reading.message, 900);
      outcome.error_code = "unreadable_item";
      Settlement settlement{
          {{item.id, item.attempt}, item.max_attempts, false, 0, item.instance_id}, std::move(outcome), {}};
      settlement.decision.action = readable ? Action::kRelease : Action::kFail;
      worker.to_settle.push_back(std::move(settlement));
    }
    return found;
  }
  const std::string store = ParkNextStore(now_ns + kRestNs);
  if (store.empty()) return false;
  WarnLine("store " + OneLine(store, 64) +
               " rests for ten seconds: an item of it cannot be claimed: " + OneLine(failure.message, 400),
           "Look at the triggers and constraints of job_items.");
  return true;
}

}  // namespace product_optimizer
