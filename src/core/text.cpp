/*
 * text.cpp
 *   One decoder of UTF-8, and the few rules that are built on it.
 */
#include "core/text.h"

#include <cstdint>

namespace product_optimizer {
namespace {

constexpr char32_t kMalformed = 0xFFFFFFFF;
constexpr std::string_view kReplacement = "\xEF\xBF\xBD"; /* U+FFFD */
constexpr std::string_view kEllipsis = "\xE2\x80\xA6";    /* U+2026 */

struct Decoded {
  char32_t code_point; /* kMalformed when these bytes are none */
  std::size_t length;  /* ≥ 1; of a malformed sequence the longest part that could have begun a character */
};

/* The character that begins at `at`, which is inside of bytes. */
Decoded DecodeAt(std::string_view bytes, std::size_t at) {
  const auto byte = [&](std::size_t offset) { return static_cast<std::uint8_t>(bytes[at + offset]); };
  const std::uint8_t first = byte(0);
  if (first < 0x80) return {first, 1};

  /* The range of the second byte excludes overlong forms, surrogates and what lies beyond U+10FFFF. */
  std::size_t length = 0;
  std::uint8_t low = 0x80;
  std::uint8_t high = 0xBF;
  char32_t code_point = 0;
  if (first >= 0xC2 && first <= 0xDF) {
    length = 2;
    code_point = first & 0x1Fu;
  } else if (first >= 0xE0 && first <= 0xEF) {
    length = 3;
    code_point = first & 0x0Fu;
    if (first == 0xE0) low = 0xA0;
    if (first == 0xED) high = 0x9F;
  } else if (first >= 0xF0 && first <= 0xF4) {
    length = 4;
    code_point = first & 0x07u;
    if (first == 0xF0) low = 0x90;
    if (first == 0xF4) high = 0x8F;
  } else {
    return {kMalformed, 1};
  }
  for (std::size_t i = 1; i < length; ++i) {
    if (at + i >= bytes.size() || byte(i) < low || byte(i) > high) return {kMalformed, i};
    code_point = (code_point << 6) | (byte(i) & 0x3Fu);
    low = 0x80;
    high = 0xBF;
  }
  return {code_point, length};
}

/*
 * What would break a line or lie about it: blanks, C0, DEL, C1, the line and paragraph separators, and
 * the marks that turn the direction of writing, with which a name could rewrite the rest of a log line.
 */
bool IsBlankOrControl(char32_t c) {
  return c <= 0x20 || (c >= 0x7F && c <= 0x9F) || (c >= 0x2028 && c <= 0x202E) ||
         (c >= 0x2066 && c <= 0x2069);
}

}  // namespace

bool IsValidUtf8(std::string_view bytes) {
  for (std::size_t at = 0; at < bytes.size();) {
    const Decoded decoded = DecodeAt(bytes, at);
    if (decoded.code_point == kMalformed) return false;
    at += decoded.length;
  }
  return true;
}

std::size_t Utf8Length(std::string_view text) {
  std::size_t count = 0;
  for (const char c : text) count += (static_cast<std::uint8_t>(c) & 0xC0u) != 0x80u;
  return count;
}

std::string SanitizeUtf8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (std::size_t at = 0; at < bytes.size();) {
    const Decoded decoded = DecodeAt(bytes, at);
    if (decoded.code_point == kMalformed || decoded.code_point == 0) {
      out.append(kReplacement);
    } else {
      out.append(bytes.substr(at, decoded.length));
    }
    at += decoded.length;
  }
  return out;
}

std::string_view Truncate(std::string_view text, std::size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  std::size_t end = max_bytes;
  while (end > 0 && (static_cast<std::uint8_t>(text[end]) & 0xC0u) == 0x80u) --end;
  return text.substr(0, end);
}

std::string OneLine(std::string_view bytes, std::size_t max_chars) {
  std::string out;
  std::size_t chars = 0;
  std::size_t before_last = 0; /* bytes of out without its last character: the place of the "…" */
  bool blank = false;          /* a blank is due before the next character; none at the ends */
  const auto append = [&](std::string_view character) {
    if (chars == max_chars) return false;
    before_last = out.size();
    out.append(character);
    ++chars;
    return true;
  };
  for (std::size_t at = 0; at < bytes.size();) {
    const Decoded decoded = DecodeAt(bytes, at);
    const std::string_view character = bytes.substr(at, decoded.length);
    at += decoded.length;
    const bool replace = decoded.code_point == kMalformed || decoded.code_point == 0;
    if (!replace && IsBlankOrControl(decoded.code_point)) {
      blank = !out.empty();
      continue;
    }
    if ((blank && !append(" ")) || !append(replace ? kReplacement : character)) {
      if (max_chars > 0) out.replace(before_last, std::string::npos, kEllipsis);
      return out;
    }
    blank = false;
  }
  return out;
}

}  // namespace product_optimizer
