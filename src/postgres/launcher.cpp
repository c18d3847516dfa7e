/*
 * launcher.cpp
 *   Which databases have the extension can only be seen from inside each.  So the launcher starts a
 *   worker in every database it does not know yet, one at a time; a worker that finds no extension says
 *   so and leaves, one that finds it stays.  After that it starts a worker again when one has gone.
 */
#include "postgres/launcher.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "postgres/clock.h"
#include "postgres/guard.h"
#include "postgres/settings.h"
#include "postgres/shared_state.h"
#include "postgres/worker_log.h"

namespace product_optimizer {

namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kFirstRestartNs = kSecond;
constexpr std::uint64_t kLongestRestartNs = 60 * kSecond;
constexpr std::uint64_t kStableNs = 30 * kSecond; /* a worker that lived so long may restart quickly */
constexpr std::uint64_t kStartTimeoutNs = 30 * kSecond;

struct Database {
  std::string name;
  bool to_look_at = true;  /* not known, or told to look again */
  bool has_worker = false; /* as of the last look */
  bool has_extension = false;
  std::uint64_t start_at_ns = 0;
  std::uint64_t started_at_ns = 0;
  int failures = 0;
  bool reported = false; /* that there is no room for it */
};

struct Launcher {
  std::map<Oid, Database> databases;
  std::uint64_t list_at_ns = 0;
  Oid starting = InvalidOid;
  std::uint64_t starting_since_ns = 0;
  BackgroundWorkerHandle* handle = nullptr;
};

/* All that accept connections and are no templates; what went is forgotten, what is new is looked at. */
void ListDatabases(Launcher& launcher) {
  std::vector<std::pair<Oid, std::string>> found;
  Call([&] {
    StartTransactionCommand();
    PushActiveSnapshot(GetTransactionSnapshot());
    const Relation catalog = table_open(DatabaseRelationId, AccessShareLock);
    TableScanDesc scan = table_beginscan_catalog(catalog, 0, nullptr);
    while (HeapTuple const tuple = heap_getnext(scan, ForwardScanDirection)) {
      const auto* const database = reinterpret_cast<Form_pg_database>(GETSTRUCT(tuple));
      /* A connection limit of -2 marks one whose DROP was cut short. */
      if (database->datallowconn && !database->datistemplate && database->datconnlimit != -2)
        found.emplace_back(database->oid, NameStr(database->datname));
    }
    table_endscan(scan);
    table_close(catalog, AccessShareLock);
    PopActiveSnapshot();
    CommitTransactionCommand();
  });
  std::map<Oid, Database> known;
  for (auto& [oid, name] : found) {
    const auto before = launcher.databases.find(oid);
    if (before != launcher.databases.end()) known[oid] = std::move(before->second);
    known[oid].name = std::move(name);
  }
  launcher.databases = std::move(known);
}

/* Takes the inbox. */
void ReadInbox(Launcher& launcher) {
  SharedState* const shared = Shared();
  Oid told[kInboxSize];
  int count;
  {
    LockScope scope(shared->lock);
    count = shared->inbox_count;
    std::copy(shared->inbox, shared->inbox + std::min(count, kInboxSize), told);
    shared->inbox_count = 0;
  }
  const auto look = [](Database& database) { database.to_look_at = true; };
  if (count > kInboxSize) {
    for (auto& [oid, database] : launcher.databases) look(database);
  } else {
    for (int i = 0; i < count; i++) {
      const auto found = launcher.databases.find(told[i]);
      if (found != launcher.databases.end()) look(found->second);
    }
  }
}

bool HasLiveWorker(Oid database) {
  SharedState* const shared = Shared();
  LockScope scope(shared->lock, LW_SHARED);
  for (int i = 0; i < shared->slot_count; i++)
    if (shared->slots[i].database == database && shared->slots[i].pid != 0) return true;
  return false;
}

std::uint64_t RestartDelay(const Database& database) {
  return database.failures >= 7 ? kLongestRestartNs
                                : std::min(kLongestRestartNs, kFirstRestartNs << database.failures);
}

/* A worker went, or a database without one is to be looked at: when to start one. */
void NoticeWorkers(Launcher& launcher, std::uint64_t now_ns) {
  for (auto& [oid, database] : launcher.databases) {
    if (oid == launcher.starting) continue;
    const bool lives = HasLiveWorker(oid);
    if (database.has_worker && !lives) {
      if (now_ns - database.started_at_ns > kStableNs) database.failures = 0;
      database.start_at_ns = std::max(database.start_at_ns, now_ns + RestartDelay(database));
      database.failures++;
      database.to_look_at = true;
    }
    if (lives && !database.has_worker) database.started_at_ns = now_ns;
    if (lives) {
      /* Told to look at it, for example after a CREATE EXTENSION: it has what it needs, but may be asleep. */
      if (database.to_look_at && database.has_extension) WakeWorker(oid, kNewsWork | kNewsDue | kNewsControl);
      database.has_extension = true;
      database.to_look_at = false;
    }
    database.has_worker = lives;
  }
}

void StartWorker(Launcher& launcher, Oid oid, Database& database, std::uint64_t now_ns) {
  {
    SharedState* const shared = Shared();
    LockScope scope(shared->lock);
    shared->start_database = oid;
    shared->start_outcome = StartOutcome::kPending;
  }
  BackgroundWorkerHandle* handle = nullptr;
  const bool registered = Call([&] {
    BackgroundWorker worker{};
    worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
    worker.bgw_restart_time = BGW_NEVER_RESTART;
    strlcpy(worker.bgw_name, "product_optimizer worker", sizeof worker.bgw_name);
    strlcpy(worker.bgw_type, "product_optimizer worker", sizeof worker.bgw_type);
    strlcpy(worker.bgw_library_name, "product_optimizer", sizeof worker.bgw_library_name);
    strlcpy(worker.bgw_function_name, "product_optimizer_worker_main", sizeof worker.bgw_function_name);
    worker.bgw_main_arg = ObjectIdGetDatum(oid);
    worker.bgw_notify_pid = MyProcPid;
    MemoryContextSwitchTo(TopMemoryContext); /* the handle outlives this turn */
    return RegisterDynamicBackgroundWorker(&worker, &handle);
  });
  if (!registered) {
    if (!database.reported)
      WarnLine("no background worker slot is free for database " + database.name,
               "Raise max_worker_processes. It is tried again.");
    database.reported = true;
    database.start_at_ns = now_ns + RestartDelay(database);
    database.failures++;
    return;
  }
  /* Not at the end of the start: a CREATE EXTENSION may commit behind the look and before the process is
   * gone. */
  database.to_look_at = false;
  launcher.starting = oid;
  launcher.starting_since_ns = now_ns;
  launcher.handle = handle;
}

/* How the start of the last worker went; false while that is not known. */
bool FinishStart(Launcher& launcher, std::uint64_t now_ns) {
  StartOutcome outcome;
  {
    LockScope scope(Shared()->lock, LW_SHARED);
    outcome = Shared()->start_outcome;
  }
  pid_t pid;
  const BgwHandleStatus status = Call([&] { return GetBackgroundWorkerPid(launcher.handle, &pid); });
  const bool gone = status == BGWH_STOPPED || now_ns - launcher.starting_since_ns > kStartTimeoutNs;
  if (outcome == StartOutcome::kPending && !gone) return false;
  /* One that leaves again by itself must be gone before the next look. */
  if (outcome != StartOutcome::kRunning && !gone) return false;

  const auto found = launcher.databases.find(launcher.starting);
  if (found != launcher.databases.end()) {
    Database& database = found->second;
    if (outcome == StartOutcome::kRunning) {
      database.reported = false;
    } else if (outcome == StartOutcome::kNoExtension) {
      database.has_extension = false;
      database.failures = 0;
    } else {
      if (outcome == StartOutcome::kNoSlot && !database.reported) {
        WarnLine("database " + database.name + " has the extension but gets no worker: all " +
                     std::to_string(MaxDatabases()) + " slots are taken",
                 "Raise product_optimizer.max_databases and restart the server.");
        database.reported = true;
      }
      database.to_look_at = true;
      database.start_at_ns = now_ns + RestartDelay(database);
      database.failures++;
    }
  }
  Call([&] { pfree(launcher.handle); });
  launcher.handle = nullptr;
  launcher.starting = InvalidOid;
  return true;
}

/* Starts the next worker that is due; returns when to look again. */
std::uint64_t StartNext(Launcher& launcher, std::uint64_t now_ns) {
  std::uint64_t next_ns = launcher.list_at_ns;
  for (auto& [oid, database] : launcher.databases) {
    if (!database.to_look_at || database.has_worker) continue;
    if (IsHeld(oid)) {
      next_ns = std::min(next_ns, now_ns + kSecond / 4);
    } else if (now_ns < database.start_at_ns) {
      next_ns = std::min(next_ns, database.start_at_ns);
    } else {
      StartWorker(launcher, oid, database, now_ns);
      if (launcher.starting != InvalidOid) return now_ns + kSecond;
      next_ns = std::min(next_ns, database.start_at_ns);
    }
  }
  return next_ns;
}

void RunLauncher() {
  Launcher launcher;
  MemoryContext const loop = Call([] {
    return AllocSetContextCreate(TopMemoryContext, "product_optimizer launcher", ALLOCSET_DEFAULT_SIZES);
  });
  for (;;) {
    MemoryContextSwitchTo(loop);
    Call([&] {
      MemoryContextReset(loop);
      if (!ConfigReloadPending) return;
      ConfigReloadPending = false;
      ProcessConfigFile(PGC_SIGHUP);
    });
    const std::uint64_t now_ns = NowNs();
    bool told = false;
    {
      LockScope scope(Shared()->lock, LW_SHARED);
      told = Shared()->inbox_count > 0;
    }
    if (told || now_ns >= launcher.list_at_ns) {
      ListDatabases(launcher);
      launcher.list_at_ns =
          now_ns + static_cast<std::uint64_t>(CurrentSettings().rescan_interval_ms) * kNsPerMs;
      ReadInbox(launcher);
    }
    std::uint64_t next_ns = now_ns + kSecond;
    if (launcher.starting == InvalidOid || FinishStart(launcher, now_ns)) {
      NoticeWorkers(launcher, now_ns);
      next_ns = StartNext(launcher, now_ns);
    }
    const std::uint64_t later_ns = NowNs();
    const long timeout_ms =
        next_ns <= later_ns ? 0 : static_cast<long>((next_ns - later_ns + kNsPerMs - 1) / kNsPerMs);
    Call([&] {
      WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, timeout_ms, PG_WAIT_EXTENSION);
      ResetLatch(MyLatch);
      QueryCancelPending = false; /* there is no statement to be cancelled here */
      CHECK_FOR_INTERRUPTS();
    });
  }
}

}  // namespace

extern "C" {

static void ForgetLauncher(int, Datum) {
  LockScope scope(Shared()->lock);
  Shared()->launcher_pid = 0;
}

}  // extern "C"

void RegisterLauncher() {
  BackgroundWorker launcher{};
  launcher.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
  launcher.bgw_start_time = BgWorkerStart_RecoveryFinished;
  launcher.bgw_restart_time = 5;
  strlcpy(launcher.bgw_name, "product_optimizer launcher", sizeof launcher.bgw_name);
  strlcpy(launcher.bgw_type, "product_optimizer launcher", sizeof launcher.bgw_type);
  strlcpy(launcher.bgw_library_name, "product_optimizer", sizeof launcher.bgw_library_name);
  strlcpy(launcher.bgw_function_name, "product_optimizer_launcher_main", sizeof launcher.bgw_function_name);
  RegisterBackgroundWorker(&launcher);
}

}  // namespace product_optimizer

using namespace product_optimizer;

void product_optimizer_launcher_main(Datum) {
  pqsignal(SIGHUP, SignalHandlerForConfigReload);
  pqsignal(SIGTERM, die);
  BackgroundWorkerUnblockSignals();
  BackgroundWorkerInitializeConnection(nullptr, nullptr, 0); /* shared catalogs only: in nobody's way */
  pgstat_report_appname("product_optimizer launcher");
  {
    LockScope scope(Shared()->lock);
    Shared()->launcher_pid = MyProcPid;
    Shared()->launcher_proc_index = MyProcIndex();
    Shared()->inbox_count = kInboxSize + 1;
  }
  before_shmem_exit(ForgetLauncher, 0);
  Entry([] { RunLauncher(); });
  proc_exit(0);
}
