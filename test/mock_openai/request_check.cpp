/*
 * request_check.cpp
 *   What the API refuses with 400, in its words: above all the parameters that gpt-5* no longer takes.
 */
#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "api_request.h"

namespace mock_openai {
namespace {

using nlohmann::json;
using MaybeError = std::optional<ApiError>;

constexpr std::int64_t kContextTokens = 128'000;
constexpr std::int64_t kLeastOutputTokens = 16;

const std::set<std::string> kChatParameters = {"model",
                                               "messages",
                                               "max_completion_tokens",
                                               "max_tokens",
                                               "temperature",
                                               "top_p",
                                               "n",
                                               "stream",
                                               "stream_options",
                                               "stop",
                                               "presence_penalty",
                                               "frequency_penalty",
                                               "logit_bias",
                                               "logprobs",
                                               "top_logprobs",
                                               "user",
                                               "seed",
                                               "tools",
                                               "tool_choice",
                                               "parallel_tool_calls",
                                               "response_format",
                                               "service_tier",
                                               "store",
                                               "metadata",
                                               "modalities",
                                               "audio",
                                               "prediction",
                                               "reasoning_effort",
                                               "verbosity",
                                               "web_search_options",
                                               "safety_identifier",
                                               "prompt_cache_key",
                                               "prompt_cache_retention",
                                               "functions",
                                               "function_call"};

const std::set<std::string> kResponsesParameters = {"model",
                                                    "input",
                                                    "instructions",
                                                    "max_output_tokens",
                                                    "temperature",
                                                    "top_p",
                                                    "stream",
                                                    "stream_options",
                                                    "user",
                                                    "tools",
                                                    "tool_choice",
                                                    "parallel_tool_calls",
                                                    "text",
                                                    "service_tier",
                                                    "store",
                                                    "metadata",
                                                    "reasoning",
                                                    "safety_identifier",
                                                    "prompt_cache_key",
                                                    "prompt_cache_retention",
                                                    "previous_response_id",
                                                    "conversation",
                                                    "include",
                                                    "truncation",
                                                    "top_logprobs",
                                                    "background",
                                                    "max_tool_calls",
                                                    "prompt"};

MaybeError UnsupportedValue(const std::string& parameter, const std::string& message) {
  return ApiError{400, message, "invalid_request_error", parameter, "unsupported_value"};
}

/* "'a', 'b', and 'c'" */
std::string Quoted(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); i++) {
    if (i > 0) text += names.size() > 2 ? ", " : " ";
    if (i > 0 && i + 1 == names.size()) text += "and ";
    text += "'" + names[i] + "'";
  }
  return text;
}

MaybeError CheckEffort(const ApiRequest& request) {
  if (request.effort.empty()) return std::nullopt;
  const std::string parameter = request.endpoint == Endpoint::kChat ? "reasoning_effort" : "reasoning.effort";
  if (!IsGpt5(request.model)) {
    if (request.model.rfind("gpt-4", 0) != 0) return std::nullopt; /* other servers */
    if (request.endpoint == Endpoint::kResponses) return UnsupportedParameter(parameter, "");
    return ApiError{400, "Unrecognized request argument supplied: reasoning_effort", "invalid_request_error",
                    "", ""};
  }
  const std::vector<std::string> known = {"none", "minimal", "low", "medium", "high", "xhigh"};
  if (std::find(known.begin(), known.end(), request.effort) == known.end()) {
    return ApiError{400,
                    "Invalid value: '" + request.effort + "'. Supported values are: " + Quoted(known) + ".",
                    "invalid_request_error", parameter, "invalid_value"};
  }
  std::vector<std::string> allowed = {"minimal", "low", "medium", "high"};
  if (Gpt5Minor(request.model) >= 1) allowed[0] = "none";
  if (Gpt5Minor(request.model) >= 2) allowed.push_back("xhigh");
  if (std::find(allowed.begin(), allowed.end(), request.effort) != allowed.end()) return std::nullopt;
  return UnsupportedValue(parameter, "Unsupported value: '" + request.effort +
                                         "' is not supported with the '" + request.model +
                                         "' model. Supported values are: " + Quoted(allowed) + ".");
}

MaybeError CheckGpt5Parameters(const ApiRequest& request) {
  const json& body = request.body;
  if (body.contains("max_tokens")) {
    return UnsupportedParameter("max_tokens", "Use 'max_completion_tokens' instead.");
  }
  const auto temperature = body.find("temperature");
  if (temperature != body.end() && !temperature->is_null() && *temperature != 1) {
    if (request.endpoint == Endpoint::kResponses) return UnsupportedParameter("temperature", "");
    return UnsupportedValue("temperature", "Unsupported value: 'temperature' does not support " +
                                               temperature->dump() +
                                               " with this model. Only the default (1) value is supported.");
  }
  for (const char* name :
       {"top_p", "logprobs", "top_logprobs", "presence_penalty", "frequency_penalty", "logit_bias", "stop"}) {
    const auto found = body.find(name);
    if (found != body.end() && !found->is_null()) return UnsupportedParameter(name, "");
  }
  return std::nullopt;
}

MaybeError CheckKnownParameters(const ApiRequest& request) {
  const bool chat = request.endpoint == Endpoint::kChat;
  const auto& known = chat ? kChatParameters : kResponsesParameters;
  const auto moved = [](const std::string& from, const std::string& to) {
    return ApiError{400,
                    "Unsupported parameter: '" + from +
                        "'. In the Responses API, this parameter has moved to '" + to +
                        "'. Try again with the new parameter.",
                    "invalid_request_error", from, "unsupported_parameter"};
  };
  for (const auto& [name, value] : request.body.items()) {
    if (known.count(name) > 0) continue;
    if (chat) {
      return ApiError{400, "Unrecognized request argument supplied: " + name, "invalid_request_error", "",
                      ""};
    }
    if (name == "messages") return moved(name, "input");
    if (name == "max_tokens" || name == "max_completion_tokens") return moved(name, "max_output_tokens");
    if (name == "response_format") return moved(name, "text.format");
    if (name == "reasoning_effort") return moved(name, "reasoning.effort");
    if (name == "verbosity") return moved(name, "text.verbosity");
    return ApiError{400, "Unknown parameter: '" + name + "'.", "invalid_request_error", name,
                    "unknown_parameter"};
  }
  return std::nullopt;
}

MaybeError CheckVerbosity(const ApiRequest& request) {
  const bool chat = request.endpoint == Endpoint::kChat;
  const json& value = Member(chat ? request.body : Member(request.body, "text"), "verbosity");
  if (value.is_null()) return std::nullopt;
  const std::string parameter = chat ? "verbosity" : "text.verbosity";
  if (value != "low" && value != "medium" && value != "high") {
    return ApiError{400,
                    "Invalid value: " + value.dump() + ". Supported values are: 'low', 'medium', and 'high'.",
                    "invalid_request_error", parameter, "invalid_value"};
  }
  if (value == "medium" || request.model.rfind("gpt-4", 0) != 0) return std::nullopt;
  return UnsupportedValue(parameter, "Unsupported value: " + value.dump() + " is not supported with the '" +
                                         request.model + "' model. Supported values are: 'medium'.");
}

MaybeError CheckCap(const ApiRequest& request) {
  for (const char* name : {"max_completion_tokens", "max_tokens", "max_output_tokens"}) {
    const auto found = request.body.find(name);
    if (found == request.body.end() || found->is_null()) continue;
    if (!found->is_number_integer()) return InvalidType(name, "an integer");
    const std::int64_t least = request.endpoint == Endpoint::kResponses ? kLeastOutputTokens : 1;
    const std::int64_t cap = found->get<std::int64_t>();
    if (cap >= least) continue;
    return ApiError{400,
                    "Invalid '" + std::string(name) + "': integer below minimum value. Expected a value >= " +
                        std::to_string(least) + ", but got " + std::to_string(cap) + " instead.",
                    "invalid_request_error", name, "integer_below_min_value"};
  }
  return std::nullopt;
}

MaybeError CheckMessages(const ApiRequest& request) {
  const bool chat = request.endpoint == Endpoint::kChat;
  const char* name = chat ? "messages" : "input";
  const auto found = request.body.find(name);
  if (found == request.body.end() || found->is_null()) return MissingParameter(name);
  if (!chat && found->is_string()) return std::nullopt;
  if (!found->is_array()) return InvalidType(name, chat ? "an array of objects" : "a string or an array");
  if (found->empty()) {
    return ApiError{400,
                    "Invalid '" + std::string(name) +
                        "': empty array. Expected an array with minimum length 1, but got an empty array "
                        "instead.",
                    "invalid_request_error", name, "empty_array"};
  }
  for (std::size_t i = 0; i < found->size(); i++) {
    const std::string where = std::string(name) + "[" + std::to_string(i) + "]";
    const json& message = (*found)[i];
    if (!message.is_object()) return InvalidType(where, "an object");
    if (!message.contains("role")) return MissingParameter(where + ".role");
    const auto content = message.find("content");
    if (content == message.end()) return MissingParameter(where + ".content");
    if (!content->is_string() && !content->is_array()) return InvalidType(where + ".content", "a string");
  }
  return std::nullopt;
}

MaybeError CheckFormat(const ApiRequest& request) {
  const bool chat = request.endpoint == Endpoint::kChat;
  if (request.format == AnswerFormat::kJsonObject) {
    std::string all = request.body.dump();
    std::transform(all.begin(), all.end(), all.begin(), [](unsigned char c) { return std::tolower(c); });
    /* "json_object" itself is one mention. */
    const std::size_t first = all.find("json");
    if (all.find("json", first + 4) != std::string::npos) return std::nullopt;
    const std::string name = chat ? "messages" : "input";
    return ApiError{400,
                    "'" + name +
                        "' must contain the word 'json' in some form, to use 'response_format' of "
                        "type 'json_object'.",
                    "invalid_request_error", name, ""};
  }
  if (request.format != AnswerFormat::kJsonSchema) return std::nullopt;
  const std::string prefix = chat ? "response_format.json_schema" : "text.format";
  const json& holder = chat ? Member(Member(request.body, "response_format"), "json_schema")
                            : Member(Member(request.body, "text"), "format");
  if (!holder.is_object()) return MissingParameter(prefix);
  const json& name = Member(holder, "name");
  if (name.is_null()) return MissingParameter(prefix + ".name");
  if (!name.is_string()) return InvalidType(prefix + ".name", "a string");
  const std::string& text = name.get_ref<const std::string&>();
  const auto good = [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-'; };
  if (text.empty() || text.size() > 64 || !std::all_of(text.begin(), text.end(), good)) {
    return ApiError{400,
                    "Invalid '" + prefix +
                        ".name': string does not match pattern. Expected a string of at most "
                        "64 characters that matches the pattern '^[a-zA-Z0-9_-]+$'.",
                    "invalid_request_error", prefix + ".name", "invalid_value"};
  }
  if (request.schema.is_null()) return MissingParameter(prefix + ".schema");
  if (!request.schema.is_object()) return InvalidType(prefix + ".schema", "an object");
  if (Member(holder, "strict") == true) return CheckStrictSchema(request, text);
  return std::nullopt;
}

MaybeError CheckContext(const ApiRequest& request) {
  const std::int64_t tokens = PromptTokens(request, 1);
  if (tokens <= kContextTokens) return std::nullopt;
  if (request.endpoint == Endpoint::kResponses) {
    return ApiError{
        400, "Your input exceeds the context window of this model. Please adjust your input and try again.",
        "invalid_request_error", "input", "context_length_exceeded"};
  }
  return ApiError{400,
                  "This model's maximum context length is " + std::to_string(kContextTokens) +
                      " tokens. However, your messages resulted in " + std::to_string(tokens) +
                      " tokens. Please reduce the length of the messages.",
                  "invalid_request_error", "messages", "context_length_exceeded"};
}

}  // namespace

MaybeError CheckRequest(const ApiRequest& request) {
  if (IsGpt5(request.model)) {
    if (auto error = CheckGpt5Parameters(request)) return error;
  }
  if (request.model.rfind("gpt-", 0) == 0) {
    if (auto error = CheckKnownParameters(request)) return error;
  }
  if (auto error = CheckEffort(request)) return error;
  if (auto error = CheckVerbosity(request)) return error;
  if (auto error = CheckCap(request)) return error;
  if (auto error = CheckMessages(request)) return error;
  if (auto error = CheckFormat(request)) return error;
  return CheckContext(request);
}

}  // namespace mock_openai
