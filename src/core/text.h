/*
 * text.h
 *   Text hygiene: nothing that comes from outside reaches a table or a log before it went through here.
 */
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace product_optimizer {

/* True when the bytes are well-formed UTF-8 (no overlong forms, no surrogates, ≤ U+10FFFF). */
bool IsValidUtf8(std::string_view bytes);

/* The number of characters of a valid UTF-8 text. */
std::size_t Utf8Length(std::string_view text);

/* Valid UTF-8 without NUL: each malformed sequence and each NUL becomes U+FFFD. */
std::string SanitizeUtf8(std::string_view bytes);

/* At most max_bytes of a valid UTF-8 text, cut between characters. */
std::string_view Truncate(std::string_view text, std::size_t max_bytes);

/*
 * One log-safe or error-safe line: sanitized, control characters and line breaks become single
 * blanks, cut at max_chars characters with "…" when something was cut.
 */
std::string OneLine(std::string_view bytes, std::size_t max_chars);

}  // namespace product_optimizer
