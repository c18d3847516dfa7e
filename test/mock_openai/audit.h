/*
 * audit.h
 *   Was the promised limit kept in every window?  Pure function over the log of arrivals.
 *
 *   The bound is: arrivals in any closed window [t_i, t_j] ≤ burst + rate · (t_j − t_i).  The largest
 *   left side minus right side over all pairs i ≤ j follows a leaky bucket: X_j = max(X_{j−1} − rate ·
 *   (t_j − t_{j−1}), 0) + cost_j is the maximum over all i for that j.  So every window is checked in O(n).
 */
#pragma once

#include <cstdint>
#include <vector>

namespace mock_openai {

struct Arrival {
  std::int64_t at_ns; /* monotonic, not decreasing */
  std::int64_t tokens;
  bool admitted; /* not answered with 429 */
};

struct AuditBound {
  double requests_per_period; /* 0 = this dimension is not judged */
  double tokens_per_period;
  double burst_seconds;
  double period_seconds;
};

struct AuditDimension {
  double max_excess = 0; /* the largest burst that was really seen above the steady rate */
  double bound = 0;      /* rate · burst_seconds, at least one request */
  double max_in_period = 0;
  double min_in_period = -1; /* over windows that lie wholly inside the log; −1 when it is too short */
  double use = 0;            /* admitted / (rate · (last − first)) */
  bool ok = true;
};

struct AuditResult {
  std::int64_t arrivals = 0, admitted = 0;
  double seconds = 0; /* last − first */
  AuditDimension requests, tokens;
};

AuditResult Audit(const std::vector<Arrival>& arrivals, const AuditBound& bound);

}  // namespace mock_openai
