/*
 * fake_resolver.cpp
 *   The program's own definition takes precedence over the library's for libcurl too.
 */
#include "fake_resolver.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

#include <condition_variable>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string_view>

namespace product_optimizer::test {
namespace {

std::mutex lock;
std::condition_variable changed;
int hanging = 0;
int generation = 0; /* LetGo() ends the look-ups of the generations before */

std::map<std::string, std::vector<std::string>, std::less<>>& Answers() {
  static auto* answers = new std::map<std::string, std::vector<std::string>, std::less<>>;
  return *answers;
}

/* One block for both, as the C library does it. */
struct Found {
  addrinfo info;
  sockaddr_storage address;
};

addrinfo* Make(const std::string& text, std::uint16_t port) {
  auto* found = static_cast<Found*>(std::calloc(1, sizeof(Found)));
  auto* four = reinterpret_cast<sockaddr_in*>(&found->address);
  auto* six = reinterpret_cast<sockaddr_in6*>(&found->address);
  const bool is_four = inet_pton(AF_INET, text.c_str(), &four->sin_addr) == 1;
  if (is_four) {
    four->sin_family = AF_INET;
    four->sin_port = htons(port);
  } else {
    inet_pton(AF_INET6, text.c_str(), &six->sin6_addr);
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(port);
  }
  found->info.ai_family = is_four ? AF_INET : AF_INET6;
  found->info.ai_socktype = SOCK_STREAM;
  found->info.ai_protocol = IPPROTO_TCP;
  found->info.ai_addrlen = is_four ? sizeof *four : sizeof *six;
  found->info.ai_addr = reinterpret_cast<sockaddr*>(&found->address);
  return &found->info;
}

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

void FakeResolver::Answer(const std::string& name, const std::vector<std::string>& addresses) {
  const std::lock_guard<std::mutex> guard(lock);
  Answers()[name] = addresses;
}

/* Null when nothing is known of the name. */
addrinfo* LookUp(std::string_view name, std::uint16_t port) {
  const std::lock_guard<std::mutex> guard(lock);
  const auto known = Answers().find(name);
  if (known == Answers().end()) return nullptr;
  addrinfo* first = nullptr;
  addrinfo** next = &first;
  for (const std::string& text : known->second) {
    *next = Make(text, port);
    next = &(*next)->ai_next;
  }
  return first;
}

}  // namespace product_optimizer::test

extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo*, addrinfo** found) {
  const std::string_view name(node == nullptr ? "" : node);
  if (name.rfind("hang", 0) == 0) product_optimizer::test::Hang();
  const int port = service == nullptr ? 0 : std::atoi(service);
  *found = product_optimizer::test::LookUp(name, static_cast<std::uint16_t>(port));
  return *found == nullptr ? EAI_NONAME : 0;
}

extern "C" void freeaddrinfo(addrinfo* first) {
  while (first != nullptr) {
    addrinfo* next = first->ai_next;
    std::free(first);
    first = next;
  }
}
