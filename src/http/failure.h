/*
 * failure.h
 *   Why a request brought no whole reply: libcurl's result codes in our words, which do not change with
 *   libcurl's version.  No state.
 */
#pragma once

#include <curl/curl.h>

#include <cstdint>
#include <string>

namespace product_optimizer {

enum class Overflow { kNone, kHeaders, kBody };

/* What the transfer knows beside libcurl's code. */
struct FailureContext {
  bool sent = false;                   /* the request was handed to a connection */
  bool reading_headers = false;        /* the reply began, its header block did not end */
  bool out_of_memory = false;          /* in one of our callbacks */
  bool timed_out = false;              /* our deadline for the whole request */
  bool address_refused = false;        /* the name led to an address that it must not lead to */
  bool socket_opened = false;          /* to an address that it may lead to */
  bool by_proxy = false;               /* the connection is to a proxy */
  int proxy_status = 0;                /* what the proxy answered to CONNECT; 0: nothing */
  int socket_error = 0;                /* errno of socket(), when that failed */
  Overflow overflow = Overflow::kNone; /* what grew too large */
  std::int64_t connect_timeout_ms = 0;
  std::int64_t timeout_ms = 0;
};

struct Failure {
  const char* error_code;
  std::string error;
};

Failure Describe(CURLcode code, const FailureContext& context);

}  // namespace product_optimizer
