/*
 * replay.cpp
 *   Runs a fuzz target over its corpus without libFuzzer: each file of the folders named, whole, cut at each
 *   place, and with each byte replaced by some that mean something to a parser.
 */
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "fuzz.h"

namespace {

/* Longer files are replayed whole only. */
constexpr std::size_t kLongestMutated = 1500;
constexpr char kBytes[] = {'\0', '\xFF', '\xC0', '"', '\\', '{', ']', ',', '9', '-', '\n', '\x01'};

void Run(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
}

void RunWithMutations(const std::string& input) {
  Run(input);
  if (input.size() > kLongestMutated) return;
  for (std::size_t at = 0; at < input.size(); ++at) {
    Run(input.substr(0, at));
    std::string changed = input;
    for (const char byte : kBytes) {
      changed[at] = byte;
      Run(changed);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::filesystem::path> files;
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const auto& file : files) {
    std::ifstream in(file, std::ios::binary);
    RunWithMutations({std::istreambuf_iterator<char>(in), {}});
  }
  std::printf("%zu files\n", files.size());
  return files.empty() ? 1 : 0;
}
