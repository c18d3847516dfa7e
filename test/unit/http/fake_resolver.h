/*
 * fake_resolver.h
 *   Stands before the C library's getaddrinfo() in this test program: no test asks a real name server.  Names
 *   under .invalid are not found, unless Answer() gave them addresses; those that begin with "hang" are
 *   looked up until LetGo().
 */
#pragma once

#include <string>
#include <vector>

namespace product_optimizer::test {

class FakeResolver {
 public:
  static int Hanging(); /* look-ups that hang now */

  /* Ends them, and waits until their threads are through. */
  static void LetGo();

  /* What a name leads to from now on: IPv4 or IPv6 addresses, tried in this order. */
  static void Answer(const std::string& name, const std::vector<std::string>& addresses);
};

}  // namespace product_optimizer::test
