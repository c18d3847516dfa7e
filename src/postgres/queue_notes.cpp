#include "postgres/queue_notes.h"

#include <algorithm>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "postgres/guard.h"
#include "postgres/pending_cap.h"
#include "postgres/prelude.h"
#include "postgres/shared_queue.h"
#include "postgres/shared_state.h"

namespace product_optimizer {

namespace {

struct Note {
  ItemKey arrived = kLastKey;
  ItemKey locked = kLastKey;
  ItemKey left = kLastKey;
  std::uint32_t rows = 0; /* of the arrived … */
  std::uint32_t told = 0; /* … of which the queue knows already */
  bool has_locked = false;
  bool has_left = false;
  bool ended = false;
};

struct Notes {
  bool any = false;
  std::unordered_map<std::string, Note> stores;
  std::vector<std::pair<const std::string, Note>*> in_order; /* the same, as they came */
  int locked_at = 0;  /* the deepest nesting level at which rows were locked that are not told of; 0: none */
  int emptied_at = 0; /* the nesting level of the transaction that truncated the table; 0: none did */
  bool changed = false;
  bool walked_for_change = false; /* a claim of this transaction has looked at its own changes */
  bool ended = false;             /* items of some store */
  std::uint32_t news = 0;
};

Notes notes;
bool in_own_statement = false;
bool callbacks_registered = false;

/* Stores that one transaction keeps notes of; as many as the queue has room for. */
constexpr std::size_t kMostStores = 131'072;

/* Stores told of under one hold of the lock. */
constexpr std::size_t kAtOnce = 64;

template <typename F>
void ForEachStore(F&& tell) {
  for (std::size_t i = 0; i < notes.in_order.size();) {
    QueueScope scope;
    for (const std::size_t end = std::min(i + kAtOnce, notes.in_order.size()); i < end; i++)
      tell(scope.queue(), notes.in_order[i]->first, notes.in_order[i]->second);
  }
}

bool IsWorker() {
  return MyBgworkerEntry != nullptr &&
         strcmp(MyBgworkerEntry->bgw_function_name, "product_optimizer_worker_main") == 0;
}

/* A database without a worker, such as a fresh copy of a template: worth saying, but not at each insert. */
bool MayTellLauncher() {
  static TimestampTz told_at = 0;
  const TimestampTz now = GetCurrentTimestamp();
  if (!TimestampDifferenceExceeds(told_at, now, 1000)) return false;
  told_at = now;
  return true;
}

/*
 * Where no rows were locked nothing is told of any store: a load with an exception handler around each row
 * comes here as often as it has rows.
 */
void PostRolledBack(bool locked) {
  /* A claim of this transaction may have read policies that now never were. */
  if (ChangedPolicies()) ForgetStorePolicies();
  if (!locked) return;
  ForEachStore([](FairQueue& queue, const std::string& store, const Note& note) {
    if (note.has_locked) queue.Post(store, note.locked, kUnknownRows);
  });
}

void PostCommitted(const WorkerSlot* slot) {
  /* The table is still locked: what others insert comes behind this. */
  if (notes.emptied_at > 0) ClearSharedQueue(static_cast<int>(slot - Shared()->slots));
  ForEachStore([](FairQueue& queue, const std::string& store, const Note& note) {
    if (note.rows > 0) queue.Post(store, note.arrived, note.rows);
    if (note.has_left) queue.Post(store, note.left, kUnknownRows);
    if (note.ended) queue.Unpark(store);
  });
  if (ChangedPolicies()) ForgetStorePolicies();
  if (!notes.changed) return;
  QueueScope scope;
  scope.walk().dirty = true;
}

}  // namespace

extern "C" {

/* Behind the commit, when others see the rows; nothing here allocates or raises. */
static void AtTransactionEnd(XactEvent event, void*) {
  if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE) return;
  if (!notes.any) return;
  if (const WorkerSlot* const slot = FindSlot(MyDatabaseId); slot != nullptr) {
    if (event == XACT_EVENT_COMMIT) PostCommitted(slot);
    if (event == XACT_EVENT_ABORT) PostRolledBack(notes.locked_at > 0);
  }
  /* The worker looks at the queue before it sleeps, whatever it did itself. */
  if (notes.ended && !IsWorker()) notes.news |= kNewsWork;
  if (event == XACT_EVENT_COMMIT && notes.news != 0) {
    const bool woken = WakeWorker(MyDatabaseId, notes.news);
    if ((notes.news & kNewsControl) != 0 || (!woken && MayTellLauncher())) TellLauncher(MyDatabaseId);
  }
  notes = Notes{};
}

static void AtSubtransactionEnd(SubXactEvent event, SubTransactionId, SubTransactionId, void*) {
  if (!notes.any || (event != SUBXACT_EVENT_ABORT_SUB && event != SUBXACT_EVENT_COMMIT_SUB)) return;
  const bool truncated = notes.emptied_at == GetCurrentTransactionNestLevel();
  const bool locked = notes.locked_at == GetCurrentTransactionNestLevel();
  if (locked) notes.locked_at--;
  if (event == SUBXACT_EVENT_COMMIT_SUB) {
    if (truncated) notes.emptied_at--;
    return;
  }
  if (truncated) notes.emptied_at = 0;
  /* The rows that it had locked are free again at once. */
  if (FindSlot(MyDatabaseId) != nullptr) PostRolledBack(locked);
}

}  // extern "C"

static Notes& NotesOfTransaction() {
  if (!callbacks_registered) {
    Call([] {
      RegisterXactCallback(AtTransactionEnd, nullptr);
      RegisterSubXactCallback(AtSubtransactionEnd, nullptr);
    });
    callbacks_registered = true;
  }
  notes.any = true;
  return notes;
}

static Note& NoteOf(const std::string& store) {
  Notes& all = NotesOfTransaction();
  static Note beyond;
  if (all.stores.size() >= kMostStores && all.stores.count(store) == 0) {
    all.changed = true; /* a walk finds them as well */
    return beyond = Note{};
  }
  const auto [place, is_new] = all.stores.try_emplace(store);
  if (is_new) all.in_order.push_back(&*place);
  return place->second;
}

void NoteArrival(const std::string& store, const ItemKey& first, std::uint32_t rows) {
  Note& note = NoteOf(store);
  note.arrived = std::min(note.arrived, first);
  notes.news |= kNewsWork;
  note.rows += std::min(rows, kUnknownRows - 1 - note.rows);
}

void NoteLocked(const std::string& store, const ItemKey& first) {
  Note& note = NoteOf(store);
  note.locked = std::min(note.locked, first);
  note.has_locked = true;
  notes.locked_at = std::max(notes.locked_at, GetCurrentTransactionNestLevel());
}

void NoteLeft(const std::string& store, const ItemKey& first) {
  Note& note = NoteOf(store);
  note.left = std::min(note.left, first);
  note.has_left = true;
}

void NoteEnded(const std::string& store) {
  NoteOf(store).ended = true;
  notes.ended = true;
}

void NoteChange() {
  NotesOfTransaction().changed = true;
  notes.walked_for_change = false;
  notes.news |= kNewsWork | kNewsDue;
}

bool ChangedPolicies() {
  return (notes.news & kNewsControl) != 0;
}

void NoteEmptied() {
  Notes& all = NotesOfTransaction();
  const int level = GetCurrentTransactionNestLevel();
  all.emptied_at = all.emptied_at == 0 ? level : std::min(all.emptied_at, level);
}

void NoteNews(std::uint32_t news) {
  NotesOfTransaction().news |= news;
}

bool PostNotes() {
  if (ChangedPolicies()) ForgetStorePolicies();
  ForEachStore([](FairQueue& queue, const std::string& store, Note& note) {
    if (note.ended) queue.Unpark(store);
    if (note.rows > note.told) queue.Post(store, note.arrived, note.rows - note.told);
    note.told = note.rows;
  });
  const bool walk = notes.changed && !notes.walked_for_change;
  notes.walked_for_change |= walk;
  return walk;
}

void NotePreparedEnd() {
  if (FindSlot(MyDatabaseId) == nullptr) return;
  {
    QueueScope scope;
    scope.walk().dirty = true;
    scope.queue().ForgetPolicies();
  }
  WakeWorker(MyDatabaseId, kNewsWork | kNewsDue);
}

std::uint64_t ExecuteNoted(Statement& statement, const Arguments& arguments) {
  std::uint64_t rows = 0;
  in_own_statement = true;
  PG_TRY();
  { rows = Execute(statement, arguments); }
  PG_FINALLY();
  { in_own_statement = false; }
  PG_END_TRY();
  return rows;
}

}  // namespace product_optimizer

using namespace product_optimizer;

namespace {

[[noreturn]] void RefuseCall(const char* function) {
  ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                  errmsg("%s can only be called as a trigger", function)));
  pg_unreachable();
}

bool IsText(const text* value, const char* expected) {
  const std::size_t length = VARSIZE_ANY_EXHDR(value);
  return length == strlen(expected) && memcmp(VARDATA_ANY(value), expected, length) == 0;
}

int ColumnOf(TupleDesc description, const char* name) {
  const int column = SPI_fnumber(description, name);
  if (column <= 0)
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN), errmsg("job_items has no column %s", name)));
  return column;
}

/*
 * The constraint job_items_payload_size sees only the compressed size of a payload that comes out of another
 * row; a dump would bring it unpacked, and be refused.
 */
void CheckPayload(Relation job_items, Datum payload) {
  constexpr Size kLargest = 8 * 1024 * 1024; /* as the constraint says */
  if (toast_raw_datum_size(payload) > kLargest)
    ereport(ERROR, (errcode(ERRCODE_CHECK_VIOLATION),
                    errmsg("new row for relation \"job_items\" violates check constraint "
                           "\"job_items_payload_size\""),
                    errdetail("The payload is compressed, and too large when it is unpacked."),
                    errtableconstraint(job_items, "job_items_payload_size")));
}

/*
 * Reads the inserted rows and notes the waiting ones per store; refuses payloads that are too large, and more
 * waiting rows than their store may have.
 */
void NoteInserted(const TriggerData* trigger) {
  TupleDesc const description = RelationGetDescr(trigger->tg_relation);
  Tuplestorestate* const inserted = trigger->tg_newtable;
  std::string store;
  const bool is_any_capped = IsAnyStoreCapped(trigger->tg_relation);
  std::set<std::string> waiting;
  Call([&] {
    const int id = ColumnOf(description, "id");
    const int instance = ColumnOf(description, "instance_id");
    const int status = ColumnOf(description, "status");
    const int priority = ColumnOf(description, "priority");
    const int payload = ColumnOf(description, "payload");
    TupleTableSlot* const slot = MakeSingleTupleTableSlot(description, &TTSOpsMinimalTuple);
    tuplestore_select_read_pointer(inserted, tuplestore_alloc_read_pointer(inserted, EXEC_FLAG_REWIND));
    tuplestore_rescan(inserted);
    while (tuplestore_gettupleslot(inserted, true, false, slot)) {
      bool is_null;
      CheckPayload(trigger->tg_relation, slot_getattr(slot, payload, &is_null));
      const text* const state = DatumGetTextPP(slot_getattr(slot, status, &is_null));
      const bool is_pending = IsText(state, "PENDING");
      if (!is_pending && !IsText(state, "SCHEDULED")) continue;
      if (is_pending || is_any_capped) KeyFromDatum(slot_getattr(slot, instance, &is_null), store);
      if (is_any_capped) waiting.insert(store);
      if (!is_pending) {
        NoteNews(kNewsDue);
        continue;
      }
      NoteArrival(store,
                  {DatumGetInt64(slot_getattr(slot, id, &is_null)),
                   DatumGetInt16(slot_getattr(slot, priority, &is_null))},
                  1);
    }
    ExecDropSingleTupleTableSlot(slot);
  });
  if (!waiting.empty()) EnforcePendingCaps(trigger->tg_relation, waiting);
}

}  // namespace

extern "C" {

PGDLLEXPORT Datum product_optimizer_note_arrivals(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(product_optimizer_note_arrivals);
Datum product_optimizer_note_arrivals(PG_FUNCTION_ARGS) {
  if (!CALLED_AS_TRIGGER(fcinfo)) RefuseCall("note_arrivals()");
  const auto* const trigger = reinterpret_cast<const TriggerData*>(fcinfo->context);
  return Entry([&]() -> Datum {
    NoteInserted(trigger);
    return PointerGetDatum(nullptr);
  });
}

PGDLLEXPORT Datum product_optimizer_wake_worker(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(product_optimizer_wake_worker);
Datum product_optimizer_wake_worker(PG_FUNCTION_ARGS) {
  if (!CALLED_AS_TRIGGER(fcinfo)) RefuseCall("wake_worker()");
  const auto* const trigger = reinterpret_cast<const TriggerData*>(fcinfo->context);
  return Entry([&]() -> Datum {
    /* stores and rate_limits have the same trigger: what the worker remembers of them no longer holds. */
    const bool policy = strcmp(RelationGetRelationName(trigger->tg_relation), "job_items") != 0;
    if (policy) {
      NoteNews(kNewsControl);
    } else if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event)) {
      NoteEmptied();
    } else if (!in_own_statement) {
      NoteChange();
    }
    return PointerGetDatum(nullptr);
  });
}

}  // extern "C"
