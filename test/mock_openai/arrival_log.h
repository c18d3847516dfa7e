/*
 * arrival_log.h
 *   Every arrival at a metered endpoint: kept in memory for /mock/log and /mock/audit, appended to a file
 *   if one is named, and counted.  A line is written to the file before the answer is made, so that what
 *   the client saw is always in it.
 */
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "fault.h"

namespace mock_openai {

struct LogEntry {
  std::int64_t real_us = 0; /* CLOCK_REALTIME */
  std::int64_t mono_ns = 0; /* CLOCK_MONOTONIC */
  std::string model;
  int status = 0; /* that will be answered; 0 = the connection is dropped without an answer */
  Fault fault = Fault::kNone;
  std::int64_t tokens = 0; /* what the request asks of the token limit, admitted or not */
  bool charged = false;    /* false when it was refused before it was counted */
  std::int64_t chars = 0;
  std::int64_t in_flight = 0; /* this one included */
  std::uint32_t key_hash = 0;
  std::string user; /* the first 200 characters of the user text */
};

struct LogFilter {
  std::string model, key_hash, contains; /* empty = any */
  double since = 0, until = 0;           /* unix seconds; 0 = open */
  std::size_t from = 0;                  /* index of the first entry */
};

class ArrivalLog {
 public:
  /* An empty path means no file.  Throws std::system_error when it cannot be opened. */
  ArrivalLog(const std::string& path, std::size_t limit);
  ~ArrivalLog();
  ArrivalLog(const ArrivalLog&) = delete;
  ArrivalLog& operator=(const ArrivalLog&) = delete;

  void Append(LogEntry entry);
  void Clear();
  const std::vector<LogEntry>& entries() const { return entries_; }
  /* The counters, as /mock/stats shows them. */
  nlohmann::json Stats() const;

 private:
  int file_ = -1;
  std::size_t limit_;
  std::vector<LogEntry> entries_;
  std::int64_t requests_ = 0, dropped_ = 0, tokens_charged_ = 0;
  std::int64_t first_us_ = 0, last_us_ = 0;
  std::map<int, std::int64_t> by_status_;
};

bool Matches(const LogFilter& filter, const LogEntry& entry);
std::string ToLine(const LogEntry& entry); /* one JSON object and a newline */
std::string KeyHashText(std::uint32_t key_hash);

}  // namespace mock_openai
