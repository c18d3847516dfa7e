/*
 * access_functions.cpp
 *   grant_optimizer(), revoke_optimizer(), optimizer_row_security(), hand_over_optimizer(): who may do what.
 *
 *   What runs with a superuser's rights here are GRANT, REVOKE and ALTER … OWNER alone: no query, in which
 *   somebody's operator might be a better match than PostgreSQL's.
 *
 *   Functions and views stay with the superuser who created the extension, whoever owns the tables: the
 *   owner of a function can replace it, and the next superuser who calls it would run his code.
 */
#include "postgres/access_levels.h"
#include "postgres/arguments.h"
#include "postgres/left_code.h"
#include "postgres/owner_rights.h"
#include "postgres/queue_notes.h"
#include "postgres/row_policies.h"
#include "postgres/shared_state.h"
#include "postgres/spi.h"

namespace product_optimizer {

namespace {

/* As role, with SPI connected.  Raises. */
template <typename F>
void WorkAs(Oid role, F&& body) {
  AsRole(role, [&]() -> Datum {
    Call([] { SPI_connect(); });
    Call(body);
    Call([] { SPI_finish(); });
    return Datum{0};
  });
}

/* Only where it is missing: a public schema need not name everybody.  With the caller's own rights, for the
 * schema may hold other things. */
void GrantSchema(Oid schema, Oid role) {
  if (!MayUseSchema(schema, role))
    ExecuteText(psprintf("GRANT USAGE ON SCHEMA %s TO %s", quote_identifier(get_namespace_name(schema)),
                         QuotedRole(role)));
}

void RevokeSchema(Oid schema, Oid role) {
  ExecuteText(psprintf("REVOKE USAGE ON SCHEMA %s FROM %s", quote_identifier(get_namespace_name(schema)),
                       QuotedRole(role)));
}

void GrantEach(const char* const* grants, Oid role) {
  for (; *grants != nullptr; grants++) ExecuteText(psprintf("GRANT %s TO %s", *grants, QuotedRole(role)));
}

void RevokeUse(Oid role) {
  const char* const name = QuotedRole(role);
  ExecuteText(psprintf("REVOKE ALL ON FUNCTION %s, %s, %s FROM %s CASCADE", kFunctions, kHandOver,
                       kTriggerFunctions, name));
  ExecuteText(psprintf("REVOKE ALL ON %s FROM %s CASCADE", kViews, name));
  ExecuteText(psprintf("REVOKE ALL ON TYPE %s FROM %s CASCADE", kViews, name));
}

void RevokeTables(Oid role) {
  const char* const name = QuotedRole(role);
  for (const char* table : kTables) {
    ExecuteText(psprintf("REVOKE ALL ON %s FROM %s CASCADE", table, name));
    ExecuteText(psprintf("REVOKE ALL ON TYPE %s FROM %s CASCADE", table, name));
  }
  ExecuteText(psprintf("REVOKE ALL ON SEQUENCE %s FROM %s CASCADE", kSequences, name));
}

Statement find_rights = {
    "WITH member AS MATERIALIZED ("
    "  SELECT d.classid, d.objid FROM pg_catalog.pg_depend d"
    "    JOIN pg_catalog.pg_extension e ON e.oid OPERATOR(pg_catalog.=) d.refobjid"
    "                                  AND e.tableoid OPERATOR(pg_catalog.=) d.refclassid"
    "   WHERE e.extname OPERATOR(pg_catalog.=) 'product_optimizer'"
    "     AND d.deptype OPERATOR(pg_catalog.=) 'e'::\"char\""
    "), a(class, oid, part, acl) AS ("
    "  SELECT c.tableoid, c.oid, 0, c.relacl FROM pg_catalog.pg_class c"
    "  UNION ALL SELECT c.tableoid, c.oid, t.attnum::pg_catalog.int4, t.attacl FROM pg_catalog.pg_class c"
    "              JOIN pg_catalog.pg_attribute t ON t.attrelid OPERATOR(pg_catalog.=) c.oid"
    "  UNION ALL SELECT p.tableoid, p.oid, 0, p.proacl FROM pg_catalog.pg_proc p"
    "  UNION ALL SELECT y.tableoid, y.oid, 0, y.typacl FROM pg_catalog.pg_type y"
    ") SELECT x.privilege_type, pg_catalog.pg_describe_object(a.class, a.oid, a.part), x.grantor"
    "    FROM member m JOIN a ON a.class OPERATOR(pg_catalog.=) m.classid"
    "                        AND a.oid OPERATOR(pg_catalog.=) m.objid, pg_catalog.aclexplode(a.acl) x"
    "   WHERE x.grantee OPERATOR(pg_catalog.=) $1 ORDER BY 2, 1 LIMIT 1",
    1,
    {OIDOID}};

/* What neither the owner nor the superuser gave, they cannot take: it is its grantor's. */
void RefuseLeftRights(Oid role) {
  Arguments arguments;
  arguments.Set(0, ObjectIdGetDatum(role));
  if (ReadLatest(find_rights, arguments) == 0) return;
  bool is_null;
  const char* const grantor = GetUserNameFromId(DatumGetObjectId(Column(0, 3, OIDOID, &is_null)), true);
  ereport(ERROR, (errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
                  errmsg("role %s would keep %s on %s, granted by %s", GetUserNameFromId(role, false),
                         SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1),
                         SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2),
                         grantor != nullptr ? grantor : "nobody"),
                  errhint("First revoke_optimizer() its grantor, or REVOKE it as the grantor.")));
}

/* An ordinary role whose code would be handed over with one of the tables, which may have several owners. */
Oid FormerOwner(Oid schema, Oid new_owner) {
  for (const char* table : kTables) {
    const Oid owner = FindTable(table, schema).owner;
    if (owner != new_owner && !superuser_arg(owner)) return owner;
  }
  return InvalidOid;
}

void RequireOwner(Oid owner) {
  if (!has_privs_of_role(GetUserId(), owner))
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("must be owner of job_items"),
                    errhint("Ask its owner or a superuser.")));
}

/* A role that exists. */
Oid RoleArgument(FunctionCallInfo fcinfo, const char* name) {
  RefuseNull(fcinfo, 0, name);
  const Oid role = PG_GETARG_OID(0);
  if (GetUserNameFromId(role, true) == nullptr)
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("role %u does not exist", role),
                    errhint("Pass the name of a role.")));
  return role;
}

/* A role that is given rights, or loses them: the owner has all of them and needs them. */
Oid GranteeArgument(FunctionCallInfo fcinfo, Oid owner) {
  const Oid role = RoleArgument(fcinfo, "role");
  if (role == owner)
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("role %s owns the queue", GetUserNameFromId(role, false)),
                    errhint("The owner has all rights already, and the worker needs them.")));
  return role;
}

const AccessLevel& LevelArgument(FunctionCallInfo fcinfo, int index) {
  RefuseNull(fcinfo, index, "level");
  const char* const name = text_to_cstring(PG_GETARG_TEXT_PP(index));
  for (const AccessLevel& level : kAccessLevels)
    if (strcmp(level.name, name) == 0) return level;
  ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("there is no level \"%s\"", name),
                  errhint("The levels are producer, consumer, operator and reader.")));
  pg_unreachable();
}

}  // namespace

}  // namespace product_optimizer

using namespace product_optimizer;

extern "C" {

PGDLLEXPORT Datum product_optimizer_grant(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(product_optimizer_grant);
Datum product_optimizer_grant(PG_FUNCTION_ARGS) {
  const Oid owner = OwnerOfQueue(fcinfo);
  const Oid creator = OwnerOfFunction(fcinfo);
  const Oid schema = SchemaOfFunction(fcinfo);
  RequireOwner(owner);
  const Oid role = GranteeArgument(fcinfo, owner);
  const AccessLevel& level = LevelArgument(fcinfo, 1);
  const Datum stores = PG_ARGISNULL(2) ? Datum{0} : PG_GETARG_DATUM(2);
  if (!PG_ARGISNULL(2)) {
    if (!level.per_store)
      ereport(
          ERROR,
          (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("level %s cannot be held to stores", level.name),
           errhint("Its functions work on the whole queue; producer and reader can be held to stores.")));
    CheckStores(stores);
  }
  return Entry([&]() -> Datum {
    WorkAs(GetUserId(), [&] { GrantSchema(schema, role); });
    WorkAs(creator, [&] { GrantEach(level.of_functions, role); });
    WorkAs(owner, [&] {
      GrantEach(level.of_tables, role);
      if (!PG_ARGISNULL(2)) {
        AllowStores(role, &stores);
      } else if (!HasPolicies(role)) {
        AllowStores(role, nullptr);
      }
    });
    return Datum{0};
  });
}

PGDLLEXPORT Datum product_optimizer_revoke(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(product_optimizer_revoke);
Datum product_optimizer_revoke(PG_FUNCTION_ARGS) {
  const Oid owner = OwnerOfQueue(fcinfo);
  const Oid creator = OwnerOfFunction(fcinfo);
  const Oid schema = SchemaOfFunction(fcinfo);
  RequireOwner(owner);
  const Oid role = GranteeArgument(fcinfo, owner);
  return Entry([&]() -> Datum {
    if (superuser()) WorkAs(GetUserId(), [&] { RevokeSchema(schema, role); });
    WorkAs(creator, [&] { RevokeUse(role); });
    WorkAs(owner, [&] {
      ForgetStores(role);
      DropPolicies(role); /* those of a former name have no row */
      RevokeTables(role);
      RefuseLeftRights(role);
    });
    return Datum{0};
  });
}

PGDLLEXPORT Datum product_optimizer_row_security(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(product_optimizer_row_security);
Datum product_optimizer_row_security(PG_FUNCTION_ARGS) {
  const Oid owner = OwnerOfQueue(fcinfo);
  RequireOwner(owner);
  RefuseNull(fcinfo, 0, "enabled");
  const bool enabled = PG_GETARG_BOOL(0);
  return Entry([&]() -> Datum {
    WorkAs(owner, [&] { SwitchRowSecurity(enabled); });
    return Datum{0};
  });
}

PGDLLEXPORT Datum product_optimizer_hand_over(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(product_optimizer_hand_over);
Datum product_optimizer_hand_over(PG_FUNCTION_ARGS) {
  if (!superuser())
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                    errmsg("must be superuser to hand over the queue"), errhint("Ask a superuser.")));
  const Oid new_owner = RoleArgument(fcinfo, "new_owner");
  const Oid creator = OwnerOfFunction(fcinfo);
  const Oid schema = SchemaOfFunction(fcinfo);
  const Oid old_owner = FindTable("job_items", schema).owner;
  const Oid former_owner = FormerOwner(schema, new_owner);
  return Entry([&]() -> Datum {
    WorkAs(GetUserId(), [&] {
      for (const char* table : kTables)
        ExecuteText(psprintf("ALTER TABLE %s OWNER TO %s", table, QuotedRole(new_owner)));
    });
    /* Only now: the tables are locked, and he can add nothing more. */
    if (OidIsValid(former_owner))
      WorkAs(former_owner, [&] { RefuseLeftCode(schema, former_owner, new_owner); });
    WorkAs(GetUserId(), [&] {
      if (old_owner != creator && old_owner != new_owner) {
        RevokeUse(old_owner);
        RevokeSchema(schema, old_owner);
      }
      GrantSchema(schema, new_owner);
      if (new_owner == creator) return;
      const char* const name = QuotedRole(new_owner);
      ExecuteText(psprintf("GRANT EXECUTE ON FUNCTION %s TO %s", kFunctions, name));
      ExecuteText(psprintf("GRANT SELECT ON %s TO %s", kViews, name));
    });
    NoteNews(kNewsWork | kNewsDue | kNewsControl);
    return Datum{0};
  });
}

}  // extern "C"
