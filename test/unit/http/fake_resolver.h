/*
 * fake_resolver.h
 *   Stands before the C library's getaddrinfo() in this test program: no test asks a real name server.  Names
 *   under .invalid are not found; those that begin with "hang" are looked up until LetGo().
 */
#pragma once

namespace product_optimizer::test {

class FakeResolver {
 public:
  static int Hanging(); /* look-ups that hang now */

  /* Ends them, and waits until their threads are through. */
  static void LetGo();
};

}  // namespace product_optimizer::test
