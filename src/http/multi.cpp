/*
 * multi.cpp
 *   libcurl's socket and timer hooks, and the pass that serves them.
 */
#include "http/multi.h"

#include "http/clock.h"

#include <algorithm>
#include <stdexcept>

namespace product_optimizer {
namespace {

/* Timers that fall due while others are served are common (libcurl schedules its own next steps that way);
 * eight rounds take a request from start to sent, and anything left over waits for the next Turn(). */
constexpr int kRounds = 8;

constexpr std::size_t kMaxShared = 64; /* connections of a hundred streams each: 6,400 requests */

extern "C" int OnSocket(CURL*, curl_socket_t fd, int what, void* user, void*) {
  auto* multi = static_cast<Multi*>(user);
  const bool removed = what == CURL_POLL_REMOVE;
  multi->sockets()->Want(fd, !removed && (what & CURL_POLL_IN) != 0, !removed && (what & CURL_POLL_OUT) != 0);
  return 0;
}

extern "C" int OnTimer(CURLM*, long timeout_ms, void* user) {
  auto* multi = static_cast<Multi*>(user);
  if (timeout_ms < 0)
    multi->SetTimer(std::nullopt);
  else
    multi->SetTimer(MonotonicNs() + static_cast<std::int64_t>(timeout_ms) * kNsPerMs);
  return 0;
}

}  // namespace

Multi::Multi(EpollSet* sockets) : sockets_(sockets), multi_(curl_multi_init()) {
  if (multi_ == nullptr) throw std::runtime_error("libcurl could not make a multi handle");
  curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, OnSocket);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, OnTimer);
  curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
}

Multi::~Multi() {
  if (multi_ != nullptr) curl_multi_cleanup(multi_);
}

void Multi::SetMaxConnections(std::size_t max_connections) {
  max_connections_ = max_connections;
  const auto limit = static_cast<long>(max_connections);
  curl_multi_setopt(multi_, CURLMOPT_MAX_TOTAL_CONNECTIONS, limit);
  curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, limit); /* all may stay open when idle */
  SetSharing(sharing_);
}

/* One limit serves all hosts, and the latest request decides it: the usual case is one host.  Over HTTP/1.1
 * that host needs every connection.  Over HTTP/2, where each carries a hundred requests, libcurl opens one
 * more whenever all are full for a moment, and closes none while they are used: 256 for 1,000 requests. */
void Multi::SetSharing(bool sharing) {
  sharing_ = sharing;
  const std::size_t limit =
      sharing ? std::clamp<std::size_t>((max_connections_ + 7) / 8, 1, kMaxShared) : 0 /* no limit */;
  curl_multi_setopt(multi_, CURLMOPT_MAX_HOST_CONNECTIONS, static_cast<long>(limit));
}

bool Multi::Add(CURL* easy) noexcept {
  return curl_multi_add_handle(multi_, easy) == CURLM_OK;
}

void Multi::Remove(CURL* easy) noexcept {
  curl_multi_remove_handle(multi_, easy);
}

void Multi::Turn() noexcept {
  int running = 0;
  for (int round = 0; round < kRounds; ++round) {
    const std::vector<EpollSet::Ready>& ready = sockets_->Collect();
    for (const EpollSet::Ready& one : ready) {
      const int what = (one.readable ? CURL_CSELECT_IN : 0) | (one.writable ? CURL_CSELECT_OUT : 0);
      curl_multi_socket_action(multi_, one.fd, what, &running);
    }
    const bool due = timer_ns_.has_value() && *timer_ns_ <= MonotonicNs();
    if (due) {
      timer_ns_.reset(); /* first, because the call may set the next one */
      curl_multi_socket_action(multi_, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    if (!due && ready.size() < EpollSet::kBatch) return;
  }
}

bool Multi::NextEnded(CURL** easy, CURLcode* code) noexcept {
  int left = 0;
  while (CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    *easy = message->easy_handle;
    *code = message->data.result;
    return true;
  }
  return false;
}

}  // namespace product_optimizer
