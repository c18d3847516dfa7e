/*
 * sending.h
 *   The first half of a turn: ask the limiter, claim that much (T1), send it.
 */
#pragma once

#include "postgres/worker_state.h"

namespace product_optimizer {

/*
 * Claims what can be sent now and sends it.  Does nothing while paused, blocked, throttled or full.
 * Afterwards worker.throttle and worker.claim_at_ns say what it waits for.
 */
void ClaimAndSend(Worker& worker, std::uint64_t now_ns);

}  // namespace product_optimizer
