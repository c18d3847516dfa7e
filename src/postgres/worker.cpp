/*
 * worker.cpp
 *   The worker of one database: its life, its wait, and the order of a turn.
 *
 *   Between transactions nothing is open in the database.  Whatever kills the process, the table tells
 *   the next worker what was in flight; a clean exit hands it back at once.
 */
#include "postgres/worker.h"

#include <algorithm>
#include <sys/resource.h>

#include "core/text.h"
#include "postgres/blocking.h"
#include "postgres/clock.h"
#include "postgres/guard.h"
#include "postgres/poison.h"
#include "postgres/receiving.h"
#include "postgres/sending.h"
#include "postgres/shared_queue.h"
#include "postgres/store_walk.h"
#include "postgres/transaction.h"
#include "postgres/upkeep.h"
#include "postgres/way_out.h"
#include "postgres/worker_exit.h"
#include "postgres/worker_report.h"
#include "postgres/worker_state.h"

namespace product_optimizer {

namespace {

constexpr std::uint64_t kLongestSleepNs = 10'000'000'000;

/* What an administrator's defaults for sessions must not do to this one. */
void PrepareSession() {
  const auto set = [](const char* name, const char* value) {
    SetConfigOption(name, value, PGC_SUSET, PGC_S_OVERRIDE);
  };
  set("statement_timeout", "0");
  set("idle_in_transaction_session_timeout", "0");
#if PG_VERSION_NUM >= 170000
  set("transaction_timeout", "0");
#endif
  set("lock_timeout", "250ms"); /* a locked table delays its rows, not the requests in flight */
  set("default_transaction_isolation", "read committed");
  set("default_transaction_read_only", "off");
  set("jit", "off");
  /* The claim's statements have one good plan, whatever the statistics say. */
  set("enable_seqscan", "off");
  set("enable_bitmapscan", "off");
  set("enable_sort", "off");
  set("enable_indexscan", "on");
  set("enable_nestloop", "on");
}

/* Each request in flight is a descriptor; PostgreSQL's own budget was set before and stays as it was. */
void RaiseDescriptorLimit(const Settings& settings) {
  constexpr rlim_t kForPostgres = 1000;
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t wanted = static_cast<rlim_t>(settings.max_in_flight) + kForPostgres;
  if (limit.rlim_cur >= wanted) return;
  rlimit raised = limit;
  raised.rlim_cur = limit.rlim_max == RLIM_INFINITY ? wanted : std::min(wanted, limit.rlim_max);
  if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  if (limit.rlim_cur < wanted)
    WarnLine("max_in_flight " + std::to_string(settings.max_in_flight) + " needs " + std::to_string(wanted) +
                 " file descriptors, but the server may open only " + std::to_string(limit.rlim_cur),
             "Raise the limit (LimitNOFILE) or lower product_optimizer.max_in_flight.");
}

void TakeSettings(Worker& worker) {
  const FairBy counted_by = worker.settings.fair_by;
  worker.settings = CurrentSettings();
  worker.settings_since_ns = NowNs();
  /* Turns in items and turns in tokens do not compare: everybody begins anew. */
  if (worker.settings.fair_by != counted_by)
    ClearSharedQueue(static_cast<int>(worker.slot - Shared()->slots));
  ApiKey api_key = LoadApiKey();
  ForgetStorePolicies();
  WayOut way_out = LoadWayOut(worker.settings);
  worker.http.SetOptions(way_out.options);
  if (!way_out.problem.empty()) { /* nothing can be sent: as without a key */
    api_key = ApiKey();
    api_key.problem = std::move(way_out.problem);
  }
  worker.api_key = std::make_shared<ApiKey>(std::move(api_key));
  RaiseDescriptorLimit(worker.settings);
  worker.claim_at_ns = 0;
  worker.poll_at_ns = 0;
  worker.rescan_at_ns = 0;
  worker.maybe_work = true;
  worker.block.probe_at_ns = 0;
  worker.block.probes = 0;
  DoubtSettings(worker);
  if (worker.api_key->key.empty()) {
    if (worker.block.reason != worker.api_key->problem) WarnLine(worker.api_key->problem, "");
    worker.block.reason = worker.api_key->problem;
  } else if (worker.block.no_key) {
    worker.block = Block{};
  }
  worker.block.no_key = worker.api_key->key.empty();
}

std::uint64_t WalkAtNs(const Worker& worker) {
  const auto interval_ns = static_cast<std::uint64_t>(worker.settings.rescan_interval_ms) * kNsPerMs;
  return std::max(WalkDueNs(interval_ns), worker.walk_at_ns);
}

constexpr std::int64_t kStoresPerStep = 200;

/* The next step over the table for what nobody told of, where one is due. */
void WalkOverStores(Worker& worker, std::uint64_t now_ns) {
  if (!worker.wrong_owner.empty() || now_ns < WalkAtNs(worker)) return;
  TransactionFailure failure;
  if (RunTransaction(&failure, [] { WalkOn(kStoresPerStep); }) != WorkResult::kCommitted)
    worker.walk_at_ns = now_ns + 1'000 * kNsPerMs;
}

enum class Upkeep { kGoOn, kNoExtension };

/* Reads the home, and has orphans looked for: at the start, when told, and every rescan_interval. */
Upkeep LookAround(Worker& worker, std::uint32_t news, std::uint64_t now_ns) {
  const bool told = (news & kNewsControl) != 0;
  if (!told && now_ns < worker.rescan_at_ns) return Upkeep::kGoOn;
  worker.rescan_at_ns = now_ns + static_cast<std::uint64_t>(worker.settings.rescan_interval_ms) * kNsPerMs;
  TransactionFailure failure;
  HomeState home{};
  const WorkResult done = RunTransaction(&failure, [&] { home = ReadHome(); });
  if (done == WorkResult::kNoExtension) return Upkeep::kNoExtension;
  if (done == WorkResult::kFailed) {
    if (failure.wrong_owner) worker.wrong_owner = failure.message;
    worker.rescan_at_ns = now_ns + 1'000 * kNsPerMs;
    if (failure.message != worker.last_failure) {
      worker.last_failure = failure.message;
      WarnLine((failure.wrong_owner ? "the queue is blocked: " : "cannot read the state of the queue: ") +
                   OneLine(failure.message, 400),
               "It is tried again every second.");
    }
    return Upkeep::kGoOn;
  }
  worker.last_failure.clear();
  worker.wrong_owner.clear();
  TakeHome(worker, std::move(home));
  worker.maybe_work = true;
  worker.due.LookAtAll();
  worker.rescue_at_ns = now_ns;
  return Upkeep::kGoOn;
}

/* In transactions of its own: an orphan on which a trigger raises must not keep the rest of LookAround()
 * away. */
void RescueWhenDue(Worker& worker, std::uint64_t now_ns) {
  if (!worker.wrong_owner.empty() || now_ns < worker.rescue_at_ns) return;
  CarefulBatch& orphans = worker.orphans;
  orphans.Begin(now_ns);
  TransactionFailure failure;
  std::int64_t rescued = 0;
  const WorkResult done =
      RunTransaction(&failure, [&] { rescued = RescueOrphans(orphans, worker.claimed_by); });
  if (done == WorkResult::kFailed) {
    std::string found;
    const bool goes_on = orphans.Failed(failure, now_ns, &found);
    worker.rescue_at_ns = goes_on ? now_ns : now_ns + 1'000 * kNsPerMs;
    ExplainBatch("cannot put back orphans: ", failure, goes_on, found, &worker.last_rescue_failure);
    return;
  }
  const bool may_be_more = static_cast<std::int64_t>(orphans.picked().size()) == orphans.limit();
  orphans.Committed();
  worker.rescue_at_ns = may_be_more ? now_ns : orphans.RestEndsNs();
  if (orphans.RestEndsNs() == kNever) worker.last_rescue_failure.clear();
  worker.maybe_work = worker.maybe_work || rescued > 0;
  worker.counted.orphans_rescued += rescued;
  if (rescued > 0)
    LogLine("put back " + std::to_string(rescued) + (rescued == 1 ? " item" : " items") +
            " whose claim had ended without an answer");
}

/* Something was inserted, changed or is only now worth a look. */
void NoticeWork(Worker& worker, std::uint32_t news, std::uint64_t now_ns) {
  if ((news & kNewsDue) != 0) worker.due.LookAtAll();
  /* What held the others back need not hold the newcomer: another model, another store. */
  if (news != 0) worker.claim_at_ns = 0;
  if (now_ns < worker.poll_at_ns) return;
  worker.poll_at_ns = now_ns + static_cast<std::uint64_t>(worker.settings.poll_interval_ms) * kNsPerMs;
  worker.maybe_work = true;
  worker.due.LookAtAll();
}

/* Until when nothing needs doing, as far as this process can know. */
std::uint64_t WakeAt(const Worker& worker, const WorkerReport& report, std::uint64_t now_ns) {
  std::uint64_t at = now_ns + kLongestSleepNs;
  at = std::min({at, worker.poll_at_ns, worker.rescan_at_ns, SettleAtNs(worker), worker.log.FlushAtNs(),
                 report.NextAtNs(worker), CanaryAtNs(worker)});
  if (const auto timeout = worker.http.TimeoutMs())
    at = std::min(at, now_ns + static_cast<std::uint64_t>(std::max<std::int64_t>(*timeout, 0)) * kNsPerMs);
  if (!worker.wrong_owner.empty()) return at;
  at = std::min({at, worker.due.AtNs(), worker.rescue_at_ns, WalkAtNs(worker)});
  const std::size_t busy = CountBusy(worker);
  if (worker.paused || static_cast<std::int64_t>(busy) >= worker.settings.max_in_flight ||
      worker.to_settle.size() > kMostUnwritten)
    return at;
  std::uint64_t claim_at_ns = worker.claim_at_ns;
  if (!worker.block.reason.empty()) {
    if (worker.block.no_key || worker.block.by_canary || busy > 0) return at;
    claim_at_ns = std::max(claim_at_ns, worker.block.probe_at_ns);
  }
  const QueueOutlook outlook = LookAtQueue();
  if (worker.maybe_work || outlook.waiting > 0) at = std::min(at, claim_at_ns);
  return std::min(at, std::max(outlook.next_unpark_ns, claim_at_ns));
}

void Wait(const Worker& worker, std::uint64_t wake_at_ns) {
  const std::uint64_t now_ns = NowNs();
  /* Rounded up: a permit that is due in 0.4 ms is not there after 0. */
  const long timeout_ms =
      wake_at_ns <= now_ns ? 0 : static_cast<long>((wake_at_ns - now_ns + kNsPerMs - 1) / kNsPerMs);
  Call([&] {
    WaitLatchOrSocket(MyLatch, WL_LATCH_SET | WL_SOCKET_READABLE | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
                      worker.http.Descriptor(), timeout_ms, PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
    QueryCancelPending = false; /* there is no statement to be cancelled here */
    CHECK_FOR_INTERRUPTS();
  });
}

bool ReloadSettings() {
  if (!ConfigReloadPending) return false;
  ConfigReloadPending = false;
  Call([] { ProcessConfigFile(PGC_SIGHUP); });
  return true;
}

/* Returns when the extension is no longer there. */
void Run(WorkerSlot* slot) {
  /* Never deleted: the exit callbacks use it, however this function is left. */
  Worker& worker = *new Worker(slot, CurrentSettings());
  worker.claimed_by = kWorkerPrefix + std::to_string(MyProcPid) + "/" + std::to_string(GetCurrentTimestamp());
  WorkerReport report(NowNs());
  HandBackAtExit(&worker);
  LogLine("worker started, " + HttpLibraryVersion());
  TakeSettings(worker);

  MemoryContext const loop = Call([] {
    return AllocSetContextCreate(TopMemoryContext, "product_optimizer loop", ALLOCSET_DEFAULT_SIZES);
  });
  for (;;) {
    MemoryContextSwitchTo(loop);
    Call([&] { MemoryContextReset(loop); });
    if (ReloadSettings()) TakeSettings(worker);
    const std::uint64_t now_ns = NowNs();
    Receive(worker, now_ns);
    Settle(worker, now_ns);
    const std::uint32_t news = pg_atomic_exchange_u32(&slot->news, 0);
    if (LookAround(worker, news, now_ns) == Upkeep::kNoExtension) {
      ClearSharedQueue(static_cast<int>(slot - Shared()->slots));
      return;
    }
    RescueWhenDue(worker, now_ns);
    WalkOverStores(worker, now_ns);
    NoticeWork(worker, news, now_ns);
    SendCanary(worker, now_ns);
    ClaimAndSend(worker, now_ns);
    worker.log.FlushClaims(now_ns);
    report.Publish(worker, now_ns);
    Wait(worker, WakeAt(worker, report, now_ns));
  }
}

}  // namespace

}  // namespace product_optimizer

using namespace product_optimizer;

void product_optimizer_worker_main(Datum database) {
  pqsignal(SIGHUP, SignalHandlerForConfigReload);
  pqsignal(SIGTERM, die);
  BackgroundWorkerUnblockSignals();
  BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(database), InvalidOid, 0);
  pgstat_report_appname("product_optimizer worker");
  PrepareSession();

  Entry([] {
    TransactionFailure failure;
    switch (RunTransaction(&failure, [] {})) {
      case WorkResult::kNoExtension:
        ReportStart(StartOutcome::kNoExtension);
        return;
      case WorkResult::kFailed:
        if (failure.wrong_owner) break; /* it will say so */
        Call([&] {
          ereport(ERROR, (errcode(failure.sqlstate),
                          errmsg("product_optimizer cannot start: %s", failure.message.c_str())));
        });
        return;
      case WorkResult::kCommitted:
        break;
    }
    WorkerSlot* const slot = TakeSlotUntilExit();
    if (slot != nullptr) Run(slot);
  });
  proc_exit(0);
}
