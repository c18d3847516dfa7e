#include "postgres/row_policies.h"

#include "postgres/access_levels.h"
#include "postgres/owner_rights.h"
#include "postgres/spi.h"

namespace product_optimizer {

namespace {

Statement allow_stores = {
    "INSERT INTO store_access AS a (role_name, instance_ids) VALUES ($1, $2)"
    "    ON CONFLICT (role_name) DO UPDATE SET instance_ids = EXCLUDED.instance_ids",
    2,
    {TEXTOID, TEXTARRAYOID}};

Statement forget_stores = {"DELETE FROM store_access a WHERE a.role_name = $1", 1, {TEXTOID}};

/* No role can have this name: the row that holds for everybody, and lets nobody see anything. */
constexpr char kEverybody[] = "public";

constexpr int kLongestStore = 255; /* characters */

/* Those TO this role and nobody else; a policy of a user's own for several roles is not ours. */
Statement find_policies = {
    "SELECT p.polname, c.relname FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid"
    "  JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = (current_schemas(false))[1]"
    " WHERE p.polroles OPERATOR(pg_catalog.=) ARRAY[$1] AND c.relname IN ('job_items', 'jobs', 'stores')",
    1,
    {OIDOID}};

std::uint64_t FindPolicies(Oid role) {
  Arguments arguments;
  arguments.Set(0, ObjectIdGetDatum(role));
  return Execute(find_policies, arguments);
}

}  // namespace

void ExecuteText(const char* sql) {
  const int code = SPI_execute(sql, false, 0);
  if (code < 0) elog(ERROR, "cannot execute a statement: %s", SPI_result_code_string(code));
}

const char* QuotedRole(Oid role) {
  return quote_identifier(GetUserNameFromId(role, false));
}

static void CreatePolicies(Oid role, const Datum* stores) {
  const char* condition = "true";
  if (stores != nullptr) {
    Oid output;
    bool is_varlena;
    getTypeOutputInfo(TEXTARRAYOID, &output, &is_varlena);
    /* One comparison per row with a constant, and an index may serve it. */
    condition = psprintf("instance_id = ANY (%s::text[])",
                         quote_literal_cstr(OidOutputFunctionCall(output, *stores)));
  }
  for (int i = 0; i < kTablesOfStores; i++) {
    /* Whoever names a job sends its instructions: it must be one that he sees. */
    const bool names_job = stores != nullptr && strcmp(kTables[i], "job_items") == 0;
    ExecuteText(psprintf(
        "CREATE POLICY %s ON %s TO %s USING (%s) WITH CHECK (%s%s)", QuotedRole(role), kTables[i],
        QuotedRole(role), condition, condition,
        names_job ? " AND (job_id IS NULL OR EXISTS (SELECT FROM jobs WHERE jobs.id = job_id))" : ""));
  }
}

bool HasPolicies(Oid role) {
  return FindPolicies(role) > 0;
}

void DropPolicies(Oid role) {
  const std::uint64_t count = FindPolicies(role);
  SPITupleTable* const found = SPI_tuptable; /* another one after each statement */
  for (std::uint64_t row = 0; row < count; row++) {
    const char* const policy = SPI_getvalue(found->vals[row], found->tupdesc, 1);
    const char* const table = SPI_getvalue(found->vals[row], found->tupdesc, 2);
    ExecuteText(psprintf("DROP POLICY %s ON %s", quote_identifier(policy), table));
  }
}

static void AllowName(const char* name, const Datum* stores) {
  Arguments arguments;
  arguments.Set(0, CStringGetTextDatum(name));
  if (stores != nullptr) arguments.Set(1, *stores);
  Execute(allow_stores, arguments);
}

static void ForgetName(const char* name) {
  Arguments arguments;
  arguments.Set(0, CStringGetTextDatum(name));
  Execute(forget_stores, arguments);
}

void AllowStores(Oid role, const Datum* stores) {
  AllowName(GetUserNameFromId(role, false), stores);
}

void ForgetStores(Oid role) {
  ForgetName(GetUserNameFromId(role, false));
}

void SwitchRowSecurity(bool enabled) {
  const Datum none = PointerGetDatum(construct_empty_array(TEXTOID));
  if (enabled) {
    AllowName(kEverybody, &none);
  } else {
    ForgetName(kEverybody);
  }
}

void CheckStores(Datum stores) {
  Datum* values;
  bool* nulls;
  int count;
  deconstruct_array(DatumGetArrayTypeP(stores), TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &count);
  for (int i = 0; i < count; i++) {
    if (nulls[i])
      ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("instance_ids must not contain null"),
                      errhint("Name the stores, or pass NULL instead of the list for all stores.")));
    const text* const store = DatumGetTextPP(values[i]);
    const int length = pg_mbstrlen_with_len(VARDATA_ANY(store), VARSIZE_ANY_EXHDR(store));
    if (length < 1 || length > kLongestStore)
      ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                      errmsg("a store in instance_ids has %d characters", length),
                      errhint("An instance_id has 1 to %d.", kLongestStore)));
  }
}

static void SwitchTables(const char* how) {
  for (int i = 0; i < kTablesOfStores; i++)
    ExecuteText(psprintf("ALTER TABLE %s %s ROW LEVEL SECURITY", kTables[i], how));
}

static const char* RoleNameOf(HeapTuple row, TupleDesc description) {
  bool is_null;
  const Datum name = heap_getattr(row, TableColumn(description, "role_name", TEXTOID), description, &is_null);
  RefuseNullColumn(is_null, "role_name");
  return TextDatumGetCString(name);
}

/* What a row of store_access said, made untrue. */
static void EndAccess(const char* name) {
  if (strcmp(name, kEverybody) == 0) {
    SwitchTables("DISABLE");
  } else if (const Oid role = get_role_oid(name, true); OidIsValid(role)) {
    DropPolicies(role);
  }
}

/* What it says, made true. */
static void ApplyAccess(const char* name, HeapTuple row, TupleDesc description) {
  if (strcmp(name, kEverybody) == 0) {
    SwitchTables("ENABLE");
    return;
  }
  const Oid role = get_role_oid(name, true);
  if (!OidIsValid(role)) {
    ereport(WARNING,
            (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("role \"%s\" of store_access does not exist", name),
             errhint("Once it exists, call grant_optimizer(); until then it sees nothing.")));
    return;
  }
  DropPolicies(role);
  bool is_null;
  const Datum stores =
      heap_getattr(row, TableColumn(description, "instance_ids", TEXTARRAYOID), description, &is_null);
  CreatePolicies(role, is_null ? nullptr : &stores);
}

static void FollowRow(const TriggerData* trigger) {
  TupleDesc const description = RelationGetDescr(trigger->tg_relation);
  const bool inserted = TRIGGER_FIRED_BY_INSERT(trigger->tg_event);
  const bool updated = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event);
  HeapTuple const before = inserted ? nullptr : trigger->tg_trigtuple;
  HeapTuple const after = inserted ? trigger->tg_trigtuple : updated ? trigger->tg_newtuple : nullptr;
  const char* const name_after = after != nullptr ? RoleNameOf(after, description) : nullptr;
  if (before != nullptr) {
    const char* const name_before = RoleNameOf(before, description);
    if (name_after == nullptr || strcmp(name_before, name_after) != 0) EndAccess(name_before);
  }
  if (after != nullptr) ApplyAccess(name_after, after, description);
}

}  // namespace product_optimizer

using namespace product_optimizer;

extern "C" {

PGDLLEXPORT Datum product_optimizer_apply_store_access(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(product_optimizer_apply_store_access);
Datum product_optimizer_apply_store_access(PG_FUNCTION_ARGS) {
  const auto* const trigger = reinterpret_cast<const TriggerData*>(fcinfo->context);
  if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(trigger->tg_event) ||
      !TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("apply_store_access() can only be called as a trigger after a change of a row")));
  return EntryAsOwner(fcinfo, [&]() -> Datum {
    Call([&] { FollowRow(trigger); });
    return PointerGetDatum(nullptr);
  });
}

}  // extern "C"
