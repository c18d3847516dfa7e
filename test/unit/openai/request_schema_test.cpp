/*
 * request_schema_test.cpp
 *   The schema of a job: what makes it strict, and that its text goes out as it came in.
 */
#include "openai/request.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "request_helpers.h"

namespace product_optimizer {
namespace {

struct SchemaCase {
  const char* schema;
  bool strict;
};

class SchemaTest : public testing::TestWithParam<SchemaCase> {};

TEST_P(SchemaTest, IsStrictOnlyWhereTheApiTakesIt) {
  Item item = MakeItem("1");
  item.response_schema = GetParam().schema;
  const json body = Body(item, MakeSettings());
  EXPECT_EQ(body["response_format"]["type"], "json_schema");
  EXPECT_EQ(body["response_format"]["json_schema"]["strict"], GetParam().strict) << GetParam().schema;
}

INSTANTIATE_TEST_SUITE_P(
    Request, SchemaTest,
    testing::Values(
        SchemaCase{
            R"({"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false})",
            true},
        SchemaCase{
            R"({"type":"object","properties":{"a":{"type":["string","null"]},"b":{"anyOf":[{"type":"null"},{"$ref":"#/$defs/x"}]}},
                    "required":["b","a"],"additionalProperties":false,"$defs":{"x":{"type":"integer","enum":[1]}}})",
            true},
        SchemaCase{
            R"({"type":"object","properties":{"a":{"enum":["x"]}},"required":["a"],"additionalProperties":false})",
            false},
        SchemaCase{
            R"({"type":"object","properties":{"a":{"const":"x"}},"required":["a"],"additionalProperties":false})",
            false},
        SchemaCase{
            R"({"type":"object","properties":{"a":{"type":"array","items":{"type":"object","properties":{},"required":[],
                    "additionalProperties":false}}},"required":["a"],"additionalProperties":false})",
            true},
        SchemaCase{R"({"type":"object","properties":{"a":{"type":"string"}},"required":["a"]})", false},
        SchemaCase{
            R"({"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":true})",
            false},
        SchemaCase{
            R"({"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":{}})",
            false},
        SchemaCase{
            R"({"type":"object","properties":{"a":{"type":"string"}},"required":[],"additionalProperties":false})",
            false},
        SchemaCase{
            R"({"type":"object","properties":{"a":{"type":"string"}},"required":["b"],"additionalProperties":false})",
            false},
        SchemaCase{
            R"({"type":"object","properties":{"a":{"type":"string"}},"required":"a","additionalProperties":false})",
            false},
        SchemaCase{
            R"({"type":"object","properties":{"a":{"type":"string"}},"required":["a",1],"additionalProperties":false})",
            false},
        SchemaCase{R"({"type":"object","properties":{"a":{}},"required":["a"],"additionalProperties":false})",
                   false},
        SchemaCase{
            R"({"type":"object","properties":{"a":true},"required":["a"],"additionalProperties":false})",
            false},
        SchemaCase{
            R"({"type":"object","properties":{"a":{"type":"string","maxLength":60}},"required":["a"],"additionalProperties":false})",
            false},
        SchemaCase{
            R"({"type":"object","properties":{"a":{"type":"array","items":{"type":"object"}}},"required":["a"],"additionalProperties":false})",
            false},
        SchemaCase{
            R"({"type":"object","properties":{"a":{"anyOf":[{"type":"object"}]}},"required":["a"],"additionalProperties":false})",
            false},
        SchemaCase{
            R"({"type":"object","properties":{"a":{"type":["object","null"]}},"required":["a"],"additionalProperties":false})",
            false},
        SchemaCase{
            R"({"type":"object","properties":{},"required":[],"additionalProperties":false,"$defs":{"x":{"type":"object"}}})",
            false},
        SchemaCase{
            R"({"type":"object","properties":{},"required":[],"additionalProperties":false,"allOf":[]})",
            false},
        SchemaCase{
            R"({"type":"object","properties":{"a":{"type":"array"}},"required":["a"],"additionalProperties":false})",
            false},
        SchemaCase{
            R"({"type":"object","properties":{"a":{"type":["array","null"]}},"required":["a"],"additionalProperties":false})",
            false},
        SchemaCase{
            R"({"type":"object","properties":{"a":{"$ref":"#/$defs/x"}},"required":["a"],"additionalProperties":false,
                    "$defs":{"x":{"type":"string"}}})",
            true},
        SchemaCase{
            R"({"type":"object","properties":{"a":{"$ref":"#/$defs/x","description":"d"}},"required":["a"],
                    "additionalProperties":false,"$defs":{"x":{"type":"string"}}})",
            false},
        SchemaCase{R"({"anyOf":[{"type":"string"}]})", false},
        SchemaCase{R"({"type":"array","items":{"type":"string"}})", false},
        SchemaCase{
            R"({"type":17,"properties":[],"required":{},"additionalProperties":17,"items":[],"anyOf":{},"$defs":3})",
            false},
        SchemaCase{"{}", false}));

TEST(SchemaTextTest, PassesThroughDigitForDigit) {
  Item item = MakeItem("1");
  const std::string schema = R"({"z":1.10,"a":12345678901234567890123,"big":1e400})";
  item.response_schema = schema;
  const BuiltRequest request = [&] { return std::get<BuiltRequest>(BuildRequest(item, MakeSettings())); }();
  EXPECT_NE(request.body.find("\"schema\":" + schema), std::string::npos) << request.body;
}

TEST(SchemaTextTest, MustBeAnObject) {
  for (const std::string& schema :
       {std::string("[]"), std::string("\"x\""), std::string("null"), std::string("1"), std::string(""),
        std::string("{"), std::string(100000, '['), [] {
          std::string deep;
          for (int i = 0; i < 100000; ++i) deep += "{\"a\":";
          return deep;
        }()}) {
    Item item = MakeItem("1");
    item.response_schema = schema;
    EXPECT_EQ(Fail(item, MakeSettings()).error_code, "invalid_response_schema") << schema.substr(0, 20);
  }
}

}  // namespace
}  // namespace product_optimizer
