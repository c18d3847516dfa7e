/*
 * error_test.cpp
 *   The table of errors of the API, their waits and their sentences.
 */
#include <gtest/gtest.h>

#include <string>

#include "core/text.h"
#include "openai/plain_error.h"
#include "openai/reply.h"

namespace product_optimizer {
namespace {

using Kind = OutcomeKind;

Outcome Read(int status, std::string_view body, std::string_view headers = "") {
  Reply reply;
  reply.status = status;
  reply.headers = headers;
  reply.body = body;
  reply.now_unix_s = 784111777;
  const Outcome outcome = ReadReply(Api::kChatCompletions, reply);
  EXPECT_TRUE(IsValidUtf8(outcome.error));
  EXPECT_LE(outcome.error.size(), 1000u);
  EXPECT_FALSE(outcome.error.empty());
  EXPECT_FALSE(outcome.error_code.empty());
  return outcome;
}

std::string Error(const std::string& code, const std::string& type, const std::string& message = "m") {
  return R"({"error":{"message":")" + message + R"(","type":)" + type + R"(,"param":null,"code":)" + code +
         "}}";
}

struct ErrorCase {
  int status;
  std::string body;
  Kind kind;
  const char* error_code;
};

class ErrorTableTest : public testing::TestWithParam<ErrorCase> {};

TEST_P(ErrorTableTest, Classifies) {
  const ErrorCase& c = GetParam();
  const Outcome outcome = Read(c.status, c.body);
  EXPECT_EQ(outcome.kind, c.kind) << c.status << " " << c.body;
  EXPECT_EQ(outcome.error_code, c.error_code) << c.status << " " << c.body;
  EXPECT_EQ(outcome.rejected_request, c.status == 400 && c.kind == Kind::kFail);
  EXPECT_EQ(outcome.error.rfind("HTTP " + std::to_string(c.status) + ": ", 0), 0u) << outcome.error;
}

const char kInvalid[] = "\"invalid_request_error\"";
const char kQuota[] = "\"insufficient_quota\"";

INSTANTIATE_TEST_SUITE_P(
    ByCode, ErrorTableTest,
    testing::Values(
        ErrorCase{429, Error("\"rate_limit_exceeded\"", "\"tokens\""), Kind::kHoldOff, "rate_limit_exceeded"},
        ErrorCase{429, Error("\"rate_limit_exceeded\"", "\"requests\""), Kind::kHoldOff,
                  "rate_limit_exceeded"},
        ErrorCase{429, Error("\"slow_down\"", "null"), Kind::kHoldOff, "slow_down"},
        ErrorCase{503, Error("\"slow_down\"", "\"server_error\""), Kind::kHoldOff, "slow_down"},
        ErrorCase{429, Error("\"insufficient_quota\"", kQuota), Kind::kBlock, "insufficient_quota"},
        ErrorCase{429, Error("\"credit_balance_exhausted\"", kQuota), Kind::kBlock,
                  "credit_balance_exhausted"},
        ErrorCase{429, Error("\"organization_spend_limit_exceeded\"", "null"), Kind::kBlock,
                  "organization_spend_limit_exceeded"},
        ErrorCase{429, Error("\"project_spend_limit_exceeded\"", "null"), Kind::kBlock,
                  "project_spend_limit_exceeded"},
        ErrorCase{429, Error("\"organization_usage_limit_exceeded\"", "null"), Kind::kBlock,
                  "organization_usage_limit_exceeded"},
        ErrorCase{429, Error("\"unheard_of\"", kQuota), Kind::kBlock, "unheard_of"},
        ErrorCase{429, Error("null", kQuota), Kind::kBlock, "insufficient_quota"},
        ErrorCase{400, Error("\"billing_hard_limit_reached\"", kInvalid), Kind::kBlock,
                  "billing_hard_limit_reached"},
        ErrorCase{404, Error("\"model_not_found\"", kInvalid), Kind::kBlock, "model_not_found"},
        ErrorCase{400, Error("\"model_not_found\"", kInvalid), Kind::kBlock, "model_not_found"},
        ErrorCase{401, Error("\"invalid_api_key\"", kInvalid), Kind::kBlock, "invalid_api_key"},
        ErrorCase{503, Error("\"server_is_overloaded\"", "null"), Kind::kRetry, "server_is_overloaded"},
        ErrorCase{400, Error("\"context_length_exceeded\"", kInvalid), Kind::kFail,
                  "context_length_exceeded"},
        ErrorCase{400, Error("\"unsupported_parameter\"", kInvalid), Kind::kFail, "unsupported_parameter"},
        ErrorCase{400, Error("\"unsupported_value\"", kInvalid), Kind::kFail, "unsupported_value"},
        ErrorCase{500, Error("\"context_length_exceeded\"", kInvalid), Kind::kFail,
                  "context_length_exceeded"},
        ErrorCase{400, Error("null", "\"server_error\""), Kind::kRetry, "server_error"},
        ErrorCase{429,
                  Error("\"rate_limit_exceeded\"", "\"tokens\"",
                        "Request too large for M in organization O on tokens per min (TPM): Limit 30000, "
                        "Requested 36055."),
                  Kind::kFail, "rate_limit_exceeded"}));

INSTANTIATE_TEST_SUITE_P(
    ByStatus, ErrorTableTest,
    testing::Values(
        ErrorCase{400, Error("null", kInvalid), Kind::kFail, "invalid_request_error"},
        ErrorCase{400, "", Kind::kFail, "http_400"}, ErrorCase{401, "", Kind::kBlock, "http_401"},
        ErrorCase{402, "", Kind::kBlock, "http_402"},
        ErrorCase{403, Error("\"unsupported_country_region_territory\"", "\"request_forbidden\""),
                  Kind::kBlock, "unsupported_country_region_territory"},
        ErrorCase{403, "<html>", Kind::kBlock, "http_403"},
        ErrorCase{404, "<html>", Kind::kBlock, "http_404"},
        ErrorCase{404, Error("null", kInvalid), Kind::kBlock, "invalid_request_error"},
        ErrorCase{405, "", Kind::kBlock, "http_405"}, ErrorCase{407, "", Kind::kBlock, "http_407"},
        ErrorCase{408, "", Kind::kRetry, "http_408"}, ErrorCase{409, "", Kind::kRetry, "http_409"},
        ErrorCase{413, "<html>", Kind::kFail, "http_413"}, ErrorCase{418, "", Kind::kFail, "http_418"},
        ErrorCase{422, R"({"detail":[{"loc":[]}]})", Kind::kFail, "http_422"},
        ErrorCase{429, "<html>slow</html>", Kind::kHoldOff, "http_429"},
        ErrorCase{429, Error("\"resource_unavailable\"", "null"), Kind::kHoldOff, "resource_unavailable"},
        ErrorCase{499, "", Kind::kFail, "http_499"},
        ErrorCase{500, Error("null", "\"server_error\""), Kind::kRetry, "server_error"},
        ErrorCase{500, "", Kind::kRetry, "http_500"}, ErrorCase{502, "<html>", Kind::kRetry, "http_502"},
        ErrorCase{503, "", Kind::kRetry, "http_503"}, ErrorCase{504, "", Kind::kRetry, "http_504"},
        ErrorCase{529, "", Kind::kRetry, "http_529"}, ErrorCase{599, "", Kind::kRetry, "http_599"},
        ErrorCase{300, "", Kind::kBlock, "http_300"}, ErrorCase{301, "", Kind::kBlock, "http_301"},
        ErrorCase{399, "", Kind::kBlock, "http_399"},
        ErrorCase{308, Error("null", "null"), Kind::kBlock, "http_308"},
        ErrorCase{100, "", Kind::kRetry, "http_100"}, ErrorCase{199, "", Kind::kRetry, "http_199"},
        ErrorCase{600, "", Kind::kRetry, "http_600"}, ErrorCase{999, "", Kind::kRetry, "http_999"}));

INSTANTIATE_TEST_SUITE_P(
    WrongTypes, ErrorTableTest,
    testing::Values(
        ErrorCase{400, R"({"error":{"message":7,"type":[],"code":429}})", Kind::kFail, "http_400"},
        ErrorCase{400, R"({"error":null})", Kind::kFail, "http_400"},
        ErrorCase{400, R"({"error":[]})", Kind::kFail, "http_400"},
        ErrorCase{400, R"({"error":"text"})", Kind::kFail, "http_400"},
        ErrorCase{400, "[]", Kind::kFail, "http_400"}, ErrorCase{400, "[7]", Kind::kFail, "http_400"},
        ErrorCase{400, "\"x\"", Kind::kFail, "http_400"},
        ErrorCase{400, R"([{"error":{"code":"c"}}])", Kind::kFail, "c"},
        ErrorCase{400, R"({"object":"error","message":"m","code":40301,"type":"t"})", Kind::kFail, "t"},
        ErrorCase{429, R"({"error":{"code":"insufficient_quota)", Kind::kHoldOff, "http_429"}));

TEST(ErrorTextTest, IsOneSentenceWithStatusAndRequest) {
  EXPECT_EQ(
      Read(400, Error("\"c\"", "null", "Unsupported parameter:\\n'max_tokens'"), "X-Request-Id: req_123\r\n")
          .error,
      "HTTP 400: Unsupported parameter: 'max_tokens' (request req_123)");
  EXPECT_EQ(Read(400, R"({"error":"plain"})").error, "HTTP 400: plain");
  EXPECT_EQ(Read(422, R"({"detail":"Not good"})").error, "HTTP 422: Not good");
  EXPECT_EQ(Read(400, R"({"error":{"code":"only_code"}})").error, "HTTP 400: only_code");
  EXPECT_EQ(Read(500, "").error, "HTTP 500: the answer is empty");
  EXPECT_EQ(Read(502, "<html>\r\n<h1>Bad\x01 Gateway").error,
            "HTTP 502: the answer is no error of the API, it begins: <html> <h1>Bad Gateway");
  EXPECT_EQ(Read(301, "moved").error,
            "HTTP 301: the server redirects instead of answering; check the base URL of the API");
  EXPECT_NE(Read(404, "<html>").error.find("; check the base URL"), std::string::npos);
  EXPECT_EQ(Read(404, Error("\"model_not_found\"", "null")).error, "HTTP 404: m");
}

TEST(ErrorTextTest, RedirectsAreExplained) {
  for (const int status : {300, 307, 399}) {
    EXPECT_NE(Read(status, Error("\"c\"", "null")).error.find("redirects"), std::string::npos) << status;
  }
}

TEST(ErrorTextTest, IsCutBetweenCharacters) {
  EXPECT_EQ(PlainText("abcd", 4), "abcd");
  EXPECT_EQ(PlainText("abcde", 4), "a\xE2\x80\xA6");
  EXPECT_EQ(PlainText("abcde", 3), "\xE2\x80\xA6");
  EXPECT_EQ(PlainText("abcde", 2), "");
  EXPECT_EQ(PlainText("\xC3\xA4\xC3\xB6\xC3\xBC", 5), "\xC3\xA4\xE2\x80\xA6");
}

TEST(ErrorTextTest, IsAtMost1000Bytes) {
  const std::string id = "x-request-id: " + std::string(5000, 'r') + "\r\n";
  for (const int status : {400, 404, 500}) {
    const Outcome outcome = Read(status, Error("\"c\"", "null", std::string(100000, 'x')), id);
    EXPECT_GT(outcome.error.size(), 800u);
    EXPECT_LE(outcome.request_id.size(), 128u);
    EXPECT_EQ(outcome.error.back(), ')');
  }
  std::string wide;
  for (int i = 0; i < 2000; ++i) wide += "\xF0\x9F\x98\x80";
  Read(400, Error("\"" + wide + "\"", "null", wide));
  EXPECT_LE(Read(400, Error("\"" + wide + "\"", "null")).error_code.size(), 64u);
}

TEST(MaskTest, KeysNeverShow) {
  EXPECT_EQ(Read(401, Error("\"invalid_api_key\"", kInvalid,
                            "Incorrect API key provided: sk-abcd****wxyz. You can find it."))
                .error,
            "HTTP 401: Incorrect API key provided: [key]. You can find it.");
  EXPECT_EQ(PlainText("key sk-proj-Ab_9-z, and 'sk-x'", 100), "key [key], and '[key]'");
  EXPECT_EQ(PlainText("Authorization: Bearer abc.def-9~+/=!", 100), "Authorization: Bearer [key]!");
  EXPECT_EQ(PlainText("bearer\n\txyz", 100), "bearer [key]");
  EXPECT_EQ(PlainText("BEARER: \"xyz\"", 100), "BEARER: \"[key]\"");
  EXPECT_EQ(PlainText("provided: my-c***************key", 100), "provided: [key]");
  EXPECT_EQ(PlainText("api_key=sk-abc", 100), "[key]");
  EXPECT_EQ(PlainText("a task-list at-risk-level, a forbearer of sk", 100),
            "a task-list at-risk-level, a forbearer of sk");
  EXPECT_EQ(PlainText(std::string(90, 'x') + " my-secret-key***", 100), std::string(90, 'x') + " [key]")
      << "masked before it is cut";
}

TEST(MaskTest, HoldsInEveryTextOfTheOutcome) {
  const std::string secret = "sk-secret123";
  const std::string body = "<html>" + secret;
  for (const std::string& text :
       {Error("\"" + secret + "\"", "null", secret), Error("null", "\"" + secret + "\""), body,
        "{\"error\":\"" + secret + "\"}"}) {
    const Outcome outcome = Read(404, text, "x-request-id: " + secret);
    EXPECT_EQ((outcome.error + outcome.error_code + outcome.request_id).find("secret"), std::string::npos)
        << outcome.error;
  }
  const Outcome outcome = ReadTransportFailure("timeout", "no answer for Bearer " + secret);
  EXPECT_EQ(outcome.error, "no answer for Bearer [key]");
}

struct WaitCase {
  int status;
  const char* headers;
  const char* message;
  std::optional<std::int64_t> wait;
};

class WaitTest : public testing::TestWithParam<WaitCase> {};

TEST_P(WaitTest, IsTheServersWord) {
  const WaitCase& c = GetParam();
  EXPECT_EQ(Read(c.status, Error("\"x\"", "null", c.message), c.headers).retry_after_ms, c.wait)
      << c.headers << c.message;
}

INSTANTIATE_TEST_SUITE_P(
    Waits, WaitTest,
    testing::Values(WaitCase{429, "", "Rate limit reached for M. Please try again in 174ms. Visit x.", 174},
                    WaitCase{429, "", "Please try again in 1.5s", 1500},
                    WaitCase{429, "", "Please try again in 6m0s.", 360000},
                    WaitCase{429, "", "Please try again in 1h0m0s.", 3600000},
                    WaitCase{429, "", "Please try again in 7h12m0s.", std::nullopt},
                    WaitCase{429, "", "Please try again in 20 seconds.", std::nullopt},
                    WaitCase{429, "", "Please try again in ", std::nullopt},
                    WaitCase{429, "", "Please try again later", std::nullopt},
                    WaitCase{429, "retry-after: 2", "Please try again in 174ms.", 2000},
                    WaitCase{429, "retry-after-ms: 5\r\nretry-after: 2", "Please try again in 174ms.", 5},
                    WaitCase{429, "retry-after: 7200", "Please try again in 174ms.", 174},
                    WaitCase{429, "x-retry-after: 9", "m", std::nullopt},
                    WaitCase{429, "retry-after: 0", "m", std::nullopt},
                    WaitCase{429, "retry-after: 0", "Please try again in 174ms.", 174},
                    WaitCase{429, "", "Please try again in 0s.", std::nullopt},
                    WaitCase{503, "retry-after-ms: 0", "m", std::nullopt},
                    WaitCase{503, "retry-after: 3", "m", 3000},
                    WaitCase{503, "", "Please try again in 174ms.", std::nullopt},
                    WaitCase{503, "Retry-After: Sun, 06 Nov 1994 08:49:47 GMT", "m", 10000},
                    WaitCase{400, "retry-after: 3", "m", std::nullopt},
                    WaitCase{401, "retry-after: 3", "m", std::nullopt}));

TEST(SlowDownTest, IsToldApartFromAPause) {
  EXPECT_TRUE(Read(429, Error("\"slow_down\"", "null")).slow_down);
  EXPECT_TRUE(Read(429, Error("null", "\"slow_down\"")).slow_down);
  EXPECT_FALSE(Read(429, Error("\"rate_limit_exceeded\"", "\"requests\"")).slow_down);
}

TEST(ShouldRetryTest, WinsOverTheTable) {
  const char kYes[] = "x-should-retry: true";
  const char kNo[] = "X-Should-Retry: false";
  Outcome outcome = Read(400, Error("\"c\"", "null"), kYes);
  EXPECT_EQ(outcome.kind, Kind::kRetry);
  EXPECT_FALSE(outcome.rejected_request);
  EXPECT_EQ(Read(500, "", kNo).kind, Kind::kFail);
  EXPECT_EQ(Read(500, "", kYes).kind, Kind::kRetry);
  EXPECT_EQ(Read(400, "", kNo).kind, Kind::kFail);
  EXPECT_EQ(Read(429, "", kNo).kind, Kind::kHoldOff) << "a passing limit loses no work";
  EXPECT_EQ(Read(429, Error("null", kQuota), kNo).kind, Kind::kBlock);
  EXPECT_EQ(Read(429, Error("null", kQuota), kYes).kind, Kind::kBlock);
  EXPECT_EQ(Read(401, "", kYes).kind, Kind::kBlock);
  EXPECT_EQ(Read(400, "", "x-should-retry: perhaps").kind, Kind::kFail);
}

TEST(ModelAloneTest, IsWhatAnotherModelNeedNotMeet) {
  EXPECT_TRUE(Read(404, Error("\"model_not_found\"", kInvalid)).of_model_alone);
  EXPECT_TRUE(Read(403, Error("\"model_not_found\"", kInvalid)).of_model_alone);
  EXPECT_TRUE(Read(403, Error("null", "\"request_forbidden\"")).of_model_alone);
  EXPECT_TRUE(Read(404, R"({"error":"model 'm' not found"})").of_model_alone);
  EXPECT_TRUE(
      Read(404, R"({"object":"error","message":"m","type":"NotFoundError","code":404})").of_model_alone);
  EXPECT_FALSE(Read(403, Error("\"account_deactivated\"", "null")).of_model_alone) << "a key, not a model";
  EXPECT_FALSE(Read(403, Error("null", kQuota)).of_model_alone);
  EXPECT_FALSE(Read(401, Error("\"invalid_api_key\"", kInvalid)).of_model_alone);
  EXPECT_FALSE(Read(429, Error("null", kQuota)).of_model_alone);
  EXPECT_FALSE(Read(405, "").of_model_alone);
  EXPECT_FALSE(Read(400, Error("\"unsupported_value\"", kInvalid)).of_model_alone);
}

TEST(TransportTest, MayPassUnlessTheUrlIsRefused) {
  const Outcome outcome = ReadTransportFailure("timeout", "no answer\nwithin 120 s");
  EXPECT_EQ(outcome.kind, Kind::kRetry);
  EXPECT_EQ(outcome.error_code, "timeout");
  EXPECT_EQ(outcome.error, "no answer within 120 s");
  EXPECT_EQ(outcome.retry_after_ms, std::nullopt);
  EXPECT_EQ(ReadTransportFailure("connection_lost", "x").kind, Kind::kRetry);
  for (const char* code :
       {"bad_url", "plain_http_refused", "address_refused", "certificate_refused", "proxy_refused"})
    EXPECT_EQ(ReadTransportFailure(code, "x").kind, Kind::kBlock) << code;
  EXPECT_EQ(ReadTransportFailure("c", std::string(5000, 'x')).error.size(), 1000u);
  EXPECT_TRUE(IsValidUtf8(ReadTransportFailure("\xFF", std::string("\0\xC3", 2)).error));
}

}  // namespace
}  // namespace product_optimizer
