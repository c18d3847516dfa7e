/*
 * rate_headers.cpp
 *   Integer arithmetic throughout: no locale, no rounding surprise, no overflow.
 */
#include "openai/rate_headers.h"

#include <string>

#include "openai/http_date.h"

namespace product_optimizer {
namespace {

constexpr std::int64_t kMaxLimit = 1'000'000'000'000; /* beyond: absurd */
constexpr std::int64_t kNanosPerMs = 1'000'000;
constexpr std::int64_t kNanosPerSecond = 1000 * kNanosPerMs;
constexpr std::int64_t kMaxDurationNanos = 366 * 86400LL * kNanosPerSecond; /* beyond: absurd */

bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}

char Lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool EqualsLower(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (Lower(text[i]) != lower[i]) return false;
  }
  return true;
}

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r";
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

/*
 * A decimal number at the start of text ("7", "7.25", ".5", "7.") times unit, rounded up; the number
 * is removed from text.  Absent without a digit and when the product exceeds max.
 */
std::optional<std::int64_t> TakeDecimal(std::string_view* text, std::int64_t unit, std::int64_t max) {
  std::int64_t value = 0;
  std::size_t at = 0;
  bool digits = false;
  for (; at < text->size() && IsDigit((*text)[at]); ++at) {
    value = value * 10 + ((*text)[at] - '0');
    if (value > max / unit) return std::nullopt;
    digits = true;
  }
  value *= unit;
  if (at < text->size() && (*text)[at] == '.') {
    std::int64_t place = unit; /* what the digit before was worth */
    bool more = false;         /* something is left below one */
    for (++at; at < text->size() && IsDigit((*text)[at]); ++at) {
      const std::int64_t digit = (*text)[at] - '0';
      more = more || (digit * place) % 10 != 0 || (place == 0 && digit != 0);
      value += digit * place / 10;
      place /= 10;
      digits = true;
    }
    if (more) ++value;
  }
  if (!digits || value > max) return std::nullopt;
  text->remove_prefix(at);
  return value;
}

std::optional<std::int64_t> ParseCount(std::optional<std::string_view> text, std::int64_t min) {
  if (!text || text->empty()) return std::nullopt;
  std::int64_t value = 0;
  for (const char c : *text) {
    if (!IsDigit(c)) return std::nullopt;
    value = value * 10 + (c - '0');
    if (value > kMaxLimit) return std::nullopt;
  }
  if (value < min) return std::nullopt;
  return value;
}

std::optional<std::int64_t> ParseWaitMs(std::optional<std::string_view> text, std::int64_t unit_ms) {
  if (!text) return std::nullopt;
  const auto value = TakeDecimal(&*text, unit_ms, kMaxWaitMs);
  return text->empty() ? value : std::nullopt;
}

RateDimension ReadDimension(std::string_view headers, const std::string& name) {
  RateDimension dimension;
  dimension.limit = ParseCount(FindHeader(headers, "x-ratelimit-limit-" + name), 1);
  dimension.remaining = ParseCount(FindHeader(headers, "x-ratelimit-remaining-" + name), 0);
  if (dimension.limit && dimension.remaining > dimension.limit) dimension.remaining.reset();
  if (const auto reset = FindHeader(headers, "x-ratelimit-reset-" + name)) {
    dimension.reset_ms = ParseGoDuration(*reset);
  }
  return dimension;
}

}  // namespace

std::optional<std::string_view> FindHeader(std::string_view headers, std::string_view name) {
  std::optional<std::string_view> found;
  while (!headers.empty()) {
    const std::size_t end = headers.find('\n');
    const std::string_view line = headers.substr(0, end);
    headers.remove_prefix(end == std::string_view::npos ? headers.size() : end + 1);
    const std::size_t colon = line.find(':');
    if (colon != std::string_view::npos && EqualsLower(line.substr(0, colon), name)) {
      found = Trim(line.substr(colon + 1));
    }
  }
  return found;
}

std::optional<std::int64_t> ParseGoDuration(std::string_view text) {
  struct Unit {
    std::string_view name;
    std::int64_t nanos;
  };
  /* The longer name first where one begins with another. */
  constexpr Unit kUnits[] = {{"ns", 1},
                             {"us", 1000},
                             {"\xC2\xB5s", 1000}, /* the micro sign */
                             {"\xCE\xBCs", 1000}, /* the Greek letter */
                             {"ms", kNanosPerMs},
                             {"s", kNanosPerSecond},
                             {"m", 60 * kNanosPerSecond},
                             {"h", 3600 * kNanosPerSecond}};
  text = Trim(text);
  if (text.empty()) return std::nullopt;
  std::int64_t nanos = 0;
  while (!text.empty()) {
    const std::size_t digits = text.find_first_not_of("0123456789.");
    if (digits == std::string_view::npos) return std::nullopt; /* a bare number says no unit */
    const Unit* unit = nullptr;
    for (const Unit& candidate : kUnits) {
      if (unit == nullptr && text.substr(digits, candidate.name.size()) == candidate.name) unit = &candidate;
    }
    if (unit == nullptr) return std::nullopt;
    const auto part = TakeDecimal(&text, unit->nanos, kMaxDurationNanos);
    if (!part || text.substr(0, unit->name.size()) != unit->name) return std::nullopt;
    text.remove_prefix(unit->name.size());
    nanos += *part;
    if (nanos > kMaxDurationNanos) return std::nullopt;
  }
  return (nanos + kNanosPerMs - 1) / kNanosPerMs;
}

RateHeaders ReadRateHeaders(std::string_view headers) {
  return {ReadDimension(headers, "requests"), ReadDimension(headers, "tokens")};
}

std::optional<std::int64_t> ReadRetryAfterMs(std::string_view headers, std::int64_t now_unix_s) {
  if (const auto ms = ParseWaitMs(FindHeader(headers, "retry-after-ms"), 1)) return ms;
  const auto retry_after = FindHeader(headers, "retry-after");
  if (const auto ms = ParseWaitMs(retry_after, 1000)) return ms;
  if (!retry_after) return std::nullopt;
  const auto date = ParseHttpDate(*retry_after, now_unix_s);
  if (!date || *date < now_unix_s || *date - now_unix_s > kMaxWaitMs / 1000) return std::nullopt;
  return (*date - now_unix_s) * 1000;
}

std::optional<bool> ReadShouldRetry(std::string_view headers) {
  const auto value = FindHeader(headers, "x-should-retry");
  if (value && EqualsLower(*value, "true")) return true;
  if (value && EqualsLower(*value, "false")) return false;
  return std::nullopt;
}

}  // namespace product_optimizer
