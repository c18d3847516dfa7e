/*
 * meter.h
 *   Counts requests and tokens per account the way the API does, and says "no" with the exact wait.
 *   Pure arithmetic: the clock is a parameter (monotonic ns).  Levels are kept in 128-bit integers, so
 *   nothing drifts: a client that keeps exactly to the limit is never refused.
 */
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>

namespace mock_openai {

/* kStrict enforces kDraining and kSliding together; its headers show the draining bucket, as OpenAI's do. */
enum class MeterModel { kNone, kDraining, kSliding, kFixed, kStrict };

struct MeterLimits {
  MeterModel model = MeterModel::kStrict;
  std::int64_t requests = 500; /* per period; 0 = not limited */
  std::int64_t tokens = 500000;
  std::int64_t period_ns = 60'000'000'000;
};

/* What the x-ratelimit-* headers say about one dimension. */
struct Gauge {
  std::int64_t limit = 0;
  std::int64_t remaining = 0;
  std::int64_t reset_ns = 0; /* until the bucket is full again */
};

struct Verdict {
  enum class Kind { kAdmitted, kRequests, kTokens, kTooLarge };
  Kind kind = Kind::kAdmitted;
  std::int64_t limit = 0, used = 0, requested = 0; /* of the dimension that refused */
  std::int64_t wait_ns = 0;                        /* whole milliseconds */
};

/* One dimension of one account.  Holds the state of every model; only the enforced ones are fed. */
class Counter {
 public:
  /* The wait until `amount` fits, 0 when it fits now; `used` is what the 429 text quotes. */
  std::int64_t Wait(const MeterLimits& limits, std::int64_t limit, std::int64_t now_ns, std::int64_t amount,
                    std::int64_t* used);
  void Charge(const MeterLimits& limits, std::int64_t limit, std::int64_t now_ns, std::int64_t amount);
  Gauge Read(const MeterLimits& limits, std::int64_t limit, std::int64_t now_ns);
  /* Brings the level up to now under the old limits, then rescales it to the new period. */
  void Rescale(const MeterLimits& before, std::int64_t old_limit, std::int64_t new_period_ns,
               std::int64_t now_ns);

 private:
  struct Entry {
    std::int64_t at_ns, amount;
  };
  void Advance(const MeterLimits& limits, std::int64_t limit, std::int64_t now_ns);

  __int128 level_ = 0; /* draining bucket: units times period_ns */
  std::int64_t level_at_ns_ = 0;
  std::deque<Entry> log_; /* sliding log: the last period */
  std::int64_t log_sum_ = 0;
  std::int64_t window_ = -1; /* fixed window: its number and its count */
  std::int64_t window_sum_ = 0;
};

class Meter {
 public:
  /* New limits hold at once for what was already counted; a new model starts from empty counters. */
  void Configure(const MeterLimits& limits, std::int64_t now_ns);
  const MeterLimits& limits() const { return limits_; }

  /* Takes one request and `tokens` together, or nothing.  With charge_tokens = false the tokens are
   * only checked; ChargeTokens settles them later. */
  Verdict Take(const std::string& account, std::int64_t tokens, bool charge_tokens, std::int64_t now_ns);
  /* Counts tokens that were really used, whether or not they still fit. */
  void ChargeTokens(const std::string& account, std::int64_t tokens, std::int64_t now_ns);

  Gauge Requests(const std::string& account, std::int64_t now_ns);
  Gauge Tokens(const std::string& account, std::int64_t now_ns);
  void Clear() { accounts_.clear(); }

 private:
  struct Account {
    Counter requests, tokens;
  };
  MeterLimits limits_;
  std::unordered_map<std::string, Account> accounts_;
};

}  // namespace mock_openai
