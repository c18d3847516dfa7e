/*
 * setting_checks.h
 *   The check, assign and show hooks of the settings.  They also run in the postmaster: nothing is kept but
 *   what PostgreSQL frees, no catalog is read, no exception leaves.
 */
#pragma once

#include "postgres/prelude.h"

extern "C" {
bool product_optimizer_check_text(char** value, void** extra, GucSource source);
bool product_optimizer_check_model(char** value, void** extra, GucSource source);
bool product_optimizer_check_api_key(char** value, void** extra, GucSource source);
bool product_optimizer_check_proxy(char** value, void** extra, GucSource source);
bool product_optimizer_check_base_url(char** value, void** extra, GucSource source);
bool product_optimizer_check_json_object(char** value, void** extra, GucSource source);
void product_optimizer_assign_api_key(const char* value, void* extra);
const char* product_optimizer_show_api_key(void);
void product_optimizer_assign_proxy(const char* value, void* extra);
const char* product_optimizer_show_proxy(void);
}

namespace product_optimizer {

/* The key that holds now; "" when there is none.  Valid until the next reload. */
const char* AssignedApiKey();

/* Likewise the URL of the proxy. */
const char* AssignedProxy();

}  // namespace product_optimizer
