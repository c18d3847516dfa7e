/*
 * rate_headers_test.cpp
 *   Durations, limits, waits and dates, real and hostile.
 */
#include "openai/rate_headers.h"

#include <gtest/gtest.h>

#include <string>

#include "openai/http_date.h"

namespace product_optimizer {
namespace {

using Millis = std::optional<std::int64_t>;

TEST(FindHeaderTest, MatchesWholeNamesInAnyCase) {
  const std::string headers =
      "HTTP/1.1 429 Too Many\r\nX-Retry-After: 1\r\nretry-after-ms-old: 2\r\nRETRY-AFTER:\t 3 "
      "\r\nRetry-After2: 4\r\n\r\n";
  EXPECT_EQ(FindHeader(headers, "retry-after"), "3");
  EXPECT_EQ(FindHeader(headers, "retry-after-ms"), std::nullopt);
  EXPECT_EQ(FindHeader(headers, "retry"), std::nullopt);
  EXPECT_EQ(FindHeader("", "retry-after"), std::nullopt);
}

TEST(FindHeaderTest, TheLastWinsAndLinesMayEndInAnyWay) {
  EXPECT_EQ(FindHeader("a: 1\na: 2\nb: 3", "a"), "2");
  EXPECT_EQ(FindHeader("a: 1\na: 2\nb: 3", "b"), "3");
  EXPECT_EQ(FindHeader("a:\r\n", "a"), "");
  EXPECT_EQ(FindHeader("a: x:y", "a"), "x:y");
}

TEST(FindHeaderTest, IsNotFooledByBlanksOrValues) {
  EXPECT_EQ(FindHeader("x-note: retry-after: 5\r\n", "retry-after"), std::nullopt);
  EXPECT_EQ(FindHeader("x-note: a\r\n retry-after: 5\r\n", "retry-after"), std::nullopt) << "a folded line";
  EXPECT_EQ(FindHeader("retry-after : 5\r\n", "retry-after"), std::nullopt) << "no blank before the colon";
  EXPECT_EQ(FindHeader("no colon at all", "no colon at all"), std::nullopt);
}

struct DurationCase {
  const char* text;
  Millis expected;
};

class GoDurationTest : public testing::TestWithParam<DurationCase> {};

TEST_P(GoDurationTest, Parses) {
  EXPECT_EQ(ParseGoDuration(GetParam().text), GetParam().expected) << GetParam().text;
}

INSTANTIATE_TEST_SUITE_P(
    RateHeaders, GoDurationTest,
    testing::Values(
        DurationCase{"120ms", 120}, DurationCase{"1s", 1000}, DurationCase{"7.25s", 7250},
        DurationCase{"6m0s", 360000}, DurationCase{"4m12.172s", 252172},
        DurationCase{"23h18m29.144s", 83909144}, DurationCase{"0s", 0}, DurationCase{"1h", 3600000},
        DurationCase{".5s", 500}, DurationCase{"1.s", 1000}, DurationCase{" 1s ", 1000},
        DurationCase{"0.0001s", 1}, DurationCase{"1.0001s", 1001}, DurationCase{"1ns", 1},
        DurationCase{"999us", 1}, DurationCase{"1001\xC2\xB5s", 2}, DurationCase{"1000\xCE\xBCs", 1},
        DurationCase{"0.00000000000000000000000000000001h", 1}, DurationCase{"1.5h", 5400000},
        DurationCase{"31d", std::nullopt}, DurationCase{"", std::nullopt}, DurationCase{" ", std::nullopt},
        DurationCase{"0", std::nullopt}, DurationCase{"60", std::nullopt}, DurationCase{"-1", std::nullopt},
        DurationCase{"-1s", std::nullopt}, DurationCase{"+1s", std::nullopt}, DurationCase{"s", std::nullopt},
        DurationCase{".s", std::nullopt}, DurationCase{"1.2.3s", std::nullopt},
        DurationCase{"1s2", std::nullopt}, DurationCase{"1 s", std::nullopt},
        DurationCase{"1S", std::nullopt}, DurationCase{"1e3s", std::nullopt},
        DurationCase{"1sx", std::nullopt}, DurationCase{"9000h", std::nullopt},
        DurationCase{"8000h8000h", std::nullopt}, DurationCase{"99999999999999999999h", std::nullopt},
        DurationCase{"99999999999999999999ns", std::nullopt}));

TEST(RateHeadersTest, ReadsBothDimensions) {
  const RateHeaders rates = ReadRateHeaders(
      "X-RateLimit-Limit-Requests: 500\r\nx-ratelimit-remaining-requests: 499\r\nx-ratelimit-reset-requests: "
      "120ms\r\n"
      "x-ratelimit-limit-tokens: 500000\r\nx-ratelimit-remaining-tokens: 0\r\nx-ratelimit-reset-tokens: "
      "6m0s\r\n");
  EXPECT_EQ(rates.requests.limit, 500);
  EXPECT_EQ(rates.requests.remaining, 499);
  EXPECT_EQ(rates.requests.reset_ms, 120);
  EXPECT_EQ(rates.tokens.limit, 500000);
  EXPECT_EQ(rates.tokens.remaining, 0);
  EXPECT_EQ(rates.tokens.reset_ms, 360000);
}

TEST(RateHeadersTest, NonsenseIsAbsent) {
  for (const char* value :
       {"", "0", "-1", "1.5", "abc", "5x", "0x10", "1e3", "9999999999999", "99999999999999999999999"}) {
    const std::string headers = std::string("x-ratelimit-limit-requests: ") + value + "\r\n";
    EXPECT_EQ(ReadRateHeaders(headers).requests.limit, std::nullopt) << value;
  }
  const RateHeaders rates = ReadRateHeaders(
      "x-ratelimit-limit-tokens: 10\nx-ratelimit-remaining-tokens: 11\nx-ratelimit-reset-tokens: 60\n"
      "x-ratelimit-remaining-requests: -1\nx-ratelimit-reset-requests: -1\n");
  EXPECT_EQ(rates.tokens.remaining, std::nullopt) << "more than the limit";
  EXPECT_EQ(rates.tokens.reset_ms, std::nullopt) << "a bare integer";
  EXPECT_EQ(rates.requests.limit, std::nullopt);
  EXPECT_EQ(rates.requests.remaining, std::nullopt);
  EXPECT_EQ(rates.requests.reset_ms, std::nullopt);
}

constexpr std::int64_t kNow = 784111777; /* Sun, 06 Nov 1994 08:49:37 GMT */

struct WaitCase {
  const char* headers;
  Millis expected;
};

class RetryAfterTest : public testing::TestWithParam<WaitCase> {};

TEST_P(RetryAfterTest, Reads) {
  EXPECT_EQ(ReadRetryAfterMs(GetParam().headers, kNow), GetParam().expected) << GetParam().headers;
}

INSTANTIATE_TEST_SUITE_P(
    RateHeaders, RetryAfterTest,
    testing::Values(WaitCase{"", std::nullopt}, WaitCase{"x-retry-after: 5", std::nullopt},
                    WaitCase{"Retry-After: 5", 5000}, WaitCase{"retry-after: 0", 0},
                    WaitCase{"retry-after: 1.5", 1500}, WaitCase{"retry-after-ms: 174", 174},
                    WaitCase{"retry-after-ms: 174.2", 175},
                    WaitCase{"retry-after-ms: 174\r\nretry-after: 1", 174},
                    WaitCase{"retry-after: 1\r\nretry-after-ms: 174", 174},
                    WaitCase{"retry-after-ms: soon\r\nretry-after: 1", 1000},
                    WaitCase{"retry-after-ms: -5\r\nretry-after: 1", 1000},
                    WaitCase{"retry-after-ms: 3600001\r\nretry-after: 1", 1000},
                    WaitCase{"retry-after-ms: 3600000", 3600000}, WaitCase{"retry-after: 3600", 3600000},
                    WaitCase{"retry-after: 3601", std::nullopt}, WaitCase{"retry-after: -1", std::nullopt},
                    WaitCase{"retry-after: 3600.0001", std::nullopt}, WaitCase{"retry-after: ", std::nullopt},
                    WaitCase{"retry-after: nan", std::nullopt}, WaitCase{"retry-after: inf", std::nullopt},
                    WaitCase{"retry-after: 5s", std::nullopt}, WaitCase{"retry-after: 1e3", std::nullopt},
                    WaitCase{"retry-after: 99999999999999999999999999", std::nullopt},
                    WaitCase{"retry-after: Sun, 06 Nov 1994 08:49:47 GMT", 10000},
                    WaitCase{"retry-after: Sunday, 06-Nov-94 08:49:47 GMT", 10000},
                    WaitCase{"retry-after: Sun Nov  6 08:49:47 1994", 10000},
                    WaitCase{"retry-after: Sun, 06 Nov 1994 08:49:37 GMT", 0},
                    WaitCase{"retry-after: Sun, 06 Nov 1994 08:49:36 GMT", std::nullopt},
                    WaitCase{"retry-after: Sun, 06 Nov 1994 09:49:37 GMT", 3600000},
                    WaitCase{"retry-after: Sun, 06 Nov 1994 09:49:38 GMT", std::nullopt},
                    WaitCase{"retry-after: Sun, 06 Nov 9999 08:49:47 GMT", std::nullopt}));

TEST(HttpDateTest, KnowsTheCalendar) {
  EXPECT_EQ(ParseHttpDate("Thu, 01 Jan 1970 00:00:00 GMT", kNow), 0);
  EXPECT_EQ(ParseHttpDate("Sun, 06 Nov 1994 08:49:37 GMT", kNow), kNow);
  EXPECT_EQ(ParseHttpDate("Tue, 29 Feb 2000 23:59:59 GMT", kNow), 951868799);
  EXPECT_EQ(ParseHttpDate("Wed, 01 Mar 2000 00:00:00 GMT", kNow), 951868800);
  EXPECT_EQ(ParseHttpDate("Tue, 24 Nov 2026 20:24:41 GMT", kNow), 1795551881);
  EXPECT_EQ(ParseHttpDate("Sun, 28 Feb 2100 00:00:00 GMT", kNow), 4107456000);
  EXPECT_EQ(ParseHttpDate("Mon, 01 Mar 2100 00:00:00 GMT", kNow), 4107542400) << "2100 is no leap year";
  EXPECT_EQ(ParseHttpDate("Wednesday, 01-Mar-00 00:00:00 GMT", kNow), 951868800) << "2000 as seen from 1994";
  EXPECT_EQ(ParseHttpDate("Wednesday, 01-Mar-00 00:00:00 GMT", 1795551881), 951868800) << "and from 2026";
  EXPECT_EQ(ParseHttpDate("Tuesday, 01-Jan-44 00:00:00 GMT", kNow), 2335219200) << "50 years ahead";
  EXPECT_EQ(ParseHttpDate("Monday, 01-Jan-45 00:00:00 GMT", kNow), -788918400) << "51 years would be too far";
}

TEST(HttpDateTest, CountsEveryDay) {
  constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::int64_t midnight = 946684800; /* 2000-01-01 */
  int days = 0;
  for (int year = 2000; year < 2005; ++year) {
    for (const char* month : kMonths) {
      int known = 0;
      for (int day = 1; day <= 32; ++day) {
        const auto date = ParseHttpDate(
            "Sun, " + std::to_string(day) + " " + month + " " + std::to_string(year) + " 00:00:00 GMT", kNow);
        if (!date) continue;
        EXPECT_EQ(*date, midnight) << day << month << year;
        midnight += 86400;
        ++known;
        EXPECT_EQ(known, day);
      }
      days += known;
    }
  }
  EXPECT_EQ(days, 366 + 3 * 365 + 366);
}

TEST(HttpDateTest, RefusesNonsense) {
  for (const char* text : {"",
                           ",",
                           "Sun",
                           "Sun, 06 Nov 1994 08:49:37",
                           "Sun, 06 Nov 1994 08:49:37 CET",
                           "Sun, 00 Nov 1994 08:49:37 GMT",
                           "Sun, 31 Nov 1994 08:49:37 GMT",
                           "Sun, 29 Feb 1900 08:49:37 GMT",
                           "Sun, 06 nov 1994 08:49:37 GMT",
                           "Sun, 06 Nov 199 08:49:37 GMT",
                           "Sun, 06 Nov 19940 08:49:37 GMT",
                           "Sun, 06 Nov 0000 08:49:37 GMT",
                           "Sun, 06 Nov 1994 24:00:00 GMT",
                           "Sun, 06 Nov 1994 08:60:00 GMT",
                           "Sun, 06 Nov 1994 08:49:61 GMT",
                           "Sun, 06 Nov 1994 8:49:37 GMT",
                           "Sun, 06 Nov 1994 08.49.37 GMT",
                           "Sun, 06 Nov 1994 08:49:37 GMT GMT",
                           "Sun, -6 Nov 1994 08:49:37",
                           "Sun, 06 anF 1994 08:49:37 GMT"}) {
    EXPECT_EQ(ParseHttpDate(text, kNow), std::nullopt) << text;
  }
}

TEST(ShouldRetryTest, IsTrueOrFalseOrAbsent) {
  EXPECT_EQ(ReadShouldRetry("X-Should-Retry: true"), true);
  EXPECT_EQ(ReadShouldRetry("x-should-retry: FALSE\r\n"), false);
  EXPECT_EQ(ReadShouldRetry("x-should-retry: 1"), std::nullopt);
  EXPECT_EQ(ReadShouldRetry("x-should-retry: truex"), std::nullopt);
  EXPECT_EQ(ReadShouldRetry("should-retry: true"), std::nullopt);
  EXPECT_EQ(ReadShouldRetry(""), std::nullopt);
}

}  // namespace
}  // namespace product_optimizer
