/*
 * poison.h
 *   A row that makes every claim fail that meets it (its payload cannot be read, a user's trigger raises
 *   on it) must not stop the others: it is found by claiming one at a time, and fails alone or rests.
 */
#pragma once

#include "postgres/transaction.h"
#include "postgres/worker_state.h"

namespace product_optimizer {

/* How long a row, or its store, rests. */
constexpr std::uint64_t kRestNs = 10'000'000'000;

/* Whether a failed statement may be one row's fault, not that of a lock, a shutdown or a full disk. */
bool MayBeOneRow(const TransactionFailure& failure);

/* Says once what made a batch (see careful_batch.h) fail, when that is known or nothing goes on. */
void ExplainBatch(const char* what, const TransactionFailure& failure, bool goes_on, const std::string& found,
                  std::string* last_failure);

/*
 * The next row in line made a claim of one fail: it ends FAILED, or, where even that fails, its store rests.
 * False when the row turns out to be sound.
 */
bool SetAsideNextRow(Worker& worker, const TransactionFailure& failure, std::uint64_t now_ns);

}  // namespace product_optimizer
