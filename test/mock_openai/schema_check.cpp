/*
 * schema_check.cpp
 *   The rules of strict mode for a json_schema, in the API's words.
 */
#include <string>

#include "api_request.h"

namespace mock_openai {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 10; /* the API's own limit on nesting */

/* How the API names a place: a Python tuple, ('properties', 'price'). */
std::string Context(const std::string& path) {
  return "In context=(" + path + "), ";
}

std::string Join(const std::string& path, const std::string& step) {
  return path.empty() ? "'" + step + "'" : path + ", '" + step + "'";
}

/* The complaint, or an empty string. */
std::string Complaint(const json& schema, const std::string& path, int depth) {
  if (!schema.is_object()) return Context(path) + "schema must be an object.";
  if (depth > kMaxDepth) return Context(path) + "schema exceeds the maximum nesting depth.";
  const json& type = Member(schema, "type");
  const bool is_object = type == "object" || schema.contains("properties");
  if (is_object) {
    if (Member(schema, "additionalProperties") != false) {
      return Context(path) + "'additionalProperties' is required to be supplied and to be false.";
    }
    const json properties = schema.value("properties", json::object());
    const json& required = Member(schema, "required");
    const std::string rule =
        "'required' is required to be supplied and to be an array including every key in properties.";
    if (!properties.is_object()) return Context(path) + "'properties' must be an object.";
    if (!required.is_array()) return Context(path) + rule;
    for (const auto& [name, property] : properties.items()) {
      bool found = false;
      for (const json& element : required) found = found || element == name;
      if (!found) return Context(path) + rule + " Missing '" + name + "'.";
      const std::string inner = Complaint(property, Join(Join(path, "properties"), name), depth + 1);
      if (!inner.empty()) return inner;
    }
    for (const json& element : required) {
      if (!element.is_string() || !properties.contains(element.get_ref<const std::string&>())) {
        return Context(path) + rule + " Extra required key " + element.dump() + " supplied.";
      }
    }
  }
  if (type == "array" && !schema.contains("items")) return Context(path) + "array schema missing items.";
  if (schema.contains("items")) {
    const std::string inner = Complaint(schema["items"], Join(path, "items"), depth + 1);
    if (!inner.empty()) return inner;
  }
  for (const char* word : {"oneOf", "allOf", "not", "if", "patternProperties", "dependentRequired"}) {
    if (schema.contains(word)) return Context(path) + "'" + word + "' is not permitted.";
  }
  if (schema.contains("anyOf") && schema["anyOf"].is_array()) {
    for (std::size_t i = 0; i < schema["anyOf"].size(); i++) {
      const std::string inner =
          Complaint(schema["anyOf"][i], Join(Join(path, "anyOf"), std::to_string(i)), depth + 1);
      if (!inner.empty()) return inner;
    }
  }
  if (schema.contains("$defs") && schema["$defs"].is_object()) {
    for (const auto& [name, definition] : schema["$defs"].items()) {
      const std::string inner = Complaint(definition, Join(Join(path, "$defs"), name), depth + 1);
      if (!inner.empty()) return inner;
    }
  }
  const bool says_nothing = !schema.contains("type") && !schema.contains("anyOf") &&
                            !schema.contains("$ref") && !schema.contains("enum") && !schema.contains("const");
  if (says_nothing) return Context(path) + "schema must have a 'type' key.";
  return "";
}

}  // namespace

std::optional<ApiError> CheckStrictSchema(const ApiRequest& request, const std::string& name) {
  const bool chat = request.endpoint == Endpoint::kChat;
  const json& type = Member(request.schema, "type");
  std::string complaint;
  if (type != "object") {
    complaint = "schema must be a JSON Schema of 'type: \"object\"', got 'type: " +
                (type.is_string() ? type.dump() : std::string("None")) + "'.";
  } else {
    complaint = Complaint(request.schema, "", 0);
  }
  if (complaint.empty()) return std::nullopt;
  return ApiError{400,
                  "Invalid schema for " + std::string(chat ? "response_format" : "text.format") + " '" +
                      name + "': " + complaint,
                  "invalid_request_error", chat ? "response_format" : "text.format.schema",
                  "invalid_json_schema"};
}

}  // namespace mock_openai
