/*
 * rate_headers.h
 *   What the response headers say about limits and waits.  Anything unparsable, negative, zero
 *   (for limits) or absurd reads as absent.
 */
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace product_optimizer {

constexpr std::int64_t kMaxWaitMs = 3'600'000; /* beyond an hour a wait is absurd */

/* The value of a header (name in lower case) in a raw header block, without surrounding blanks; the last one
 * wins. */
std::optional<std::string_view> FindHeader(std::string_view headers, std::string_view name);

/* A Go duration ("120ms", "1s", "7.25s", "6m0s", "23h18m29.144s") in milliseconds, rounded up. */
std::optional<std::int64_t> ParseGoDuration(std::string_view text);

struct RateDimension {
  std::optional<std::int64_t> limit;     /* ≥ 1 */
  std::optional<std::int64_t> remaining; /* ≥ 0 */
  std::optional<std::int64_t> reset_ms;  /* until the bucket is full again; ≥ 0 */
};

struct RateHeaders {
  RateDimension requests;
  RateDimension tokens;
};

RateHeaders ReadRateHeaders(std::string_view headers);

/*
 * How long the server asks us to wait: retry-after-ms, else retry-after in seconds or as an HTTP
 * date.  0 … 3,600,000 ms; other values are ignored.
 */
std::optional<std::int64_t> ReadRetryAfterMs(std::string_view headers, std::int64_t now_unix_s);

/* x-should-retry: true or false where the server sends it. */
std::optional<bool> ReadShouldRetry(std::string_view headers);

}  // namespace product_optimizer
