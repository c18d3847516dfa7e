/*
 * answer.cpp
 *   Nothing in the body is trusted to have the type it should have.
 */
#include "openai/answer.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/text.h"
#include "openai/json_hygiene.h"

namespace product_optimizer {
namespace {

using nlohmann::json;

constexpr std::string_view kBlanks = " \t\r\n";

/* The member of an object; null for anything else. */
const json& Member(const json& value, const char* key) {
  static const json kNull;
  if (!value.is_object()) return kNull;
  const auto member = value.find(key);
  return member == value.end() ? kNull : *member;
}

/* The text of a string; empty for anything else. */
std::string_view Text(const json& value) {
  return value.is_string() ? std::string_view(value.get_ref<const std::string&>()) : std::string_view();
}

bool HasElements(const json& value) {
  return value.is_array() && !value.empty();
}

bool IsBlank(std::string_view text) {
  return text.find_first_not_of(kBlanks) == std::string_view::npos;
}

std::string_view Trim(std::string_view text) {
  if (IsBlank(text)) return {};
  const std::size_t begin = text.find_first_not_of(kBlanks);
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

std::optional<std::int32_t> ReadTokens(const json& value) {
  if (!value.is_number_unsigned()) return std::nullopt;
  constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int32_t>::max());
  return static_cast<std::int32_t>(std::min(value.get<std::uint64_t>(), kMax));
}

/* Gateways that answer 200 before they know better say the status as the code; 0: it is none. */
int ReadErrorStatus(const json& code) {
  if (!code.is_number_unsigned()) return 0;
  const auto status = code.get<std::uint64_t>();
  return status >= 400 && status <= 599 ? static_cast<int>(status) : 0;
}

void Conclude(OutcomeKind kind, std::string_view code, std::string_view message, Outcome* outcome) {
  outcome->kind = kind;
  outcome->error_code = code;
  outcome->error = message;
}

void ConcludeInvalid(std::string_view what, Outcome* outcome) {
  Conclude(OutcomeKind::kRetry, "invalid_response", what, outcome);
}

void ConcludeRefusal(std::string_view refusal, Outcome* outcome) {
  Conclude(OutcomeKind::kFail, "refusal", "the model refused: " + std::string(refusal), outcome);
}

void ConcludeFiltered(Outcome* outcome) {
  Conclude(OutcomeKind::kFail, "content_filter", "the API's content filter stopped the answer", outcome);
}

void ConcludeTruncated(Outcome* outcome) {
  Conclude(OutcomeKind::kTruncated, "length", "the answer was cut at the cap on output tokens", outcome);
}

void ConcludeToolCall(Outcome* outcome) {
  Conclude(OutcomeKind::kFail, "tool_calls",
           "the model called a tool instead of answering; remove tools from params or extra_body", outcome);
}

void ConcludeText(std::string_view content, Outcome* outcome) {
  if (IsBlank(content)) {
    Conclude(OutcomeKind::kRetry, "empty_answer", "the model answered with an empty text", outcome);
    return;
  }
  outcome->kind = OutcomeKind::kDone;
  outcome->result = ContentToJson(content);
}

/* A string, or the texts of a list of parts as some compatible servers send them. */
std::string JoinContent(const json& content) {
  std::string joined(Text(content));
  if (!content.is_array()) return joined;
  for (const json& part : content) {
    if (Text(Member(part, "type")) == "text") joined += Text(Member(part, "text"));
  }
  return joined;
}

void ReadChat(const json& root, Outcome* outcome) {
  const json& choices = Member(root, "choices");
  if (!HasElements(choices)) return ConcludeInvalid("the answer holds no choice", outcome);
  const json& choice = choices.front();
  const json& message = Member(choice, "message");
  const std::string_view finish = Text(Member(choice, "finish_reason"));
  const std::string_view refusal = Text(Member(message, "refusal"));
  if (!IsBlank(refusal)) return ConcludeRefusal(refusal, outcome);
  if (finish == "content_filter") return ConcludeFiltered(outcome);
  if (finish == "length") return ConcludeTruncated(outcome);
  if (finish == "tool_calls" || finish == "function_call") return ConcludeToolCall(outcome);
  if (finish != "stop") return ConcludeInvalid("the answer does not say that it is complete", outcome);
  ConcludeText(JoinContent(Member(message, "content")), outcome);
}

void ReadCompleted(const json& root, Outcome* outcome) {
  const json& output = Member(root, "output");
  if (!output.is_array()) return ConcludeInvalid("the answer holds no output", outcome);
  std::string joined;
  bool calls_tool = false;
  for (const json& item : output) {
    calls_tool = calls_tool || Text(Member(item, "type")) == "function_call";
    if (Text(Member(item, "type")) != "message") continue;
    const json& content = Member(item, "content");
    if (!content.is_array()) continue;
    for (const json& part : content) {
      const std::string_view type = Text(Member(part, "type"));
      if (type == "refusal") return ConcludeRefusal(Text(Member(part, "refusal")), outcome);
      if (type == "output_text") joined += Text(Member(part, "text"));
    }
  }
  if (calls_tool && IsBlank(joined)) return ConcludeToolCall(outcome);
  ConcludeText(joined, outcome);
}

void ReadResponses(const json& root, Outcome* outcome) {
  const std::string_view status = Text(Member(root, "status"));
  if (status == "completed") return ReadCompleted(root, outcome);
  if (status == "incomplete") {
    const std::string_view reason = Text(Member(Member(root, "incomplete_details"), "reason"));
    if (reason == "max_output_tokens") return ConcludeTruncated(outcome);
    if (reason == "content_filter") return ConcludeFiltered(outcome);
    return ConcludeInvalid("the answer is incomplete for an unknown reason", outcome);
  }
  ConcludeInvalid("the answer does not say that it is complete", outcome);
}

/* The inside of a block that is fenced as a whole: ```json … ```; empty for anything else. */
std::string_view Unfence(std::string_view text) {
  constexpr std::string_view kFence = "```";
  if (text.size() < 2 * kFence.size() || text.substr(0, 3) != kFence ||
      text.substr(text.size() - 3) != kFence) {
    return {};
  }
  text = text.substr(3, text.size() - 6);
  const std::size_t line_end = text.find('\n');
  if (line_end == std::string_view::npos) return {};
  const std::string_view word = Trim(text.substr(0, line_end));
  if (!word.empty() && word != "json" && word != "JSON") return {};
  return Trim(text.substr(line_end + 1));
}

}  // namespace

std::string ContentToJson(std::string_view content) {
  std::string_view text = Trim(content);
  const std::string_view fenced = Unfence(text);
  if (!fenced.empty()) text = fenced;
  CleanJson clean = CleanUp(text, NumberRule::kForJsonb);
  const bool structured =
      clean.fault == JsonFault::kNone && (clean.text.front() == '{' || clean.text.front() == '[');
  return structured ? std::move(clean.text) : Quote(content);
}

void ReadAnswer(Api api, std::string_view body, Outcome* outcome, ApiError* api_error) {
  const CleanJson clean = CleanUp(SanitizeUtf8(body), NumberRule::kForReal);
  const json root =
      clean.fault == JsonFault::kNone ? json::parse(clean.text, nullptr, /*allow_exceptions=*/false) : json();
  if (!root.is_object()) {
    return ConcludeInvalid(body.empty() ? "the answer is empty" : "the answer is not the JSON of the API",
                           outcome);
  }
  const bool chat = api == Api::kChatCompletions;
  outcome->model = Text(Member(root, "model"));
  const json& usage = Member(root, "usage");
  outcome->prompt_tokens = ReadTokens(Member(usage, chat ? "prompt_tokens" : "input_tokens"));
  outcome->completion_tokens = ReadTokens(Member(usage, chat ? "completion_tokens" : "output_tokens"));

  /* Some gateways send the members of an answer beside the error, empty. */
  const json& error = Member(root, "error");
  const bool has_answer = HasElements(Member(root, chat ? "choices" : "output"));
  const bool failed = !chat && Text(Member(root, "status")) == "failed";
  if (failed || (!error.is_null() && !has_answer)) {
    const json& code = Member(error, "code");
    api_error->code = Text(code);
    api_error->status = ReadErrorStatus(code);
    api_error->type = Text(Member(error, "type"));
    api_error->message = error.is_string() ? Text(error) : Text(Member(error, "message"));
    api_error->found = true;
    return;
  }
  chat ? ReadChat(root, outcome) : ReadResponses(root, outcome);
}

}  // namespace product_optimizer
