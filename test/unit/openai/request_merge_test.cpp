/*
 * request_merge_test.cpp
 *   params and extra_body over the body, and the cap on the output.
 */
#include "openai/request.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "request_helpers.h"

namespace product_optimizer {
namespace {

TEST(MergeTest, JobThenExtraBodyLast) {
  Item item = MakeItem("1");
  item.params = R"({"temperature": 0.5, "seed": 7, "user": "u", "store": true})";
  RequestSettings settings = MakeSettings();
  settings.service_tier = "flex";
  settings.extra_body =
      R"({"temperature": 1, "seed": null, "service_tier": null, "metadata": {"a": [1, "\u00e4"]}})";
  const json body = Body(item, settings);
  EXPECT_EQ(body["temperature"], 1);
  EXPECT_FALSE(body.contains("seed"));
  EXPECT_FALSE(body.contains("service_tier"));
  EXPECT_EQ(body["user"], "u");
  EXPECT_EQ(body["store"], true);
  EXPECT_EQ(body["metadata"], json::parse(R"({"a":[1,"ä"]})"));
}

TEST(MergeTest, ReplacesWholeTopLevelKeys) {
  Item item = MakeItem("1");
  RequestSettings settings = MakeSettings(Api::kResponses);
  settings.reasoning_effort = "low";
  item.params = R"({"reasoning": {"summary": "auto"}})";
  EXPECT_EQ(Body(item, settings)["reasoning"], json::parse(R"({"summary":"auto"})"));
}

TEST(MergeTest, AFormatFromOutsideIsMeasured) {
  Item item = MakeItem("1");
  RequestSettings settings = MakeSettings();
  const std::size_t bare = Build(item, settings).prompt_bytes;
  settings.extra_body = R"({"response_format":{"type":"json_object"}})";
  EXPECT_EQ(Build(item, settings).prompt_bytes, bare + std::string(R"({"type":"json_object"})").size());
  settings.extra_body = R"({"tools":[1,2]})";
  EXPECT_EQ(Build(item, settings).prompt_bytes, bare + 5);
  settings.extra_body = R"({"response_format":null})";
  settings.instructions.clear();
  EXPECT_FALSE(Body(item, settings).contains("response_format"));
}

TEST(MergeTest, ProtectedKeysAreRefused) {
  for (const char* key : {"messages", "input", "instructions", "stream", "n", "model", "background", "prompt",
                          "conversation", "previous_response_id"}) {
    for (const char* value : {"1", "null", "true"}) {
      Item item = MakeItem("1");
      item.params = std::string("{\"a\":1,\"") + key + "\":" + value + "}";
      BuildError error = Fail(item, MakeSettings());
      EXPECT_EQ(error.error_code, "invalid_params");
      EXPECT_NE(error.error.find(std::string("\"") + key + "\""), std::string::npos) << error.error;
      RequestSettings settings = MakeSettings();
      settings.extra_body = *item.params;
      error = Fail(MakeItem("1"), settings);
      EXPECT_EQ(error.error_code, "invalid_extra_body");
      EXPECT_NE(error.error.find("product_optimizer.extra_body"), std::string::npos);
    }
  }
  Item item = MakeItem("1");
  item.params = R"({"\u006eame":1,"mo\u0064el":"x"})";
  EXPECT_EQ(Fail(item, MakeSettings()).error_code, "invalid_params") << "an escaped name is the same name";
}

TEST(MergeTest, OnlyObjectsMerge) {
  for (const std::string& params :
       {std::string(""), std::string("[]"), std::string("null"), std::string("1"), std::string("{"),
        std::string("{}x"), std::string(R"({"a":1e400})"),
        std::string(R"({"a":)") + std::string(100000, '[') + "}", std::string(600, '[')}) {
    Item item = MakeItem("1");
    item.params = params;
    EXPECT_EQ(Fail(item, MakeSettings()).error_code, "invalid_params") << params.substr(0, 20);
  }
}

struct CapCase {
  MaxTokensParam param;
  const char* params;
  const char* extra_body;
  const char* key; /* null: none is left in the body */
  std::int32_t cap;
};

class CapTest : public testing::TestWithParam<CapCase> {};

TEST_P(CapTest, IsWhatTheBodyNames) {
  const CapCase& c = GetParam();
  Item item = MakeItem("1");
  if (c.params != nullptr) item.params = c.params;
  RequestSettings settings = MakeSettings();
  settings.max_tokens_param = c.param;
  settings.extra_body = c.extra_body;
  for (const int factor : {1, 2}) {
    const BuiltRequest request = Build(item, settings);
    const json body = json::parse(request.body);
    EXPECT_EQ(request.max_output_tokens, c.cap * factor);
    int caps = 0;
    for (const char* key : {"max_tokens", "max_completion_tokens", "max_output_tokens"})
      caps += body.contains(key);
    EXPECT_EQ(caps, c.key == nullptr ? 0 : 1) << "the API refuses two";
    if (c.key != nullptr) {
      EXPECT_EQ(body[c.key], c.cap * factor);
    }
    item.last_error_code = "length";
  }
}

INSTANTIATE_TEST_SUITE_P(
    Request, CapTest,
    testing::Values(
        CapCase{MaxTokensParam::kAuto, nullptr, "", "max_completion_tokens", 900},
        CapCase{MaxTokensParam::kMaxTokens, nullptr, "", "max_tokens", 900},
        CapCase{MaxTokensParam::kAuto, R"({"max_completion_tokens":50})", "", "max_completion_tokens", 50},
        CapCase{MaxTokensParam::kAuto, R"({"max_tokens":60})", "", "max_tokens", 60},
        CapCase{MaxTokensParam::kMaxTokens, R"({"max_completion_tokens":50})", "", "max_completion_tokens",
                50},
        CapCase{MaxTokensParam::kAuto, R"({"max_tokens":60})", R"({"max_completion_tokens":70})",
                "max_completion_tokens", 70},
        CapCase{MaxTokensParam::kAuto, R"({"max_completion_tokens":60,"max_tokens":61})", "", "max_tokens",
                61},
        CapCase{MaxTokensParam::kAuto, "{}", R"({"max_output_tokens":80})", "max_output_tokens", 80},
        CapCase{MaxTokensParam::kAuto, R"({"max_completion_tokens":null,"max_tokens":9})", "", "max_tokens",
                9},
        CapCase{MaxTokensParam::kAuto, R"({"max_completion_tokens":null})", "", nullptr, 900}));

TEST(CapTextTest, OnlyAnotherLastErrorLeavesItAlone) {
  Item item = MakeItem("1");
  item.last_error_code = "timeout";
  EXPECT_EQ(Build(item, MakeSettings()).max_output_tokens, 900);
}

TEST(CapTextTest, DoublingDoesNotOverflow) {
  Item item = MakeItem("1");
  item.last_error_code = "length";
  item.params = R"({"max_tokens":2147483647})";
  EXPECT_EQ(Build(item, MakeSettings()).max_output_tokens, std::numeric_limits<std::int32_t>::max());
}

TEST(CapTextTest, MustBeAWholeNumber) {
  for (const char* value :
       {"0", "-1", "1.5", "\"9\"", "true", "[]", "{}", "2147483648", "99999999999999999999999"}) {
    Item item = MakeItem("1");
    item.params = std::string("{\"max_tokens\":") + value + "}";
    const BuildError error = Fail(item, MakeSettings());
    EXPECT_EQ(error.error_code, "invalid_params") << value;
    EXPECT_NE(error.error.find("\"max_tokens\""), std::string::npos);
  }
}

TEST(SizeTest, ManyKeysTakeLinearTime) {
  std::string params = "{\"a\":1";
  for (int i = 0; i < 100000; ++i) params += ",\"k" + std::to_string(i) + "\":1";
  Item item = MakeItem("1");
  item.params = params + "}";
  EXPECT_GT(Build(item, MakeSettings()).body.size(), 1000000u);
}

}  // namespace
}  // namespace product_optimizer
