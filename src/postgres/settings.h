/*
 * settings.h
 *   All product_optimizer.* settings, and a snapshot of them as plain C++ for one turn.
 */
#pragma once

#include <cstdint>
#include <string>

#include "core/limiter.h"
#include "core/retry_policy.h"
#include "openai/request.h"

namespace product_optimizer {

enum class FairBy { kItems, kTokens };

enum class TokenAccounting { kReserved, kUsed };

struct Settings {
  std::string api_base_url; /* without a trailing slash */
  RequestSettings request;
  RetrySettings retry;
  Limits limits;
  TokenAccounting token_accounting;
  FairBy fair_by;
  std::int64_t max_in_flight;
  std::int64_t claim_batch_size;
  std::int64_t claim_per_store;
  std::int64_t poll_interval_ms;
  std::int64_t connect_timeout_ms;
  std::int64_t request_timeout_ms;
  std::int64_t heartbeat_interval_ms;
  std::int64_t stats_log_interval_ms;
  std::int64_t rescan_interval_ms;
  std::size_t max_response_bytes;
  bool allow_plain_http;
};

/* Once, from _PG_init. */
void DefineSettings();

/* The settings as they are now.  Throws std::bad_alloc at most: it calls nothing of PostgreSQL. */
Settings CurrentSettings();

/* How many databases can have a worker: product_optimizer.max_databases, 1 … kMostDatabases. */
constexpr int kMostDatabases = 256; /* a byte says whose a store of the queue is */
int MaxDatabases();

/* product_optimizer.max_attempts, 1 … 1000. */
int DefaultMaxAttempts();

/* product_optimizer.role: who must own job_items for the worker to work; empty: anybody. */
const char* RequiredOwner();

/* Where the API key may come from; both may be empty.  The pointers hold until the next reload. */
struct ApiKeySources {
  const char* key;
  const char* file;
};
ApiKeySources CurrentApiKeySources();

/* The proxy's URL, which may hold a password, and the file of certificates; likewise. */
struct WayOutSources {
  const char* proxy;
  const char* ca_file;
};
WayOutSources CurrentWayOutSources();

}  // namespace product_optimizer
