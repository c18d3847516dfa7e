#include "postgres/worker_exit.h"

#include "postgres/clock.h"
#include "postgres/guard.h"
#include "postgres/receiving.h"
#include "postgres/transaction.h"
#include "postgres/upkeep.h"
#include "postgres/worker_report.h"

namespace product_optimizer {

namespace {

/* At exit no wait for a lock can be interrupted, so it is bounded.  Whoever has the table locked while the
 * server stops is on its way out as well. */
constexpr std::uint64_t kLockPatienceNs = 1'000'000'000;
constexpr long kLockPollMicroseconds = 10'000;

Oid FindTable() {
  return Call([] { return RelnameGetRelid("job_items"); });
}

bool LockTable(Oid table) {
  static const std::uint64_t give_up_ns = NowNs() + kLockPatienceNs; /* of this exit, however many tries */
  for (;;) {
    if (Call([&] { return ConditionalLockRelationOid(table, RowExclusiveLock); })) return true;
    if (NowNs() >= give_up_ns) return false;
    pg_usleep(kLockPollMicroseconds);
  }
}

}  // namespace

extern "C" {

static void GiveBackSlot(int, Datum slot) {
  VacateSlot(reinterpret_cast<WorkerSlot*>(DatumGetPointer(slot)));
}

/*
 * Inside proc_exit an ERROR becomes FATAL and ends only this callback.  The items go back by what the table
 * says, not by what this process remembers.
 */
static void HandBack(int, Datum argument) {
  auto* const worker = reinterpret_cast<Worker*>(DatumGetPointer(argument));
  CancelAllReservations();
  if (worker->handed_back) return;
  AbortOutOfAnyTransaction();
  try {
    TransactionFailure failure;
    bool nothing_left = true;
    const WorkResult result = RunTransaction(&failure, [&] {
      const Oid table = FindTable();
      if (!OidIsValid(table)) return;
      nothing_left = LockTable(table);
      if (nothing_left) SettleAtExit(*worker);
    });
    worker->handed_back = nothing_left && result != WorkResult::kFailed;
    const std::size_t dropped = worker->in_flight.size();
    if (worker->handed_back && dropped > 0)
      LogLine("dropped " + std::to_string(dropped) + (dropped == 1 ? " request" : " requests") +
              " in flight, which the API may bill");
  } catch (...) {
    /* Out of memory at exit (an ERROR is FATAL by now): the next worker rescues what is left. */
  }
}

/*
 * Between the first try and the second, which goes without the answers: one of them may have ended the
 * first, and with it all were rolled back.
 */
static void GiveUpAnswers(int, Datum argument) {
  auto* const worker = reinterpret_cast<Worker*>(DatumGetPointer(argument));
  AbortOutOfAnyTransaction();
  try {
    if (!worker->handed_back)
      for (Settlement& settlement : worker->to_settle) settlement.written = false;
    DropAnswers(*worker);
    PublishCounters(*worker);
  } catch (...) {
    worker->to_settle.clear();
  }
}

}  // extern "C"

void ReportStart(StartOutcome outcome) {
  SharedState* const shared = Shared();
  LockScope scope(shared->lock);
  if (shared->start_database != MyDatabaseId) return;
  shared->start_outcome = outcome;
  WakeLauncher();
}

WorkerSlot* TakeSlotUntilExit() {
  bool full = false;
  WorkerSlot* const slot = OccupySlot(MyDatabaseId, &full);
  if (slot == nullptr) {
    ReportStart(full ? StartOutcome::kNoSlot : StartOutcome::kRunning);
    return nullptr;
  }
  Call([&] { before_shmem_exit(GiveBackSlot, PointerGetDatum(slot)); });
  if (IsHeld(MyDatabaseId)) return nullptr; /* who had a slot by then was told by a signal */
  ReportStart(StartOutcome::kRunning);
  return slot;
}

void HandBackAtExit(Worker* worker) {
  /* The last one registered runs first. */
  Call([&] {
    before_shmem_exit(HandBack, PointerGetDatum(worker));
    before_shmem_exit(GiveUpAnswers, PointerGetDatum(worker));
    before_shmem_exit(HandBack, PointerGetDatum(worker));
  });
}

}  // namespace product_optimizer
