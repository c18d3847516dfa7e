#include "postgres/setting_file.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

#include "http/wipe.h"

namespace product_optimizer {

namespace {

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

/* As PostgreSQL treats its TLS key: root may share it with the server's group. */
bool IsPrivate(const struct stat& status) {
  if (status.st_uid == 0) return (status.st_mode & (S_IWGRP | S_IRWXO)) == 0;
  return status.st_uid == geteuid() && (status.st_mode & (S_IRWXG | S_IRWXO)) == 0;
}

bool IsSoundlyOwned(const struct stat& status) {
  return (status.st_uid == 0 || status.st_uid == geteuid()) && (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* Up to limit bytes; false with errno set. */
bool ReadUpTo(int fd, std::size_t limit, std::string* content) {
  content->resize(limit);
  std::size_t filled = 0;
  while (filled < limit) {
    const ssize_t length = read(fd, &(*content)[filled], limit - filled);
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) return false;
    if (length == 0) break;
    filled += static_cast<std::size_t>(length);
  }
  content->resize(filled);
  return true;
}

}  // namespace

SettingFile ReadSettingFile(const char* setting, const char* path, std::size_t largest, FileSecrecy secrecy) {
  const auto refuse = [setting](const std::string& why) {
    return SettingFile{{}, std::string(setting) + why};
  };
  /* Not blocking, so that a FIFO in its place cannot hang the worker. */
  const Descriptor file(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW));
  if (file.get() < 0) {
    if (errno == ELOOP) return refuse(" is a symbolic link, which is not followed");
    return refuse(" cannot be opened by the server: " + std::generic_category().message(errno));
  }
  struct stat status;
  if (fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) return refuse(" is not a regular file");
  if (secrecy == FileSecrecy::kSecret && !IsPrivate(status))
    return refuse(" must be readable by the server's user only (chmod 600)");
  if (secrecy == FileSecrecy::kPublic && !IsSoundlyOwned(status))
    return refuse(" must belong to the server's user or root, and nobody else may write it (chmod 644)");

  SettingFile found;
  if (!ReadUpTo(file.get(), largest + 1, &found.content)) {
    const int error = errno;
    Wipe(&found.content);
    return refuse(" cannot be read: " + std::generic_category().message(error));
  }
  if (found.content.empty()) return refuse(" is empty");
  if (found.content.size() > largest) {
    Wipe(&found.content);
    return refuse(" is larger than " + std::to_string(largest) + " bytes");
  }
  return found;
}

}  // namespace product_optimizer
