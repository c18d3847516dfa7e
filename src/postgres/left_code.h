/*
 * left_code.h
 *   What an owner of the tables left on them that would run with the rights of the next one: his triggers,
 *   rules, child tables and policies; constraints, defaults, indexes and columns that use functions,
 *   operators or types of his, or functions of PostgreSQL that may run SQL; foreign keys from other tables
 *   that cascade; and rights of others by which they could still add such a thing.
 */
#pragma once

#include "postgres/prelude.h"

namespace product_optimizer {

/*
 * Raises 55000 with a list of it.  Call it without special rights, with SPI connected and the tables locked
 * against everybody else.
 */
void RefuseLeftCode(Oid schema, Oid old_owner, Oid new_owner);

}  // namespace product_optimizer
