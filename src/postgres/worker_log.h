/*
 * worker_log.h
 *   The worker's lines in the server log: claims summed up to one line a second, the heartbeat, the
 *   connections.
 */
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "postgres/usage_report.h"

namespace product_optimizer {

/* One LOG line, InAnyEncoding(); what comes from outside went through OneLine().  Throws PgError. */
void LogLine(const std::string& line);

/* One WARNING line, with a hint when there is one. */
void WarnLine(const std::string& line, const std::string& hint);

class WorkerLog {
 public:
  void CountClaim(const std::string& instance_id, std::uint64_t now_ns);

  /* Writes the claims of the last second, or the first ones after a pause at once. */
  void FlushClaims(std::uint64_t now_ns);

  /* When FlushClaims has something to write; kNever when there is nothing. */
  std::uint64_t FlushAtNs() const;

 private:
  std::map<std::string, std::int64_t> claimed_; /* by store */
  std::int64_t total_ = 0;
  std::uint64_t flushed_at_ns_ = 0;
};

void LogHeartbeat(const char* state, std::int64_t pending, std::size_t in_flight, const Usage& usage);
void LogConnections(std::size_t open, std::size_t idle, std::size_t waiting);

}  // namespace product_optimizer
