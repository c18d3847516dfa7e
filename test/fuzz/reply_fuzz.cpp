/*
 * reply_fuzz.cpp
 *   The reply reader: whatever arrives, the outcome is well formed.  Input: "chat 200", a line break, the
 *   headers, an empty line, the body.
 */
#include "fuzz.h"

#include <algorithm>
#include <string>

#include "core/text.h"
#include "openai/json_hygiene.h"
#include "openai/reply.h"

using namespace product_optimizer;

namespace {

bool HasControl(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == '\x7F'; });
}

void RequireOneLine(std::string_view text, std::size_t most_bytes) {
  REQUIRE(IsValidUtf8(text));
  REQUIRE(!HasControl(text));
  REQUIRE(text.size() <= most_bytes);
}

void RequireWellFormed(const Outcome& outcome) {
  RequireOneLine(outcome.model, 200);
  RequireOneLine(outcome.error, 1000);
  RequireOneLine(outcome.error_code, 64);
  RequireOneLine(outcome.request_id, 128);
  if (outcome.kind == OutcomeKind::kDone) {
    REQUIRE(IsValidUtf8(outcome.result));
    const CleanJson again = CleanUp(outcome.result, NumberRule::kForJsonb);
    REQUIRE(again.fault == JsonFault::kNone);
    REQUIRE(again.text == outcome.result);
    REQUIRE(outcome.error.empty() && outcome.error_code.empty());
  } else {
    REQUIRE(outcome.result.empty());
    REQUIRE(!outcome.error.empty() && !outcome.error_code.empty());
  }
  REQUIRE(outcome.prompt_tokens.value_or(0) >= 0 && outcome.completion_tokens.value_or(0) >= 0);
  REQUIRE(outcome.retry_after_ms.value_or(0) >= 0 && outcome.retry_after_ms.value_or(0) <= 3'600'000);
  REQUIRE(!outcome.slow_down || outcome.kind == OutcomeKind::kHoldOff);
  REQUIRE(!outcome.rejected_request || outcome.kind == OutcomeKind::kFail);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view input = AsText(data, size);
  std::string_view first = TakeUntil(&input, "\n");
  const Api api = TakeUntil(&first, " ") == "responses" ? Api::kResponses : Api::kChatCompletions;
  int status = 0;
  for (const char c : first.substr(0, 3)) status = status * 10 + (c >= '0' && c <= '9' ? c - '0' : 0);
  const std::string_view headers = TakeUntil(&input, "\n\n");
  RequireWellFormed(ReadReply(api, {std::max(status, 100), headers, input, 1'700'000'000}));
  RequireOneLine(ReadTransportFailure("timeout", input).error, 1000);
  RequireOneLine(ReadTransportFailure(input, "timeout").error_code, 64);
  return 0;
}
