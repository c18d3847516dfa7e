/*
 * launcher.h
 *   One process per cluster that sees to it that every database with the extension has its worker; and the
 *   hook on utility statements (database_commands.cpp), which keeps both out of the way of DROP DATABASE.
 */
#pragma once

#include "postgres/prelude.h"

namespace product_optimizer {

/* From _PG_init. */
void RegisterLauncher();

/* From _PG_init. */
void InstallDatabaseCommandHook();

}  // namespace product_optimizer

extern "C" {
PGDLLEXPORT void product_optimizer_launcher_main(Datum);
}
