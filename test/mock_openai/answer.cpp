/*
 * answer.cpp
 *   Answers by schema, as an object, or as plain text, and what they cost in tokens.
 */
#include "answer.h"

#include <algorithm>

#include "product_text.h"

namespace mock_openai {
namespace {

using nlohmann::json;

constexpr int kDeepLevels = 100'000;
constexpr std::size_t kBigBytes = 20u << 20;

std::string TextOf(const json& payload, const char* name) {
  const json& value = Member(payload, name);
  return value.is_string() ? value.get<std::string>() : std::string();
}

Product ProductOf(const json& payload) {
  Product product{TextOf(payload, "title"), TextOf(payload, "description")};
  if (product.title.empty()) product.title = TextOf(payload, "name");
  return product;
}

/* Free answers without a schema: the product's fields if there is a product. */
json FreeObject(const json& payload, const std::string& user_text) {
  json answer = json::object();
  if (Member(payload, "title").is_string()) {
    const Product product = ProductOf(payload);
    answer["title"] = ImprovedTitle(product);
    answer["description"] = ImprovedDescription(product);
  } else {
    answer["answer"] = "Answer to: " + user_text;
  }
  if (payload.is_object() && payload.contains("echo_id")) answer["echo_id"] = payload["echo_id"];
  return answer;
}

/* Appends to every string of the answer, at every level. */
void Decorate(json* value, const std::string& suffix) {
  if (value->is_string()) {
    value->get_ref<std::string&>() += suffix;
  } else if (value->is_structured()) {
    for (json& element : *value) Decorate(&element, suffix);
  }
}

std::string SuffixOf(Fault fault) {
  switch (fault) {
    case Fault::kNul:
      return std::string(" a\0b", 4);
    case Fault::kControlChars:
      return " \x01\x08\x1b\x7f\xc2\x85\xe2\x80\xa8\xef\xbb\xbf\xef\xbf\xbe";
    case Fault::kUnicode:
      return u8" 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 👩\u200d👩\u200d👧\u200d👦🇮🇱🏳\ufe0f\u200d🌈 "
             u8"עברית "
             u8"العربية "
             u8"\u202ertl\u202c "
             u8"e\u0301 "
             u8"日本語 𠜎";
    case Fault::kBadUtf8:
      return std::string(" ") + kBadUtf8Marker;
    case Fault::kBig:
      return std::string(kBigBytes, 'x');
    default:
      return "";
  }
}

std::int64_t ReasoningTokens(const ApiRequest& request) {
  if (!IsGpt5(request.model)) return 0;
  if (request.effort == "none" || request.effort == "minimal") return 0;
  if (request.effort == "low") return 64;
  if (request.effort == "high") return 320;
  if (request.effort == "xhigh") return 640;
  return Gpt5Minor(request.model) >= 1 && request.effort.empty() ? 0 : 128;
}

}  // namespace

json FindPayload(const std::string& text) {
  const std::size_t begin = text.find('{'), end = text.rfind('}');
  if (begin == std::string::npos || end == std::string::npos || end < begin) return json();
  const std::string object = text.substr(begin, end - begin + 1);
  if (IsTooDeep(object)) return json();
  json payload = json::parse(object, nullptr, false);
  return payload.is_object() ? payload : json();
}

Answer MakeAnswer(const ApiRequest& request, Fault fault, double token_factor) {
  const json payload = FindPayload(request.user_text);
  json value;
  if (request.format == AnswerFormat::kJsonSchema) {
    value = MakeBySchema(request.schema, request.schema, payload, "", 0);
  } else if (request.format == AnswerFormat::kJsonObject) {
    value = FreeObject(payload, request.user_text);
  } else {
    value = "Answer to: " + request.user_text;
  }
  const std::string suffix = SuffixOf(fault);
  if (!suffix.empty()) Decorate(&value, suffix);

  Answer answer;
  answer.content = request.format == AnswerFormat::kText
                       ? value.get<std::string>()
                       : value.dump(-1, ' ', false, json::error_handler_t::replace);
  if (fault == Fault::kDeepContent) {
    answer.content = std::string(kDeepLevels, '[') + std::string(kDeepLevels, ']');
  } else if (fault == Fault::kHugeNumbers) {
    if (request.format == AnswerFormat::kText || answer.content.size() < 3) answer.content = "{}";
    answer.content.insert(1, answer.content == "{}" ? "\"mock_number\":1e400" : "\"mock_number\":1e400,");
  }
  answer.usage.prompt = PromptTokens(request, token_factor);
  const std::size_t counted = answer.content.size() / 3 + 1;
  const double visible = static_cast<double>(counted) * token_factor;
  answer.usage.reasoning = ReasoningTokens(request);
  answer.usage.completion = static_cast<std::int64_t>(visible) + answer.usage.reasoning;
  return answer;
}

}  // namespace mock_openai
