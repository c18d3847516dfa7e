/*
 * secret_test.cpp
 *   A key that looks like none, in every text that the API can send it back in.
 */
#include <gtest/gtest.h>

#include "openai/plain_error.h"
#include "openai/reply.h"

namespace product_optimizer {
namespace {

constexpr char kSecret[] = "gateway/Token:42!";

TEST(WithoutSecret, EveryPlace) {
  EXPECT_EQ(WithoutSecret("gateway/Token:42!", kSecret), "[key]");
  EXPECT_EQ(WithoutSecret("(gateway/Token:42!gateway/Token:42!)", kSecret), "([key][key])");
  EXPECT_EQ(WithoutSecret("gateway/Token:42", kSecret), "gateway/Token:42");
  EXPECT_EQ(WithoutSecret("nothing", ""), "nothing");
  EXPECT_EQ(WithoutSecret("an account", "account"), "an account"); /* too short to be a secret */
  EXPECT_EQ(WithoutSecret("[key][key]", "[key][key]"), "[key]");
}

Outcome Read(int status, const std::string& body, const std::string& headers = "") {
  return ReadReply(Api::kChatCompletions, {status, headers, body, 0, kSecret});
}

TEST(WithoutSecret, NoTextOfAnErrorHoldsIt) {
  const std::string secret = kSecret;
  for (const std::string& body :
       {R"({"error": {"message": "no such key: )" + secret + R"(", "code": ")" + secret + R"("}})",
        R"({"error": {"message": "no such key: gateway\/Token:42!", "type": ")" + secret + R"("}})",
        "<p>" + secret + " is no key", std::string(1010, ' ') + secret}) {
    for (const int status : {200, 400, 401, 404, 500}) {
      const Outcome outcome = Read(status, body, "x-request-id: " + secret + "\r\n");
      for (const std::string& text : {outcome.error, outcome.error_code, outcome.request_id, outcome.model})
        EXPECT_EQ(text.find("gateway"), std::string::npos) << status << ' ' << text;
    }
  }
}

TEST(WithoutSecret, AMegabyteOfSecrets) {
  std::string text, masked;
  for (int i = 0; i < 400'000; i++) {
    text += kSecret;
    masked += "[key]";
  }
  EXPECT_EQ(WithoutSecret(std::move(text), kSecret), masked);
}

TEST(WithoutSecret, NoPartOfItWhereAModelIsCut) {
  const std::string model = std::string(190, 'x') + kSecret;
  const Outcome outcome = Read(200, R"({"model": ")" + model + R"(", "choices": []})");
  EXPECT_EQ(outcome.model, std::string(190, 'x') + "[key]");
}

}  // namespace
}  // namespace product_optimizer
