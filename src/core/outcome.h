/*
 * outcome.h
 *   What became of one request, in words that no provider owns: the reply reader fills it, the
 *   retry policy decides on it, the queue writes it down.
 */
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace product_optimizer {

enum class OutcomeKind {
  kDone,      /* a usable answer */
  kRetry,     /* a passing failure: try again later, the attempt counts */
  kHoldOff,   /* the server limits us: nobody sends until retry_after_ms; the attempt does not count */
  kFail,      /* this item can never succeed as it is */
  kTruncated, /* the answer hit the output cap: worth one more try with a larger cap */
  kBlock,     /* nothing can succeed until a person acts (key, model, money); the attempt does not count */
};

struct Outcome {
  OutcomeKind kind = OutcomeKind::kRetry;

  std::string result;                        /* kDone: valid JSON text that jsonb accepts (no NUL, UTF-8) */
  std::string model;                         /* as the server named it; empty when it did not */
  std::optional<std::int32_t> prompt_tokens; /* 0 … 2^31-1 */
  std::optional<std::int32_t> completion_tokens; /* 0 … 2^31-1 */

  std::string error;      /* one plain sentence for the row, at most 1000 bytes; never holds a secret */
  std::string error_code; /* API code, type, "http_500" or a word of ours such as "timeout" */
  std::string request_id; /* x-request-id, empty when absent */

  std::optional<std::int64_t> retry_after_ms; /* the server's word: 0 … 3,600,000 */
  bool slow_down = false;                     /* the server asks for a lower rate, not only for a pause */
  bool rejected_request = false; /* kFail by HTTP 400: the same error on many rows means a wrong setting */
  bool of_model_alone = false;   /* kBlock that another model need not meet */
};

}  // namespace product_optimizer
