/*
 * error_class.h
 *   What an error of the API means for the item and for the queue: by its code, then its type, then
 *   the HTTP status.
 */
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/outcome.h"

namespace product_optimizer {

/* Each text is as the API sent it, apart from bad UTF-8; empty when it sent none. */
struct ApiError {
  int status = 0; /* 400 … 599, or what the reply had; 0: unknown */
  std::string code;
  std::string type;
  std::string message;
  bool found = false; /* the body held an error that could be read */
};

/* body: any bytes. */
ApiError ReadApiError(int status, std::string_view body);

/* Fills kind, slow_down, rejected_request, of_model_alone and error_code. */
void Classify(const ApiError& error, Outcome* outcome);

/* The wait that a text such as "Please try again in 1.5s." names; 0 … 3,600,000 ms. */
std::optional<std::int64_t> ReadWaitInText(std::string_view message);

}  // namespace product_optimizer
