#include "postgres/transaction.h"

#include <utility>

#include "postgres/owner_rights.h"
#include "postgres/settings.h"
#include "postgres/spi.h"

namespace product_optimizer {

namespace {

Actor worker{};
MemoryContext outside = nullptr; /* where the worker is between transactions */
int settings_level = 0;          /* 0: nothing of a user's has run */
bool commit_locally = false;     /* CommitLocally() */

Statement find_extension = {
    "SELECT n.nspname::pg_catalog.text, n.oid"
    "  FROM pg_catalog.pg_extension e"
    "  JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace"
    "  JOIN pg_catalog.pg_class c ON c.relnamespace OPERATOR(pg_catalog.=) n.oid"
    "                            AND c.relname OPERATOR(pg_catalog.=) 'job_items'"
    " WHERE e.extname OPERATOR(pg_catalog.=) 'product_optimizer'"};

/* The schema may have been renamed since the last transaction. */
void PinSearchPath(const char* schema) {
  const char* const path = psprintf("%s, pg_temp", quote_identifier(schema));
  if (strcmp(path, GetConfigOption("search_path", false, false)) != 0)
    SetConfigOption("search_path", path, PGC_USERSET, PGC_S_SESSION);
}

/* A setting that names a role which does not exist names nobody's. */
bool MayOwn(Oid owner) {
  return RequiredOwner()[0] == '\0' || get_role_oid(RequiredOwner(), true) == owner;
}

void DescribeOwner(Oid owner, TransactionFailure& failure) {
  const char* const name = GetUserNameFromId(owner, true);
  failure.wrong_owner = true;
  failure.sqlstate = ERRCODE_INSUFFICIENT_PRIVILEGE;
  failure.message.assign("job_items is owned by ");
  failure.message.append(name != nullptr ? name : "nobody");
  failure.message.append(", not by ").append(RequiredOwner());
  failure.message.append(
      " as product_optimizer.role demands: call hand_over_optimizer() or change the setting");
}

}  // namespace

WorkStart BeginWork(TransactionFailure* failure) {
  outside = CurrentMemoryContext;
  settings_level = 0;
  commit_locally = false;
  const WorkStart start = Call([&] {
    SetCurrentStatementStartTimestamp();
    StartTransactionCommand();
    PushActiveSnapshot(GetTransactionSnapshot());
    SPI_connect();
    if (Execute(find_extension, Arguments{}) == 0) return WorkStart::kNoExtension;
    bool is_null;
    const Oid schema = DatumGetObjectId(Column(0, 2, OIDOID, &is_null));
    const char* const name = TextDatumGetCString(Column(0, 1, TEXTOID, &is_null));
    const Oid owner = FindTable("job_items", schema).owner;
    if (!MayOwn(owner)) {
      DescribeOwner(owner, *failure);
      return WorkStart::kWrongOwner;
    }
    const char* const trouble = TroubleWithTables(schema);
    if (trouble != nullptr) {
      failure->wrong_owner = true;
      failure->sqlstate = ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
      failure->message.assign(trouble);
      return WorkStart::kWrongOwner;
    }
    PinSearchPath(name);
    settings_level = NewGUCNestLevel();
    worker = ActAs(owner);
    return WorkStart::kReady;
  });
  if (start == WorkStart::kWrongOwner) failure->message = InAnyEncoding(std::move(failure->message));
  return start;
}

void EndWork() {
  Call([] {
    SPI_finish();
    PopActiveSnapshot();
    /* What a trigger set is undone, as in AsRole(). */
    if (settings_level > 0) AtEOXact_GUC(false, settings_level);
    if (commit_locally)
      set_config_option("synchronous_commit", "local", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0,
                        false);
    CommitTransactionCommand();
    MemoryContextSwitchTo(outside);
    /* Only now: also the commit runs nothing with the worker's own rights. */
    if (OidIsValid(worker.user)) ActAgainAs(worker);
    pgstat_report_stat(false);
    pgstat_report_activity(STATE_IDLE, nullptr);
  });
}

void CommitLocally() {
  commit_locally = true;
}

TransactionFailure AbortWork(const PgError& error) {
  const ErrorData* const data = error.data();
  /* Without the detail, which may quote a whole row. */
  TransactionFailure failure{data->sqlerrcode, InAnyEncoding(error.what())};
  Call([] {
    AbortCurrentTransaction(); /* restores the user as well */
    MemoryContextSwitchTo(outside);
    pgstat_report_stat(false);
    pgstat_report_activity(STATE_IDLE, nullptr);
  });
  return failure;
}

}  // namespace product_optimizer
