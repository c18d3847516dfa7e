#include "postgres/api_key.h"

#include <cstdlib>

#include "postgres/setting_file.h"
#include "postgres/settings.h"

namespace product_optimizer {

namespace {

constexpr std::size_t kLongestKeyFile = 4096;

ApiKey ReadKeyFile(const char* path) {
  SettingFile file =
      ReadSettingFile("product_optimizer.api_key_file", path, kLongestKeyFile, FileSecrecy::kSecret);
  ApiKey found;
  found.problem = std::move(file.problem);
  found.key = file.content.substr(0, file.content.find_first_of(" \t\r\n"));
  Wipe(&file.content);
  if (found.key.empty() && found.problem.empty())
    found.problem = "product_optimizer.api_key_file does not begin with a key";
  return found;
}

}  // namespace

ApiKey LoadApiKey() {
  const ApiKeySources sources = CurrentApiKeySources();
  ApiKey found;
  if (sources.key[0] != '\0') {
    found.key = sources.key;
  } else if (sources.file[0] != '\0') {
    found = ReadKeyFile(sources.file);
  } else if (const char* environment = std::getenv("OPENAI_API_KEY"); environment != nullptr) {
    found.key = environment;
  }
  /* It becomes a header line: a stray byte must not become a second one. */
  for (const char c : found.key) {
    if (c > ' ' && c < '\x7f') continue;
    found = ApiKey();
    found.problem = "the API key holds characters that no key has";
    break;
  }
  if (found.key.empty() && found.problem.empty())
    found.problem = "no API key: set product_optimizer.api_key or product_optimizer.api_key_file and reload";
  return found;
}

}  // namespace product_optimizer
