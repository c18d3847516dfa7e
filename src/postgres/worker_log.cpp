#include "postgres/worker_log.h"

#include "core/text.h"
#include "postgres/guard.h"
#include "postgres/spi.h"

namespace product_optimizer {

namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::size_t kMostStores = 20;
constexpr std::size_t kLongestStore = 64;

}  // namespace

void LogLine(const std::string& line) {
  const std::string safe = InAnyEncoding(line); /* converting would need a transaction */
  Call([&] { ereport(LOG, (errmsg_internal("product_optimizer: %s", safe.c_str()), errhidestmt(true))); });
}

void WarnLine(const std::string& line, const std::string& hint) {
  const std::string safe = InAnyEncoding(line);
  const std::string safe_hint = InAnyEncoding(hint);
  Call([&] {
    ereport(WARNING, (errmsg_internal("product_optimizer: %s", safe.c_str()),
                      safe_hint.empty() ? 0 : errhint("%s", safe_hint.c_str()), errhidestmt(true)));
  });
}

void WorkerLog::CountClaim(const std::string& instance_id, std::uint64_t now_ns) {
  /* A quiet queue is reported at once, a busy one second by second. */
  if (total_ == 0 && now_ns > flushed_at_ns_ + kSecond) flushed_at_ns_ = now_ns - kSecond;
  claimed_[instance_id]++;
  total_++;
}

std::uint64_t WorkerLog::FlushAtNs() const {
  return total_ == 0 ? kNever : flushed_at_ns_ + kSecond;
}

void WorkerLog::FlushClaims(std::uint64_t now_ns) {
  if (now_ns < FlushAtNs()) return;
  std::string line = "claimed " + std::to_string(total_) + (total_ == 1 ? " item" : " items") + " from " +
                     std::to_string(claimed_.size()) + (claimed_.size() == 1 ? " store: " : " stores: ");
  std::size_t named = 0;
  for (const auto& [instance_id, count] : claimed_) {
    if (named > 0) line += ", ";
    if (named == kMostStores) {
      line += "and " + std::to_string(claimed_.size() - named) + " more";
      break;
    }
    line += OneLine(instance_id, kLongestStore) + " " + std::to_string(count);
    named++;
  }
  claimed_.clear();
  total_ = 0;
  flushed_at_ns_ = now_ns;
  LogLine(line);
}

void LogHeartbeat(const char* state, std::int64_t pending, std::size_t in_flight, const Usage& usage) {
  LogLine(std::string("heartbeat: ") + state + ", pending " + std::to_string(pending) + ", in flight " +
          std::to_string(in_flight) + ", RPM " + std::to_string(usage.requests) + "/" +
          std::to_string(usage.requests_limit) + " (" + PercentText(usage.requests, usage.requests_limit) +
          "%), TPM " + std::to_string(usage.tokens) + "/" + std::to_string(usage.tokens_limit) + " (" +
          PercentText(usage.tokens, usage.tokens_limit) + "%)");
}

void LogConnections(std::size_t open, std::size_t idle, std::size_t waiting) {
  LogLine("connections: total " + std::to_string(open) + ", idle " + std::to_string(idle) + ", waiting " +
          std::to_string(waiting));
}

}  // namespace product_optimizer
