/*
 * reply_test.cpp
 *   Answers with status 200: which are kept, and what becomes of the others.
 */
#include "openai/reply.h"

#include <gtest/gtest.h>

#include <limits>
#include <optional>
#include <string>

#include "reply_helpers.h"

namespace product_optimizer {
namespace {

TEST(ChatReplyTest, KeepsAnAnswer) {
  const Outcome outcome = ReadChat(Chat(R"("{\"title\": \"Mug\"}")"));
  EXPECT_EQ(outcome.kind, OutcomeKind::kDone);
  EXPECT_EQ(outcome.result, R"({"title":"Mug"})");
  EXPECT_EQ(outcome.model, "gpt-5-mini-2025");
  EXPECT_EQ(outcome.prompt_tokens, 19);
  EXPECT_EQ(outcome.completion_tokens, 10);
}

struct VerdictCase {
  std::string body;
  OutcomeKind kind;
  const char* code;
};

class ChatVerdictTest : public testing::TestWithParam<VerdictCase> {};

TEST_P(ChatVerdictTest, Decides) {
  const Outcome outcome = ReadChat(GetParam().body);
  EXPECT_EQ(outcome.kind, GetParam().kind) << GetParam().body;
  EXPECT_EQ(outcome.error_code, GetParam().code) << GetParam().body;
  EXPECT_NE(outcome.error.find("(request req_1)"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(
    Reply, ChatVerdictTest,
    testing::Values(
        VerdictCase{Chat(R"("{\"a\":")", R"("length")"), OutcomeKind::kTruncated, "length"},
        VerdictCase{Chat(R"("")", R"("length")"), OutcomeKind::kTruncated, "length"},
        VerdictCase{Chat("null", R"("length")"), OutcomeKind::kTruncated, "length"},
        VerdictCase{Chat(R"("half")", R"("content_filter")"), OutcomeKind::kFail, "content_filter"},
        VerdictCase{Chat("null", R"("tool_calls")"), OutcomeKind::kFail, "tool_calls"},
        VerdictCase{Chat(R"("text")", "null"), OutcomeKind::kRetry, "invalid_response"},
        VerdictCase{Chat(R"("text")", R"("Stop")"), OutcomeKind::kRetry, "invalid_response"},
        VerdictCase{Chat(R"("text")", R"(["stop"])"), OutcomeKind::kRetry, "invalid_response"},
        VerdictCase{Chat(R"("")"), OutcomeKind::kRetry, "empty_answer"},
        VerdictCase{Chat(R"(" \n\t ")"), OutcomeKind::kRetry, "empty_answer"},
        VerdictCase{Chat("null"), OutcomeKind::kRetry, "empty_answer"},
        VerdictCase{Chat("17"), OutcomeKind::kRetry, "empty_answer"},
        VerdictCase{Chat("{}"), OutcomeKind::kRetry, "empty_answer"},
        VerdictCase{Chat("[]"), OutcomeKind::kRetry, "empty_answer"},
        VerdictCase{
            R"({"choices":[{"message":{"content":"x","refusal":"I cannot."},"finish_reason":"stop"}]})",
            OutcomeKind::kFail, "refusal"},
        VerdictCase{
            R"({"choices":[{"message":{"content":null,"refusal":"I cannot."},"finish_reason":"length"}]})",
            OutcomeKind::kFail, "refusal"},
        VerdictCase{R"({"choices":[{"message":null,"finish_reason":"stop"}]})", OutcomeKind::kRetry,
                    "empty_answer"},
        VerdictCase{R"({"choices":[{"finish_reason":"stop"}]})", OutcomeKind::kRetry, "empty_answer"},
        VerdictCase{R"({"choices":[]})", OutcomeKind::kRetry, "invalid_response"},
        VerdictCase{R"({"choices":[null]})", OutcomeKind::kRetry, "invalid_response"},
        VerdictCase{R"({"choices":[[]]})", OutcomeKind::kRetry, "invalid_response"},
        VerdictCase{R"({"choices":{}})", OutcomeKind::kRetry, "invalid_response"},
        VerdictCase{R"({"choices":"x"})", OutcomeKind::kRetry, "invalid_response"},
        VerdictCase{"{}", OutcomeKind::kRetry, "invalid_response"},
        VerdictCase{"[]", OutcomeKind::kRetry, "invalid_response"},
        VerdictCase{"null", OutcomeKind::kRetry, "invalid_response"},
        VerdictCase{"", OutcomeKind::kRetry, "invalid_response"},
        VerdictCase{"<html><body>Welcome</body></html>", OutcomeKind::kRetry, "invalid_response"},
        VerdictCase{R"({"error":{"message":"boom","code":null}})", OutcomeKind::kRetry, "server_error"},
        VerdictCase{R"({"error":"boom"})", OutcomeKind::kRetry, "server_error"},
        VerdictCase{R"({"error":{"message":"wait","code":429}})", OutcomeKind::kHoldOff, "http_429"},
        VerdictCase{R"({"error":{"message":"key","code":401}})", OutcomeKind::kBlock, "http_401"},
        VerdictCase{R"({"error":{"message":"boom","code":200}})", OutcomeKind::kRetry, "server_error"},
        VerdictCase{R"({"error":{"message":"boom","code":4.29e2}})", OutcomeKind::kRetry, "server_error"},
        VerdictCase{R"({"choices":null,"error":{"message":"pay","code":"insufficient_quota"}})",
                    OutcomeKind::kBlock, "insufficient_quota"},
        VerdictCase{R"({"choices":[],"error":{"message":"wait","code":"rate_limit_exceeded"}})",
                    OutcomeKind::kHoldOff, "rate_limit_exceeded"},
        VerdictCase{R"({"error":{"message":"pay","code":"insufficient_quota"}})", OutcomeKind::kBlock,
                    "insufficient_quota"}));

class ResponsesVerdictTest : public testing::TestWithParam<VerdictCase> {};

TEST_P(ResponsesVerdictTest, Decides) {
  const Outcome outcome = ReadResponses(GetParam().body);
  EXPECT_EQ(outcome.kind, GetParam().kind) << GetParam().body;
  EXPECT_EQ(outcome.error_code, GetParam().code) << GetParam().body;
}

INSTANTIATE_TEST_SUITE_P(
    Reply, ResponsesVerdictTest,
    testing::Values(
        VerdictCase{Responses(kMessage), OutcomeKind::kDone, ""},
        VerdictCase{Responses(kMessage,
                              R"("status":"incomplete","incomplete_details":{"reason":"max_output_tokens"})"),
                    OutcomeKind::kTruncated, "length"},
        VerdictCase{
            Responses("[]", R"("status":"incomplete","incomplete_details":{"reason":"content_filter"})"),
            OutcomeKind::kFail, "content_filter"},
        VerdictCase{Responses(kMessage, R"("status":"incomplete","incomplete_details":{"reason":7})"),
                    OutcomeKind::kRetry, "invalid_response"},
        VerdictCase{Responses(kMessage, R"("status":"incomplete","incomplete_details":null)"),
                    OutcomeKind::kRetry, "invalid_response"},
        VerdictCase{Responses("[]", R"("status":"failed","error":{"code":"server_error","message":"boom"})"),
                    OutcomeKind::kRetry, "server_error"},
        VerdictCase{
            Responses("[]", R"("status":"failed","error":{"code":"rate_limit_exceeded","message":"wait"})"),
            OutcomeKind::kHoldOff, "rate_limit_exceeded"},
        VerdictCase{Responses("[]", R"("status":"failed","error":{"code":"odd","message":"boom"})"),
                    OutcomeKind::kRetry, "odd"},
        VerdictCase{Responses("[]", R"("status":"failed","error":null)"), OutcomeKind::kRetry,
                    "server_error"},
        VerdictCase{Responses("[]", R"("status":"failed","error":[1])"), OutcomeKind::kRetry, "server_error"},
        VerdictCase{Responses(kMessage, R"("status":"in_progress")"), OutcomeKind::kRetry,
                    "invalid_response"},
        VerdictCase{Responses(kMessage, R"("status":null)"), OutcomeKind::kRetry, "invalid_response"},
        VerdictCase{Responses(kMessage, R"("x":1)"), OutcomeKind::kRetry, "invalid_response"},
        VerdictCase{Responses("[]"), OutcomeKind::kRetry, "empty_answer"},
        VerdictCase{Responses("null"), OutcomeKind::kRetry, "invalid_response"},
        VerdictCase{Responses("{}"), OutcomeKind::kRetry, "invalid_response"},
        VerdictCase{Responses(R"([null,1,"x",[],{}, {"type":1}])"), OutcomeKind::kRetry, "empty_answer"},
        VerdictCase{Responses(R"([{"type":"message"}])"), OutcomeKind::kRetry, "empty_answer"},
        VerdictCase{Responses(R"([{"type":"message","content":"x"}])"), OutcomeKind::kRetry, "empty_answer"},
        VerdictCase{Responses(R"([{"type":"message","content":[null,{"type":"output_text","text":3}]}])"),
                    OutcomeKind::kRetry, "empty_answer"},
        VerdictCase{Responses(R"([{"type":"reasoning","content":[{"type":"output_text","text":"x"}]}])"),
                    OutcomeKind::kRetry, "empty_answer"},
        VerdictCase{Responses(R"([{"type":"function_call","name":"f"}])"), OutcomeKind::kFail, "tool_calls"},
        VerdictCase{
            Responses(
                R"([{"type":"message","content":[{"type":"output_text","text":"x"},{"type":"refusal","refusal":"no"}]}])"),
            OutcomeKind::kFail, "refusal"},
        VerdictCase{"", OutcomeKind::kRetry, "invalid_response"},
        VerdictCase{"<html>", OutcomeKind::kRetry, "invalid_response"}));

TEST(ResponsesReplyTest, JoinsTheTextsOfMessages) {
  const Outcome outcome = ReadResponses(Responses(
      R"([{"type":"reasoning","summary":[]},{"type":"message","content":[{"type":"output_text","text":"{\"a\":"},)"
      R"({"type":"other","text":"no"},{"type":"output_text","text":"1."}]},{"type":"message","content":[{"type":"output_text","text":"10}"}]}])"));
  EXPECT_EQ(outcome.kind, OutcomeKind::kDone);
  EXPECT_EQ(outcome.result, R"({"a":1.10})");
  EXPECT_EQ(outcome.model, "gpt-5-mini-2025");
  EXPECT_EQ(outcome.prompt_tokens, 36);
  EXPECT_EQ(outcome.completion_tokens, 87);
}

TEST(ChatReplyTest, JoinsPartsOfCompatibleServers) {
  EXPECT_EQ(ReadChat(Chat(R"([{"type":"text","text":"{}"},{"type":"thinking","text":"x"},7])")).result, "{}");
}

TEST(UsageTest, OnlyCountsAreRead) {
  struct Case {
    const char* usage;
    std::optional<std::int32_t> prompt;
  };
  constexpr std::int32_t kMax = std::numeric_limits<std::int32_t>::max();
  for (const Case& c :
       {Case{R"({"prompt_tokens":0})", 0}, Case{R"({"prompt_tokens":2147483647})", kMax},
        Case{R"({"prompt_tokens":2147483648})", kMax},
        Case{R"({"prompt_tokens":18446744073709551615})", kMax},
        Case{R"({"prompt_tokens":99999999999999999999999})", std::nullopt},
        Case{R"({"prompt_tokens":1e400})", std::nullopt}, Case{R"({"prompt_tokens":-1})", std::nullopt},
        Case{R"({"prompt_tokens":1.5})", std::nullopt}, Case{R"({"prompt_tokens":"19"})", std::nullopt},
        Case{R"({"prompt_tokens":null})", std::nullopt}, Case{R"({"prompt_tokens":[19]})", std::nullopt},
        Case{R"({"input_tokens":19})", std::nullopt}, Case{"null", std::nullopt}, Case{"[]", std::nullopt},
        Case{"7", std::nullopt}}) {
    const std::string body =
        std::string(R"({"choices":[{"message":{"content":"x"},"finish_reason":"stop"}],"usage":)") + c.usage +
        "}";
    const Outcome outcome = ReadChat(body);
    EXPECT_EQ(outcome.kind, OutcomeKind::kDone) << body;
    EXPECT_EQ(outcome.prompt_tokens, c.prompt) << body;
    EXPECT_EQ(outcome.completion_tokens, std::nullopt);
    EXPECT_EQ(outcome.model, "");
  }
  const Outcome truncated = ReadChat(Chat("null", R"("length")"));
  EXPECT_EQ(truncated.completion_tokens, 10) << "it is billed";
}

}  // namespace
}  // namespace product_optimizer
