/*
 * reply_result_test.cpp
 *   What the model wrote becomes JSON that jsonb accepts.
 */
#include "openai/reply.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "reply_helpers.h"

namespace product_optimizer {
namespace {

TEST(ResultTest, JsonStaysAsItIsDigitForDigit) {
  EXPECT_EQ(ResultOf(R"({"a":1.10,"b":12345678901234567890123,"c":1E5,"d":-0.0,"a":2})"),
            R"({"a":1.10,"b":12345678901234567890123,"c":1E5,"d":-0.0,"a":2})");
  EXPECT_EQ(ResultOf(" \r\n[1, 2,\t{ } ]\n"), "[1,2,{}]");
  EXPECT_EQ(ResultOf("\xEF\xBB\xBF{}"), "{}") << "a byte order mark";
  EXPECT_EQ(ResultOf(R"({"\/\"\\\b":"\u00e4\ud83d\ude00"})"), R"({"\/\"\\\b":"\u00e4\ud83d\ude00"})");
}

TEST(ResultTest, FencesAreTakenOff) {
  EXPECT_EQ(ResultOf("```json\n{\"a\":1}\n```"), R"({"a":1})");
  EXPECT_EQ(ResultOf("\n```\n[1]\n``` \n"), "[1]");
  EXPECT_EQ(ResultOf("```JSON \r\n{}```"), "{}");
  for (const char* text : {"```json\nplain\n```", "```xml\n{}\n```", "text ```json\n{}\n```",
                           "```json {} ```", "```", "``````", "```\n```", "```json\n{}\n``` more"}) {
    EXPECT_EQ(ResultOf(text), AsString(text)) << "kept as it is";
  }
}

TEST(ResultTest, PlainTextAndScalarsAreStrings) {
  for (const char* text : {"A blue mug.", " padded ", "42", "true", "null", "\"quoted\"", "{'a':1}",
                           "{\"a\":1} {\"b\":2}", "{\"a\":1,}", "{\"a\":\"line\nbreak\"}", "[1", "NaN",
                           "{a:1}", "[01]", "[1.]", "[+1]", "[\"\\x\"]", "[\"\\u12g4\"]", "// {}"}) {
    EXPECT_EQ(ResultOf(text), AsString(text));
  }
}

TEST(ResultTest, NulAndLoneSurrogatesAreReplaced) {
  EXPECT_EQ(ResultOf(R"({"a\u0000":"\u0000"})"), R"({"a\ufffd":"\ufffd"})");
  EXPECT_EQ(
      ResultOf(
          R"(["\ud800","\udc00","\ud800\ud800","\udc00\ud800","\uD83D\uDE00","\ud800\u0041","\ud800x"])"),
      R"(["\ufffd","\ufffd","\ufffd\ufffd","\ufffd\ufffd","\uD83D\uDE00","\ufffd\u0041","\ufffdx"])");
  EXPECT_EQ(ResultOf(R"(["\\u0000","\\\u0000"])"), R"(["\\u0000","\\\ufffd"])")
      << "an escaped backslash begins no escape";
  EXPECT_EQ(ReadChat(Chat(R"("a\u0000b \ud800 c")")).result, AsString("a" + kFffd + "b " + kFffd + " c"))
      << "in the envelope";
}

TEST(ResultTest, TheEdgesOfSurrogates) {
  for (const char* kept :
       {R"(["\ud800\udc00"])", R"(["\udbff\udfff"])", R"(["\ud7ff"])", R"(["\ue000"])", R"(["\u0001"])"}) {
    EXPECT_EQ(ResultOf(kept), kept);
  }
  EXPECT_EQ(ResultOf(R"(["\ud800\udbff"])"), R"(["\ufffd\ufffd"])");
  EXPECT_EQ(ResultOf(R"(["\ud800\ue000"])"), R"(["\ufffd\ue000"])");
  EXPECT_EQ(ResultOf(R"(["\udbff"])"), R"(["\ufffd"])");
  EXPECT_EQ(ResultOf(R"(["\udfff"])"), R"(["\ufffd"])");
  EXPECT_EQ(ResultOf(R"(["\ud83dXude00"])"), R"(["\ufffdXude00"])");
}

TEST(ResultTest, NumbersBeyondNumericMakeItAString) {
  const auto zeros = [](int count) { return std::string(static_cast<std::size_t>(count), '0'); };
  const std::vector<std::string> fits = {"[1e131071]",
                                         "[-9.9e131071]",
                                         "[1E-16383]",
                                         "[1.5e-16382]",
                                         "[0e10]",
                                         "[1e+5]",
                                         "[1" + zeros(131071) + "]",
                                         "[0." + zeros(16382) + "1]"};
  for (const std::string& text : fits) EXPECT_EQ(ResultOf(text), text) << text.substr(0, 30);
  const std::vector<std::string> beyond = {"[1e131072]",
                                           "[10e131071]",
                                           "[1e-16384]",
                                           "[1.5e-16383]",
                                           "[1e99999999999999999999999999]",
                                           "[1e-99999999999999999999999999]",
                                           "[1" + zeros(131072) + "]",
                                           "[0." + zeros(16383) + "1]",
                                           "{\"a\":{\"b\":1e200000}}"};
  for (const std::string& text : beyond) EXPECT_EQ(ResultOf(text), AsString(text)) << text.substr(0, 30);
}

TEST(ResultTest, ASmallTextMustNotPrintAsAHugeOne) {
  std::string text = "[1e131071";
  for (int i = 0; i < 100; ++i) text += ",1e131071";
  text += "]";
  EXPECT_EQ(ResultOf(text), AsString(text));
}

TEST(ResultTest, DepthIsLimited) {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_EQ(ResultOf(nested(512)), nested(512));
  EXPECT_EQ(ResultOf(nested(513)), AsString(nested(513)));
  EXPECT_EQ(ResultOf(nested(100000)), AsString(nested(100000)));
  EXPECT_EQ(ResultOf(std::string(100000, '[')), AsString(std::string(100000, '[')));
}

}  // namespace
}  // namespace product_optimizer
