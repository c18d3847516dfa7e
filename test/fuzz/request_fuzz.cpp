/*
 * request_fuzz.cpp
 *   The request builder.  Input: lines, each the text of one field: flags, payload, instructions, response
 *   schema, params, extra_body, model.  An empty line: the item's job, or the settings, do not set it.
 */
#include "fuzz.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "core/text.h"
#include "openai/json_hygiene.h"
#include "openai/request.h"

using namespace product_optimizer;
using nlohmann::json;

namespace {

std::string NextLine(std::string_view* input) {
  return SanitizeUtf8(TakeUntil(input, "\n"));
}

std::optional<std::string> OptionalLine(std::string_view* input) {
  std::string line = NextLine(input);
  if (line.empty()) return std::nullopt;
  return line;
}

void RequireSane(const BuiltRequest& request) {
  const CleanJson body = CleanUp(request.body, NumberRule::kKeep);
  REQUIRE(IsValidUtf8(request.body));
  REQUIRE(body.fault == JsonFault::kNone && body.text.front() == '{');
  REQUIRE(request.path == "/chat/completions" || request.path == "/responses");
  const json whole = json::parse(CleanUp(request.body, NumberRule::kForReal).text, nullptr, false);
  REQUIRE(whole.is_object() && !whole.contains("stream"));
  REQUIRE(whole.contains(request.path == "/responses" ? "input" : "messages"));
  REQUIRE(!request.model.empty() && IsValidUtf8(request.model));
  REQUIRE(request.max_output_tokens > 0);
  REQUIRE(request.messages > 0);
  REQUIRE(request.prompt_chars <= request.prompt_bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view input = AsText(data, size);
  const std::string flags = NextLine(&input);
  const auto flag = [&](char c) { return flags.find(c) != std::string::npos; };
  Item item;
  RequestSettings settings;
  settings.model = "gpt-5-mini";
  settings.api = flag('r') ? Api::kResponses : Api::kChatCompletions;
  if (flag('m')) settings.max_tokens_param = MaxTokensParam::kMaxTokens;
  if (flag('e')) settings.reasoning_effort = "minimal";
  if (flag('l')) item.last_error_code = "length";
  item.payload = NextLine(&input);
  if (flag('j')) item.job_id = 1;
  item.instructions = OptionalLine(&input);
  item.response_schema = OptionalLine(&input);
  item.params = OptionalLine(&input);
  settings.extra_body = NextLine(&input);
  item.model = OptionalLine(&input);

  const auto built = BuildRequest(item, settings);
  if (const auto* error = std::get_if<BuildError>(&built)) {
    REQUIRE(!error->error.empty() && IsValidUtf8(error->error));
    REQUIRE(!error->error_code.empty() && error->error_code.size() <= 64);
  } else {
    RequireSane(std::get<BuiltRequest>(built));
  }
  return 0;
}
