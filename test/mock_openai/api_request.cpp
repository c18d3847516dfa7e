/*
 * api_request.cpp
 *   Reads both request formats leniently; the complaints are made in request_check.cpp.
 */
#include "api_request.h"

#include <cstdlib>
#include <utility>

namespace mock_openai {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 2000; /* writing JSON out recurses */

std::int64_t CodePoints(const std::string& text) {
  std::int64_t count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return count;
}

/* A content is a string, or an array of parts with a text each. */
std::string ContentText(const json& content) {
  if (content.is_string()) return content.get<std::string>();
  std::string text;
  if (content.is_array()) {
    for (const json& part : content) {
      if (!part.is_object()) continue;
      const auto found = part.find("text");
      if (found != part.end() && found->is_string()) text += found->get_ref<const std::string&>();
    }
  }
  return text;
}

void Count(const std::string& text, ApiRequest* request) {
  request->chars += CodePoints(text);
  request->bytes += static_cast<std::int64_t>(text.size());
  request->messages++;
}

void ReadMessages(const json& messages, ApiRequest* request) {
  if (messages.is_string()) { /* `input` of the Responses API */
    request->user_text = messages.get<std::string>();
    Count(request->user_text, request);
    return;
  }
  if (!messages.is_array()) return;
  for (const json& message : messages) {
    if (!message.is_object()) continue;
    const auto content = message.find("content");
    if (content == message.end()) continue;
    std::string text = ContentText(*content);
    Count(text, request);
    const auto role = message.find("role");
    if (role != message.end() && *role == "user") request->user_text = std::move(text);
  }
}

void ReadFormat(const json& format, const json& holder, ApiRequest* request) {
  const auto type = format.find("type");
  if (type == format.end()) return;
  if (*type == "json_object") request->format = AnswerFormat::kJsonObject;
  if (*type != "json_schema") return;
  request->format = AnswerFormat::kJsonSchema;
  if (!holder.is_object()) return;
  const auto schema = holder.find("schema");
  if (schema == holder.end()) return;
  request->schema = *schema;
  request->schema_bytes = static_cast<std::int64_t>(schema->dump().size());
}

}  // namespace

bool IsTooDeep(const std::string& text) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); i++) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') i++;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMaxDepth) return true;
    } else if (c == '}' || c == ']') {
      depth--;
    }
  }
  return false;
}

const json& Member(const json& object, const char* name) {
  static const json kNothing;
  if (!object.is_object()) return kNothing;
  const auto found = object.find(name);
  return found == object.end() ? kNothing : *found;
}

std::optional<ApiError> ReadRequest(Endpoint endpoint, const std::string& body, ApiRequest* request) {
  request->endpoint = endpoint;
  if (IsTooDeep(body)) return UnparsableBody();
  request->body = json::parse(body, nullptr, false);
  const json& root = request->body;
  if (root.is_discarded() || !root.is_object()) return UnparsableBody();

  const json& model = Member(root, "model");
  if (!model.is_string() || model == "") {
    return ApiError{400, "you must provide a model parameter", "invalid_request_error", "", ""};
  }
  request->model = model.get<std::string>();

  const bool chat = endpoint == Endpoint::kChat;
  if (!chat && Member(root, "instructions").is_string()) Count(root["instructions"], request);
  ReadMessages(Member(root, chat ? "messages" : "input"), request);

  for (const char* name : {"max_completion_tokens", "max_tokens", "max_output_tokens"}) {
    const json& cap = Member(root, name);
    if (cap.is_number_integer() && cap.get<std::int64_t>() > 0) {
      request->cap = cap.get<std::int64_t>();
      break;
    }
  }
  const json& effort = chat ? Member(root, "reasoning_effort") : Member(Member(root, "reasoning"), "effort");
  if (effort.is_string()) request->effort = effort.get<std::string>();
  const json& format = chat ? Member(root, "response_format") : Member(Member(root, "text"), "format");
  if (format.is_object()) ReadFormat(format, chat ? Member(format, "json_schema") : format, request);
  return std::nullopt;
}

std::int64_t PromptTokens(const ApiRequest& request, double token_factor) {
  const std::int64_t counted = request.bytes / 3 + request.schema_bytes / 3 + 4 * request.messages + 3;
  return static_cast<std::int64_t>(static_cast<double>(counted) * token_factor);
}

bool IsGpt5(const std::string& model) {
  return model.rfind("gpt-5", 0) == 0;
}

int Gpt5Minor(const std::string& model) {
  return model.rfind("gpt-5.", 0) == 0 ? std::atoi(model.c_str() + 6) : 0;
}

}  // namespace mock_openai
