/*
 * failure.cpp
 *   One switch from libcurl's codes to ours, after what the transfer itself knows better.
 */
#include "http/failure.h"

#include <system_error>

namespace product_optimizer {
namespace {

std::string WithReason(const char* sentence, CURLcode code) {
  return std::string(sentence) + " (" + curl_easy_strerror(code) + ").";
}

Failure TimedOut(const FailureContext& context) {
  const std::string whole = std::to_string(context.timeout_ms) + " ms";
  if (!context.timed_out)
    return {"timeout", "The connection was not made within " + std::to_string(context.connect_timeout_ms) +
                           " ms (connect timeout)."};
  if (!context.sent)
    return {"timeout", "The request found no connection within " + whole + " (whole request timeout)."};
  return {"timeout", "The whole reply did not arrive within " + whole + " (whole request timeout)."};
}

Failure ProxyFailed(int status) {
  const std::string reason = ": HTTP " + std::to_string(status) + ".";
  if (status >= 500) return {"connect_failed", "The proxy could not connect to the server" + reason};
  return {"proxy_refused", "The proxy refuses to connect to the server" + reason};
}

}  // namespace

Failure Describe(CURLcode code, const FailureContext& context) {
  if (context.timed_out || code == CURLE_OPERATION_TIMEDOUT) return TimedOut(context);
  if (context.overflow == Overflow::kHeaders)
    return {"response_too_large", "The header lines of the reply are too large."};
  if (context.overflow == Overflow::kBody || code == CURLE_FILESIZE_EXCEEDED)
    return {"response_too_large", "The body of the reply is larger than allowed."};
  if (context.out_of_memory) return {"http_failed", "Memory ran out while the reply was read."};

  /* libcurl's code for this differs between versions. */
  if (!context.sent && context.proxy_status >= 300) return ProxyFailed(context.proxy_status);

  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
      return {"dns_failed", "The host name could not be resolved."};
    case CURLE_COULDNT_RESOLVE_PROXY:
      return {"dns_failed", "The name of the proxy could not be resolved."};

    case CURLE_COULDNT_CONNECT:
    case CURLE_INTERFACE_FAILED:
      if (context.address_refused && !context.socket_opened)
        return {"address_refused",
                std::string(context.by_proxy ? "The name of the proxy" : "The host name") +
                    " leads to an address that is not connected to: this machine itself, or a link-local, "
                    "metadata or multicast address."};
      if (context.socket_error != 0)
        return {"connect_failed",
                "No socket could be opened: " + std::generic_category().message(context.socket_error) + "."};
      return {"connect_failed", context.by_proxy ? "The proxy could not be connected to."
                                                 : "The server could not be connected to."};

    case CURLE_PEER_FAILED_VERIFICATION:
      return {"certificate_refused", WithReason("The certificate cannot be trusted", code)};
    case CURLE_SSL_CACERT_BADFILE:
      return {"certificate_refused", WithReason("The certificates to trust could not be read", code)};

    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_CLIENTCERT:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_ENGINE_SETFAILED:
    case CURLE_SSL_ENGINE_INITFAILED:
    case CURLE_USE_SSL_FAILED:
      return {"tls_failed", WithReason("The TLS connection failed", code)};

    case CURLE_GOT_NOTHING:
    case CURLE_ABORTED_BY_CALLBACK: /* ours, when libcurl was about to send the same request again */
      return {"connection_lost", "The server closed the connection without a reply."};
    case CURLE_PARTIAL_FILE:
      return {"connection_lost", "The connection ended before the reply was whole."};
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_SEND_FAIL_REWIND:
    case CURLE_AGAIN:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM: /* 92: the server reset the stream; the connection may live on */
      return {"connection_lost", WithReason("The connection was lost", code)};

    case CURLE_URL_MALFORMAT:
      return {"bad_url", "The URL is not a valid http or https URL."};
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
      return {"http_failed", "The server's answer was not HTTP."};
    case CURLE_BAD_CONTENT_ENCODING:
      return {"http_failed", "The reply could not be decompressed."};

    case CURLE_OUT_OF_MEMORY:
      /* libcurl's own limit for one header line looks like this before it got a code of its own. */
      if (context.reading_headers)
        return {"response_too_large", "The header lines of the reply are too large."};
      return {"http_failed", "libcurl ran out of memory."};

    default:
      break;
  }
#if LIBCURL_VERSION_NUM >= 0x080600
  if (code == CURLE_TOO_LARGE) return {"response_too_large", "The reply is too large for libcurl."};
#endif
  return {"http_failed", WithReason("The request failed", code)};
}

}  // namespace product_optimizer
