/*
 * http_date.h
 *   The date of an HTTP header, in the three forms that RFC 9110 asks a reader to know.
 */
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace product_optimizer {

/*
 * "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT" or "Sun Nov  6 08:49:37 1994" in
 * seconds since 1970.  A year of two digits is the one that lies at most 50 years after now.
 */
std::optional<std::int64_t> ParseHttpDate(std::string_view text, std::int64_t now_unix_s);

}  // namespace product_optimizer
