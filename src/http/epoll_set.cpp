/*
 * epoll_set.cpp
 *   Keeps what libcurl wants and what epoll knows apart, and makes them equal only when it matters.
 */
#include "http/epoll_set.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <new>
#include <stdexcept>

namespace product_optimizer {
namespace {

constexpr std::uint8_t kRead = 1;
constexpr std::uint8_t kWrite = 2;

}  // namespace

EpollSet::EpollSet() : epoll_fd_(-1) {
  ready_.reserve(kBatch);
  epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd_ < 0) throw std::runtime_error("could not create an epoll descriptor");
}

EpollSet::~EpollSet() {
  close(epoll_fd_);
}

EpollSet::Slot* EpollSet::Find(int fd) noexcept {
  if (fd < 0) return nullptr;
  const auto index = static_cast<std::size_t>(fd);
  if (index >= slots_.size()) {
    try {
      slots_.resize(index + index / 2 + 64);
    } catch (const std::bad_alloc&) {
      return nullptr;
    }
  }
  return &slots_[index];
}

void EpollSet::SetWanted(Slot* slot, std::uint8_t mask) noexcept {
  if (slot->ours) {
    if (slot->wanted == 0 && mask != 0) ++busy_;
    if (slot->wanted != 0 && mask == 0) --busy_;
  }
  slot->wanted = mask;
}

bool EpollSet::IsConnected(int fd, const Slot& slot) noexcept {
  struct stat now {};
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  return fstat(fd, &now) == 0 && now.st_ino == slot.inode &&
         getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) == 0;
}

void EpollSet::Opened(int fd) {
  Slot* slot = Find(fd);
  if (slot == nullptr) throw std::bad_alloc();
  const std::uint8_t believed = slot->wanted; /* not 0: the socket before was closed without a word */
  Closed(fd);
  struct stat now {};
  slot->inode = fstat(fd, &now) == 0 ? now.st_ino : 0;
  slot->ours = true;
  ++open_;
  if (believed == 0) return;
  SetWanted(slot, believed);
  Register(fd, slot, believed);
}

void EpollSet::Closed(int fd) noexcept {
  Slot* slot = Find(fd);
  if (slot == nullptr) return;
  SetWanted(slot, 0);
  if (slot->ours) --open_;
  *slot = Slot{}; /* closing took it out of epoll already */
}

void EpollSet::Register(int fd, Slot* slot, std::uint8_t mask) noexcept {
  epoll_event event{};
  event.events = ((mask & kRead) != 0 ? EPOLLIN : 0U) | ((mask & kWrite) != 0 ? EPOLLOUT : 0U);
  event.data.fd = fd;
  if (mask == 0) {
    /* ENOENT and EBADF: it was closed before it was removed, which is the same to us. */
    epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr);
    slot->registered = 0;
    return;
  }
  const int guess = slot->registered == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  int result = epoll_ctl(epoll_fd_, guess, fd, &event);
  if (result != 0 && (errno == EEXIST || errno == ENOENT)) {
    const int other = guess == EPOLL_CTL_ADD ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    result = epoll_ctl(epoll_fd_, other, fd, &event);
  }
  /* Any other failure (memory, watch limit) leaves the socket unwatched and the request to its timeout: an
   * error told to libcurl would kill every request of the multi handle for good. */
  slot->registered = result == 0 ? mask : 0;
}

void EpollSet::Want(int fd, bool readable, bool writable) noexcept {
  Slot* slot = Find(fd);
  if (slot == nullptr) return;
  const auto mask = static_cast<std::uint8_t>((readable ? kRead : 0) | (writable ? kWrite : 0));
  SetWanted(slot, mask);
  if (mask == 0 && slot->ours) {
    if (!slot->proven) slot->proven = IsConnected(fd, *slot);
    if (slot->proven) return; /* stays registered */
    Register(fd, slot, 0);
    Closed(fd);
    return;
  }
  if (mask != slot->registered || !slot->ours) Register(fd, slot, mask);
}

const std::vector<EpollSet::Ready>& EpollSet::Collect() noexcept {
  epoll_event events[kBatch];
  ready_.clear();
  const int count = epoll_wait(epoll_fd_, events, static_cast<int>(kBatch), 0);
  for (int i = 0; i < count; ++i) {
    const int fd = events[i].data.fd;
    Slot* slot = Find(fd);
    if (slot == nullptr) continue;
    if (slot->wanted == 0) {
      Register(fd, slot, 0); /* an idle connection that the server closed, for one */
      continue;
    }
    /* After an error or a hang-up every wanted call fails at once and tells libcurl the reason. */
    const std::uint32_t got = events[i].events;
    const bool broken = (got & (EPOLLERR | EPOLLHUP)) != 0;
    const bool readable = (slot->wanted & kRead) != 0 && (broken || (got & EPOLLIN) != 0);
    const bool writable = (slot->wanted & kWrite) != 0 && (broken || (got & EPOLLOUT) != 0);
    if (readable || writable) ready_.push_back({fd, readable, writable});
  }
  return ready_;
}

}  // namespace product_optimizer
