/*
 * main.cpp
 *   The command line of the mock.
 */
#include <cstdio>
#include <exception>

#include "config.h"
#include "server.h"

int main(int argc, char** argv) {
  try {
    const mock_openai::Options options = mock_openai::ParseFlags({argv + 1, argv + argc});
    if (options.help) {
      std::fputs(mock_openai::FlagHelp().c_str(), stdout);
      return 0;
    }
    return mock_openai::Serve(options);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "mock_openai: %s\n", e.what());
    return 2;
  }
}
