/*
 * suppressed_updates.h
 *   A BEFORE UPDATE trigger of the application that returns NULL or OLD, or gives a row its old status back,
 *   leaves out what the extension was to write, and raises nothing.  Who took that for a row that somebody
 *   else has changed would try it again at once, or lose an answer: so it is an error, like that of a trigger
 *   that raises.  All of it raises: call it inside Call().
 */
#pragma once

#include <cstdint>
#include <initializer_list>

#include "postgres/prelude.h"

namespace product_optimizer {

/* Raises 27000. */
[[noreturn]] void RaiseSuppressed(std::int64_t item);

/* To be called behind an update of these items, whose rows were locked before: raises when one of them has a
 * status that none of them is to have now.  One that is SCHEDULED for later may be so. */
void RefuseSuppressed(Datum item_ids, std::initializer_list<const char*> statuses);

}  // namespace product_optimizer
