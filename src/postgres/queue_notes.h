/*
 * queue_notes.h
 *   What this transaction has to tell the fair queue when it ends: which rows came to wait, which stores
 *   may give again, and, should it be rolled back, which rows it had claimed.
 *
 *   PREPARE TRANSACTION, logical replication and disabled triggers do not pass here: the walk finds what
 *   they bring.
 */
#pragma once

#include <cstdint>
#include <string>

#include "core/store_line.h"
#include "postgres/spi.h"

namespace product_optimizer {

/* A row of a store that waits from the commit on. */
void NoteArrival(const std::string& store, const ItemKey& key);

/* A statement is about to lock rows: should it fail, nobody knows which ones it had come to.  To be passed to
 * NoteAllLocked(). */
[[nodiscard]] int NoteLocking();

/* Rows that it locked: they wait again if the transaction is rolled back. */
void NoteLocked(const std::string& store, const ClaimedRange& rows);

/* All that it locked are noted. */
void NoteAllLocked(int before);

/* Rows that the transaction had locked, and left: they can be locked again from the commit on. */
void NoteLeft(const std::string& store, const ClaimedRange& rows);

/* An item of the store ended: what held the store back may not hold it any longer. */
void NoteEnded(const std::string& store);

/* Rows changed: those that wait now were told of, as far as a trigger can see. */
void NoteChange();

/* This transaction changed rows of stores or rate_limits, which others do not see yet. */
bool ChangedPolicies();

/* The table was truncated: what the queue knows of its stores goes with it. */
void NoteEmptied();

/* The worker is woken at the commit for such News (see shared_state.h); for control the launcher is told as
 * well. */
void NoteNews(std::uint32_t news);

/* Before a claim: it sees the rows of its own transaction, so the queue has to know of them. */
void PostNotes();

/* COMMIT PREPARED or ROLLBACK PREPARED: whose rows they were is not known. */
void NotePreparedEnd();

/*
 * Runs one of the extension's own statements on job_items: who runs it notes what it did, so the triggers
 * need not.  Throws PgError.
 */
std::uint64_t ExecuteNoted(Statement& statement, const Arguments& arguments);

/*
 * A row that such a statement ended, or put into line, as it was returned: its store, id, priority, whether
 * it is PENDING and whether it is SCHEDULED, which triggers of the application may have decided.  True when
 * it is PENDING.  Who knows when it is due does not have to be told.  The store is read into a string that
 * lives above the guard; raises: call it inside Call().
 */
bool NoteReturned(std::uint64_t row, bool knows_due, std::string& store);

/* For a trigger: whether it is fired by a statement that ExecuteNoted() runs. */
bool IsTriggerOfOwnStatement();

}  // namespace product_optimizer
