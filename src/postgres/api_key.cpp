#include "postgres/api_key.h"

#include <cstdlib>
#include <fcntl.h>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

#include "postgres/settings.h"

namespace product_optimizer {

namespace {

constexpr std::size_t kLongestKey = 4096;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

/* As PostgreSQL treats its TLS key: nobody else may read it, but root may share it with the server's group.
 */
bool IsPrivate(const struct stat& status) {
  if (status.st_uid == 0) return (status.st_mode & (S_IWGRP | S_IRWXO)) == 0;
  return status.st_uid == geteuid() && (status.st_mode & (S_IRWXG | S_IRWXO)) == 0;
}

ApiKey ReadKeyFile(const char* path) {
  /* Not blocking, so that a FIFO in its place cannot hang the worker. */
  const Descriptor file(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (file.get() < 0) return {{}, "product_optimizer.api_key_file cannot be opened by the server"};
  struct stat status;
  if (fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode))
    return {{}, "product_optimizer.api_key_file is not a regular file"};
  if (!IsPrivate(status))
    return {{}, "product_optimizer.api_key_file must be readable by the server's user only (chmod 600)"};
  char buffer[kLongestKey];
  const ssize_t length = read(file.get(), buffer, sizeof buffer);
  if (length <= 0) return {{}, "product_optimizer.api_key_file is empty or cannot be read"};
  const std::string_view text(buffer, static_cast<std::size_t>(length));
  return {std::string(text.substr(0, text.find_first_of(" \t\r\n"))), {}};
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
  for (const char c : found.key)
    if (c <= ' ' || c >= '\x7f') return {{}, "the API key holds characters that no key has"};
  if (found.key.empty() && found.problem.empty())
    found.problem = "no API key: set product_optimizer.api_key or product_optimizer.api_key_file and reload";
  return found;
}

}  // namespace product_optimizer
