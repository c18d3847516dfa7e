/*
 * text_fuzz.cpp
 *   Text and JSON hygiene.  Input: any bytes.
 */
#include "fuzz.h"

#include <nlohmann/json.hpp>
#include <string>

#include "core/text.h"
#include "openai/answer.h"
#include "openai/json_hygiene.h"
#include "openai/plain_error.h"
#include "openai/strict_schema.h"

using namespace product_optimizer;
using nlohmann::json;

namespace {

void RequireCleanText(std::string_view bytes) {
  const std::string clean = SanitizeUtf8(bytes);
  REQUIRE(IsValidUtf8(clean));
  REQUIRE(clean.find('\0') == std::string::npos);
  REQUIRE(SanitizeUtf8(clean) == clean);
  REQUIRE(Utf8Length(clean) <= clean.size());
  for (const std::size_t limit : {0, 1, 2, 3, 7, 64}) {
    const std::string_view cut = Truncate(clean, limit);
    REQUIRE(cut.size() <= limit && IsValidUtf8(cut) && clean.compare(0, cut.size(), cut) == 0);
    const std::string line = OneLine(bytes, limit);
    REQUIRE(IsValidUtf8(line) && Utf8Length(line) <= limit);
    for (const char c : line) REQUIRE(static_cast<unsigned char>(c) >= 0x20 && c != '\x7F');
    const std::string plain = PlainText(bytes, limit);
    REQUIRE(IsValidUtf8(plain) && plain.size() <= limit);
  }
  REQUIRE(PlainError(400, bytes, bytes).size() <= 1000);
  const json quoted = json::parse(Quote(clean), nullptr, false);
  REQUIRE(quoted.is_string());
  REQUIRE(quoted.get_ref<const std::string&>() == clean);
}

void RequireCleanJson(std::string_view text) {
  for (const NumberRule rule : {NumberRule::kKeep, NumberRule::kForJsonb, NumberRule::kForReal}) {
    const CleanJson clean = CleanUp(text, rule);
    if (clean.fault != JsonFault::kNone) continue;
    REQUIRE(IsValidUtf8(clean.text));
    REQUIRE(CleanUp(clean.text, rule).text == clean.text);
    if (rule != NumberRule::kForReal) continue;
    REQUIRE(!json::parse(clean.text, nullptr, false).is_discarded());
    IsStrictSchema(clean.text);
  }
  const std::string content = ContentToJson(text);
  REQUIRE(CleanUp(content, NumberRule::kForJsonb).fault == JsonFault::kNone);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes = AsText(data, size);
  RequireCleanText(bytes);
  RequireCleanJson(SanitizeUtf8(bytes));
  return 0;
}
