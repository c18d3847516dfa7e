#include "postgres/worker_report.h"

#include <algorithm>

#include "core/text.h"
#include "postgres/clock.h"
#include "postgres/transaction.h"
#include "postgres/upkeep.h"

namespace product_optimizer {

namespace {

struct StateNow {
  WorkerState state;
  std::string reason;
};

StateNow CurrentState(const Worker& worker) {
  if (!worker.wrong_owner.empty()) return {WorkerState::kBlocked, worker.wrong_owner};
  if (worker.paused) return {WorkerState::kPaused, worker.pause_reason};
  if (!worker.block.reason.empty()) return {WorkerState::kBlocked, worker.block.reason};
  if (!worker.throttle.empty()) return {WorkerState::kThrottled, worker.throttle};
  if (!worker.in_flight.empty() || !worker.to_settle.empty()) return {WorkerState::kRunning, {}};
  return {WorkerState::kIdle, {}};
}

void AddUp(Counters& sum, const Counters& more) {
  sum.claims += more.claims;
  sum.items_claimed += more.items_claimed;
  sum.items_done += more.items_done;
  sum.items_failed += more.items_failed;
  sum.retries += more.retries;
  sum.rate_limited += more.rate_limited;
  sum.orphans_rescued += more.orphans_rescued;
  sum.late_results_rejected += more.late_results_rejected;
  sum.paid_results_lost += more.paid_results_lost;
  sum.prompt_tokens += more.prompt_tokens;
  sum.completion_tokens += more.completion_tokens;
}

/* An interval of 0 means never; a changed one holds at once. */
std::uint64_t NextAt(std::uint64_t last_ns, std::int64_t interval_ms) {
  return interval_ms == 0 ? kNever : last_ns + static_cast<std::uint64_t>(interval_ms) * kNsPerMs;
}

}  // namespace

std::uint64_t WorkerReport::NextAtNs(const Worker& worker) const {
  return std::min(NextAt(heartbeat_ns_, worker.settings.heartbeat_interval_ms),
                  NextAt(connections_ns_, worker.settings.stats_log_interval_ms));
}

void PublishCounters(Worker& worker) {
  {
    LockScope scope(worker.slot->lock);
    AddUp(worker.slot->counters, worker.counted);
  }
  worker.counted = Counters{};
}

void WorkerReport::Publish(Worker& worker, std::uint64_t now_ns) {
  const StateNow now = CurrentState(worker);
  {
    WorkerSlot& slot = *worker.slot;
    const std::string reason(Truncate(now.reason, sizeof slot.reason - 1));
    const std::string last_error(Truncate(worker.last_failure, sizeof slot.last_error - 1));
    LockScope scope(slot.lock);
    slot.state = now.state;
    strlcpy(slot.reason, reason.c_str(), sizeof slot.reason);
    strlcpy(slot.last_error, last_error.c_str(), sizeof slot.last_error);
    slot.in_flight = static_cast<int>(worker.in_flight.size());
    slot.connections_open = static_cast<int>(worker.http.connections_open());
    slot.connections_idle = static_cast<int>(worker.http.connections_idle());
    AddUp(slot.counters, worker.counted);
    for (const std::uint64_t latency : worker.latencies_ms) slot.latency.Add(latency);
  }
  worker.counted = Counters{};
  worker.latencies_ms.clear();

  if (now_ns >= NextAt(heartbeat_ns_, worker.settings.heartbeat_interval_ms)) {
    heartbeat_ns_ = now_ns;
    TransactionFailure failure;
    RunTransaction(&failure, [&] { pending_ = CountPending(); });
    LogHeartbeat(WorkerStateName(now.state), pending_, worker.in_flight.size(),
                 BusiestModel(worker.settings.request.model, worker.settings.limits, worker.model_limits));
  }
  if (now_ns >= NextAt(connections_ns_, worker.settings.stats_log_interval_ms)) {
    connections_ns_ = now_ns;
    LogConnections(worker.http.connections_open(), worker.http.connections_idle(), worker.http.waiting());
  }
}

}  // namespace product_optimizer
