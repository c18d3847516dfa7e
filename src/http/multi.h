/*
 * multi.h
 *   One libcurl multi handle, driven by socket events and one timer.  Several of these could share one
 *   EpollSet should a thousand connections ever be too many for one (libcurl walks its connections for
 *   each transfer); today there is one.
 *
 *   Ownership: one thread, whose signals the caller has blocked around every call.  The EpollSet outlives it:
 *   libcurl still closes sockets in the destructor.
 */
#pragma once

#include "http/epoll_set.h"

#include <curl/curl.h>

#include <cstddef>
#include <cstdint>
#include <optional>

namespace product_optimizer {

class Multi {
 public:
  explicit Multi(EpollSet* sockets); /* throws std::runtime_error */
  ~Multi();
  Multi(const Multi&) = delete;
  Multi& operator=(const Multi&) = delete;

  void SetMaxConnections(std::size_t max_connections);

  /* Whether the requests to come are expected to share connections, which then need far fewer. */
  void SetSharing(bool sharing);

  /* Leaves the handle to the end of the process, for a libcurl whose clean-up may block. */
  void Abandon() noexcept { multi_ = nullptr; }

  bool Add(CURL* easy) noexcept; /* false: memory ran out */
  void Remove(CURL* easy) noexcept;

  /* One pass over what is ready and due; bounded, so that a busy server cannot hold the caller here. */
  void Turn() noexcept;

  /* The next transfer that ended; false when there is none. */
  bool NextEnded(CURL** easy, CURLcode* code) noexcept;

  std::optional<std::int64_t> timer_ns() const { return timer_ns_; } /* CLOCK_MONOTONIC */
  void SetTimer(std::optional<std::int64_t> at_ns) { timer_ns_ = at_ns; }
  EpollSet* sockets() { return sockets_; }

 private:
  EpollSet* sockets_;
  CURLM* multi_;
  std::optional<std::int64_t> timer_ns_;
  std::size_t max_connections_ = 1;
  bool sharing_ = false;
};

}  // namespace product_optimizer
