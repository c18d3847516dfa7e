/*
 * fuzz.h
 *   What the fuzz targets share: the entry that libFuzzer and replay.cpp call, and a check that stays in
 *   every build.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace product_optimizer {

inline std::string_view AsText(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/* Cuts off and returns what stands before the separator; all of it when there is none. */
inline std::string_view TakeUntil(std::string_view* text, std::string_view separator) {
  const std::size_t found = text->find(separator);
  const std::string_view taken = text->substr(0, found);
  text->remove_prefix(found == std::string_view::npos ? text->size() : found + separator.size());
  return taken;
}

}  // namespace product_optimizer

/* The stack of the abort shows the input's way; the line says what did not hold. */
#define REQUIRE(condition)                                                                \
  do {                                                                                    \
    if (!(condition)) {                                                                   \
      std::fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                       \
    }                                                                                     \
  } while (false)
