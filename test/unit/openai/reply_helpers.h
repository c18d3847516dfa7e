/*
 * reply_helpers.h
 *   Bodies of both forms of the API, and a reader that checks what holds for every outcome.
 */
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/text.h"
#include "openai/reply.h"

namespace product_optimizer {

using nlohmann::json;

inline constexpr char kMessage[] = R"([{"type":"message","content":[{"type":"output_text","text":"x"}]}])";

inline const std::string kFffd = "\xEF\xBF\xBD";

inline Outcome Read(Api api, std::string_view body, int status = 200) {
  Reply reply;
  reply.status = status;
  reply.headers = "x-request-id: req_1\r\n";
  const std::vector<char> exact(body.begin(),
                                body.end()); /* no NUL behind it: a sanitizer sees a step too far */
  reply.body = std::string_view(exact.data(), exact.size());
  const Outcome outcome = ReadReply(api, reply);
  EXPECT_TRUE(IsValidUtf8(outcome.error) && IsValidUtf8(outcome.error_code) && IsValidUtf8(outcome.model));
  EXPECT_LE(outcome.error.size(), 1000u);
  EXPECT_EQ(outcome.error.find('\n'), std::string::npos);
  EXPECT_EQ(outcome.request_id, "req_1");
  if (outcome.kind == OutcomeKind::kDone) {
    EXPECT_TRUE(IsValidUtf8(outcome.result));
    EXPECT_EQ(outcome.result.find('\0'), std::string::npos);
    EXPECT_FALSE(outcome.result.empty());
    EXPECT_TRUE(outcome.error.empty() && outcome.error_code.empty());
  } else {
    EXPECT_TRUE(outcome.result.empty());
    EXPECT_FALSE(outcome.error.empty() || outcome.error_code.empty());
  }
  return outcome;
}

inline Outcome ReadChat(std::string_view body) {
  return Read(Api::kChatCompletions, body);
}
inline Outcome ReadResponses(std::string_view body) {
  return Read(Api::kResponses, body);
}

/* content: JSON text of the content member. */
inline std::string Chat(const std::string& content, const std::string& finish = "\"stop\"") {
  return R"({"id":"c","object":"chat.completion","created":1,"model":"gpt-5-mini-2025","choices":[{"index":0,"message":)"
         R"({"role":"assistant","content":)" +
         content + R"(,"refusal":null},"logprobs":null,"finish_reason":)" + finish +
         R"(}],"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29}})";
}

inline std::string Responses(const std::string& output, const std::string& rest = R"("status":"completed")") {
  return R"({"id":"r","object":"response","error":null,"incomplete_details":null,"model":"gpt-5-mini-2025","output":)" +
         output + R"(,"usage":{"input_tokens":36,"output_tokens":87,"total_tokens":123},)" + rest + "}";
}

/* The result that a text of the model becomes. */
inline std::string ResultOf(const std::string& content) {
  const Outcome outcome = ReadChat(Chat(json(content).dump()));
  EXPECT_EQ(outcome.kind, OutcomeKind::kDone) << outcome.error;
  return outcome.result;
}

inline std::string AsString(const std::string& text) {
  return json(text).dump();
}

}  // namespace product_optimizer
