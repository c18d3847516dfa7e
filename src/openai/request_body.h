/*
 * request_body.h
 *   The top level of a request body, and the merge of what users add to it.
 */
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "openai/request.h"

namespace product_optimizer {

/* Key → JSON text of its value. */
using Body = std::map<std::string, std::string>;

/* Where members to merge come from: what the error says. */
struct MergeSource {
  std::string_view name; /* begins a sentence */
  std::string_view error_code;
};

/*
 * Merges the JSON object in text over the body: its keys replace, a null removes.  Keys on which the
 * reader, the limiter or the separation of data and instructions depend are refused.  A cap on the
 * output (under any of its names) replaces the cap that was there; cap is set to it.
 */
std::optional<BuildError> MergeInto(Body* body, std::string_view text, const MergeSource& source,
                                    std::optional<std::int32_t>* cap);

/* The name under which the body holds a cap on the output; empty when it holds none. */
std::string_view CapKey(const Body& body);

/* The body as one JSON object. */
std::string ToJson(const Body& body);

}  // namespace product_optimizer
