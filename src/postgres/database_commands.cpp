/*
 * database_commands.cpp
 *   DROP DATABASE, ALTER DATABASE … RENAME or SET TABLESPACE and CREATE DATABASE … TEMPLATE need a
 *   database that nobody is connected to.  PostgreSQL waits up to five seconds for that; this hook uses
 *   them: it asks the database's worker to leave, and the launcher to leave the database alone.  When
 *   the command fails after all, the launcher starts the worker again.  COMMIT PREPARED is noticed here
 *   as well, for no trigger tells of what it brings, and what an owner of the tables must not do: PREPARE in
 *   somebody else's session, or make a view of a table.
 */
#include <csignal>

#include "postgres/caller_session.h"
#include "postgres/launcher.h"
#include "postgres/owner_rights.h"
#include "postgres/queue_notes.h"
#include "postgres/shared_state.h"

namespace product_optimizer {

namespace {

constexpr int kHoldMs = 10'000; /* longer than PostgreSQL waits */

ProcessUtility_hook_type previous_hook = nullptr;

const char* StringOption(List* options, const char* name) {
  for (int i = 0; i < list_length(options); i++) {
    const auto* const option = static_cast<const DefElem*>(list_nth(options, i));
    if (strcmp(option->defname, name) == 0 && option->arg != nullptr && IsA(option->arg, String))
      return strVal(option->arg);
  }
  return nullptr;
}

/* The database that this command needs for itself; null for any other command. */
const char* DatabaseNeededAlone(Node* statement) {
  switch (nodeTag(statement)) {
    case T_DropdbStmt:
      return reinterpret_cast<DropdbStmt*>(statement)->dbname;
    case T_CreatedbStmt:
      return StringOption(reinterpret_cast<CreatedbStmt*>(statement)->options, "template");
    case T_AlterDatabaseStmt: {
      auto* const alter = reinterpret_cast<AlterDatabaseStmt*>(statement);
      return StringOption(alter->options, "tablespace") != nullptr ? alter->dbname : nullptr;
    }
    case T_RenameStmt: {
      auto* const rename = reinterpret_cast<RenameStmt*>(statement);
      return rename->renameType == OBJECT_DATABASE ? rename->subname : nullptr;
    }
    default:
      return nullptr;
  }
}

/* Only for who may do such a thing to it: nobody else can stop a worker this way.  The database, or 0. */
Oid AskWorkerToLeave(const char* name) {
  const Oid database = get_database_oid(name, true);
  if (!OidIsValid(database) || database == MyDatabaseId || !MayOwnDatabase(database, GetUserId()))
    return InvalidOid;
  SharedState* const shared = Shared();
  LockScope scope(shared->lock);
  shared->hold_database = database;
  shared->hold_until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), kHoldMs);
  for (int i = 0; i < shared->slot_count; i++)
    if (shared->slots[i].database == database && shared->slots[i].pid != 0)
      kill(shared->slots[i].pid, SIGTERM);
  return database;
}

/* Where the command left a database, by whatever name. */
void EndHold(Oid database) {
  if (get_database_name(database) == nullptr) return;
  SharedState* const shared = Shared();
  bool ended = false;
  {
    LockScope scope(shared->lock);
    ended = shared->hold_database == database;
    if (ended) shared->hold_database = InvalidOid;
  }
  if (ended) TellLauncher(database);
}

/* What waits from now on, or again, was decided in another transaction than this one. */
bool EndsPrepared(Node* statement) {
  if (!IsA(statement, TransactionStmt)) return false;
  const TransactionStmtKind kind = reinterpret_cast<TransactionStmt*>(statement)->kind;
  return kind == TRANS_STMT_COMMIT_PREPARED || kind == TRANS_STMT_ROLLBACK_PREPARED;
}

}  // namespace

extern "C" {

static void WatchUtility(PlannedStmt* planned, const char* query, bool read_only_tree,
                         ProcessUtilityContext context, ParamListInfo parameters,
                         QueryEnvironment* environment, DestReceiver* receiver, QueryCompletion* completion) {
  RefusePreparing(planned->utilityStmt);
  RefuseViewOfTable(planned->utilityStmt);
  const char* const name = DatabaseNeededAlone(planned->utilityStmt);
  const Oid held = name != nullptr ? AskWorkerToLeave(name) : InvalidOid;
  const bool ends_prepared = EndsPrepared(planned->utilityStmt);
  const ProcessUtility_hook_type next = previous_hook != nullptr ? previous_hook : standard_ProcessUtility;
  next(planned, query, read_only_tree, context, parameters, environment, receiver, completion);
  if (OidIsValid(held) && IsTransactionState()) EndHold(held);
  if (ends_prepared) NotePreparedEnd();
}

}  // extern "C"

void InstallDatabaseCommandHook() {
  previous_hook = ProcessUtility_hook;
  ProcessUtility_hook = WatchUtility;
}

}  // namespace product_optimizer
