/*
 * transaction.h
 *   The worker's own transactions: SPI connected, the extension found, and the rights of the owner of
 *   job_items (owner_rights.h) instead of the worker's, because users' triggers and constraints run inside.
 */
#pragma once

#include <optional>
#include <string>

#include "postgres/guard.h"
#include "postgres/prelude.h"

namespace product_optimizer {

struct TransactionFailure {
  int sqlstate;
  std::string message; /* the server's */
};

/*
 * Called from RunTransaction(): begins, looks up the extension, takes on the owner's rights.  False,
 * with the transaction begun but nothing else done, when the extension is not there.
 */
bool BeginWork();
void EndWork();
TransactionFailure AbortWork(const PgError& error);

enum class WorkResult { kCommitted, kNoExtension, kFailed };

/*
 * Runs body, which may use SPI inside Call(), and commits.  A failure is rolled back and described in
 * *failure; nothing but std::bad_alloc leaves.
 */
template <typename F>
WorkResult RunTransaction(TransactionFailure* failure, F&& body) {
  try {
    const bool found = BeginWork();
    if (found) body();
    EndWork();
    return found ? WorkResult::kCommitted : WorkResult::kNoExtension;
  } catch (const PgError& error) {
    *failure = AbortWork(error);
    return WorkResult::kFailed;
  }
}

}  // namespace product_optimizer
