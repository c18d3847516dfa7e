#include "postgres/pending_cap.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "postgres/guard.h"
#include "postgres/spi.h"
#include "postgres/store_lock.h"

namespace product_optimizer {

namespace {

constexpr int kQueueFull = MAKE_SQLSTATE('Q', 'F', '0', '0', '1');

struct CappedStore {
  const std::string* name;
  std::int64_t most;
};

/* Tables and indexes of the extension share the schema of job_items. */
Relation OpenBeside(Relation job_items, const char* name) {
  const Oid table = get_relname_relid(name, RelationGetNamespace(job_items));
  if (!OidIsValid(table))
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("there is no table %s beside job_items", name)));
  return relation_open(table, AccessShareLock);
}

/* A scan of anything else, to which its owner may have given the name, crashes. */
void RequireTable(Relation relation) {
  if (relation->rd_rel->relkind != RELKIND_RELATION)
    ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
                    errmsg("%s is not a plain table", RelationGetRelationName(relation)),
                    errhint("Give the extension's table its name back.")));
}

AttrNumber ColumnOf(Relation table, const char* name, Oid type) {
  return TableColumn(RelationGetDescr(table), name, type);
}

/* Whether the index of this name serves: its owner may have given the name to something else. */
bool ServesStores(Oid index_oid, Relation table) {
  if (!OidIsValid(index_oid)) return false;
  Relation const index = relation_open(index_oid, AccessShareLock);
  const bool serves = index->rd_rel->relkind == RELKIND_INDEX &&
                      index->rd_index->indrelid == RelationGetRelid(table) &&
                      index->rd_rel->relam == BTREE_AM_OID && index->rd_index->indisvalid &&
                      index->rd_index->indkey.values[0] == ColumnOf(table, "instance_id", TEXTOID);
  relation_close(index, AccessShareLock);
  return serves;
}

ScanKeyData KeyOfStore(Relation table, const std::string& store) {
  const AttrNumber column = ColumnOf(table, "instance_id", TEXTOID);
  ScanKeyData key;
  ScanKeyEntryInitialize(&key, 0, column, BTEqualStrategyNumber, InvalidOid,
                         TupleDescAttr(RelationGetDescr(table), column - 1)->attcollation, F_TEXTEQ,
                         KeyDatum(store));
  return key;
}

/*
 * Passes each row that matches the key (null: every row) to visit, until that says false.  By the index, or
 * by the whole table where somebody has dropped it.
 */
template <typename F>
void ForEachRow(Relation table, const char* index_name, const ScanKeyData* key, Snapshot snapshot,
                F&& visit) {
  RequireTable(table);
  ScanKeyData own_key; /* before PostgreSQL 18 the scan changes it */
  if (key != nullptr) own_key = *key;
  const Oid index =
      index_name == nullptr ? InvalidOid : get_relname_relid(index_name, RelationGetNamespace(table));
  SysScanDesc const scan = systable_beginscan(table, index, ServesStores(index, table), snapshot,
                                              key == nullptr ? 0 : 1, &own_key);
  for (;;) {
    CHECK_FOR_INTERRUPTS();
    HeapTuple const row = systable_getnext(scan);
    if (!HeapTupleIsValid(row) || !visit(row)) break;
  }
  systable_endscan(scan);
}

/* The cap in a row of stores; -1 when there is none. */
std::int64_t CapOf(HeapTuple row, AttrNumber column, TupleDesc description) {
  bool is_null;
  const Datum most = heap_getattr(row, column, description, &is_null);
  return is_null ? -1 : std::max(DatumGetInt32(most), -1);
}

/* The cap of one store, or of whichever is found first for a null key; -1 for none. */
std::int64_t FindCap(Relation stores, const ScanKeyData* key, Snapshot snapshot) {
  const AttrNumber column = ColumnOf(stores, "max_pending", INT4OID);
  std::int64_t most = -1;
  ForEachRow(stores, "idx_stores_capped", key, snapshot, [&](HeapTuple row) {
    most = CapOf(row, column, RelationGetDescr(stores));
    return most < 0;
  });
  return most;
}

/* Looks for each of the names. */
void LookUpCaps(Relation stores, const std::set<std::string>& names, Snapshot snapshot,
                std::vector<CappedStore>& capped) {
  for (const std::string& name : names) {
    const ScanKeyData key = KeyOfStore(stores, name);
    const std::int64_t most = FindCap(stores, &key, snapshot);
    if (most >= 0) capped.push_back({&name, most});
  }
}

/* Looks through all that have a cap; false when those are more than the names. */
bool ReadCaps(Relation stores, const std::set<std::string>& names, Snapshot snapshot, std::string& store,
              std::vector<CappedStore>& capped) {
  const AttrNumber instance = ColumnOf(stores, "instance_id", TEXTOID);
  const AttrNumber column = ColumnOf(stores, "max_pending", INT4OID);
  std::size_t rows = 0;
  ForEachRow(stores, "idx_stores_capped", nullptr, snapshot, [&](HeapTuple row) {
    if (++rows > names.size()) return false;
    bool is_null;
    const Datum named = heap_getattr(row, instance, RelationGetDescr(stores), &is_null);
    if (is_null) return true;
    KeyFromDatum(named, store);
    const auto name = names.find(store);
    const std::int64_t most = CapOf(row, column, RelationGetDescr(stores));
    if (name != names.end() && most >= 0) capped.push_back({&*name, most});
    return true;
  });
  return rows <= names.size();
}

/* Those of the names that have a cap, in the order of the names; reads whichever are fewer. */
std::vector<CappedStore> FindCapped(Relation job_items, const std::set<std::string>& names) {
  std::vector<CappedStore> capped;
  std::string store;
  Call([&] {
    Relation const stores = OpenBeside(job_items, "stores");
    Snapshot const snapshot = RegisterSnapshot(GetLatestSnapshot());
    if (!ReadCaps(stores, names, snapshot, store, capped)) {
      capped.clear();
      LookUpCaps(stores, names, snapshot, capped);
    }
    UnregisterSnapshot(snapshot);
    table_close(stores, AccessShareLock);
  });
  std::sort(capped.begin(), capped.end(),
            [](const CappedStore& a, const CappedStore& b) { return *a.name < *b.name; });
  return capped;
}

/* In ascending order, so that two statements never wait for each other. */
void LockStores(const std::vector<CappedStore>& capped) {
  std::set<std::uint32_t> locks;
  for (const CappedStore& store : capped) locks.insert(StoreLockOf(*store.name));
  Call([&] {
    for (const std::uint32_t lock : locks) TakeStoreLock(StoreLockClass::kPending, lock);
  });
}

/* How many rows of the store have this status, at most so many. */
std::int64_t Count(Relation job_items, const char* index_name, const char* status, const ScanKeyData* store,
                   Snapshot snapshot, std::int64_t most) {
  const AttrNumber column = ColumnOf(job_items, "status", TEXTOID);
  std::int64_t count = 0;
  ForEachRow(job_items, index_name, store, snapshot, [&](HeapTuple row) {
    bool is_null;
    const Datum value = heap_getattr(row, column, RelationGetDescr(job_items), &is_null);
    if (!is_null && IsWord(value, status)) count++;
    return count < most;
  });
  return count;
}

bool IsAboveCap(Relation job_items, const CappedStore& store, Snapshot snapshot) {
  const ScanKeyData key = KeyOfStore(job_items, *store.name);
  const std::int64_t enough = store.most + 1;
  const std::int64_t pending =
      Count(job_items, "idx_job_items_instance_status_id", "PENDING", &key, snapshot, enough);
  return pending == enough || pending + Count(job_items, "idx_job_items_scheduled_store", "SCHEDULED", &key,
                                              snapshot, enough - pending) ==
                                  enough;
}

/* A row of this home beside one of another: the worker waits for optimizer_resume(). */
bool IsRestored(Relation job_items, Snapshot snapshot) {
  Relation const homes = OpenBeside(job_items, "homes");
  const AttrNumber identifier = ColumnOf(homes, "system_identifier", INT8OID);
  const AttrNumber database = ColumnOf(homes, "database_oid", OIDOID);
  bool is_here = false;
  bool is_elsewhere = false;
  ForEachRow(homes, nullptr, nullptr, snapshot, [&](HeapTuple row) {
    bool is_null;
    const bool same =
        static_cast<std::uint64_t>(DatumGetInt64(
            heap_getattr(row, identifier, RelationGetDescr(homes), &is_null))) == GetSystemIdentifier() &&
        DatumGetObjectId(heap_getattr(row, database, RelationGetDescr(homes), &is_null)) == MyDatabaseId;
    is_here |= same;
    is_elsewhere |= !same;
    return true;
  });
  table_close(homes, AccessShareLock);
  return is_here && is_elsewhere;
}

[[noreturn]] void Refuse(const CappedStore& store) {
  ereport(ERROR,
          (errcode(kQueueFull),
           errmsg("store \"%s\" may have at most %lld items waiting", store.name->c_str(),
                  static_cast<long long>(store.most)),
           errdetail("The INSERT would leave more of them PENDING or SCHEDULED than stores.max_pending "
                     "allows."),
           errhint("Wait until some of its items are done, insert fewer at once, or have "
                   "stores.max_pending raised.")));
  pg_unreachable();
}

}  // namespace

bool IsAnyStoreCapped(Relation job_items) {
  return Call([&] {
    Relation const stores = OpenBeside(job_items, "stores");
    Snapshot const snapshot = RegisterSnapshot(GetLatestSnapshot());
    const bool is_any = FindCap(stores, nullptr, snapshot) >= 0;
    UnregisterSnapshot(snapshot);
    table_close(stores, AccessShareLock);
    return is_any;
  });
}

void EnforcePendingCaps(Relation job_items, const std::set<std::string>& stores) {
  const std::vector<CappedStore> capped = FindCapped(job_items, stores);
  if (capped.empty()) return;
  LockStores(capped);
  Call([&] {
    /* Only now: the snapshot sees the rows of this statement, and those of the locks' last holders. */
    CommandCounterIncrement();
    Snapshot const snapshot = RegisterSnapshot(GetLatestSnapshot());
    for (const CappedStore& store : capped) {
      if (!IsAboveCap(job_items, store, snapshot)) continue;
      if (!IsRestored(job_items, snapshot)) Refuse(store);
      break;
    }
    UnregisterSnapshot(snapshot);
  });
}

}  // namespace product_optimizer
