/*
 * plain_error.h
 *   What the API says becomes a sentence for a row: one line, bounded, without anything like a key.
 */
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace product_optimizer {

/* Of an error_code. */
constexpr std::size_t kMaxCodeBytes = 64;

/*
 * One line of at most max_bytes, "…" included when something was cut.  Words that look like an API key
 * ("sk-…", the word after "Bearer", anything with "***" in it) read "[key]".
 */
std::string PlainText(std::string_view bytes, std::size_t max_bytes);

/*
 * text with "[key]" wherever the secret stands in it: a key of a gateway has no shape of its own.  A secret
 * under 8 characters, which might be a word, is left alone.
 */
std::string WithoutSecret(std::string text, std::string_view secret);

/* "HTTP 400: message (request req_123)", at most 1000 bytes; status 0 and an empty request_id are left out.
 */
std::string PlainError(int status, std::string_view message, std::string_view request_id);

}  // namespace product_optimizer
