/*
 * plain_error.cpp
 *   Masking comes before cutting: half a key at the end of a line is still half a key.
 */
#include "openai/plain_error.h"

#include "core/text.h"

namespace product_optimizer {
namespace {

constexpr std::size_t kMaxErrorBytes = 1000;
constexpr std::size_t kLeastSecret = 8;
constexpr std::string_view kMask = "[key]";
constexpr std::string_view kEllipsis = "\xE2\x80\xA6";

bool IsAlnum(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool IsKeyChar(char c) {
  return IsAlnum(c) || std::string_view("-_*.~+/=").find(c) != std::string_view::npos;
}

bool IsBearer(std::string_view word) {
  constexpr std::string_view kLower = "bearer";
  if (word.size() != kLower.size()) return false;
  for (std::size_t i = 0; i < word.size(); ++i) {
    if ((word[i] | 0x20) != kLower[i]) return false;
  }
  return true;
}

/* "sk-" at the start of a word of the run, or somebody masked it already. */
bool LooksLikeKey(std::string_view run) {
  if (run.find("***") != std::string_view::npos) return true;
  for (std::size_t at = run.find("sk-"); at != std::string_view::npos; at = run.find("sk-", at + 1)) {
    if (at == 0 || !IsAlnum(run[at - 1])) return true; /* not the "sk-" of "task-list" */
  }
  return false;
}

/* line: one line of single blanks, as OneLine() makes it. */
std::string MaskKeys(std::string_view line) {
  std::string out;
  bool after_bearer = false;
  for (std::size_t at = 0; at < line.size();) {
    std::size_t end = at;
    while (end < line.size() && IsKeyChar(line[end])) ++end;
    if (end == at) {
      const char c = line[at++];
      out += c;
      after_bearer = after_bearer && (c == ' ' || c == ':' || c == '"' || c == '\'');
      continue;
    }
    /* A full stop ends the sentence, not the key. */
    std::size_t key_end = end;
    while (key_end > at && line[key_end - 1] == '.') --key_end;
    const std::string_view run = line.substr(at, key_end - at);
    out += !run.empty() && (after_bearer || LooksLikeKey(run)) ? kMask : run;
    out += line.substr(key_end, end - key_end);
    after_bearer = IsBearer(run);
    at = end;
  }
  return out;
}

}  // namespace

std::string PlainText(std::string_view bytes, std::size_t max_bytes) {
  std::string line = MaskKeys(OneLine(bytes, bytes.size()));
  if (line.size() <= max_bytes) return line;
  if (max_bytes < kEllipsis.size()) return {};
  line.resize(Truncate(line, max_bytes - kEllipsis.size()).size());
  return line.append(kEllipsis);
}

std::string WithoutSecret(std::string text, std::string_view secret) {
  if (secret.size() < kLeastSecret) return text;
  std::size_t at = text.find(secret);
  if (at == std::string::npos) return text;
  std::string masked; /* not in place: each replacement would move all that follows */
  std::size_t from = 0;
  for (; at != std::string::npos; at = text.find(secret, from)) {
    masked.append(text, from, at - from).append(kMask);
    from = at + secret.size();
  }
  return masked.append(text, from);
}

std::string PlainError(int status, std::string_view message, std::string_view request_id) {
  std::string prefix;
  if (status != 0) prefix.append("HTTP ").append(std::to_string(status)).append(": ");
  std::string suffix;
  if (!request_id.empty()) suffix.append(" (request ").append(PlainText(request_id, 100)).append(")");
  return prefix + PlainText(message, kMaxErrorBytes - prefix.size() - suffix.size()) + suffix;
}

}  // namespace product_optimizer
