/*
 * way_out.h
 *   What the HTTP client is told: how many connections, whether plain http, which proxy, whose certificates.
 */
#pragma once

#include <string>

#include "http/client.h"
#include "postgres/settings.h"

namespace product_optimizer {

struct WayOut {
  HttpOptions options;
  std::string problem; /* when nothing may be sent: why, in one sentence without any secret */
};

/* Reads product_optimizer.ca_file at each call.  Calls nothing of PostgreSQL but reads settings. */
WayOut LoadWayOut(const Settings& settings);

}  // namespace product_optimizer
