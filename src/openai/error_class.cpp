/*
 * error_class.cpp
 *   The table of errors.
 */
#include "openai/error_class.h"

#include <nlohmann/json.hpp>

#include "core/text.h"
#include "openai/json_hygiene.h"
#include "openai/plain_error.h"
#include "openai/rate_headers.h"

namespace product_optimizer {
namespace {

using nlohmann::json;

struct Verdict {
  std::string_view word; /* a code or a type */
  OutcomeKind kind;
};

constexpr Verdict kVerdicts[] = {
    /* money */
    {"insufficient_quota", OutcomeKind::kBlock},
    {"credit_balance_exhausted", OutcomeKind::kBlock},
    {"organization_spend_limit_exceeded", OutcomeKind::kBlock},
    {"project_spend_limit_exceeded", OutcomeKind::kBlock},
    {"organization_usage_limit_exceeded", OutcomeKind::kBlock},
    {"billing_hard_limit_reached", OutcomeKind::kBlock},
    {"billing_not_active", OutcomeKind::kBlock},
    /* key and model */
    {"invalid_api_key", OutcomeKind::kBlock},
    {"account_deactivated", OutcomeKind::kBlock},
    {"model_not_found", OutcomeKind::kBlock},
    /* limits */
    {"rate_limit_exceeded", OutcomeKind::kHoldOff},
    {"slow_down", OutcomeKind::kHoldOff},
    /* theirs */
    {"server_error", OutcomeKind::kRetry},
    {"server_is_overloaded", OutcomeKind::kRetry},
    /* this item */
    {"context_length_exceeded", OutcomeKind::kFail},
    {"unsupported_parameter", OutcomeKind::kFail},
    {"unsupported_value", OutcomeKind::kFail},
    {"invalid_prompt", OutcomeKind::kFail},
    {"content_policy_violation", OutcomeKind::kFail},
};

std::optional<OutcomeKind> FindVerdict(std::string_view word) {
  for (const Verdict& verdict : kVerdicts) {
    if (verdict.word == word) return verdict.kind;
  }
  return std::nullopt;
}

OutcomeKind VerdictOfStatus(int status) {
  switch (status) {
    case 401: /* key */
    case 402: /* money, as other providers say it */
    case 403: /* rights */
    case 404: /* without a code it is the URL that is wrong */
    case 405: /* likewise */
    case 407: /* a proxy wants a password */
      return OutcomeKind::kBlock;
    case 408:
    case 409:
      return OutcomeKind::kRetry;
    case 429:
      return OutcomeKind::kHoldOff;
    default:
      break;
  }
  if (status >= 300 && status <= 399) return OutcomeKind::kBlock; /* a wrong base URL */
  if (status >= 400 && status <= 499) return OutcomeKind::kFail;
  return OutcomeKind::kRetry;
}

std::string StringMember(const json& object, const char* key) {
  const auto member = object.find(key);
  return member != object.end() && member->is_string() ? member->get<std::string>() : std::string();
}

}  // namespace

ApiError ReadApiError(int status, std::string_view body) {
  ApiError error;
  error.status = status;
  const CleanJson clean = CleanUp(SanitizeUtf8(body), NumberRule::kForReal);
  if (clean.fault != JsonFault::kNone) return error;
  const json parsed = json::parse(clean.text, nullptr, /*allow_exceptions=*/false);

  /* Others wrap it in a list, send it without the "error" around it, or as a mere string. */
  const json& root = parsed.is_array() && !parsed.empty() ? parsed.front() : parsed;
  if (!root.is_object()) return error;
  const auto inner = root.find("error");
  const json& object = inner != root.end() && inner->is_object() ? *inner : root;
  error.code = StringMember(object, "code");
  error.type = StringMember(object, "type");
  error.message = StringMember(object, "message");
  for (const char* key : {"error", "detail"}) {
    if (error.message.empty()) error.message = StringMember(object, key);
  }
  error.found = !error.code.empty() || !error.type.empty() || !error.message.empty();
  return error;
}

void Classify(const ApiError& error, Outcome* outcome) {
  std::optional<OutcomeKind> kind = FindVerdict(error.code);
  if (!kind) kind = FindVerdict(error.type);
  outcome->kind = kind.value_or(VerdictOfStatus(error.status));
  /* Others name an unknown model by a 404 without a code. */
  outcome->of_model_alone =
      error.code == "model_not_found" || (!kind && (error.status == 403 || error.status == 404));

  /* The code of a passing limit, but more than the limit ever lets through. */
  if (outcome->kind == OutcomeKind::kHoldOff &&
      error.message.find("Request too large") != std::string::npos) {
    outcome->kind = OutcomeKind::kFail;
  }
  outcome->slow_down =
      outcome->kind == OutcomeKind::kHoldOff && (error.code == "slow_down" || error.type == "slow_down");
  outcome->rejected_request = outcome->kind == OutcomeKind::kFail && error.status == 400;

  outcome->error_code = PlainText(!error.code.empty() ? error.code : error.type, kMaxCodeBytes);
  if (outcome->error_code.empty()) outcome->error_code = "http_" + std::to_string(error.status);
}

std::optional<std::int64_t> ReadWaitInText(std::string_view message) {
  constexpr std::string_view kBefore = "try again in ";
  const std::size_t found = message.find(kBefore);
  if (found == std::string_view::npos) return std::nullopt;
  std::string_view text = message.substr(found + kBefore.size());
  text = text.substr(0, text.find_first_of(" ,;)"));
  while (!text.empty() && text.back() == '.') text.remove_suffix(1);
  const auto wait = ParseGoDuration(text);
  return wait && *wait <= kMaxWaitMs ? wait : std::nullopt;
}

}  // namespace product_optimizer
