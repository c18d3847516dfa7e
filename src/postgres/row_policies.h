/*
 * row_policies.h
 *   Which stores a role sees once row-level security is on: a row of store_access, and policies TO that role,
 *   named after it, on the tables whose rows belong to stores.  The policies count membership as GRANT does,
 *   follow a renamed role, stand in the way of its DROP, and cost a query a comparison with constants; no
 *   policy: no row.  A dump carries only the row (pg_dump leaves out policies on an extension's tables), and
 *   a trigger makes the policies of it, also in a restore.
 */
#pragma once

#include "postgres/prelude.h"

namespace product_optimizer {

/*
 * All of them raise, and run as the owner of the tables with SPI connected and the search_path pinned.
 * stores: a text[], or null for all stores.
 */
bool HasPolicies(Oid role);
void DropPolicies(Oid role);

/* Writes the row of a role, or takes it out. */
void AllowStores(Oid role, const Datum* stores);
void ForgetStores(Oid role);
void SwitchRowSecurity(bool enabled);

/* A list of stores that can be used: no null, 1 to 255 characters each; else raises 22004 or 22023. */
void CheckStores(Datum stores);

/* Runs a statement that is not prepared. */
void ExecuteText(const char* sql);

/* The name of a role, quoted for SQL. */
const char* QuotedRole(Oid role);

}  // namespace product_optimizer
