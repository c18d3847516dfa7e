/*
 * usage_report.h
 *   What was used of the limits in the last minute: the numbers of the heartbeat and of optimizer_stats().
 */
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "core/limiter.h"

namespace product_optimizer {

struct Usage {
  std::string model; /* the one that used the largest share of its limits */
  std::int64_t requests = 0;
  std::int64_t requests_limit = 0;
  std::int64_t tokens = 0;
  std::int64_t tokens_limit = 0;
};

/* Percent of a limit, to one decimal, as "86.0". */
std::string PercentText(std::int64_t used, std::int64_t limit);

Usage BusiestModel(const std::string& default_model, const Limits& defaults,
                   const std::map<std::string, Limits>& model_limits);

}  // namespace product_optimizer
