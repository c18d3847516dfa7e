/*
 * http_date.cpp
 *   No strptime: it asks the locale for the names of the months.
 */
#include "openai/http_date.h"

#include <array>
#include <cstddef>

namespace product_optimizer {
namespace {

constexpr std::int64_t kSecondsPerDay = 86400;

std::optional<int> ParseDigits(std::string_view text, std::size_t min_digits, std::size_t max_digits) {
  if (text.size() < min_digits || text.size() > max_digits) return std::nullopt;
  int value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return value;
}

/* 1 … 12, or 0 for another word. */
int ParseMonth(std::string_view text) {
  constexpr std::string_view kNames = "JanFebMarAprMayJunJulAugSepOctNovDec";
  if (text.size() != 3) return 0;
  for (int month = 0; month < 12; ++month) {
    if (kNames.substr(static_cast<std::size_t>(month) * 3, 3) == text) return month + 1;
  }
  return 0;
}

/* Seconds since midnight of "08:49:37"; a leap second counts as the next minute. */
std::optional<int> ParseTime(std::string_view text) {
  if (text.size() != 8 || text[2] != ':' || text[5] != ':') return std::nullopt;
  const auto hour = ParseDigits(text.substr(0, 2), 2, 2);
  const auto minute = ParseDigits(text.substr(3, 2), 2, 2);
  const auto second = ParseDigits(text.substr(6, 2), 2, 2);
  if (!hour || !minute || !second || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  return *hour * 3600 + *minute * 60 + *second;
}

bool IsLeapYear(std::int64_t year) {
  return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Days since 1970-01-01 in the Gregorian calendar; year ≥ 1, month 1 … 12. */
std::int64_t DaysSinceEpoch(std::int64_t year, int month, int day) {
  constexpr std::array<int, 12> kDaysBefore = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
  const std::int64_t past = year - 1;
  const std::int64_t leap_day = month > 2 && IsLeapYear(year) ? 1 : 0;
  constexpr std::int64_t kDaysBefore1970 = 719162;
  return past * 365 + past / 4 - past / 100 + past / 400 + kDaysBefore[static_cast<std::size_t>(month) - 1] +
         leap_day + day - 1 - kDaysBefore1970;
}

bool IsDayOfMonth(std::int64_t year, int month, int day) {
  constexpr std::array<int, 12> kDays = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const int days = kDays[static_cast<std::size_t>(month) - 1] + (month == 2 && IsLeapYear(year) ? 1 : 0);
  return day >= 1 && day <= days;
}

}  // namespace

std::optional<std::int64_t> ParseHttpDate(std::string_view text, std::int64_t now_unix_s) {
  std::array<std::string_view, 6> words;
  std::size_t count = 0;
  constexpr std::string_view kBetween = " ,-";
  for (std::size_t at = text.find_first_not_of(kBetween); at != std::string_view::npos;) {
    if (count == words.size()) return std::nullopt;
    const std::size_t end = text.find_first_of(kBetween, at);
    words[count++] = text.substr(at, end - at);
    at = text.find_first_not_of(kBetween, end);
  }

  /* The weekday comes first and is not needed; then day month year time "GMT", or month day time year. */
  const bool with_zone = count == 6 && words[5] == "GMT";
  if (!with_zone && count != 5) return std::nullopt;
  const auto day = ParseDigits(with_zone ? words[1] : words[2], 1, 2);
  const int month = ParseMonth(with_zone ? words[2] : words[1]);
  const std::string_view year_text = with_zone ? words[3] : words[4];
  const auto time = ParseTime(with_zone ? words[4] : words[3]);
  const auto short_year = ParseDigits(year_text, 2, 2);
  const auto year = short_year ? short_year : ParseDigits(year_text, 4, 4);
  if (!day || month == 0 || !year || !time) return std::nullopt;

  std::int64_t full_year = *year;
  if (short_year) {
    constexpr std::int64_t kSecondsPerYear = 31'556'952; /* on average */
    const std::int64_t this_year = 1970 + now_unix_s / kSecondsPerYear;
    const std::int64_t latest = this_year + 50;
    full_year = latest - (latest - *year) % 100;
  }
  if (full_year < 1 || !IsDayOfMonth(full_year, month, *day)) return std::nullopt;
  return DaysSinceEpoch(full_year, month, *day) * kSecondsPerDay + *time;
}

}  // namespace product_optimizer
