/*
 * receiving.h
 *   The second half of a turn: read what arrived, decide, write it back (T2).
 */
#pragma once

#include <string>

#include "postgres/worker_state.h"

namespace product_optimizer {

/* Turns everything that ended into settlements; corrects the buckets. */
void Receive(Worker& worker, std::uint64_t now_ns);

/* Decides what becomes of a claim and puts it in line to be written.  left_at_ns: 0 if it was never sent. */
void Conclude(Worker& worker, const HeldClaim& held, Outcome outcome, const BucketRef& bucket,
              std::uint64_t left_at_ns, std::uint64_t now_ns);

/* Writes the settlements that are due.  What cannot be written stays, and is tried again later. */
void Settle(Worker& worker, std::uint64_t now_ns);

/*
 * For a worker that exits: hands back what it holds, and writes the answers it has, in one transaction
 * of the caller's.  Waits for no row.
 */
void SettleAtExit(Worker& worker);

/* At exit: counts what was written; forgets the answers that were not, counts and names them. */
void DropAnswers(Worker& worker);

/* When Settle() next has something to do; kNever when it has nothing. */
std::uint64_t SettleAtNs(const Worker& worker);

}  // namespace product_optimizer
