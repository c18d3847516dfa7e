/*
 * worker_report.h
 *   What the worker tells others: its slot in shared memory after each turn, and its regular log lines.
 */
#pragma once

#include <cstdint>

#include "postgres/worker_state.h"

namespace product_optimizer {

/* Adds what was counted since the last time to the slot. */
void PublishCounters(Worker& worker);

class WorkerReport {
 public:
  explicit WorkerReport(std::uint64_t now_ns) : heartbeat_ns_(now_ns), connections_ns_(now_ns) {}

  /* Copies state and counters into the slot, and writes the lines that are due. */
  void Publish(Worker& worker, std::uint64_t now_ns);

  /* When the next line is due. */
  std::uint64_t NextAtNs(const Worker& worker) const;

 private:
  std::uint64_t heartbeat_ns_; /* when each was written last */
  std::uint64_t connections_ns_;
  std::int64_t pending_ = 0; /* as last counted */
};

}  // namespace product_optimizer
