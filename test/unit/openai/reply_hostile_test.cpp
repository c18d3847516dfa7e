/*
 * reply_hostile_test.cpp
 *   No body can break the reader.
 */
#include "openai/reply.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "reply_helpers.h"

namespace product_optimizer {
namespace {

TEST(HostileBodyTest, NothingBreaksTheReader) {
  const std::string good_chat = Chat(R"("{\"a\":1}")");
  const std::string good_responses = Responses(kMessage);
  for (const std::string& good : {good_chat, good_responses}) {
    for (std::size_t cut = 0; cut < good.size(); ++cut) {
      for (const Api api : {Api::kChatCompletions, Api::kResponses}) {
        const Outcome outcome = Read(api, good.substr(0, cut));
        EXPECT_EQ(outcome.kind, OutcomeKind::kRetry) << cut;
        EXPECT_EQ(outcome.error_code, "invalid_response") << cut;
      }
    }
    for (std::size_t at = 0; at < good.size(); ++at) {
      for (const char byte : {'\0', '\xFF', '"', '{', ']', '9'}) {
        std::string bad = good;
        bad[at] = byte;
        Read(Api::kChatCompletions, bad);
        Read(Api::kResponses, bad, 500);
      }
    }
  }
}

TEST(HostileBodyTest, DeepNestingIsNoAnswer) {
  std::string objects;
  for (int i = 0; i < 100000; ++i) objects += "{\"a\":";
  for (const std::string& body :
       {std::string(100000, '['), std::string(100000, '[') + std::string(100000, ']'), objects,
        "{\"choices\":" + std::string(100000, '[') + std::string(100000, ']') + "}"}) {
    for (const int status : {200, 400, 429, 500}) {
      const Outcome outcome = Read(Api::kChatCompletions, body, status);
      EXPECT_NE(outcome.kind, OutcomeKind::kDone);
    }
    EXPECT_EQ(ReadResponses(body).error_code, "invalid_response");
  }
}

TEST(HostileBodyTest, FourMegabytesOfGarbage) {
  constexpr std::size_t kSize = 4 * 1024 * 1024;
  std::string noise(kSize, '\0');
  std::uint32_t state = 1;
  for (char& c : noise) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  for (const std::string& body :
       {noise, std::string(kSize, '\xFF'), std::string(kSize, ' '), std::string(kSize, '['),
        std::string(kSize, '9'), std::string(kSize, '"'), "\"" + std::string(kSize, '\\')}) {
    EXPECT_EQ(ReadChat(body).error_code, "invalid_response");
    EXPECT_EQ(ReadResponses(body).error_code, "invalid_response");
    Read(Api::kChatCompletions, body, 429);
    Read(Api::kChatCompletions, "{\"error\":{\"message\":\"" + body + "\"}}", 400);
  }
}

TEST(HostileBodyTest, BadUtf8InsideOfAnAnswerLosesOnlyThoseBytes) {
  const Outcome outcome = ReadChat(Chat(std::string("\"a\xFF\xC3(\0z\"", 8)));
  EXPECT_EQ(outcome.kind, OutcomeKind::kDone) << "a paid answer is kept";
  EXPECT_EQ(outcome.result, AsString("a" + kFffd + kFffd + "(" + kFffd + "z"));
}

TEST(HostileBodyTest, WrongNumbersBesideTheAnswerAreIgnored) {
  const std::string digits(5000, '9');
  EXPECT_EQ(ReadChat(R"({"created":1e999999,"x":-)" + digits + R"(,"y":0.)" + digits +
                     R"(,"choices":[{"message":{"content":"x"},"finish_reason":"stop"}]})")
                .kind,
            OutcomeKind::kDone);
}

TEST(HostileBodyTest, TheNameOfTheModelIsTamed) {
  const std::string body = R"({"model":"a\nb)" + std::string(5000, 'x') +
                           R"(","choices":[{"message":{"content":"x"},"finish_reason":"stop"}]})";
  const Outcome outcome = ReadChat(body);
  EXPECT_EQ(outcome.model.substr(0, 4), "a bx");
  EXPECT_LE(outcome.model.size(), 200u);
}

}  // namespace
}  // namespace product_optimizer
