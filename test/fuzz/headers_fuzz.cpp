/*
 * headers_fuzz.cpp
 *   What is read from the headers, and from waits in texts.  Input: a raw header block.
 */
#include "fuzz.h"

#include "openai/error_class.h"
#include "openai/http_date.h"
#include "openai/rate_headers.h"

using namespace product_optimizer;

namespace {

constexpr std::int64_t kNow = 1'700'000'000;
constexpr std::int64_t kHourMs = 3'600'000;

void RequireSane(const RateDimension& dimension) {
  REQUIRE(dimension.limit.value_or(1) >= 1);
  REQUIRE(dimension.remaining.value_or(0) >= 0);
  REQUIRE(dimension.reset_ms.value_or(0) >= 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = AsText(data, size);
  const RateHeaders rates = ReadRateHeaders(text);
  RequireSane(rates.requests);
  RequireSane(rates.tokens);
  const auto after = ReadRetryAfterMs(text, kNow);
  REQUIRE(after.value_or(0) >= 0 && after.value_or(0) <= kHourMs);
  ReadShouldRetry(text);
  for (const char* name : {"x-request-id", "retry-after", "x-ratelimit-limit-requests", ""}) {
    const auto value = FindHeader(text, name);
    if (!value || value->empty()) continue;
    REQUIRE(value->data() >= text.data() && value->data() + value->size() <= text.data() + text.size());
    REQUIRE(value->find('\n') == std::string_view::npos);
  }
  REQUIRE(ParseGoDuration(text).value_or(0) >= 0);
  const auto wait = ReadWaitInText(text);
  REQUIRE(wait.value_or(0) >= 0 && wait.value_or(0) <= kHourMs);
  ParseHttpDate(text, kNow);
  return 0;
}
