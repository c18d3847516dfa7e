#include "postgres/owner_rights.h"

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

Oid OwnerOfQueue(FunctionCallInfo fcinfo) {
  const Oid table = get_relname_relid("job_items", SchemaOfFunction(fcinfo));
  HeapTuple const row = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
  if (!HeapTupleIsValid(row))
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("the table job_items is not in its schema"),
                    errhint("Give the extension's table its name back.")));
  const Oid owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(row))->relowner;
  ReleaseSysCache(row);
  return owner;
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
