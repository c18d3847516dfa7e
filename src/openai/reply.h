/*
 * reply.h
 *   Bytes from the API become a validated outcome.  Whatever arrives (cut, garbage, HTML, deep
 *   nesting, bad UTF-8), the outcome is well formed: its texts are valid UTF-8 without NUL bytes
 *   and its result is JSON that jsonb accepts.
 */
#pragma once

#include <string>
#include <string_view>

#include "core/outcome.h"
#include "openai/request.h"

namespace product_optimizer {

struct Reply {
  int status = 0;           /* HTTP status, 100 … 599 */
  std::string_view headers; /* the raw header block, lines ended by CRLF or LF */
  std::string_view body;
  std::int64_t now_unix_s = 0;  /* the wall clock, for Retry-After as an HTTP date */
  std::string_view secret = {}; /* the key that was sent: of the outcome only the result may hold it */
};

/* A reply that arrived whole. */
Outcome ReadReply(Api api, const Reply& reply);

/* A request that got no whole reply: code is a word such as "timeout", detail a plain sentence. */
Outcome ReadTransportFailure(std::string_view code, std::string_view detail);

}  // namespace product_optimizer
