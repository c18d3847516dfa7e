#include "postgres/owner_rights.h"

#include "postgres/access_levels.h"

namespace product_optimizer {

Actor ActAs(Oid role) noexcept {
  Actor before;
  GetUserIdAndSecContext(&before.user, &before.security_context);
  SetUserIdAndSecContext(
      role, before.security_context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
  return before;
}

void ActAgainAs(const Actor& actor) noexcept {
  SetUserIdAndSecContext(actor.user, actor.security_context);
}

Oid SchemaOfFunction(FunctionCallInfo fcinfo) {
  return get_func_namespace(fcinfo->flinfo->fn_oid);
}

Oid OwnerOfFunction(FunctionCallInfo fcinfo) {
  HeapTuple const row = SearchSysCache1(PROCOID, ObjectIdGetDatum(fcinfo->flinfo->fn_oid));
  if (!HeapTupleIsValid(row)) elog(ERROR, "cache lookup failed for function %u", fcinfo->flinfo->fn_oid);
  const Oid owner = reinterpret_cast<Form_pg_proc>(GETSTRUCT(row))->proowner;
  ReleaseSysCache(row);
  return owner;
}

QueueTable FindTable(const char* name, Oid schema) {
  const Oid table = get_relname_relid(name, schema);
  HeapTuple const row = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
  if (!HeapTupleIsValid(row))
    ereport(ERROR,
            (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("the table %s is not in the extension's schema", name),
             errhint("Give the extension's table its name back.")));
  const auto* const relation = reinterpret_cast<Form_pg_class>(GETSTRUCT(row));
  const QueueTable found{relation->relowner, relation->relkind == RELKIND_RELATION};
  ReleaseSysCache(row);
  return found;
}

void RefuseViewOfTable(const Node* statement) {
  if (!IsA(statement, RuleStmt)) return;
  const auto* const rule = reinterpret_cast<const RuleStmt*>(statement);
  if (rule->event != CMD_SELECT) return;
  /* The lock that the command takes, so that the name means the same table then. */
  const Oid table = RangeVarGetRelidExtended(rule->relation, AccessExclusiveLock, RVR_MISSING_OK,
                                             RangeVarCallbackOwnsRelation, nullptr);
  if (!OidIsValid(table)) return;
  const Oid extension = getExtensionOfObject(RelationRelationId, table);
  if (!OidIsValid(extension) || extension != get_extension_oid("product_optimizer", true)) return;
  ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
                  errmsg("%s of product_optimizer cannot be made a view", rule->relation->relname),
                  errhint("Create a view of your own that reads it.")));
}

const char* TroubleWithTables(Oid schema) {
  const Oid owner = FindTable("job_items", schema).owner;
  for (const char* name : kTables) {
    const QueueTable table = FindTable(name, schema);
    if (!table.is_plain) return psprintf("%s is not a plain table: give the extension's table back", name);
    if (table.owner != owner)
      return psprintf("%s has another owner than job_items: call hand_over_optimizer() as superuser", name);
  }
  return nullptr;
}

Oid OwnerOfQueue(FunctionCallInfo fcinfo) {
  const Oid schema = SchemaOfFunction(fcinfo);
  const char* const trouble = TroubleWithTables(schema);
  if (trouble != nullptr)
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("%s", trouble)));
  return FindTable("job_items", schema).owner;
}

void RoleScope::UndoSettings() {
  Call([&] { AtEOXact_GUC(false, settings_level_); });
}

/* Its detail quotes the row, which whoever called need not have the right to see. */
void RoleScope::HideRow(const PgError& error) noexcept {
  if (ERRCODE_TO_CATEGORY(error.data()->sqlerrcode) == ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION)
    error.data()->detail = nullptr;
}

}  // namespace product_optimizer
