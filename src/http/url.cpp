/*
 * url.cpp
 *   Parses with the CURLU interface and judges the parts; no state.
 */
#include "http/url.h"

#include <curl/curl.h>

#include <memory>
#include <new>
#include <utility>

namespace product_optimizer {
namespace {

struct UrlCleanup {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
struct CurlFree {
  void operator()(char* text) const { curl_free(text); }
};

UrlCheck Refuse(const char* error_code, const char* error) {
  UrlCheck check;
  check.error_code = error_code;
  check.error = error;
  return check;
}

std::string Part(CURLU* url, CURLUPart part, unsigned flags) {
  char* text = nullptr;
  const CURLUcode code = curl_url_get(url, part, &text, flags);
  std::unique_ptr<char, CurlFree> owner(text);
  if (code == CURLUE_OUT_OF_MEMORY) throw std::bad_alloc();
  return code == CURLUE_OK && text != nullptr ? std::string(text) : std::string();
}

struct Parsed {
  std::unique_ptr<CURLU, UrlCleanup> url; /* null: refused */
  CURLUcode code;
};

Parsed Parse(const std::string& text, unsigned flags) {
  std::unique_ptr<CURLU, UrlCleanup> url(curl_url());
  if (!url) throw std::bad_alloc();
  const CURLUcode code = curl_url_set(url.get(), CURLUPART_URL, text.c_str(), flags);
  if (code == CURLUE_OUT_OF_MEMORY) throw std::bad_alloc();
  if (code != CURLUE_OK) url.reset();
  return {std::move(url), code};
}

}  // namespace

UrlCheck CheckProxyUrl(const std::string& url) {
  const auto refuse = [] { return Refuse("bad_url", "The proxy is not a valid http or https URL."); };
  if (url.find('\0') != std::string::npos) return refuse();
  const Parsed parsed = Parse(url, 0);
  if (!parsed.url) return refuse();
  const std::string scheme = Part(parsed.url.get(), CURLUPART_SCHEME, 0);
  const std::string host = Part(parsed.url.get(), CURLUPART_HOST, 0);
  if ((scheme != "http" && scheme != "https") || host.empty() ||
      Part(parsed.url.get(), CURLUPART_PATH, 0) != "/" ||
      !Part(parsed.url.get(), CURLUPART_QUERY, 0).empty() ||
      !Part(parsed.url.get(), CURLUPART_FRAGMENT, 0).empty())
    return refuse();
  UrlCheck check;
  check.host = ClassifyHost(host);
  check.plain_http = scheme == "http";
  return check;
}

UrlCheck CheckUrl(const std::string& url, bool allow_plain_http) {
  /* The parser takes a C string: a NUL would hide the rest of the URL from the judgement. */
  if (url.find('\0') != std::string::npos) return Refuse("bad_url", "The URL holds a NUL character.");

  const Parsed parsed = Parse(url, CURLU_DISALLOW_USER);
  if (parsed.code == CURLUE_USER_NOT_ALLOWED)
    return Refuse("bad_url", "The URL holds a user name or a password, which is not allowed.");
  if (!parsed.url) return Refuse("bad_url", "The URL is not a valid http or https URL.");

  const std::string scheme = Part(parsed.url.get(), CURLUPART_SCHEME, 0);
  const std::string host = Part(parsed.url.get(), CURLUPART_HOST, 0);
  UrlCheck check;
  check.plain_http = scheme == "http";
  if ((!check.plain_http && scheme != "https") || host.empty())
    return Refuse("bad_url", "The URL is not a valid http or https URL.");
  check.host = ClassifyHost(host);
  if (check.plain_http && !allow_plain_http && check.host != HostKind::kLoopback)
    return Refuse("plain_http_refused", "Plain http is allowed to this machine only: use https.");
  check.origin = scheme + "://" + host + ":" + Part(parsed.url.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT);
  return check;
}

}  // namespace product_optimizer
