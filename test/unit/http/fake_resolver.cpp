/*
 * fake_resolver.cpp
 *   The program's own definition takes precedence over the library's for libcurl too.
 */
#include "fake_resolver.h"

#include <netdb.h>

#include <condition_variable>
#include <mutex>
#include <string_view>

namespace product_optimizer::test {
namespace {

std::mutex lock;
std::condition_variable changed;
int hanging = 0;
int generation = 0; /* LetGo() ends the look-ups of the generations before */

void Hang() {
  std::unique_lock<std::mutex> guard(lock);
  const int mine = generation;
  ++hanging;
  changed.wait(guard, [mine] { return generation != mine; });
  --hanging;
  changed.notify_all();
}

}  // namespace

int FakeResolver::Hanging() {
  const std::lock_guard<std::mutex> guard(lock);
  return hanging;
}

void FakeResolver::LetGo() {
  std::unique_lock<std::mutex> guard(lock);
  ++generation;
  changed.notify_all();
  changed.wait(guard, [] { return hanging == 0; });
}

}  // namespace product_optimizer::test

extern "C" int getaddrinfo(const char* node, const char*, const addrinfo*, addrinfo**) {
  const std::string_view name(node == nullptr ? "" : node);
  if (name.rfind("hang", 0) == 0) product_optimizer::test::Hang();
  return EAI_NONAME;
}
