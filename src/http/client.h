/*
 * client.h
 *   Bytes out, bytes in: many requests at once over libcurl's multi interface, behind one epoll
 *   descriptor.  Never blocks, starts no thread that can take a signal, knows nothing of who asks.
 *
 *   Ownership: one Client belongs to one thread.  Start() takes the request; Drive() hands back each
 *   completion exactly once.  Destroying the client drops what is in flight without waiting for it.
 */
#pragma once

#include "http/wipe.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace product_optimizer {

struct HttpOptions {
  ~HttpOptions() { Wipe(&proxy); }

  std::size_t max_connections = 256; /* over all hosts, ≥ 1; further requests wait inside */
  bool allow_plain_http = false;     /* plain http beyond loopback */
  std::string proxy; /* http or https URL, may hold user and password; empty: none.  Not for loopback hosts */
  std::string ca_pem; /* certificates to trust instead of the system's; empty: the system's */
};

struct HttpRequest {
  std::string url;                  /* absolute, http or https */
  std::vector<std::string> headers; /* "Name: value" */
  std::string body;                 /* sent by POST; empty with method GET */
  bool get = false;                 /* GET instead of POST */
  std::int64_t connect_timeout_ms = 5000;
  std::int64_t timeout_ms = 120000; /* the whole request */
  std::size_t max_response_bytes = 4 * 1024 * 1024;
};

struct HttpCompletion {
  std::uint64_t id = 0;
  int status = 0;      /* HTTP status of a whole reply; 0 when there was none */
  std::string headers; /* raw header lines of the final reply */
  std::string body;
  std::string error_code; /* empty for a whole reply, else a word: "timeout", "connect_failed", "dns_failed",
                             "tls_failed", "certificate_refused", "proxy_refused", "connection_lost",
                             "response_too_large", "plain_http_refused", "address_refused", "bad_url",
                             "http_failed" */
  std::string error;      /* one plain sentence; never holds a header or the body */
  bool sent = false;      /* false only when it is certain that not one byte of the request left */
  double seconds = 0;     /* from Start() to the end */
};

class HttpClient {
 public:
  /* Throws std::runtime_error with one clear sentence when libcurl cannot be used (no asynchronous DNS, no
   * epoll). */
  explicit HttpClient(const HttpOptions& options);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  /* Takes effect for the connections and requests to come. */
  void SetOptions(const HttpOptions& options);

  /* Begins a request; its end, a refused URL included, comes from Drive().  id is the caller's and unique in
   * flight.  The headers are taken for secrets: they are overwritten when they are done with. */
  void Start(std::uint64_t id, HttpRequest request);

  /* An epoll descriptor that becomes readable when Drive() has something to do. */
  int Descriptor() const;

  /* Milliseconds until Drive() must be called even when the descriptor stays silent; nothing when there is no
   * such time. */
  std::optional<std::int64_t> TimeoutMs() const;

  /* Moves everything that can move, without blocking; returns what ended. */
  std::vector<HttpCompletion> Drive();

  std::size_t in_flight() const;
  std::size_t connections_open() const;
  std::size_t connections_idle() const;
  std::size_t waiting() const; /* started, but without a connection yet */

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/* libcurl's and the TLS library's names and versions, for the log. */
std::string HttpLibraryVersion();

}  // namespace product_optimizer
