/*
 * wipe.h
 *   Overwrites what was a secret before its memory is given back.  libcurl's own copies, made for each
 *   request and each connection, are out of reach; they are freed with the request or the connection.
 */
#pragma once

#include <cstring>
#include <string>

namespace product_optimizer {

/* Empty afterwards; what its memory held before, beyond its end too, is gone. */
inline void Wipe(std::string* secret) noexcept {
  secret->resize(secret->capacity()); /* allocates nothing */
  explicit_bzero(secret->data(), secret->size());
  secret->clear();
}

}  // namespace product_optimizer
