/*
 * epoll_set.h
 *   The sockets of libcurl on one epoll descriptor, changed as rarely as possible.  libcurl says "remove"
 *   after each reply and "watch" again with the next request on the same connection; a socket of ours
 *   therefore stays registered when it falls idle and is taken out only if it becomes ready while nobody
 *   wants it.  That needs to know when a socket is closed, because its number comes back: hence Opened()
 *   and Closed(), called from libcurl's open and close hooks.
 *
 *   libcurl does not always tell.  Sockets it opens without the hooks (its resolver's) are registered and
 *   removed at once.  Version 7.88 also closes a socket that never got connected without the close hook, and
 *   when the next address gets the same number, it takes it for watched already: so Opened() goes on with
 *   what was wanted of that number, and a socket is left registered only once it was seen alive and
 *   connected.
 *
 *   Ownership: one thread.  Everything but the constructor and Opened() is free of exceptions.
 */
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace product_optimizer {

class EpollSet {
 public:
  struct Ready {
    int fd;
    bool readable;
    bool writable;
  };

  EpollSet(); /* throws std::runtime_error */
  ~EpollSet();
  EpollSet(const EpollSet&) = delete;
  EpollSet& operator=(const EpollSet&) = delete;

  int descriptor() const { return epoll_fd_; }
  std::size_t open() const { return open_; } /* sockets opened through the hooks */
  std::size_t busy() const { return busy_; } /* those of them that libcurl waits for */

  void Opened(int fd); /* throws std::bad_alloc */
  void Closed(int fd) noexcept;

  /* What libcurl waits for on fd from now on; both false: nothing. */
  void Want(int fd, bool readable, bool writable) noexcept;

  /* What is ready now, without waiting; at most kBatch of them, and valid until the next call. */
  static constexpr std::size_t kBatch = 256;
  const std::vector<Ready>& Collect() noexcept;

 private:
  struct Slot {
    std::uint8_t wanted = 0;     /* kRead | kWrite, as libcurl asked */
    std::uint8_t registered = 0; /* the same as epoll knows it; 0: not in epoll */
    bool ours = false;           /* opened through the hook */
    bool proven = false;         /* was connected, so its end is told too */
    ino_t inode = 0;             /* tells our socket from a later one of the same number */
  };

  Slot* Find(int fd) noexcept;
  static bool IsConnected(int fd, const Slot& slot) noexcept;
  void SetWanted(Slot* slot, std::uint8_t mask) noexcept;
  void Register(int fd, Slot* slot, std::uint8_t mask) noexcept;

  int epoll_fd_;
  std::size_t open_ = 0;
  std::size_t busy_ = 0;
  std::vector<Ready> ready_; /* its room is reserved once, so that Collect() cannot fail */
  std::vector<Slot> slots_;  /* by descriptor: small and dense by POSIX */
};

}  // namespace product_optimizer
