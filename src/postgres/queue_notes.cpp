#include "postgres/queue_notes.h"

#include <algorithm>
#include <unordered_map>
#include <utility>
#include <vector>

#include "postgres/guard.h"
#include "postgres/prelude.h"
#include "postgres/shared_queue.h"
#include "postgres/shared_state.h"

namespace product_optimizer {

namespace {

struct Note {
  KeyRange arrived;
  ClaimedRange locked;
  ClaimedRange left;
  std::uint32_t rows = 0; /* of the arrived … */
  std::uint32_t told = 0; /* … of which the queue knows already */
  bool ended = false;
};

struct Notes {
  bool any = false;
  std::unordered_map<std::string, Note> stores;
  std::vector<std::pair<const std::string, Note>*> in_order; /* the same, as they came */
  int locked_at = 0;  /* the deepest nesting level at which rows were locked that are not told of; 0: none */
  int unsure_at = 0;  /* … at which rows were locked, and nobody knows what a roll-back makes of them */
  int emptied_at = 0; /* the nesting level of the transaction that truncated the table; 0: none did */
  bool changed = false; /* rows, in whatever way */
  bool untold = false;  /* there were too many stores to note all */
  bool ended = false;   /* items of some store */
  std::uint32_t news = 0;
};

Notes notes;
/* Triggers of the extension's own statement run at this depth; 0: none is under way. */
int own_trigger_depth = 0;
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

void AskForWalk() {
  QueueScope scope;
  scope.walk().SeeChange();
}

/*
 * Where a claim was not in what is rolled back nothing is told of any store: a load with an exception handler
 * around each row comes here as often as it has rows.
 */
void PostRolledBack(bool locked, bool unsure) {
  /* A claim of this transaction may have read policies that now never were. */
  if (ChangedPolicies()) ForgetStorePolicies();
  if (unsure) AskForWalk();
  if (locked) {
    ForEachStore([](FairQueue& queue, const std::string& store, const Note& note) {
      queue.WaitAgain(store, note.locked);
    });
  }
  if ((locked || unsure) && !IsWorker()) WakeWorker(MyDatabaseId, kNewsWork);
}

void PostCommitted(const WorkerSlot* slot) {
  /* The table is still locked: what others insert comes behind this. */
  if (notes.emptied_at > 0) ClearSharedQueue(static_cast<int>(slot - Shared()->slots));
  ForEachStore([](FairQueue& queue, const std::string& store, const Note& note) {
    if (note.rows > 0) queue.Post(store, note.arrived, note.rows);
    queue.WaitAgain(store, note.left);
    if (note.ended) queue.Unpark(store);
  });
  if (ChangedPolicies()) ForgetStorePolicies();
  if (notes.untold) AskForWalk();
  if (notes.changed) {
    QueueScope scope;
    scope.walk().SeeToldChange();
    /* While others wait, nobody looks for more. */
    if (scope.queue().waiting() == 0) notes.news |= kNewsWork | kNewsDue;
  }
}

}  // namespace

extern "C" {

/* Behind the commit, when others see the rows; nothing here allocates or raises. */
static void AtTransactionEnd(XactEvent event, void*) {
  if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE) return;
  if (!notes.any) return;
  if (const WorkerSlot* const slot = FindSlot(MyDatabaseId); slot != nullptr) {
    if (event == XACT_EVENT_COMMIT) PostCommitted(slot);
    if (event == XACT_EVENT_ABORT) PostRolledBack(notes.locked_at > 0, notes.unsure_at > 0);
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
  const bool unsure = notes.unsure_at == GetCurrentTransactionNestLevel();
  if (locked) notes.locked_at--;
  if (unsure) notes.unsure_at--;
  if (event == SUBXACT_EVENT_COMMIT_SUB) {
    if (truncated) notes.emptied_at--;
    return;
  }
  if (truncated) notes.emptied_at = 0;
  /* The rows that it had locked are free at once. */
  if (FindSlot(MyDatabaseId) != nullptr) PostRolledBack(locked, unsure);
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
    all.untold = true; /* a walk finds them as well */
    return beyond = Note{};
  }
  const auto [place, is_new] = all.stores.try_emplace(store);
  if (is_new) all.in_order.push_back(&*place);
  return place->second;
}

void NoteArrival(const std::string& store, const ItemKey& key) {
  Note& note = NoteOf(store);
  note.arrived.Add(Only(key));
  notes.news |= kNewsWork;
  if (note.rows < kUnknownRows - 1) note.rows++;
}

static void BeUnsure() {
  Notes& all = NotesOfTransaction();
  all.unsure_at = std::max(all.unsure_at, GetCurrentTransactionNestLevel());
}

int NoteLocking() {
  const int before = notes.unsure_at;
  BeUnsure();
  return before;
}

void NoteLocked(const std::string& store, const ClaimedRange& rows) {
  NoteOf(store).locked.Add(rows);
  notes.locked_at = std::max(notes.locked_at, GetCurrentTransactionNestLevel());
}

void NoteAllLocked(int before) {
  notes.unsure_at = before;
  /* Their keys may be what this transaction made of them, or there were too many stores to note all. */
  if (notes.changed || notes.untold) BeUnsure();
}

void NoteLeft(const std::string& store, const ClaimedRange& rows) {
  NoteOf(store).left.Add(rows);
}

void NoteEnded(const std::string& store) {
  NoteOf(store).ended = true;
  notes.ended = true;
}

void NoteChange() {
  NotesOfTransaction().changed = true;
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

void PostNotes() {
  if (notes.changed || notes.untold) {
    QueueScope scope;
    scope.walk().SeeToldChange();
  }
  if (ChangedPolicies()) ForgetStorePolicies();
  ForEachStore([](FairQueue& queue, const std::string& store, Note& note) {
    if (note.ended) queue.Unpark(store);
    if (note.rows > note.told) queue.Post(store, note.arrived, note.rows - note.told);
    note.told = note.rows;
  });
}

void NotePreparedEnd() {
  if (FindSlot(MyDatabaseId) == nullptr) return;
  {
    QueueScope scope;
    scope.walk().SeeChange();
    scope.queue().ForgetPolicies();
  }
  WakeWorker(MyDatabaseId, kNewsWork | kNewsDue);
}

bool NoteReturned(std::uint64_t row, bool knows_due, std::string& store) {
  KeyColumn(row, 1, store);
  NoteEnded(store);
  const bool waits = BoolColumn(row, 4);
  if (waits) NoteArrival(store, {Int64Column(row, 2), Int16Column(row, 3)});
  if (BoolColumn(row, 5) && !knows_due) NoteNews(kNewsDue);
  return waits;
}

static int TriggerDepth() {
  return DatumGetInt32(DirectFunctionCall1(pg_trigger_depth, Datum{0}));
}

bool IsTriggerOfOwnStatement() {
  return TriggerDepth() == own_trigger_depth;
}

/* What triggers of an application change in passing runs deeper than the statement's own triggers. */
class OwnStatementScope {
 public:
  OwnStatementScope() : outer_(own_trigger_depth) { own_trigger_depth = TriggerDepth() + 1; }
  ~OwnStatementScope() { own_trigger_depth = outer_; }
  OwnStatementScope(const OwnStatementScope&) = delete;
  OwnStatementScope& operator=(const OwnStatementScope&) = delete;

 private:
  int outer_;
};

std::uint64_t ExecuteNoted(Statement& statement, const Arguments& arguments) {
  OwnStatementScope scope;
  return Call([&] { return Execute(statement, arguments); });
}

}  // namespace product_optimizer
