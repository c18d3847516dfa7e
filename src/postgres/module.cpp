/*
 * module.cpp
 *   What happens when the server loads the library.
 */
#include "postgres/launcher.h"
#include "postgres/prelude.h"
#include "postgres/settings.h"
#include "postgres/shared_state.h"

extern "C" {

#ifdef PG_MODULE_MAGIC_EXT
PG_MODULE_MAGIC_EXT(.name = "product_optimizer", .version = PRODUCT_OPTIMIZER_VERSION);
#else
PG_MODULE_MAGIC;
#endif

void _PG_init(void) {
  if (IsBinaryUpgrade) return; /* pg_upgrade wants the library to load and nothing to run */
  if (!process_shared_preload_libraries_in_progress)
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("product_optimizer is not loaded at server start"),
                    errhint("Add product_optimizer to shared_preload_libraries in postgresql.conf and "
                            "restart the server.")));
  product_optimizer::DefineSettings();
  product_optimizer::ReserveSharedState();
  product_optimizer::InstallDatabaseCommandHook();
  product_optimizer::RegisterLauncher();
}

}  // extern "C"
