/*
 * json_hygiene.h
 *   JSON text from outside is made safe before anything else reads it: one iterative pass, so that no
 *   nesting can exhaust the stack (nlohmann's own parser and destructor are then safe too), and the
 *   text itself is kept, so that every number keeps its digits.
 */
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace product_optimizer {

/* Arrays and objects inside one another. */
constexpr std::size_t kMaxJsonDepth = 512;

enum class JsonFault {
  kNone,
  kSyntax, /* not one JSON value */
  kDepth,  /* deeper than kMaxJsonDepth */
  kNumber, /* a number that PostgreSQL's numeric does not hold; kForJsonb only */
};

enum class NumberRule {
  kKeep,     /* any number, as it is written */
  kForJsonb, /* refuse what numeric does not hold */
  kForReal,  /* what may not fit a double becomes null: nlohmann refuses the whole text otherwise */
};

struct CleanJson {
  JsonFault fault = JsonFault::kSyntax;
  std::string text; /* without a fault: the same value without blanks between its tokens */
};

/*
 * text: valid UTF-8.  A byte order mark is dropped; \u0000 and unpaired surrogates become \ufffd, which
 * jsonb and nlohmann would both refuse.  Keys may repeat.  Linear time.
 */
CleanJson CleanUp(std::string_view text, NumberRule rule);

/* A JSON string of this text; malformed UTF-8 is replaced. */
std::string Quote(std::string_view text);

}  // namespace product_optimizer
