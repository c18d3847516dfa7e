#include "postgres/usage_report.h"

#include "postgres/clock.h"
#include "postgres/shared_limiter.h"

namespace product_optimizer {

namespace {

Usage UsageOf(const std::string& model, const Bucket* bucket, const Limits& limits, std::uint64_t now) {
  Usage usage;
  usage.model = model;
  usage.requests_limit = limits.requests_per_minute;
  usage.tokens_limit = limits.tokens_per_minute;
  if (bucket == nullptr) return usage;
  usage.requests = static_cast<std::int64_t>(bucket->requests.used.Sum(now));
  usage.tokens = static_cast<std::int64_t>(bucket->tokens.used.Sum(now));
  return usage;
}

double Share(const Usage& usage) {
  return static_cast<double>(usage.requests) / static_cast<double>(usage.requests_limit) +
         static_cast<double>(usage.tokens) / static_cast<double>(usage.tokens_limit);
}

}  // namespace

std::string PercentText(std::int64_t used, std::int64_t limit) {
  const std::int64_t tenths = limit > 0 ? (used * 1000 + limit / 2) / limit : 0;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10);
}

Usage BusiestModel(const std::string& default_model, const Limits& defaults,
                   const std::map<std::string, Limits>& model_limits) {
  const std::uint64_t now = NowNs();
  const auto limits_of = [&](const std::string& model) {
    const auto found = model_limits.find(model);
    return found != model_limits.end() ? found->second : defaults;
  };
  Usage busiest = UsageOf(default_model, nullptr, limits_of(default_model), now);
  for (const BucketReport& report : ReportBuckets()) {
    const Usage usage = UsageOf(report.model, &report.bucket, limits_of(report.model), now);
    if (Share(usage) > Share(busiest) || (usage.model == default_model && Share(busiest) == 0))
      busiest = usage;
  }
  return busiest;
}

}  // namespace product_optimizer
