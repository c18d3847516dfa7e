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
  int sqlstate = ERRCODE_UNDEFINED_OBJECT; /* it stays so for kNoExtension */
  std::string message;                     /* the server's, InAnyEncoding(): other databases show it too */
  bool wrong_owner = false; /* nothing was tried: product_optimizer.role, or TroubleWithTables() */
};

enum class WorkStart { kReady, kNoExtension, kWrongOwner };

/*
 * Called from RunTransaction(): begins, looks up the extension, takes on the owner's rights.  Unless ready,
 * the transaction is begun but nothing else done; of a wrong owner *failure tells.
 */
WorkStart BeginWork(TransactionFailure* failure);
void EndWork();

/*
 * From body: the commit waits for the disk, also with synchronous_commit off, and never for a standby.  A SET
 * in body would not do, for it is undone before the commit.
 */
void CommitLocally();

TransactionFailure AbortWork(const PgError& error);

enum class WorkResult { kCommitted, kNoExtension, kFailed };

/*
 * Runs body, which may use SPI inside Call(), and commits.  A failure is rolled back and described in
 * *failure; nothing but std::bad_alloc leaves.
 */
template <typename F>
WorkResult RunTransaction(TransactionFailure* failure, F&& body) {
  try {
    const WorkStart start = BeginWork(failure);
    if (start == WorkStart::kReady) body();
    EndWork();
    if (start == WorkStart::kWrongOwner) return WorkResult::kFailed;
    return start == WorkStart::kReady ? WorkResult::kCommitted : WorkResult::kNoExtension;
  } catch (const PgError& error) {
    *failure = AbortWork(error);
    return WorkResult::kFailed;
  }
}

}  // namespace product_optimizer
