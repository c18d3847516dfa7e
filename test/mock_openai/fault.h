/*
 * fault.h
 *   The kinds of faults the mock can produce, their names, and how a user text asks for one.
 */
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mock_openai {

enum class Fault {
  kNone,
  /* HTTP statuses */
  kHttp500,
  kHttp502Html,
  kHttp503,
  kHttp504,
  kHttp408,
  kHttp409,
  kUnauthorized,
  kForbidden,
  kModelGone,
  kBadRequest,
  kRedirect,
  /* 429 of all sorts */
  kInsufficientQuota,
  kSlowDown,
  kRateLimit,
  kTooLarge,
  /* the connection */
  kSlow,
  kCut,
  kHang,
  kDrop,
  kEndless,
  kTrickle,
  /* the body */
  kGarbage,
  kHtml,
  kEmpty,
  kDeep,
  kWrongTypes,
  kNoUsage,
  kHugeUsage,
  /* the content */
  kBadUtf8,
  kNul,
  kControlChars,
  kUnicode,
  kDeepContent,
  kHugeNumbers,
  kBig,
  /* the verdict of the model */
  kRefusal,
  kLength,
  kContentFilter,
  kFailed,
};

std::string_view FaultName(Fault fault);
std::optional<Fault> FaultFromName(std::string_view name);
std::string AllFaultNames(); /* comma-separated, for messages */

/* True when the API would refuse such a request before it counts it. */
bool IsRefusedBeforeMetering(Fault fault);

struct RequestedFault {
  Fault fault = Fault::kNone;
  std::int64_t times = 0; /* only the first so many times; 0 = always */
};

/* Finds "mock": "<kind>" or "mock": "<kind>*N" anywhere in the text; unknown kinds are no fault. */
RequestedFault FindFault(std::string_view user_text);

}  // namespace mock_openai
