#include "postgres/settle.h"

#include "postgres/guard.h"
#include "postgres/queue_notes.h"
#include "postgres/settings.h"
#include "postgres/spi.h"
#include "postgres/suppressed_updates.h"

namespace product_optimizer {

namespace {

/* The status is compared in a way that no partial index serves: the item is found by its id, whatever the
 * statistics say. */
#define CLAIM_HOLDS                                                     \
  " WHERE i.id = $1 AND i.attempts = $2 AND i.status || '' = 'RUNNING'" \
  "   AND (i.claimed_by = $3 OR $3 IS NULL)"
#define WHERE_CLAIM_HOLDS                                                 \
  CLAIM_HOLDS                                                             \
      " RETURNING i.instance_id, i.id, i.priority, i.status = 'PENDING'," \
      " i.status = 'SCHEDULED', i.status = 'RUNNING'"

Statement complete = {
    "UPDATE job_items i"
    "   SET status = 'DONE', result = $4, error = NULL, error_code = NULL, model = coalesce($5, i.model),"
    "       prompt_tokens = $6, completion_tokens = $7, claimed_by = NULL, lease_expires_at = NULL,"
    "       finished_at = clock_timestamp()" WHERE_CLAIM_HOLDS,
    7,
    {INT8OID, INT2OID, TEXTOID, JSONBOID, TEXTOID, INT4OID, INT4OID}};

Statement fail = {
    "UPDATE job_items i"
    "   SET status = 'FAILED', error = $4, error_code = $5, claimed_by = NULL, lease_expires_at = NULL,"
    "       finished_at = clock_timestamp()" WHERE_CLAIM_HOLDS,
    5,
    {INT8OID, INT2OID, TEXTOID, TEXTOID, TEXTOID}};

Statement retry = {
    "UPDATE job_items i"
    "   SET status = 'SCHEDULED', run_after = clock_timestamp() + $6, error = $4, error_code = $5,"
    "       claimed_by = NULL, lease_expires_at = NULL" WHERE_CLAIM_HOLDS,
    6,
    {INT8OID, INT2OID, TEXTOID, TEXTOID, TEXTOID, INTERVALOID}};

/* The attempt is given back by its holder, who is done with it, so the token can be used again. */
Statement release = {
    "UPDATE job_items i"
    "   SET status = 'PENDING', attempts = greatest(i.attempts - 1, 0), claimed_by = NULL,"
    "       lease_expires_at = NULL, run_after = NULL" WHERE_CLAIM_HOLDS,
    3,
    {INT8OID, INT2OID, TEXTOID}};

Statement see_claim = {"SELECT FROM job_items i" CLAIM_HOLDS, 3, {INT8OID, INT2OID, TEXTOID}};

#undef WHERE_CLAIM_HOLDS
#undef CLAIM_HOLDS

Statement look_up = {
    "SELECT i.attempts, coalesce(i.max_attempts, 0)::smallint FROM job_items i WHERE i.id = $1",
    1,
    {INT8OID}};

/* False when the claim no longer holds; to say so while it does would lose what was to be written. */
bool End(Statement& statement, const Arguments& arguments, std::string& store) {
  if (ExecuteNoted(statement, arguments) == 0) {
    if (Execute(see_claim, arguments) > 0) RaiseSuppressed(DatumGetInt64(arguments.values[0]));
    return false;
  }
  if (BoolColumn(0, 6)) RaiseSuppressed(DatumGetInt64(arguments.values[0]));
  NoteReturned(0, &statement == &retry, store);
  SPI_freetuptable(SPI_tuptable);
  return true;
}

Arguments ArgumentsOf(const ClaimRef& claim) {
  Arguments arguments;
  arguments.Set(0, Int64GetDatum(claim.id));
  arguments.Set(1, Int16GetDatum(claim.attempt));
  if (claim.holder != nullptr) arguments.Set(2, TextDatum(*claim.holder));
  return arguments;
}

void SetFailure(Arguments& arguments, const Failure& failure) {
  arguments.Set(3, TextDatum(failure.error));
  if (!failure.error_code.empty()) arguments.Set(4, TextDatum(failure.error_code));
}

}  // namespace

bool CompleteItem(const ClaimRef& claim, const Completion& completion) {
  std::string store;
  return Call([&] {
    Arguments arguments = ArgumentsOf(claim);
    arguments.Set(3, completion.result);
    if (!completion.model.empty()) arguments.Set(4, TextDatum(completion.model));
    if (completion.prompt_tokens) arguments.Set(5, Int32GetDatum(*completion.prompt_tokens));
    if (completion.completion_tokens) arguments.Set(6, Int32GetDatum(*completion.completion_tokens));
    return End(complete, arguments, store);
  });
}

bool FailItem(const ClaimRef& claim, const Failure& failure) {
  std::string store;
  return Call([&] {
    Arguments arguments = ArgumentsOf(claim);
    SetFailure(arguments, failure);
    return End(fail, arguments, store);
  });
}

bool RetryItem(const ClaimRef& claim, const Failure& failure, std::int64_t delay_ms) {
  std::string store;
  return Call([&] {
    Arguments arguments = ArgumentsOf(claim);
    SetFailure(arguments, failure);
    arguments.Set(5, IntervalDatum(delay_ms));
    return End(retry, arguments, store);
  });
}

bool ReleaseItem(const ClaimRef& claim) {
  std::string store;
  return Call([&] { return End(release, ArgumentsOf(claim), store); });
}

ItemState LookUpItem(std::int64_t id) {
  return Call([&] {
    Arguments arguments;
    arguments.Set(0, Int64GetDatum(id));
    if (Execute(look_up, arguments) == 0) return ItemState{false, 0, 0};
    const std::int16_t own = Int16Column(0, 2);
    return ItemState{true, Int16Column(0, 1),
                     own != 0 ? own : static_cast<std::int16_t>(DefaultMaxAttempts())};
  });
}

}  // namespace product_optimizer
