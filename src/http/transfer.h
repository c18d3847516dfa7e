/*
 * transfer.h
 *   One libcurl easy handle and the request it serves at the moment.  Used again and again: what is the same
 *   for every request is set once, what differs is set by Begin(), every time and all of it.
 *
 *   Ownership: one thread.  Its address is given to libcurl, so it never moves; it is out of the multi handle
 *   before it is begun again or destroyed.
 */
#pragma once

#include "http/client.h"
#include "http/epoll_set.h"
#include "http/failure.h"
#include "http/url.h"

#include <curl/curl.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace product_optimizer {

/* What is the same for all requests until the options change. */
struct Route {
  ~Route() { Wipe(&proxy); }

  std::string proxy;    /* empty: none */
  UrlCheck proxy_check; /* of that */
  std::string ca_pem;   /* empty: the system's certificates */
};

class Transfer {
 public:
  /* connected counts the transfers that have a connection; both pointers outlive this object.
   * Throws std::runtime_error when libcurl lacks an option, std::bad_alloc when it lacks memory. */
  Transfer(EpollSet* sockets, std::size_t* connected);
  ~Transfer();
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  /* Takes the body, copies the rest.  Throws std::bad_alloc; then End() must not be called.
   * share_connections: wait for a connection that is just being made instead of making another one, in the
   * hope of HTTP/2. */
  void Begin(std::uint64_t id, HttpRequest* request, const UrlCheck& url,
             const std::shared_ptr<const Route>& route, bool share_connections);

  /* Gives up sharing, while the transfer may still be waiting for a connection. */
  void StopSharing() { curl_easy_setopt(easy_, CURLOPT_PIPEWAIT, 0L); }

  /* The end, as libcurl told it, or by our deadline; forgets the request.  Never throws: short of memory it
   * leaves out the words, not the verdict. */
  void End(CURLcode code, bool timed_out, HttpCompletion* completion) noexcept;

  CURL* easy() const { return easy_; }
  const std::string& origin() const { return origin_; }
  std::int64_t started_ns() const { return started_ns_; }
  std::int64_t deadline_ns() const { return deadline_ns_; }
  bool connected() const { return context_.sent; }
  long HttpVersion() const; /* CURL_HTTP_VERSION_…, 0 when unknown */

  static Transfer* Of(CURL* easy);

  /* For the callbacks only. */
  bool TakeHeader(const char* data, std::size_t size);
  bool TakeBody(const char* data, std::size_t size);
  bool MaySend(); /* true once */
  int OpenSocket(const curl_sockaddr& address) noexcept;
  FailureContext* context() { return &context_; }

  std::size_t slot = 0; /* for the owner: where it keeps this transfer */

 private:
  void SetHeaders(const HttpRequest& request);
  void SetAuthorities(const Route& route);
  bool HasWholeReply(CURLcode code) const;
  void Forget() noexcept;

  EpollSet* sockets_;
  std::size_t* connected_count_;
  CURL* easy_;
  curl_slist* header_list_ = nullptr;

  std::uint64_t id_ = 0;
  std::string request_body_;           /* libcurl reads it in place until the end */
  std::shared_ptr<const Route> route_; /* that the handle is set up for */
  std::string origin_;
  HostKind host_ = HostKind::kName; /* of the host to connect to: the proxy's, if there is one */
  std::size_t max_response_bytes_ = 0;
  std::int64_t started_ns_ = 0;
  std::int64_t deadline_ns_ = 0;

  FailureContext context_;
  std::size_t header_bytes_ = 0; /* of all blocks, so that endless 1xx replies end too */
  int block_status_ = 0;         /* of the header block being read or read last */
  std::string headers_;
  std::string body_;
};

}  // namespace product_optimizer
