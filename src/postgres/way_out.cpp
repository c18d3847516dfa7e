#include "postgres/way_out.h"

#include <utility>

#include "postgres/setting_file.h"

namespace product_optimizer {

namespace {

constexpr std::size_t kLargestCaFile = 1024 * 1024;

}  // namespace

WayOut LoadWayOut(const Settings& settings) {
  WayOut found;
  found.options.max_connections = static_cast<std::size_t>(settings.max_in_flight);
  found.options.allow_plain_http = settings.allow_plain_http;
  const WayOutSources sources = CurrentWayOutSources();
  found.options.proxy = sources.proxy;
  if (sources.ca_file[0] == '\0') return found;
  SettingFile file =
      ReadSettingFile("product_optimizer.ca_file", sources.ca_file, kLargestCaFile, FileSecrecy::kPublic);
  found.problem = std::move(file.problem);
  if (found.problem.empty() && file.content.find("-----BEGIN CERTIFICATE-----") == std::string::npos)
    found.problem = "product_optimizer.ca_file holds no certificate in PEM format";
  found.options.ca_pem = std::move(file.content);
  return found;
}

}  // namespace product_optimizer
