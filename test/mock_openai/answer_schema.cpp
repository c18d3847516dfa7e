/*
 * answer_schema.cpp
 *   Walks a JSON schema and makes a value that conforms to it.
 */
#include <algorithm>
#include <string>

#include "answer.h"
#include "product_text.h"

namespace mock_openai {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 24; /* a recursive schema must end somewhere */

const json& Resolve(const json& schema, const json& root) {
  const json* current = &schema;
  for (int hops = 0; hops < kMaxDepth; hops++) {
    const json& reference = Member(*current, "$ref");
    if (!reference.is_string()) return *current;
    const std::string& text = reference.get_ref<const std::string&>();
    if (text.empty() || text[0] != '#') return *current;
    try {
      current = &root.at(json::json_pointer(text.substr(1)));
    } catch (const json::exception&) {
      return *current;
    }
  }
  return *current;
}

/* The type to answer with: the first of a list that is not null, or what the other words imply. */
std::string TypeOf(const json& schema) {
  const json& type = Member(schema, "type");
  if (type.is_string()) return type.get<std::string>();
  if (type.is_array()) {
    for (const json& one : type) {
      if (one.is_string() && one != "null") return one.get<std::string>();
    }
    return "null";
  }
  if (schema.contains("properties")) return "object";
  if (schema.contains("items")) return "array";
  return "string";
}

bool Fits(const json& value, const std::string& type) {
  return (type == "string" && value.is_string()) || (type == "integer" && value.is_number_integer()) ||
         (type == "number" && value.is_number()) || (type == "boolean" && value.is_boolean());
}

std::string TextFor(const std::string& name, const json& payload) {
  Product product;
  const json& title = Member(payload, "title");
  const json& description = Member(payload, "description");
  if (title.is_string()) product.title = title.get<std::string>();
  if (product.title.empty() && Member(payload, "name").is_string()) product.title = payload["name"];
  if (description.is_string()) product.description = description.get<std::string>();
  if (!product.title.empty()) {
    if (name == "title") return ImprovedTitle(product);
    if (name == "description") return ImprovedDescription(product);
    if (name == "seo_title" || name == "meta_title") return SeoTitle(product);
    if (name == "seo_description" || name == "meta_description") return SeoDescription(product);
  }
  const json& same = Member(payload, name.c_str());
  if (same.is_string()) return same.get<std::string>();
  const std::string subject = product.title.empty() ? "the input" : product.title;
  return (name.empty() ? "text" : name) + " for " + subject;
}

std::string StringFor(const json& schema, const std::string& name, const json& payload) {
  const json& format = Member(schema, "format");
  if (format == "date-time") return "2026-01-31T12:00:00Z";
  if (format == "date") return "2026-01-31";
  if (format == "time") return "12:00:00Z";
  if (format == "email") return "shop@example.com";
  if (format == "uri") return "https://example.com/";
  if (format == "uuid") return "00000000-0000-4000-8000-000000000000";
  std::string text = TextFor(name, payload);
  const json& longest = Member(schema, "maxLength");
  if (longest.is_number_unsigned()) text = CutToLength(text, longest.get<std::size_t>());
  const json& shortest = Member(schema, "minLength");
  if (shortest.is_number_unsigned()) {
    const std::size_t wanted = std::min<std::size_t>(shortest.get<std::size_t>(), 100'000);
    while (text.size() < wanted) text += '.';
  }
  return text;
}

json NumberFor(const json& schema, bool integer) {
  const json& least = Member(schema, "minimum");
  if (least.is_number()) return integer ? json(least.get<std::int64_t>()) : least;
  const json& most = Member(schema, "maximum");
  if (most.is_number() && most < 1) return integer ? json(most.get<std::int64_t>()) : most;
  return integer ? json(1) : json(1.5);
}

}  // namespace

json MakeBySchema(const json& given, const json& root, const json& payload, const std::string& name,
                  int depth) {
  const json& schema = Resolve(given, root);
  if (!schema.is_object() || depth > kMaxDepth) return json();
  if (schema.contains("const")) return schema["const"];
  const json& choices = Member(schema, "enum");
  if (choices.is_array() && !choices.empty()) {
    const json& same = Member(payload, name.c_str());
    return std::find(choices.begin(), choices.end(), same) != choices.end() ? same : choices[0];
  }
  for (const char* word : {"anyOf", "oneOf", "allOf"}) {
    const json& options = Member(schema, word);
    if (!options.is_array() || options.empty()) continue;
    /* Deep inside, take the branch that ends a recursion. */
    const json& last = options.back();
    return MakeBySchema(depth > 3 ? last : options.front(), root, payload, name, depth + 1);
  }
  const std::string type = TypeOf(schema);
  if (type == "object") {
    json object = json::object();
    const json& properties = Member(schema, "properties");
    if (!properties.is_object()) return object;
    for (const auto& [property, sub] : properties.items()) {
      object[property] = MakeBySchema(sub, root, payload, property, depth + 1);
    }
    return object;
  }
  if (type == "array") {
    json array = json::array();
    const json& least = Member(schema, "minItems");
    std::size_t count = depth > 3 ? 0 : 1;
    if (least.is_number_unsigned()) count = std::clamp<std::size_t>(least.get<std::size_t>(), count, 100);
    for (std::size_t i = 0; i < count; i++) {
      array.push_back(MakeBySchema(Member(schema, "items"), root, payload, name, depth + 1));
    }
    return array;
  }
  if (type == "string") return StringFor(schema, name, payload);
  if (type == "null") return json();
  const json& same = Member(payload, name.c_str());
  if (Fits(same, type)) return same;
  if (type == "boolean") return true;
  return NumberFor(schema, type == "integer");
}

}  // namespace mock_openai
