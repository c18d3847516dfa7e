/*
 * answer.h
 *   What the "model" says: a deterministic function of the request, so that a test can prove that the
 *   right answer landed at the right row.
 */
#pragma once

#include <cstdint>
#include <string>

#include "api_request.h"
#include "fault.h"

namespace mock_openai {

struct Usage {
  std::int64_t prompt = 0, completion = 0, reasoning = 0;
};

struct Answer {
  std::string content;
  Usage usage;
};

/* The faults that change the content (kNul, kUnicode, kControlChars, kDeepContent, kHugeNumbers, kBig,
 * kBadUtf8) are worked in.  kBadUtf8 leaves kBadUtf8Marker, to be replaced in the finished body. */
Answer MakeAnswer(const ApiRequest& request, Fault fault, double token_factor);

/* A value that conforms to the schema; what the payload holds under the same name is preferred. */
nlohmann::json MakeBySchema(const nlohmann::json& schema, const nlohmann::json& root,
                            const nlohmann::json& payload, const std::string& name, int depth);

/* The JSON object in the user text: all of it, or from the first '{' to the last '}'; else null. */
nlohmann::json FindPayload(const std::string& user_text);

constexpr char kBadUtf8Marker[] = "MOCK-BAD-UTF8";

}  // namespace mock_openai
