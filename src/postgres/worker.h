/*
 * worker.h
 *   Entry point of the background worker of one database; the launcher starts it by name.
 */
#pragma once

#include "postgres/prelude.h"

extern "C" {
PGDLLEXPORT void product_optimizer_worker_main(Datum database);
}
