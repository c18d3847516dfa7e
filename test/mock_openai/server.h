/*
 * server.h
 *   Sockets, timers and signals around a Service: one thread, one io_context, callbacks.
 */
#pragma once

#include "config.h"

namespace mock_openai {

/* Serves until SIGTERM, SIGINT, or the end of the parent.  Returns the exit code of the process. */
int Serve(const Options& options);

}  // namespace mock_openai
