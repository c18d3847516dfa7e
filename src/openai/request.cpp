/*
 * request.cpp
 *   The product travels as a message of its own and is never spliced into the instructions: text of a
 *   store must not become an order to the model.
 */
#include "openai/request.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>

#include "core/text.h"
#include "openai/built_in_prompt.h"
#include "openai/json_hygiene.h"
#include "openai/request_body.h"
#include "openai/strict_schema.h"

namespace product_optimizer {
namespace {

constexpr std::int32_t kMinResponsesCap = 16; /* the API refuses less */

struct Prompt {
  std::string instructions; /* the developer's message */
  std::string user;         /* the product */
  std::string schema;       /* empty: none */
  std::string_view schema_name;
  bool strict = false;
};

/* The job's text where it has one, else the setting's. */
std::string Choose(const std::optional<std::string>& of_job, const std::string& of_settings) {
  return SanitizeUtf8(of_job && !of_job->empty() ? *of_job : of_settings);
}

/* The product as the model sees it: a JSON string as its text, anything else as compact JSON, digit for
 * digit. */
std::optional<BuildError> ReadPayload(const Item& item, Prompt* prompt) {
  CleanJson clean = CleanUp(SanitizeUtf8(item.payload), NumberRule::kKeep);
  if (clean.fault == JsonFault::kDepth) {
    return BuildError{
        "The payload is nested deeper than " + std::to_string(kMaxJsonDepth) + " levels; flatten it.",
        "invalid_payload"};
  }
  if (clean.fault != JsonFault::kNone) return BuildError{"The payload is not valid JSON.", "invalid_payload"};
  if (clean.text.front() == '"') {
    const auto text = nlohmann::json::parse(clean.text, nullptr, /*allow_exceptions=*/false);
    if (text.is_string()) clean.text = text.get_ref<const std::string&>();
  }
  prompt->user = std::move(clean.text);
  return std::nullopt;
}

std::optional<BuildError> ReadSchema(const Item& item, Prompt* prompt) {
  const std::string text = SanitizeUtf8(*item.response_schema);
  CleanJson clean = CleanUp(text, NumberRule::kKeep);
  if (clean.fault == JsonFault::kDepth) {
    return BuildError{
        "The job's response_schema is nested deeper than " + std::to_string(kMaxJsonDepth) + " levels.",
        "invalid_response_schema"};
  }
  if (clean.fault != JsonFault::kNone || clean.text.front() != '{') {
    return BuildError{"The job's response_schema must be a JSON object that holds a JSON schema.",
                      "invalid_response_schema"};
  }
  prompt->strict = IsStrictSchema(CleanUp(text, NumberRule::kForReal).text);
  prompt->schema = std::move(clean.text);
  prompt->schema_name = "answer";
  return std::nullopt;
}

std::optional<BuildError> ReadPrompt(const Item& item, const RequestSettings& settings, Prompt* prompt) {
  if (auto error = ReadPayload(item, prompt)) return error;
  if (item.response_schema) {
    if (auto error = ReadSchema(item, prompt)) return error;
  }
  prompt->instructions = Choose(item.instructions, settings.instructions);
  if (!prompt->instructions.empty()) return std::nullopt;
  prompt->instructions = kBuiltInTask;
  if (!prompt->schema.empty()) {
    prompt->instructions += kSchemaOutput;
    return std::nullopt;
  }
  prompt->instructions += kBuiltInOutput;
  prompt->schema = kBuiltInSchema;
  prompt->schema_name = "product";
  prompt->strict = true;
  return std::nullopt;
}

/* The members that both forms of the format share. */
std::string SchemaMembers(const Prompt& prompt) {
  return "\"name\":" + Quote(prompt.schema_name) + ",\"strict\":" + (prompt.strict ? "true" : "false") +
         ",\"schema\":" + prompt.schema;
}

Body ChatBody(const Prompt& prompt, const RequestSettings& settings) {
  Body body;
  body["messages"] = "[{\"role\":\"developer\",\"content\":" + Quote(prompt.instructions) +
                     "},{\"role\":\"user\",\"content\":" + Quote(prompt.user) + "}]";
  const bool old_name = settings.max_tokens_param == MaxTokensParam::kMaxTokens;
  body[old_name ? "max_tokens" : "max_completion_tokens"] = std::to_string(settings.max_output_tokens);
  if (!settings.reasoning_effort.empty()) body["reasoning_effort"] = Quote(settings.reasoning_effort);
  if (!prompt.schema.empty()) {
    body["response_format"] = "{\"type\":\"json_schema\",\"json_schema\":{" + SchemaMembers(prompt) + "}}";
  }
  return body;
}

Body ResponsesBody(const Prompt& prompt, const RequestSettings& settings) {
  Body body;
  body["instructions"] = Quote(prompt.instructions);
  body["input"] = Quote(prompt.user);
  body["max_output_tokens"] = std::to_string(settings.max_output_tokens);
  if (!settings.reasoning_effort.empty()) {
    body["reasoning"] = "{\"effort\":" + Quote(settings.reasoning_effort) + "}";
  }
  if (!prompt.schema.empty()) {
    body["text"] = "{\"format\":{\"type\":\"json_schema\"," + SchemaMembers(prompt) + "}}";
  }
  return body;
}

/* Twice the cap for an item whose answer was cut, whoever set the cap; the cap as the body then names it. */
std::int32_t SettleCap(Body* body, std::int32_t cap, Api api, bool was_truncated) {
  if (was_truncated) cap = cap > std::numeric_limits<std::int32_t>::max() / 2 ? cap : cap * 2;
  if (api == Api::kResponses) cap = std::max(cap, kMinResponsesCap);
  const std::string_view key = CapKey(*body);
  /* A cap that a null took away still counts as what the limiter reserves: no other number is known. */
  if (!key.empty()) (*body)[std::string(key)] = std::to_string(cap);
  return cap;
}

void Measure(const Prompt& prompt, std::string_view schema, std::string_view tools, BuiltRequest* request) {
  for (const std::string_view text :
       {std::string_view(prompt.instructions), std::string_view(prompt.user), schema, tools}) {
    request->prompt_bytes += text.size();
    request->prompt_chars += Utf8Length(text);
  }
  request->messages = 2;
}

}  // namespace

std::variant<BuiltRequest, BuildError> BuildRequest(const Item& item, const RequestSettings& settings) {
  Prompt prompt;
  if (auto error = ReadPrompt(item, settings, &prompt)) return *std::move(error);

  const bool chat = settings.api == Api::kChatCompletions;
  Body body = chat ? ChatBody(prompt, settings) : ResponsesBody(prompt, settings);
  BuiltRequest request;
  request.model = Choose(item.model, settings.model);
  body["model"] = Quote(request.model);
  body["store"] = "false"; /* the products are not ours to leave there */
  if (!settings.service_tier.empty()) body["service_tier"] = Quote(settings.service_tier);

  const std::string format_key = chat ? "response_format" : "text";
  const std::string own_format = body.count(format_key) > 0 ? body[format_key] : "";
  std::optional<std::int32_t> cap = settings.max_output_tokens;
  if (item.params) {
    if (auto error = MergeInto(&body, *item.params, {"The job's params", "invalid_params"}, &cap)) {
      return *std::move(error);
    }
  }
  if (!settings.extra_body.empty()) {
    const MergeSource source = {"The setting product_optimizer.extra_body", "invalid_extra_body"};
    if (auto error = MergeInto(&body, settings.extra_body, source, &cap)) return *std::move(error);
  }
  request.max_output_tokens = SettleCap(&body, *cap, settings.api, item.last_error_code == "length");

  /* A format that came by the merge is counted whole: the schema inside of it is most of it. */
  const auto format = body.find(format_key);
  const std::string_view sent_format = format == body.end() ? std::string_view() : format->second;
  const auto tools = body.find("tools");
  Measure(prompt, sent_format == own_format ? std::string_view(prompt.schema) : sent_format,
          tools == body.end() ? std::string_view() : tools->second, &request);
  request.path = chat ? "/chat/completions" : "/responses";
  request.body = ToJson(body);
  return request;
}

}  // namespace product_optimizer
