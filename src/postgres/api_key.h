/*
 * api_key.h
 *   The one secret.  It lives in a setting, a file or the environment, and from here only in the header
 *   of a request.  Copies of ours are overwritten when they are done with; the setting itself stays in the
 *   memory of each process of the server, and libcurl has a copy while a request is in flight.
 */
#pragma once

#include <string>
#include <utility>

#include "http/wipe.h"

namespace product_optimizer {

struct ApiKey {
  ApiKey() = default;
  ApiKey(ApiKey&& other) noexcept = default;
  ApiKey& operator=(ApiKey&& other) noexcept {
    Wipe(&key);
    key = std::move(other.key);
    problem = std::move(other.problem);
    return *this;
  }
  ~ApiKey() { Wipe(&key); }

  std::string key;     /* empty when there is none */
  std::string problem; /* then why, in one sentence that holds no part of any secret */
};

/*
 * product_optimizer.api_key, else the first line of product_optimizer.api_key_file, else the server's
 * OPENAI_API_KEY.  The file is read at each call, so a key that was rotated is found after a reload.
 * Calls nothing of PostgreSQL but reads settings.
 */
ApiKey LoadApiKey();

}  // namespace product_optimizer
