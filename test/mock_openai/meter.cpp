/*
 * meter.cpp
 *   The three ways to count: a bucket that drains continuously, a log of the last period, and fixed
 *   periods.  Waits are rounded up to whole milliseconds, so that obeying one is always enough.
 */
#include "meter.h"

#include <algorithm>

namespace mock_openai {
namespace {

constexpr std::int64_t kNsPerMs = 1'000'000;

bool Drains(MeterModel model) {
  return model == MeterModel::kDraining || model == MeterModel::kStrict;
}
bool Slides(MeterModel model) {
  return model == MeterModel::kSliding || model == MeterModel::kStrict;
}

std::int64_t UpToMs(std::int64_t ns) {
  return (ns + kNsPerMs - 1) / kNsPerMs * kNsPerMs;
}

__int128 CeilDiv(__int128 a, __int128 b) {
  return (a + b - 1) / b;
}

}  // namespace

void Counter::Advance(const MeterLimits& limits, std::int64_t limit, std::int64_t now_ns) {
  if (now_ns > level_at_ns_) {
    const __int128 drained = static_cast<__int128>(now_ns - level_at_ns_) * limit;
    level_ = level_ > drained ? level_ - drained : 0;
    level_at_ns_ = now_ns;
  }
  while (!log_.empty() && now_ns - log_.front().at_ns >= limits.period_ns) {
    log_sum_ -= log_.front().amount;
    log_.pop_front();
  }
  const std::int64_t window = now_ns / limits.period_ns;
  if (window != window_) {
    window_ = window;
    window_sum_ = 0;
  }
}

std::int64_t Counter::Wait(const MeterLimits& limits, std::int64_t limit, std::int64_t now_ns,
                           std::int64_t amount, std::int64_t* used) {
  Advance(limits, limit, now_ns);
  std::int64_t wait = 0;
  *used = 0;
  if (Drains(limits.model)) {
    /* Admission looks at the exact level; the text, like OpenAI's, quotes whole units and the wait that
     * follows from them. */
    if (level_ + static_cast<__int128>(amount) * limits.period_ns >
        static_cast<__int128>(limit) * limits.period_ns) {
      *used = static_cast<std::int64_t>(CeilDiv(level_, limits.period_ns));
      wait = static_cast<std::int64_t>(
          CeilDiv(static_cast<__int128>(*used + amount - limit) * limits.period_ns, limit));
    }
  }
  if (Slides(limits.model) && log_sum_ + amount > limit) {
    std::int64_t left = log_sum_ + amount - limit, sliding_wait = limits.period_ns;
    for (const Entry& entry : log_) {
      left -= entry.amount;
      sliding_wait = entry.at_ns + limits.period_ns - now_ns;
      if (left <= 0) break;
    }
    if (sliding_wait > wait) {
      wait = sliding_wait;
      *used = log_sum_;
    }
  }
  if (limits.model == MeterModel::kFixed && window_sum_ + amount > limit) {
    wait = (window_ + 1) * limits.period_ns - now_ns;
    *used = window_sum_;
  }
  return UpToMs(wait);
}

void Counter::Charge(const MeterLimits& limits, std::int64_t limit, std::int64_t now_ns,
                     std::int64_t amount) {
  Advance(limits, limit, now_ns);
  if (Drains(limits.model)) level_ += static_cast<__int128>(amount) * limits.period_ns;
  if (Slides(limits.model)) {
    log_.push_back({now_ns, amount});
    log_sum_ += amount;
  }
  window_sum_ += amount;
}

Gauge Counter::Read(const MeterLimits& limits, std::int64_t limit, std::int64_t now_ns) {
  Advance(limits, limit, now_ns);
  std::int64_t used = 0, reset = 0;
  if (Drains(limits.model)) {
    used = static_cast<std::int64_t>(CeilDiv(level_, limits.period_ns));
    reset = static_cast<std::int64_t>(CeilDiv(level_, limit));
  } else if (limits.model == MeterModel::kSliding && !log_.empty()) {
    used = log_sum_;
    reset = log_.back().at_ns + limits.period_ns - now_ns;
  }
  if (limits.model == MeterModel::kFixed && window_sum_ > 0) {
    used = window_sum_;
    reset = (window_ + 1) * limits.period_ns - now_ns;
  }
  return {limit, std::max<std::int64_t>(limit - used, 0), UpToMs(reset)};
}

void Counter::Rescale(const MeterLimits& before, std::int64_t old_limit, std::int64_t new_period_ns,
                      std::int64_t now_ns) {
  Advance(before, old_limit, now_ns);
  if (new_period_ns == before.period_ns) return;
  level_ = CeilDiv(level_, before.period_ns) * new_period_ns;
  window_ = now_ns / new_period_ns;
}

void Meter::Configure(const MeterLimits& limits, std::int64_t now_ns) {
  if (limits.model != limits_.model) {
    accounts_.clear();
  } else {
    for (auto& [name, account] : accounts_) {
      account.requests.Rescale(limits_, limits_.requests, limits.period_ns, now_ns);
      account.tokens.Rescale(limits_, limits_.tokens, limits.period_ns, now_ns);
    }
  }
  limits_ = limits;
}

Verdict Meter::Take(const std::string& account_name, std::int64_t tokens, bool charge_tokens,
                    std::int64_t now_ns) {
  if (limits_.model == MeterModel::kNone) return {};
  if (limits_.tokens > 0 && tokens > limits_.tokens) {
    return {Verdict::Kind::kTooLarge, limits_.tokens, 0, tokens, 0};
  }
  Account& account = accounts_[account_name];
  std::int64_t requests_used = 0, tokens_used = 0, requests_wait = 0, tokens_wait = 0;
  if (limits_.requests > 0) {
    requests_wait = account.requests.Wait(limits_, limits_.requests, now_ns, 1, &requests_used);
  }
  if (limits_.tokens > 0) {
    tokens_wait = account.tokens.Wait(limits_, limits_.tokens, now_ns, tokens, &tokens_used);
  }
  if (requests_wait > 0 && requests_wait >= tokens_wait) {
    return {Verdict::Kind::kRequests, limits_.requests, requests_used, 1, requests_wait};
  }
  if (tokens_wait > 0) return {Verdict::Kind::kTokens, limits_.tokens, tokens_used, tokens, tokens_wait};
  if (limits_.requests > 0) account.requests.Charge(limits_, limits_.requests, now_ns, 1);
  if (limits_.tokens > 0 && charge_tokens) account.tokens.Charge(limits_, limits_.tokens, now_ns, tokens);
  return {};
}

void Meter::ChargeTokens(const std::string& account_name, std::int64_t tokens, std::int64_t now_ns) {
  if (limits_.model == MeterModel::kNone || limits_.tokens == 0) return;
  accounts_[account_name].tokens.Charge(limits_, limits_.tokens, now_ns, tokens);
}

Gauge Meter::Requests(const std::string& account, std::int64_t now_ns) {
  if (limits_.model == MeterModel::kNone || limits_.requests == 0) return {};
  return accounts_[account].requests.Read(limits_, limits_.requests, now_ns);
}

Gauge Meter::Tokens(const std::string& account, std::int64_t now_ns) {
  if (limits_.model == MeterModel::kNone || limits_.tokens == 0) return {};
  return accounts_[account].tokens.Read(limits_, limits_.tokens, now_ns);
}

}  // namespace mock_openai
