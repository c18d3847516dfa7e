/*
 * request_helpers.h
 *   Items, settings and the built body, for the tests of the request builder.
 */
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <variant>

#include "core/text.h"
#include "openai/request.h"

namespace product_optimizer {

using nlohmann::json;

inline Item MakeItem(std::string payload) {
  Item item;
  item.payload = std::move(payload);
  return item;
}

inline RequestSettings MakeSettings(Api api = Api::kChatCompletions) {
  RequestSettings settings;
  settings.api = api;
  settings.model = "gpt-5-mini";
  settings.instructions = "Translate.";
  return settings;
}

inline BuiltRequest Build(const Item& item, const RequestSettings& settings) {
  const auto built = BuildRequest(item, settings);
  if (const auto* error = std::get_if<BuildError>(&built)) {
    ADD_FAILURE() << error->error_code << ": " << error->error;
    return {};
  }
  const BuiltRequest& request = std::get<BuiltRequest>(built);
  EXPECT_TRUE(IsValidUtf8(request.body));
  EXPECT_TRUE(json::accept(request.body)) << request.body;
  EXPECT_GT(request.max_output_tokens, 0);
  return request;
}

inline json Body(const Item& item, const RequestSettings& settings) {
  return json::parse(Build(item, settings).body);
}

inline BuildError Fail(const Item& item, const RequestSettings& settings) {
  const auto built = BuildRequest(item, settings);
  if (const auto* error = std::get_if<BuildError>(&built)) {
    EXPECT_TRUE(IsValidUtf8(error->error));
    EXPECT_EQ(error->error.back(), '.');
    return *error;
  }
  ADD_FAILURE() << std::get<BuiltRequest>(built).body;
  return {};
}

}  // namespace product_optimizer
