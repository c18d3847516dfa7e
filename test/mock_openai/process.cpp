/*
 * process.cpp
 *   /proc, resource limits, and the port file.
 */
#include "process.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iterator>

namespace mock_openai {

std::string ProcessIdentity(std::int64_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos || name_end + 2 >= text.size() || text[name_end + 2] == 'Z') return "";
  std::size_t at = name_end + 1; /* field 22, counted from field 3 after the name */
  for (int field = 3; field < 22 && at != std::string::npos; field++) at = text.find(' ', at + 1);
  return at == std::string::npos ? "" : text.substr(at + 1, text.find(' ', at + 1) - at - 1);
}

void RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

bool WritePortFile(const std::string& path, int port) {
  const std::string scratch = path + "." + std::to_string(getpid());
  std::ofstream file(scratch);
  file << port << '\n';
  file.close();
  return file && std::rename(scratch.c_str(), path.c_str()) == 0;
}

}  // namespace mock_openai
