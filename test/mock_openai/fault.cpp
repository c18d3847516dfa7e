/*
 * fault.cpp
 *   One table of names, and the scan for the mark in the user text.
 */
#include "fault.h"

#include <cstdlib>

namespace mock_openai {
namespace {

struct Named {
  Fault fault;
  std::string_view name;
};

constexpr Named kNames[] = {
    {Fault::kHttp500, "http_500"},
    {Fault::kHttp502Html, "http_502_html"},
    {Fault::kHttp503, "http_503"},
    {Fault::kHttp504, "http_504"},
    {Fault::kHttp408, "http_408"},
    {Fault::kHttp409, "http_409"},
    {Fault::kUnauthorized, "unauthorized"},
    {Fault::kForbidden, "forbidden"},
    {Fault::kModelGone, "model_gone"},
    {Fault::kBadRequest, "bad_request"},
    {Fault::kRedirect, "redirect"},
    {Fault::kInsufficientQuota, "insufficient_quota"},
    {Fault::kSlowDown, "slow_down"},
    {Fault::kRateLimit, "rate_limit"},
    {Fault::kTooLarge, "too_large"},
    {Fault::kSlow, "slow"},
    {Fault::kCut, "cut"},
    {Fault::kHang, "hang"},
    {Fault::kDrop, "drop"},
    {Fault::kEndless, "endless"},
    {Fault::kTrickle, "trickle"},
    {Fault::kGarbage, "garbage"},
    {Fault::kHtml, "html"},
    {Fault::kEmpty, "empty"},
    {Fault::kDeep, "deep"},
    {Fault::kWrongTypes, "wrong_types"},
    {Fault::kNoUsage, "no_usage"},
    {Fault::kHugeUsage, "huge_usage"},
    {Fault::kBadUtf8, "bad_utf8"},
    {Fault::kNul, "nul"},
    {Fault::kControlChars, "control_chars"},
    {Fault::kUnicode, "unicode"},
    {Fault::kDeepContent, "deep_content"},
    {Fault::kHugeNumbers, "huge_numbers"},
    {Fault::kBig, "big"},
    {Fault::kRefusal, "refusal"},
    {Fault::kLength, "length"},
    {Fault::kContentFilter, "content_filter"},
    {Fault::kFailed, "failed"},
};

std::size_t SkipSpace(std::string_view text, std::size_t at) {
  while (at < text.size() && (text[at] == ' ' || text[at] == '\t' || text[at] == '\n' || text[at] == '\r')) {
    at++;
  }
  return at;
}

}  // namespace

std::string_view FaultName(Fault fault) {
  for (const Named& named : kNames) {
    if (named.fault == fault) return named.name;
  }
  return "";
}

std::optional<Fault> FaultFromName(std::string_view name) {
  for (const Named& named : kNames) {
    if (named.name == name) return named.fault;
  }
  return std::nullopt;
}

std::string AllFaultNames() {
  std::string all;
  for (const Named& named : kNames) all.append(all.empty() ? "" : ", ").append(named.name);
  return all;
}

bool IsRefusedBeforeMetering(Fault fault) {
  switch (fault) {
    case Fault::kUnauthorized:
    case Fault::kForbidden:
    case Fault::kModelGone:
    case Fault::kInsufficientQuota:
    case Fault::kSlowDown:
    case Fault::kRateLimit:
    case Fault::kTooLarge:
    case Fault::kRedirect:
      return true;
    default:
      return false;
  }
}

RequestedFault FindFault(std::string_view text) {
  constexpr std::string_view kMark = "\"mock\"";
  for (std::size_t at = text.find(kMark); at != std::string_view::npos; at = text.find(kMark, at + 1)) {
    std::size_t cursor = SkipSpace(text, at + kMark.size());
    if (cursor >= text.size() || text[cursor] != ':') continue;
    cursor = SkipSpace(text, cursor + 1);
    if (cursor >= text.size() || text[cursor] != '"') continue;
    const std::size_t end = text.find('"', cursor + 1);
    if (end == std::string_view::npos) continue;
    std::string_view name = text.substr(cursor + 1, end - cursor - 1);
    std::int64_t times = 0;
    const std::size_t star = name.find('*');
    if (star != std::string_view::npos) {
      times = std::strtoll(std::string(name.substr(star + 1)).c_str(), nullptr, 10);
      if (times <= 0) continue;
      name = name.substr(0, star);
    }
    if (const auto fault = FaultFromName(name)) return {*fault, times};
  }
  return {};
}

}  // namespace mock_openai
