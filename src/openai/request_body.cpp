/*
 * request_body.cpp
 *   Values stay JSON texts, so that a schema goes out as it came in.
 */
#include "openai/request_body.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/text.h"
#include "openai/json_hygiene.h"

namespace product_optimizer {
namespace {

using nlohmann::json;

/*
 * messages, input, instructions, prompt, previous_response_id, conversation: the product must stay data
 * and one store's texts must not meet another's.  stream, background: the answer would not be in the
 * reply.  n: multiplies the bill, and all but the first answer would be dropped.  model: has its own
 * column, and the rate limit goes by it.
 */
constexpr std::string_view kProtectedKeys[] = {"background", "conversation", "input", "instructions",
                                               "messages",   "model",        "n",     "previous_response_id",
                                               "prompt",     "stream"};

constexpr std::string_view kCapKeys[] = {"max_completion_tokens", "max_output_tokens", "max_tokens"};

template <std::size_t kSize>
bool IsAmong(const std::string_view (&keys)[kSize], std::string_view key) {
  return std::find(std::begin(keys), std::end(keys), key) != std::end(keys);
}

/* Absent for anything but a whole number of 1 … 2^31-1. */
std::optional<std::int32_t> ReadCap(const json& value) {
  constexpr auto kLargest = static_cast<std::uint64_t>(std::numeric_limits<std::int32_t>::max());
  if (!value.is_number_unsigned()) return std::nullopt;
  const auto number = value.get<std::uint64_t>();
  if (number < 1 || number > kLargest) return std::nullopt;
  return static_cast<std::int32_t>(number);
}

std::string Dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace

std::optional<BuildError> MergeInto(Body* body, std::string_view text, const MergeSource& source,
                                    std::optional<std::int32_t>* cap) {
  const auto refuse = [&](const std::string& what) {
    return BuildError{std::string(source.name) + " " + what + ".", std::string(source.error_code)};
  };
  const CleanJson clean = CleanUp(SanitizeUtf8(text), NumberRule::kKeep);
  if (clean.fault == JsonFault::kDepth) {
    return refuse("must not be nested deeper than " + std::to_string(kMaxJsonDepth) + " levels");
  }
  if (clean.fault != JsonFault::kNone || clean.text.front() != '{') return refuse("must be a JSON object");
  const json members = json::parse(clean.text, nullptr, /*allow_exceptions=*/false);
  if (!members.is_object()) return refuse("must not hold numbers beyond the range of a double");

  for (const auto& member : members.items()) {
    const std::string& key = member.key();
    if (IsAmong(kProtectedKeys, key)) return refuse("must not set \"" + key + "\"; remove that key");
    if (member.value().is_null()) {
      body->erase(key);
      continue;
    }
    if (IsAmong(kCapKeys, key)) {
      const auto value = ReadCap(member.value());
      if (!value) return refuse("must set \"" + key + "\" to a whole number from 1 to 2147483647");
      /* The API refuses two caps at once. */
      for (const std::string_view other : kCapKeys) body->erase(std::string(other));
      *cap = value;
    }
    (*body)[key] = Dump(member.value());
  }
  return std::nullopt;
}

std::string_view CapKey(const Body& body) {
  for (const std::string_view key : kCapKeys) {
    if (body.count(std::string(key)) > 0) return key;
  }
  return {};
}

std::string ToJson(const Body& body) {
  std::string out = "{";
  for (const auto& [key, value] : body) {
    if (out.size() > 1) out += ',';
    out.append(Quote(key)).append(":").append(value);
  }
  return out += '}';
}

}  // namespace product_optimizer
