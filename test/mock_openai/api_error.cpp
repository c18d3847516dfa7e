/*
 * api_error.cpp
 *   The wording of OpenAI's errors.
 */
#include "api_error.h"

#include <cstdio>

#include <nlohmann/json.hpp>

namespace mock_openai {

using nlohmann::json;

std::string ErrorBody(const ApiError& error) {
  const auto text_or_null = [](const std::string& text) { return text.empty() ? json() : json(text); };
  return json{{"error",
               {{"message", error.message},
                {"type", error.type},
                {"param", text_or_null(error.param)},
                {"code", text_or_null(error.code)}}}}
      .dump(2, ' ', false, json::error_handler_t::replace);
}

std::string GoDuration(std::int64_t ns) {
  const std::int64_t ms = ns / 1'000'000;
  char buffer[64];
  if (ms < 1000) {
    std::snprintf(buffer, sizeof buffer, "%lldms", static_cast<long long>(ms));
    return ms == 0 ? "0s" : buffer;
  }
  std::string text;
  const std::int64_t hours = ms / 3'600'000, minutes = ms / 60'000 % 60;
  if (hours > 0) text += std::to_string(hours) + "h";
  if (hours > 0 || minutes > 0) text += std::to_string(minutes) + "m";
  std::snprintf(buffer, sizeof buffer, "%lld.%03lld", static_cast<long long>(ms / 1000 % 60),
                static_cast<long long>(ms % 1000));
  std::string seconds = buffer;
  while (seconds.back() == '0') seconds.pop_back();
  if (seconds.back() == '.') seconds.pop_back();
  return text + seconds + "s";
}

std::string MaskedKey(const std::string& key) {
  if (key.size() <= 8) return key.substr(0, 2) + std::string(key.size() > 2 ? key.size() - 2 : 0, '*');
  const std::size_t head = key.size() > 16 ? 8 : 3, tail = 4;
  return key.substr(0, head) + std::string(key.size() - head - tail, '*') + key.substr(key.size() - tail);
}

ApiError MissingKey() {
  return {401,
          "You didn't provide an API key. You need to provide your API key in an Authorization header using "
          "Bearer auth (i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank username) "
          "if you're accessing the API from your browser and are prompted for a username and password. You "
          "can obtain an API key from https://platform.openai.com/account/api-keys.",
          "invalid_request_error", "", ""};
}

ApiError WrongKey(const std::string& key) {
  return {401,
          "Incorrect API key provided: " + MaskedKey(key) +
              ". You can find your API key at https://platform.openai.com/account/api-keys.",
          "invalid_request_error", "", "invalid_api_key"};
}

ApiError ModelNotFound(const std::string& model) {
  return {404, "The model `" + model + "` does not exist or you do not have access to it.",
          "invalid_request_error", "", "model_not_found"};
}

ApiError UnparsableBody() {
  return {400,
          "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your "
          "HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid "
          "JSON. If you have trouble figuring out how to fix this, please contact us through our help center "
          "at help.openai.com.)",
          "invalid_request_error", "", ""};
}

ApiError RateLimited(const Verdict& verdict, const std::string& model, const std::string& organization) {
  const bool requests = verdict.kind == Verdict::Kind::kRequests;
  ApiError error;
  error.status = 429;
  error.type = requests ? "requests" : "tokens";
  error.code = "rate_limit_exceeded";
  const std::string where = model + " in organization " + organization + " on " +
                            (requests ? "requests per min (RPM)" : "tokens per min (TPM)") + ": Limit " +
                            std::to_string(verdict.limit);
  if (verdict.kind == Verdict::Kind::kTooLarge) {
    error.message = "Request too large for " + where + ", Requested " + std::to_string(verdict.requested) +
                    ". The input or output tokens must be reduced in order to run successfully. Visit "
                    "https://platform.openai.com/account/rate-limits to learn more.";
    return error;
  }
  error.message = "Rate limit reached for " + where + ", Used " + std::to_string(verdict.used) +
                  ", Requested " + std::to_string(verdict.requested) + ". Please try again in " +
                  GoDuration(verdict.wait_ns) +
                  ". Visit https://platform.openai.com/account/rate-limits to learn more.";
  error.retry_after_ms = verdict.wait_ns / 1'000'000;
  return error;
}

ApiError UnsupportedParameter(const std::string& parameter, const std::string& hint) {
  return {400,
          "Unsupported parameter: '" + parameter + "' is not supported with this model." +
              (hint.empty() ? "" : " " + hint),
          "invalid_request_error", parameter, "unsupported_parameter"};
}

ApiError MissingParameter(const std::string& parameter) {
  return {400, "Missing required parameter: '" + parameter + "'.", "invalid_request_error", parameter,
          "missing_required_parameter"};
}

ApiError InvalidType(const std::string& parameter, const std::string& expected) {
  return {400, "Invalid type for '" + parameter + "': expected " + expected + ".", "invalid_request_error",
          parameter, "invalid_type"};
}

}  // namespace mock_openai
