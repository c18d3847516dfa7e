/*
 * api_request.h
 *   A request to either endpoint, reduced to what the mock needs to know about it, and the checks that
 *   the API makes.
 */
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "api_error.h"

namespace mock_openai {

enum class Endpoint { kChat, kResponses };

enum class AnswerFormat { kText, kJsonObject, kJsonSchema };

struct ApiRequest {
  Endpoint endpoint = Endpoint::kChat;
  nlohmann::json body;
  std::string model;
  std::string user_text;     /* of the last user message */
  std::int64_t chars = 0;    /* code points of all messages */
  std::int64_t bytes = 0;    /* UTF-8 bytes of all messages */
  std::int64_t messages = 0; /* how many */
  std::int64_t cap = 0;      /* the most output tokens asked for; 0 = none given */
  std::string effort;        /* reasoning effort; empty = default */
  AnswerFormat format = AnswerFormat::kText;
  nlohmann::json schema; /* of kJsonSchema */
  std::int64_t schema_bytes = 0;
};

/* Reads the JSON and finds the model; everything else is read as far as it makes sense. */
std::optional<ApiError> ReadRequest(Endpoint endpoint, const std::string& body, ApiRequest* request);

/* What the API answers with 400, judged by the rules of the model's family. */
std::optional<ApiError> CheckRequest(const ApiRequest& request);

/* The rules of strict mode: every property required, additionalProperties false, and so on. */
std::optional<ApiError> CheckStrictSchema(const ApiRequest& request, const std::string& name);

/* Prompt tokens as this mock counts them: bytes/3 + 4 per message + 3, and the schema's bytes/3. */
std::int64_t PromptTokens(const ApiRequest& request, double token_factor);

/* Nested beyond what this program can write out again? */
bool IsTooDeep(const std::string& json_text);

/* The member, or null when it is absent or `object` is no object. */
const nlohmann::json& Member(const nlohmann::json& object, const char* name);

bool IsGpt5(const std::string& model);
/* The Y of gpt-5.Y; 0 for gpt-5 itself. */
int Gpt5Minor(const std::string& model);

}  // namespace mock_openai
