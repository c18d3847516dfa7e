/*
 * api_error.h
 *   An error as the API words it, and the catalogue of those that the mock can answer with.
 */
#pragma once

#include <cstdint>
#include <string>

#include "meter.h"

namespace mock_openai {

struct ApiError {
  int status = 400;
  std::string message;
  std::string type = "invalid_request_error";
  std::string param; /* empty = null */
  std::string code;  /* empty = null */
  std::int64_t retry_after_ms = -1;
};

std::string ErrorBody(const ApiError& error);

/* "120ms", "7.25s", "6m0s", "23h18m29.144s": how Go prints a duration. */
std::string GoDuration(std::int64_t ns);

/* The key as OpenAI quotes it back: its ends only. */
std::string MaskedKey(const std::string& key);

ApiError MissingKey();
ApiError WrongKey(const std::string& key);
ApiError ModelNotFound(const std::string& model);
ApiError UnparsableBody();
ApiError RateLimited(const Verdict& verdict, const std::string& model, const std::string& organization);

ApiError UnsupportedParameter(const std::string& parameter, const std::string& hint);
ApiError MissingParameter(const std::string& parameter);
ApiError InvalidType(const std::string& parameter, const std::string& expected);

}  // namespace mock_openai
