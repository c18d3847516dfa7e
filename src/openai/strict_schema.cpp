/*
 * strict_schema.cpp
 *   A walk over the schema; its depth is bounded by kMaxJsonDepth.
 */
#include "openai/strict_schema.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

namespace product_optimizer {
namespace {

using nlohmann::json;

bool IsSupported(std::string_view keyword) {
  constexpr std::string_view kKeywords[] = {"$defs",
                                            "$ref",
                                            "$schema",
                                            "additionalProperties",
                                            "anyOf",
                                            "const",
                                            "definitions",
                                            "description",
                                            "enum",
                                            "exclusiveMaximum",
                                            "exclusiveMinimum",
                                            "format",
                                            "items",
                                            "maxItems",
                                            "maximum",
                                            "minItems",
                                            "minimum",
                                            "multipleOf",
                                            "pattern",
                                            "properties",
                                            "required",
                                            "title",
                                            "type"};
  return std::find(std::begin(kKeywords), std::end(kKeywords), keyword) != std::end(kKeywords);
}

/* Whether the schema's type is this one, or a list with it. */
bool HasType(const json& schema, const char* name) {
  const auto type = schema.find("type");
  if (type == schema.end()) return false;
  return *type == name || (type->is_array() && std::find(type->begin(), type->end(), name) != type->end());
}

bool RequiresExactly(const json& schema, const json& properties) {
  const auto required = schema.find("required");
  if (required == schema.end() || !required->is_array()) return false;
  std::set<std::string> names;
  for (const json& name : *required) {
    if (!name.is_string()) return false;
    names.insert(name.get_ref<const std::string&>());
  }
  if (names.size() != properties.size()) return false;
  for (const auto& property : properties.items()) {
    if (names.count(property.key()) == 0) return false;
  }
  return true;
}

bool IsStrictNode(const json& schema);

bool AreStrictNodes(const json& schemas) {
  return std::all_of(schemas.begin(), schemas.end(), [](const json& one) { return IsStrictNode(one); });
}

bool IsStrictObject(const json& schema) {
  const auto others = schema.find("additionalProperties");
  if (others == schema.end() || !others->is_boolean() || others->get<bool>()) return false;
  const auto properties = schema.find("properties");
  return properties != schema.end() && properties->is_object() && RequiresExactly(schema, *properties) &&
         AreStrictNodes(*properties);
}

bool IsStrictNode(const json& schema) {
  if (!schema.is_object()) return false;
  bool typed = false;
  for (const auto& member : schema.items()) {
    const std::string& keyword = member.key();
    const json& value = member.value();
    if (!IsSupported(keyword)) return false;
    /* Values alone, as in {"enum": [1]}, are no type to the API. */
    typed = typed || keyword == "type" || keyword == "anyOf" || keyword == "$ref";
    if (keyword == "items" && !IsStrictNode(value)) return false;
    if (keyword == "anyOf" && !(value.is_array() && AreStrictNodes(value))) return false;
    if ((keyword == "$defs" || keyword == "definitions") && !(value.is_object() && AreStrictNodes(value)))
      return false;
  }
  if (!typed) return false;
  if (schema.contains("$ref") && schema.size() > 1) return false; /* the API takes nothing beside it */
  if (HasType(schema, "array") && !schema.contains("items")) return false;
  const bool object = HasType(schema, "object") || schema.contains("properties");
  return !object || IsStrictObject(schema);
}

}  // namespace

bool IsStrictSchema(std::string_view schema) {
  const json root = json::parse(schema, nullptr, /*allow_exceptions=*/false);
  if (!root.is_object()) return false; /* a text that could not be parsed is no object either */
  const auto type = root.find("type");
  return type != root.end() && *type == "object" && !root.contains("anyOf") && IsStrictNode(root);
}

}  // namespace product_optimizer
