/*
 * client.cpp
 *   Which transfer is in flight, which is spare, what has ended, and the deadline of each whole request.
 *   libcurl's own total timeout is not used: it stands still while a request waits for a connection.
 *
 *   Ownership: see client.h.  Every way into libcurl that may start a thread or run long is under a
 *   SignalBlock, taken once per public call; what runs inside is bounded.
 */
#include "http/client.h"

#include "http/clock.h"
#include "http/epoll_set.h"
#include "http/multi.h"
#include "http/signal_block.h"
#include "http/transfer.h"
#include "http/url.h"
#include "http/wipe.h"

#include <curl/curl.h>

#include <algorithm>
#include <exception>
#include <map>
#include <set>
#include <stdexcept>
#include <utility>

namespace product_optimizer {
namespace {

/* Spare easy handles: enough for a steady stream of ends and starts, small enough to forget about. */
constexpr std::size_t kSpare = 256;
/* Origins known to speak HTTP/1.1 only; in practice one or two, so a full set is simply begun anew. */
constexpr std::size_t kMaxSerialOrigins = 64;

void InitialiseLibraryOnce() {
  static const CURLcode code = [] {
    SignalBlock block;
    return curl_global_init(CURL_GLOBAL_DEFAULT);
  }();
  if (code != CURLE_OK) throw std::runtime_error("libcurl could not be initialised");
  if ((curl_version_info(CURLVERSION_NOW)->features & CURL_VERSION_ASYNCHDNS) == 0)
    throw std::runtime_error(
        "this libcurl cannot resolve names in the background, so each look-up would block");
}

/* A line break would let one header become two, a NUL would cut it. */
bool HeadersAreSound(const std::vector<std::string>& headers) {
  return std::all_of(headers.begin(), headers.end(), [](const std::string& header) {
    return header.find_first_of(std::string("\r\n\0", 3)) == std::string::npos;
  });
}

}  // namespace

struct HttpClient::Impl {
  using Deadlines = std::multimap<std::int64_t, Transfer*>;
  struct Flight {
    std::unique_ptr<Transfer> transfer;
    Deadlines::iterator deadline;
  };

  Impl() : multi(&sockets) {
    spare.reserve(kSpare);
    spare.push_back(std::make_unique<Transfer>(&sockets, &connected)); /* fails now if it ever would */
  }

  ~Impl() {
#if LIBCURL_VERSION_NUM < 0x075700
    /* This libcurl would wait for a hanging resolver: the handles are left to the end of the process. */
    if (!flights.empty()) {
      for (Flight& flight : flights) flight.transfer.release();
      multi.Abandon();
      return;
    }
#endif
    for (Flight& flight : flights) multi.Remove(flight.transfer->easy());
  }

  void Begin(std::uint64_t id, HttpRequest* request);
  void Refuse(std::uint64_t id, std::string error_code, std::string error);
  void End(Transfer* transfer, CURLcode code, bool timed_out, HttpCompletion* completion) noexcept;
  void LearnProtocol(const Transfer& transfer) noexcept;
  void CollectEnded();
  void CollectOverdue();

  /* In this order: connections that close while the rest is destroyed still report to the set. */
  bool allow_plain_http = false;
  std::shared_ptr<const Route> route;
  EpollSet sockets;
  std::size_t connected = 0; /* transfers that were given a connection */
  Multi multi;
  std::vector<std::unique_ptr<Transfer>> spare;
  std::vector<Flight> flights;
  Deadlines deadlines;
  std::vector<HttpCompletion> ended; /* not yet handed out */
  std::set<std::string> serial_origins;
};

void HttpClient::Impl::Refuse(std::uint64_t id, std::string error_code, std::string error) {
  HttpCompletion completion;
  completion.id = id;
  completion.error_code = std::move(error_code);
  completion.error = std::move(error);
  ended.push_back(std::move(completion));
}

void HttpClient::Impl::Begin(std::uint64_t id, HttpRequest* request) {
  UrlCheck url = CheckUrl(request->url, allow_plain_http);
  if (!url.error_code.empty()) return Refuse(id, std::move(url.error_code), std::move(url.error));
  if (!route->proxy_check.error_code.empty())
    return Refuse(id, route->proxy_check.error_code, route->proxy_check.error);
  if (!HeadersAreSound(request->headers))
    return Refuse(id, "http_failed", "A header of the request holds a line break or a NUL character.");

  if (spare.empty()) spare.push_back(std::make_unique<Transfer>(&sockets, &connected));
  Transfer* transfer = spare.back().get();
  /* Plain http is never multiplexed, and waiting for it would mean waiting for the first reply. */
  const bool share = !url.plain_http && serial_origins.count(url.origin) == 0;
  transfer->Begin(id, request, url, route, share);
  multi.SetSharing(share);

  flights.emplace_back();
  Flight& flight = flights.back();
  try {
    flight.deadline = deadlines.emplace(transfer->deadline_ns(), transfer);
  } catch (...) {
    flights.pop_back();
    throw;
  }
  if (!multi.Add(transfer->easy())) {
    deadlines.erase(flight.deadline);
    flights.pop_back();
    throw std::runtime_error("libcurl did not take the request");
  }
  flight.transfer = std::move(spare.back());
  transfer->slot = flights.size() - 1;
  spare.pop_back();
}

/* Until the protocol of an origin is known, requests share a connection that is being made: over HTTP/2 that
 * keeps hundreds of them on a few.  Over HTTP/1.1 it would open the connections one after another, so as soon
 * as a reply shows HTTP/1.1 the sharing ends, for those that wait already too. */
void HttpClient::Impl::LearnProtocol(const Transfer& transfer) noexcept {
  if (transfer.origin().compare(0, 6, "https:") != 0) return;
  const long version = transfer.HttpVersion();
  if (version == 0) return;
  try {
    if (version >= CURL_HTTP_VERSION_2_0) {
      if (!serial_origins.empty()) serial_origins.erase(transfer.origin());
      return;
    }
    if (serial_origins.size() >= kMaxSerialOrigins) serial_origins.clear();
    if (!serial_origins.insert(transfer.origin()).second) return;
  } catch (const std::exception&) {
    return; /* slower, not wrong */
  }
  for (const Flight& flight : flights) {
    if (!flight.transfer->connected() && flight.transfer->origin() == transfer.origin())
      flight.transfer->StopSharing();
  }
}

void HttpClient::Impl::End(Transfer* transfer, CURLcode code, bool timed_out,
                           HttpCompletion* completion) noexcept {
  if (code == CURLE_OK && !timed_out) LearnProtocol(*transfer);
  multi.Remove(transfer->easy());
  transfer->End(code, timed_out, completion);

  const std::size_t slot = transfer->slot;
  deadlines.erase(flights[slot].deadline);
  std::unique_ptr<Transfer> owner = std::move(flights[slot].transfer);
  if (slot + 1 != flights.size()) {
    flights[slot] = std::move(flights.back());
    flights[slot].transfer->slot = slot;
  }
  flights.pop_back();
  if (spare.size() < kSpare) spare.push_back(std::move(owner));
}

void HttpClient::Impl::CollectEnded() {
  CURL* easy = nullptr;
  CURLcode code = CURLE_OK;
  for (;;) {
    ended.emplace_back(); /* first, so that no end is lost for want of memory */
    if (!multi.NextEnded(&easy, &code)) break;
    End(Transfer::Of(easy), code, false, &ended.back());
  }
  ended.pop_back();
}

void HttpClient::Impl::CollectOverdue() {
  const std::int64_t now_ns = MonotonicNs();
  while (!deadlines.empty() && deadlines.begin()->first <= now_ns) {
    ended.emplace_back();
    End(deadlines.begin()->second, CURLE_OPERATION_TIMEDOUT, true, &ended.back());
  }
}

HttpClient::HttpClient(const HttpOptions& options) {
  SignalBlock block;
  InitialiseLibraryOnce();
  impl_ = std::make_unique<Impl>();
  SetOptions(options);
}

HttpClient::~HttpClient() {
  SignalBlock block;
  impl_.reset();
}

void HttpClient::SetOptions(const HttpOptions& options) {
  SignalBlock block;
  auto route = std::make_shared<Route>();
  route->proxy = options.proxy;
  if (!options.proxy.empty()) route->proxy_check = CheckProxyUrl(options.proxy);
  route->ca_pem = options.ca_pem;
  impl_->route = std::move(route);
  impl_->allow_plain_http = options.allow_plain_http;
  impl_->multi.SetMaxConnections(std::max<std::size_t>(options.max_connections, 1));
}

void HttpClient::Start(std::uint64_t id, HttpRequest request) {
  SignalBlock block;
  try {
    impl_->Begin(id, &request);
  } catch (const std::bad_alloc&) {
    impl_->Refuse(id, "http_failed", "The request could not be begun: memory ran out.");
  } catch (const std::exception& error) {
    impl_->Refuse(id, "http_failed", std::string("The request could not be begun: ") + error.what() + ".");
  }
  for (std::string& header : request.headers) Wipe(&header);
}

int HttpClient::Descriptor() const {
  return impl_->sockets.descriptor();
}

std::optional<std::int64_t> HttpClient::TimeoutMs() const {
  if (!impl_->ended.empty()) return 0;
  std::optional<std::int64_t> at_ns = impl_->multi.timer_ns();
  if (!impl_->deadlines.empty()) {
    const std::int64_t first_ns = impl_->deadlines.begin()->first;
    at_ns = at_ns.has_value() ? std::min(*at_ns, first_ns) : first_ns;
  }
  if (!at_ns.has_value()) return std::nullopt;
  const std::int64_t left_ns = *at_ns - MonotonicNs();
  /* Rounded up: waking a fraction of a millisecond early would find nothing due and spin. */
  return left_ns <= 0 ? 0 : (left_ns + kNsPerMs - 1) / kNsPerMs;
}

std::vector<HttpCompletion> HttpClient::Drive() {
  SignalBlock block;
  impl_->multi.Turn();
  impl_->CollectEnded();
  impl_->CollectOverdue();
  return std::exchange(impl_->ended, {});
}

std::size_t HttpClient::in_flight() const {
  return impl_->flights.size();
}

std::size_t HttpClient::connections_open() const {
  return impl_->sockets.open();
}

std::size_t HttpClient::connections_idle() const {
  return impl_->sockets.open() - impl_->sockets.busy();
}

std::size_t HttpClient::waiting() const {
  return impl_->flights.size() - impl_->connected;
}

std::string HttpLibraryVersion() {
  const curl_version_info_data* info = curl_version_info(CURLVERSION_NOW);
  std::string text = std::string("libcurl/") + info->version;
  if (info->ssl_version != nullptr) text += std::string(" ") + info->ssl_version;
  return text;
}

}  // namespace product_optimizer
