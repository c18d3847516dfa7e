/*
 * json_hygiene.cpp
 *   A scanner of RFC 8259 that copies what it accepts.  Its only stack is a string of closing brackets.
 */
#include "openai/json_hygiene.h"

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>

namespace product_optimizer {
namespace {

/* numeric holds so many digits before and after the point. */
constexpr std::int64_t kNumericDigitsBefore = 131072;
constexpr std::int64_t kNumericDigitsAfter = 16383;

/* jsonb keeps 1e99999 in a few bytes but prints every digit: a text of many would be stored and never read.
 */
constexpr std::int64_t kMaxPrintedDigits = 8'000'000;

/* Safely inside of a double, with room for its rounding. */
constexpr std::int64_t kRealDigitsBefore = 300;
constexpr std::int64_t kRealDigitsAfter = 400;

constexpr std::int64_t kExponentCap = 100'000'000; /* beyond every limit above; keeps the sums small */

class Scanner {
 public:
  Scanner(std::string_view text, NumberRule rule) : in_(text), rule_(rule) { out_.reserve(text.size()); }

  CleanJson Run() {
    if (in_.substr(0, 3) == "\xEF\xBB\xBF") at_ = 3;
    const JsonFault fault = Document();
    if (fault != JsonFault::kNone) out_.clear();
    return {fault, std::move(out_)};
  }

 private:
  JsonFault Document() {
    for (;;) {
      SkipBlanks();
      bool ended = true;
      if (Peek() == '{' || Peek() == '[') {
        if (open_.size() == kMaxJsonDepth) return JsonFault::kDepth;
        const bool object = Peek() == '{';
        open_.push_back(object ? '}' : ']');
        Copy(1);
        SkipBlanks();
        ended = Peek() == open_.back();
        if (!ended && object && !Key()) return JsonFault::kSyntax;
      } else if (!Scalar()) {
        return fault_;
      }
      if (!ended) continue;

      /* A value ended (or an empty container is about to): close all that ends with it. */
      for (SkipBlanks(); !open_.empty() && Peek() == open_.back(); SkipBlanks()) {
        Copy(1);
        open_.pop_back();
      }
      if (open_.empty()) return at_ == in_.size() ? JsonFault::kNone : JsonFault::kSyntax;
      if (Peek() != ',') return JsonFault::kSyntax;
      Copy(1);
      if (open_.back() == '}' && !Key()) return JsonFault::kSyntax;
    }
  }

  bool Key() {
    SkipBlanks();
    if (Peek() != '"' || !String()) return false;
    SkipBlanks();
    if (Peek() != ':') return false;
    Copy(1);
    return true;
  }

  bool Scalar() {
    const char c = Peek();
    if (c == '"') return String();
    if (c == '-' || IsDigit(c)) return Number();
    for (const std::string_view word : {"true", "false", "null"}) {
      if (in_.substr(at_, word.size()) == word) {
        Copy(word.size());
        return true;
      }
    }
    return false;
  }

  bool String() {
    Copy(1);
    for (;;) {
      std::size_t end = at_;
      while (end < in_.size() && in_[end] != '"' && in_[end] != '\\' &&
             static_cast<std::uint8_t>(in_[end]) >= 0x20) {
        ++end;
      }
      Copy(end - at_);
      if (Peek() == '"') {
        Copy(1);
        return true;
      }
      if (Peek() != '\\') return false; /* a raw control character, or the end */
      const char escaped = at_ + 1 < in_.size() ? in_[at_ + 1] : '\0';
      if (escaped == 'u') {
        if (!UnicodeEscape()) return false;
      } else if (escaped != '\0' && std::string_view("\"\\/bfnrt").find(escaped) != std::string_view::npos) {
        Copy(2);
      } else {
        return false;
      }
    }
  }

  bool UnicodeEscape() {
    const int unit = HexUnit(at_);
    if (unit < 0) return false;
    const bool high = unit >= 0xD800 && unit <= 0xDBFF;
    const int next = high ? HexUnit(at_ + 6) : -1;
    if (next >= 0xDC00 && next <= 0xDFFF) {
      Copy(12);
    } else if (unit == 0 || (unit >= 0xD800 && unit <= 0xDFFF)) {
      out_.append("\\ufffd");
      at_ += 6;
    } else {
      Copy(6);
    }
    return true;
  }

  /* The value of "\uXXXX" at this place, or -1. */
  int HexUnit(std::size_t at) const {
    if (at + 6 > in_.size() || in_[at] != '\\' || in_[at + 1] != 'u') return -1;
    int value = 0;
    for (std::size_t i = at + 2; i < at + 6; ++i) {
      const char c = in_[i];
      const int digit = IsDigit(c)               ? c - '0'
                        : (c >= 'a' && c <= 'f') ? c - 'a' + 10
                        : (c >= 'A' && c <= 'F') ? c - 'A' + 10
                                                 : -1;
      if (digit < 0) return -1;
      value = value * 16 + digit;
    }
    return value;
  }

  bool Number() {
    const std::size_t begin = at_;
    if (Peek() == '-') ++at_;
    const std::int64_t whole = in_.substr(at_, 1) == "0" ? Skip(1) : SkipDigits();
    if (whole == 0) return false;
    std::int64_t fraction = 0;
    if (Peek() == '.') {
      ++at_;
      fraction = SkipDigits();
      if (fraction == 0) return false;
    }
    std::int64_t exponent = 0;
    if (Peek() == 'e' || Peek() == 'E') {
      ++at_;
      const bool negative = Peek() == '-';
      if (negative || Peek() == '+') ++at_;
      if (!IsDigit(Peek())) return false;
      for (; IsDigit(Peek()); ++at_) exponent = std::min(exponent * 10 + (Peek() - '0'), kExponentCap);
      if (negative) exponent = -exponent;
    }
    return Accept(in_.substr(begin, at_ - begin), std::max<std::int64_t>(whole + exponent, 0),
                  std::max<std::int64_t>(fraction - exponent, 0));
  }

  /* before, after: the digits on both sides of the point once the exponent is written out. */
  bool Accept(std::string_view number, std::int64_t before, std::int64_t after) {
    if (rule_ == NumberRule::kForReal && (before > kRealDigitsBefore || after > kRealDigitsAfter)) {
      out_.append("null");
      return true;
    }
    if (rule_ == NumberRule::kForJsonb) {
      printed_digits_ += before + after;
      if (before > kNumericDigitsBefore || after > kNumericDigitsAfter ||
          printed_digits_ > kMaxPrintedDigits) {
        fault_ = JsonFault::kNumber;
        return false;
      }
    }
    out_.append(number);
    return true;
  }

  static bool IsDigit(char c) { return c >= '0' && c <= '9'; }
  char Peek() const { return at_ < in_.size() ? in_[at_] : '\0'; }

  std::int64_t Skip(std::size_t count) {
    at_ += count;
    return static_cast<std::int64_t>(count);
  }

  std::int64_t SkipDigits() {
    const std::size_t begin = at_;
    while (IsDigit(Peek())) ++at_;
    return static_cast<std::int64_t>(at_ - begin);
  }

  void SkipBlanks() {
    while (Peek() == ' ' || Peek() == '\t' || Peek() == '\n' || Peek() == '\r') ++at_;
  }

  void Copy(std::size_t count) {
    out_.append(in_.substr(at_, count));
    at_ += count;
  }

  std::string_view in_;
  NumberRule rule_;
  std::size_t at_ = 0;
  std::string out_;
  std::string open_; /* the closing brackets still due, the innermost last */
  std::int64_t printed_digits_ = 0;
  JsonFault fault_ = JsonFault::kSyntax; /* why Scalar() said no */
};

}  // namespace

CleanJson CleanUp(std::string_view text, NumberRule rule) {
  return Scanner(text, rule).Run();
}

std::string Quote(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace product_optimizer
