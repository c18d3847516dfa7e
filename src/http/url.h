/*
 * url.h
 *   Decides, before anything is sent, whether a URL may be called at all: https anywhere, plain http
 *   only to this machine unless allowed.  libcurl's own parser decides, so what is judged here is what
 *   is connected to later.
 */
#pragma once

#include "http/address.h"

#include <string>

namespace product_optimizer {

struct UrlCheck {
  std::string error_code; /* empty when the URL may be called, else "bad_url" or "plain_http_refused" */
  std::string error;      /* one sentence; never holds the URL, which may hold a secret */
  std::string origin;     /* scheme://host:port, the unit that shares connections */
  HostKind host = HostKind::kName;
  bool plain_http = false;
};

/* A proxy's URL: http or https, perhaps with user and password, nothing behind the port.  The same codes. */
UrlCheck CheckProxyUrl(const std::string& url);

UrlCheck CheckUrl(const std::string& url, bool allow_plain_http);

}  // namespace product_optimizer
