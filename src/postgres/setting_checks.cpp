#include "postgres/setting_checks.h"

#include <string_view>

#include <nlohmann/json.hpp>

#include "core/text.h"

namespace product_optimizer {

namespace {

/* PostgreSQL owns both, as the settings' extra. */
char* api_key = nullptr;
char* proxy = nullptr;

constexpr std::size_t kLongestText = 100'000;

/* The macro behind it calls PostgreSQL and may raise: no object with a destructor may be alive around it. */
bool Refuse(const char* why) {
  GUC_check_errdetail("%s", why);
  return false;
}

bool IsText(const char* value) {
  const std::string_view text(value);
  return text.size() <= kLongestText && IsValidUtf8(text);
}

bool HasOnlyPrintableAscii(std::string_view text) {
  for (const char c : text)
    if (c <= ' ' || c >= '\x7f') return false;
  return true;
}

bool IsJsonObject(const char* value) {
  try {
    /* Counted first, for the parser recurses when it frees: no more brackets, no deeper nesting. */
    int brackets = 0;
    for (const char* c = value; *c != '\0'; c++) {
      if ((*c == '{' || *c == '[') && ++brackets > 100) return false;
    }
    return nlohmann::json::parse(value, nullptr, false).is_object();
  } catch (...) {
    return false;
  }
}

/* What follows http:// or https://; empty when neither is there, or nothing that may follow. */
std::string_view BehindScheme(std::string_view url) {
  const std::size_t length = url.rfind("https://", 0) == 0  ? 8
                             : url.rfind("http://", 0) == 0 ? 7
                                                            : url.size();
  const std::string_view rest = url.substr(length);
  return HasOnlyPrintableAscii(rest) && rest.find_first_of("?#\\") == std::string_view::npos
             ? rest
             : std::string_view();
}

/* http or https, a host, no user, no query: the key travels in a header, never in a URL. */
bool IsBaseUrl(std::string_view url) {
  const std::string_view rest = BehindScheme(url);
  return !rest.empty() && rest.front() != '/' && rest.find('@') == std::string_view::npos;
}

/* http or https, perhaps user and password, a host, perhaps a port, no path. */
bool IsProxyUrl(std::string_view url) {
  std::string_view rest = BehindScheme(url);
  if (!rest.empty() && rest.back() == '/') rest.remove_suffix(1);
  return !rest.empty() && rest.back() != '@' && rest.find('/') == std::string_view::npos;
}

/*
 * PostgreSQL logs the value of a setting that a reload changed, and of one that is refused.  So the value
 * it sees is always empty, and the secret travels beside it.
 */
bool HideSecret(char** value, void** extra) {
  const std::size_t size = strlen(*value) + 1;
  auto* const secret = static_cast<char*>(AllocateForSetting(size));
  auto* const empty = static_cast<char*>(AllocateForSetting(1));
  if (secret == nullptr || empty == nullptr) {
    FreeForSetting(secret);
    FreeForSetting(empty);
    return false;
  }
  memcpy(secret, *value, size);
  *empty = '\0';
  explicit_bzero(*value, size);
  FreeForSetting(*value);
  *value = empty;
  *extra = secret;
  return true;
}

/* PostgreSQL frees the old one when the hook returns, as it is; in a parallel worker that takes over the
 * settings of its leader it has freed it before. */
void ReplaceSecret(char** secret, void* extra) {
  if (*secret != nullptr && *secret != extra && !InitializingParallelWorker)
    explicit_bzero(*secret, strlen(*secret));
  *secret = static_cast<char*>(extra);
}

}  // namespace

const char* AssignedApiKey() {
  return api_key != nullptr ? api_key : "";
}

const char* AssignedProxy() {
  return proxy != nullptr ? proxy : "";
}

}  // namespace product_optimizer

using namespace product_optimizer;

bool product_optimizer_check_text(char** value, void**, GucSource) {
  return IsText(*value) || Refuse("The value must be valid UTF-8 of at most 100000 bytes.");
}

bool product_optimizer_check_model(char** value, void**, GucSource) {
  const std::size_t length = std::string_view(*value).size();
  return (length >= 1 && length <= 200 && HasOnlyPrintableAscii(*value)) ||
         Refuse("The value must be a model name of 1 to 200 printable ASCII characters without blanks.");
}

bool product_optimizer_check_api_key(char** value, void** extra, GucSource) {
  if (HasOnlyPrintableAscii(*value)) return HideSecret(value, extra);
  /* Without a message of ours PostgreSQL would quote the value. */
  GUC_check_errmsg("invalid value for parameter \"product_optimizer.api_key\"");
  return Refuse("The value must be printable ASCII without blanks.");
}

void product_optimizer_assign_api_key(const char*, void* extra) {
  ReplaceSecret(&api_key, extra);
}

bool product_optimizer_check_proxy(char** value, void** extra, GucSource) {
  if ((*value)[0] == '\0' || IsProxyUrl(*value)) return HideSecret(value, extra);
  GUC_check_errmsg("invalid value for parameter \"product_optimizer.proxy\"");
  return Refuse(
      "The value must be an http or https URL without a path, such as http://user:password@proxy:3128.");
}

void product_optimizer_assign_proxy(const char*, void* extra) {
  ReplaceSecret(&proxy, extra);
}

const char* product_optimizer_show_proxy(void) {
  return AssignedProxy()[0] != '\0' ? "********" : "";
}

bool product_optimizer_check_base_url(char** value, void**, GucSource) {
  if (IsBaseUrl(*value)) return true;
  GUC_check_errmsg(
      "invalid value for parameter \"product_optimizer.api_base_url\""); /* may hold a password */
  return Refuse(
      "The value must be an http or https URL with a host and without user, query or fragment, such as "
      "https://api.openai.com/v1.");
}

bool product_optimizer_check_json_object(char** value, void**, GucSource) {
  return (*value)[0] == '\0' || (IsText(*value) && IsJsonObject(*value)) ||
         Refuse("The value must be empty or a JSON object of at most 100000 bytes and 100 brackets.");
}

const char* product_optimizer_show_api_key(void) {
  return AssignedApiKey()[0] != '\0' ? "********" : "";
}
