/*
 * worker_exit.h
 *   Taking the slot, and what a worker still does when it goes: give the slot back, write the answers
 *   it has, hand back the items it holds.  Nothing depends on it: after a crash the next worker finds out.
 */
#pragma once

#include "postgres/worker_state.h"

namespace product_optimizer {

/* Tells the launcher how the start went. */
void ReportStart(StartOutcome outcome);

/* The slot of this database until this process exits; null, reported and logged, when there is none. */
WorkerSlot* TakeSlotUntilExit();

/* The worker must outlive the process's exit callbacks. */
void HandBackAtExit(Worker* worker);

}  // namespace product_optimizer
