/*
 * request.h
 *   An item and the settings become the body of one API call.  Pure: no clock, no I/O.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>

#include "core/item.h"

namespace product_optimizer {

enum class Api { kChatCompletions, kResponses };
enum class MaxTokensParam { kAuto, kMaxCompletionTokens, kMaxTokens };

struct RequestSettings {
  Api api = Api::kChatCompletions;
  std::string model;
  std::string instructions;             /* empty: the built-in instruction for product texts */
  std::string reasoning_effort;         /* empty: not sent */
  std::string service_tier;             /* empty: not sent */
  std::string extra_body;               /* empty, or the text of a JSON object merged over the body last */
  std::int32_t max_output_tokens = 900; /* 16 … 1,000,000 */
  MaxTokensParam max_tokens_param = MaxTokensParam::kAuto;
};

struct BuiltRequest {
  std::string path;                   /* below the base URL: "/chat/completions" or "/responses" */
  std::string body;                   /* JSON, UTF-8 */
  std::string model;                  /* as the body names it; the key of the rate-limit bucket */
  std::int32_t max_output_tokens = 0; /* the cap that the body names */
  std::size_t prompt_bytes = 0;       /* UTF-8 bytes of all messages and of the schema */
  std::size_t prompt_chars = 0;       /* the same in characters: what the server divides by four */
  std::size_t messages = 0;           /* how many messages those are */
};

/* Why no request can be made of this item: it fails at once with this. */
struct BuildError {
  std::string error;      /* one plain sentence with what to do */
  std::string error_code; /* "invalid_params", "invalid_response_schema", … */
};

/*
 * What the job sets wins over the settings; the job's params are merged after those, and
 * settings.extra_body last (top-level keys replace; "messages", "input" and "stream" are never
 * replaced).  An item whose last_error_code is "length" gets twice the output cap.  Without
 * instructions and without a response schema the built-in instruction and its schema are used.
 */
std::variant<BuiltRequest, BuildError> BuildRequest(const Item& item, const RequestSettings& settings);

}  // namespace product_optimizer
