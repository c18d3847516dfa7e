/*
 * audit.cpp
 *   One pass of the leaky bucket per dimension, and one of two pointers for the fixed-length windows.
 */
#include "audit.h"

#include <algorithm>

namespace mock_openai {
namespace {

constexpr double kNsPerSecond = 1e9;

template <typename Cost>
AuditDimension AuditOne(const std::vector<Arrival>& arrivals, double per_period, const AuditBound& bound,
                        double least_bound, Cost cost) {
  AuditDimension result;
  if (arrivals.empty()) return result;
  const double rate_per_ns = per_period / bound.period_seconds / kNsPerSecond;
  const double period_ns = bound.period_seconds * kNsPerSecond;
  const std::int64_t first = arrivals.front().at_ns, last = arrivals.back().at_ns;

  double excess = 0, in_period = 0, admitted = 0;
  std::size_t tail = 0; /* windows (t − period, t] */
  for (std::size_t i = 0; i < arrivals.size(); i++) {
    const double elapsed = i == 0 ? 0 : static_cast<double>(arrivals[i].at_ns - arrivals[i - 1].at_ns);
    excess = std::max(excess - rate_per_ns * elapsed, 0.0) + cost(arrivals[i]);
    result.max_excess = std::max(result.max_excess, excess);
    in_period += cost(arrivals[i]);
    while (static_cast<double>(arrivals[i].at_ns - arrivals[tail].at_ns) >= period_ns) {
      in_period -= cost(arrivals[tail++]);
    }
    result.max_in_period = std::max(result.max_in_period, in_period);
    if (arrivals[i].admitted) admitted += cost(arrivals[i]);
  }
  /* The emptiest window is one that opens right after an arrival: (t_i, t_i + period]. */
  double ahead = 0;
  std::size_t head = 0;
  for (std::size_t i = 0; i < arrivals.size(); i++) {
    if (static_cast<double>(last - arrivals[i].at_ns) < period_ns) break;
    while (head < arrivals.size() &&
           static_cast<double>(arrivals[head].at_ns - arrivals[i].at_ns) <= period_ns) {
      ahead += cost(arrivals[head++]);
    }
    ahead -= cost(arrivals[i]);
    if (result.min_in_period < 0 || ahead < result.min_in_period) result.min_in_period = ahead;
  }
  if (per_period > 0) {
    result.bound = std::max(per_period / bound.period_seconds * bound.burst_seconds, least_bound);
    /* The sum of n doubles may be off by rounding; a millionth of a unit is no request. */
    result.ok = result.max_excess <= result.bound + 1e-6 + result.bound * 1e-9;
    if (last > first) result.use = admitted / (rate_per_ns * static_cast<double>(last - first));
  }
  return result;
}

}  // namespace

AuditResult Audit(const std::vector<Arrival>& arrivals, const AuditBound& bound) {
  AuditResult result;
  result.arrivals = static_cast<std::int64_t>(arrivals.size());
  result.admitted =
      std::count_if(arrivals.begin(), arrivals.end(), [](const Arrival& a) { return a.admitted; });
  if (!arrivals.empty()) {
    result.seconds = static_cast<double>(arrivals.back().at_ns - arrivals.front().at_ns) / kNsPerSecond;
  }
  result.requests =
      AuditOne(arrivals, bound.requests_per_period, bound, 1, [](const Arrival&) { return 1.0; });
  result.tokens = AuditOne(arrivals, bound.tokens_per_period, bound, 0,
                           [](const Arrival& a) { return static_cast<double>(a.tokens); });
  return result;
}

}  // namespace mock_openai
