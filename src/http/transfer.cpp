/*
 * transfer.cpp
 *   Options, callbacks and the end of one transfer.
 */
#include "http/transfer.h"

#include "http/clock.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <new>
#include <stdexcept>
#include <string_view>
#include <utility>

static_assert(LIBCURL_VERSION_NUM >= 0x075000, "libcurl 7.80 or newer is needed (CURLOPT_PREREQFUNCTION)");

namespace product_optimizer {
namespace {

constexpr std::size_t kMaxHeaderBytes = 64 * 1024;
constexpr std::int64_t kMaxTimeoutMs = 0x7fffffff; /* what libcurl can hold */

/* Idle connections are dropped before the usual servers and balancers drop them (60 s and more), so that a
 * request seldom meets one that is closing; and after a quarter of an hour names are looked up afresh. */
constexpr long kMaxIdleS = 50;
constexpr long kMaxLifeS = 900;

extern "C" std::size_t OnHeader(char* data, std::size_t size, std::size_t count, void* user) {
  auto* transfer = static_cast<Transfer*>(user);
  try {
    if (transfer->TakeHeader(data, size * count)) return size * count;
  } catch (const std::exception&) {
    transfer->context()->out_of_memory = true;
  }
  return size * count == 0 ? 1 : 0; /* anything but the size given: stop */
}

extern "C" std::size_t OnBody(char* data, std::size_t size, std::size_t count, void* user) {
  auto* transfer = static_cast<Transfer*>(user);
  try {
    if (transfer->TakeBody(data, size * count)) return size * count;
  } catch (const std::exception&) {
    transfer->context()->out_of_memory = true;
  }
  return size * count == 0 ? 1 : 0;
}

extern "C" int OnRequest(void* user, char*, char*, int, int) {
  return static_cast<Transfer*>(user)->MaySend() ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

extern "C" curl_socket_t OnOpenSocket(void* user, curlsocktype, curl_sockaddr* address) {
  return static_cast<Transfer*>(user)->OpenSocket(*address);
}

/* Given the set and not the transfer: a connection outlives the transfer that opened it. */
extern "C" int OnCloseSocket(void* user, curl_socket_t fd) {
  static_cast<EpollSet*>(user)->Closed(fd);
  return close(fd);
}

template <typename Value>
void Set(CURL* easy, CURLoption option, Value value) {
  const CURLcode code = curl_easy_setopt(easy, option, value);
  if (code == CURLE_OUT_OF_MEMORY) throw std::bad_alloc();
  if (code != CURLE_OK) throw std::runtime_error("libcurl lacks an option that is needed");
}

void SetConstantOptions(CURL* easy) {
  Set(easy, CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075700
  Set(easy, CURLOPT_QUICK_EXIT, 1L); /* never wait for a hanging resolver */
#endif
  Set(easy, CURLOPT_FOLLOWLOCATION, 0L);
  Set(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
  Set(easy, CURLOPT_PROXY, "");   /* nothing from the environment; Begin() sets what the options say */
  Set(easy, CURLOPT_NOPROXY, ""); /* and this keeps the environment from leading past that */
  Set(easy, CURLOPT_HEADEROPT, static_cast<long>(CURLHEADER_SEPARATE)); /* the key is not for the proxy */
  Set(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  Set(easy, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  Set(easy, CURLOPT_SSL_VERIFYPEER, 1L);
  Set(easy, CURLOPT_SSL_VERIFYHOST, 2L);
  Set(easy, CURLOPT_USERAGENT, "product_optimizer");
  Set(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  Set(easy, CURLOPT_TCP_KEEPIDLE, 30L);
  Set(easy, CURLOPT_TCP_KEEPINTVL, 15L);
  Set(easy, CURLOPT_MAXAGE_CONN, kMaxIdleS);
  Set(easy, CURLOPT_MAXLIFETIME_CONN, kMaxLifeS);
  /* The two with a small window; what they unpack to is what the body limit counts. */
  if ((curl_version_info(CURLVERSION_NOW)->features & CURL_VERSION_LIBZ) != 0)
    Set(easy, CURLOPT_ACCEPT_ENCODING, "gzip, deflate");
}

void SetProtocol(CURL* easy, bool plain_http) {
#if LIBCURL_VERSION_NUM >= 0x075500
  Set(easy, CURLOPT_PROTOCOLS_STR, plain_http ? "http" : "https");
#else
  Set(easy, CURLOPT_PROTOCOLS, static_cast<long>(plain_http ? CURLPROTO_HTTP : CURLPROTO_HTTPS));
#endif
  /* Unchecked: a libcurl without HTTP/2 refuses the second and speaks HTTP/1.1, which is as well. */
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                   static_cast<long>(plain_http ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2TLS));
}

int StatusOf(std::string_view line) {
  const std::size_t blank = line.find(' ');
  if (blank == std::string_view::npos || line.size() < blank + 4) return 0;
  int status = 0;
  for (const char digit : line.substr(blank + 1, 3)) {
    if (digit < '0' || digit > '9') return 0;
    status = status * 10 + (digit - '0');
  }
  return status;
}

}  // namespace

Transfer::Transfer(EpollSet* sockets, std::size_t* connected)
    : sockets_(sockets), connected_count_(connected), easy_(curl_easy_init()) {
  if (easy_ == nullptr) throw std::bad_alloc();
  try {
    SetConstantOptions(easy_);
    Set(easy_, CURLOPT_PRIVATE, this);
    Set(easy_, CURLOPT_HEADERFUNCTION, OnHeader);
    Set(easy_, CURLOPT_HEADERDATA, this);
    Set(easy_, CURLOPT_WRITEFUNCTION, OnBody);
    Set(easy_, CURLOPT_WRITEDATA, this);
    Set(easy_, CURLOPT_PREREQFUNCTION, OnRequest);
    Set(easy_, CURLOPT_PREREQDATA, this);
    Set(easy_, CURLOPT_OPENSOCKETFUNCTION, OnOpenSocket);
    Set(easy_, CURLOPT_OPENSOCKETDATA, this);
    Set(easy_, CURLOPT_CLOSESOCKETFUNCTION, OnCloseSocket);
    Set(easy_, CURLOPT_CLOSESOCKETDATA, sockets_);
  } catch (...) {
    curl_easy_cleanup(easy_);
    throw;
  }
}

Transfer::~Transfer() {
  Forget();
  curl_easy_cleanup(easy_);
}

void Transfer::Begin(std::uint64_t id, HttpRequest* request, const UrlCheck& url,
                     const std::shared_ptr<const Route>& route, bool share_connections) {
  Forget();
  if (route_ != route) {
    route_.reset(); /* should the next line fail */
    SetAuthorities(*route);
    route_ = route;
  }
  id_ = id;
  started_ns_ = MonotonicNs();
  context_.timeout_ms = std::clamp<std::int64_t>(request->timeout_ms, 1, kMaxTimeoutMs);
  context_.connect_timeout_ms = std::clamp<std::int64_t>(request->connect_timeout_ms, 1, kMaxTimeoutMs);
  deadline_ns_ = started_ns_ + context_.timeout_ms * kNsPerMs;
  max_response_bytes_ = request->max_response_bytes;
  origin_ = url.origin;
  context_.by_proxy = !route->proxy.empty() && url.host != HostKind::kLoopback;
  host_ = context_.by_proxy ? route->proxy_check.host : url.host;
  request_body_ = std::move(request->body);

  SetProtocol(easy_, url.plain_http);
  Set(easy_, CURLOPT_PROXY, context_.by_proxy ? route->proxy.c_str() : "");
  Set(easy_, CURLOPT_PIPEWAIT, share_connections ? 1L : 0L);
  Set(easy_, CURLOPT_URL, request->url.c_str());
  SetHeaders(*request);
  if (request->get) {
    Set(easy_, CURLOPT_POSTFIELDS, static_cast<const char*>(nullptr));
    Set(easy_, CURLOPT_HTTPGET, 1L); /* last: the option above means POST */
  } else {
    Set(easy_, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_body_.size()));
    Set(easy_, CURLOPT_POSTFIELDS, request_body_.c_str());
    Set(easy_, CURLOPT_POST, 1L);
  }
  /* The whole time is our own deadline: libcurl's does not run while a request waits for a connection. */
  Set(easy_, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(context_.connect_timeout_ms));
  /* Only spares the download of what the header already says is too large; TakeBody() decides. */
  Set(easy_, CURLOPT_MAXFILESIZE_LARGE,
      static_cast<curl_off_t>(std::min<std::size_t>(max_response_bytes_, 0x7fffffffffffffff)));
}

void Transfer::SetHeaders(const HttpRequest& request) {
  const auto add = [this](const char* line) {
    curl_slist* longer = curl_slist_append(header_list_, line);
    if (longer == nullptr) throw std::bad_alloc();
    header_list_ = longer;
  };
  add("Expect:"); /* no 100-continue: it costs a round trip on every large body */
  for (const std::string& header : request.headers) add(header.c_str());
  Set(easy_, CURLOPT_HTTPHEADER, header_list_);
}

/* Certificates as they were when the options were set, not a file to be read again: libcurl would keep
 * what it read of it for a day.  Without the folder of the system's, which it would search as well. */
void Transfer::SetAuthorities(const Route& route) {
  const bool own = !route.ca_pem.empty();
  const char* folder = own ? nullptr : curl_version_info(CURLVERSION_NOW)->capath;
  curl_blob pem{const_cast<char*>(route.ca_pem.data()), route.ca_pem.size(), CURL_BLOB_COPY};
  curl_blob* certificates = own ? &pem : nullptr;
  Set(easy_, CURLOPT_CAINFO_BLOB, certificates);
  Set(easy_, CURLOPT_CAPATH, folder);
  if ((curl_version_info(CURLVERSION_NOW)->features & CURL_VERSION_HTTPS_PROXY) == 0) return;
  Set(easy_, CURLOPT_PROXY_CAINFO_BLOB, certificates);
  Set(easy_, CURLOPT_PROXY_CAPATH, folder);
}

bool Transfer::TakeHeader(const char* data, std::size_t size) {
  header_bytes_ += size;
  if (header_bytes_ > kMaxHeaderBytes) {
    context_.overflow = Overflow::kHeaders;
    return false;
  }
  const std::string_view line(data, size);
  /* Lines after the block of the final reply are trailers: counted, not kept. */
  if (!context_.reading_headers && block_status_ >= 200) return true;
  if (!context_.reading_headers) {
    block_status_ = StatusOf(line);
    context_.reading_headers = true;
    headers_.clear(); /* of a 1xx reply */
  } else if (line == "\r\n" || line == "\n") {
    context_.reading_headers = false;
  } else {
    headers_.append(line);
  }
  return true;
}

bool Transfer::TakeBody(const char* data, std::size_t size) {
  if (size > max_response_bytes_ - body_.size()) {
    context_.overflow = Overflow::kBody;
    return false;
  }
  body_.append(data, size);
  return true;
}

/*
 * libcurl sends a request again by itself when a connection that it reused ends without a byte.  Whether
 * that is worth it is not its decision: the first copy may have been worked on, counted and billed.
 */
bool Transfer::MaySend() {
  if (context_.sent) return false;
  ++*connected_count_;
  context_.sent = true;
  return true;
}

/* Refused here, where the address is the one that will be connected to, and not by looking the name up
 * before: it could be answered otherwise the second time. */
int Transfer::OpenSocket(const curl_sockaddr& address) noexcept {
  if (!MayConnect(host_, ClassifyAddress(&address.addr, address.addrlen))) {
    context_.address_refused = true;
    return CURL_SOCKET_BAD;
  }
  const int fd = socket(address.family, address.socktype | SOCK_CLOEXEC, address.protocol);
  if (fd < 0) {
    context_.socket_error = errno;
    return CURL_SOCKET_BAD;
  }
  try {
    sockets_->Opened(fd);
  } catch (const std::bad_alloc&) {
    context_.socket_error = ENOMEM;
    close(fd);
    return CURL_SOCKET_BAD;
  }
  context_.socket_opened = true;
  return fd;
}

long Transfer::HttpVersion() const {
  long version = 0;
  return curl_easy_getinfo(easy_, CURLINFO_HTTP_VERSION, &version) == CURLE_OK ? version : 0;
}

Transfer* Transfer::Of(CURL* easy) {
  char* pointer = nullptr;
  curl_easy_getinfo(easy, CURLINFO_PRIVATE, &pointer);
  return reinterpret_cast<Transfer*>(pointer);
}

/* An HTTP/2 server that answers before it has read the whole request resets the stream after its reply
 * (RFC 9113, 8.1), which libcurl may report as an error although the reply is all there. */
bool Transfer::HasWholeReply(CURLcode code) const {
  if (code == CURLE_OK) return true;
  if (code != CURLE_HTTP2_STREAM || context_.reading_headers || block_status_ < 200) return false;
  curl_off_t announced = -1, received = 0;
  curl_easy_getinfo(easy_, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
  curl_easy_getinfo(easy_, CURLINFO_SIZE_DOWNLOAD_T, &received);
  return announced >= 0 && announced == received;
}

void Transfer::End(CURLcode code, bool timed_out, HttpCompletion* completion) noexcept {
  completion->id = id_;
  completion->sent = context_.sent;
  completion->seconds = static_cast<double>(MonotonicNs() - started_ns_) / 1e9;
  context_.timed_out = timed_out;
  if (!timed_out && HasWholeReply(code)) {
    long status = 0;
    curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status);
    completion->status = static_cast<int>(status);
    completion->headers = std::move(headers_);
    completion->body = std::move(body_);
  } else {
    long proxy_status = 0;
    if (context_.by_proxy) curl_easy_getinfo(easy_, CURLINFO_HTTP_CONNECTCODE, &proxy_status);
    context_.proxy_status = static_cast<int>(proxy_status);
    try {
      Failure failure = Describe(code, context_);
      completion->error_code = failure.error_code;
      completion->error = std::move(failure.error);
    } catch (const std::exception&) {
      completion->error_code = "http_failed"; /* short enough to need no memory */
      completion->error.clear();
    }
  }
  Forget();
}

void Transfer::Forget() noexcept {
  if (context_.sent) --*connected_count_;
  context_ = FailureContext{};
  header_bytes_ = 0;
  block_status_ = 0;
  headers_ = std::string();
  body_ = std::string();
  request_body_ = std::string();
  /* These hold the caller's secrets and pointers into memory that goes now. */
  curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, static_cast<curl_slist*>(nullptr));
  curl_easy_setopt(easy_, CURLOPT_POSTFIELDS, static_cast<const char*>(nullptr));
  for (curl_slist* header = header_list_; header != nullptr; header = header->next)
    explicit_bzero(header->data, std::strlen(header->data));
  curl_slist_free_all(header_list_);
  header_list_ = nullptr;
}

}  // namespace product_optimizer
