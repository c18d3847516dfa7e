/*
 * arrival_log.cpp
 *   One write() per line with O_APPEND: the kernel has it at once, so kill -9 loses nothing.
 */
#include "arrival_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

#include <nlohmann/json.hpp>

namespace mock_openai {

using nlohmann::json;

ArrivalLog::ArrivalLog(const std::string& path, std::size_t limit) : limit_(limit) {
  if (path.empty()) return;
  file_ = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file_ < 0) throw std::system_error(errno, std::generic_category(), "cannot open " + path);
}

ArrivalLog::~ArrivalLog() {
  if (file_ >= 0) close(file_);
}

void ArrivalLog::Append(LogEntry entry) {
  if (file_ >= 0) {
    const std::string line = ToLine(entry);
    std::size_t written = 0;
    while (written < line.size()) {
      const ssize_t n = write(file_, line.data() + written, line.size() - written);
      if (n > 0) {
        written += static_cast<std::size_t>(n);
      } else if (errno != EINTR) {
        std::perror("mock_openai: log");
        break;
      }
    }
  }
  requests_++;
  by_status_[entry.status]++;
  if (entry.charged) tokens_charged_ += entry.tokens;
  if (first_us_ == 0) first_us_ = entry.real_us;
  last_us_ = entry.real_us;
  if (entries_.size() < limit_) {
    entries_.push_back(std::move(entry));
  } else {
    dropped_++;
  }
}

void ArrivalLog::Clear() {
  entries_.clear();
  requests_ = dropped_ = tokens_charged_ = first_us_ = last_us_ = 0;
  by_status_.clear();
}

json ArrivalLog::Stats() const {
  const auto count = [this](int status) {
    const auto found = by_status_.find(status);
    return found == by_status_.end() ? 0 : found->second;
  };
  json by_status = json::object();
  for (const auto& [status, number] : by_status_) by_status[std::to_string(status)] = number;
  return {{"requests", requests_},
          {"ok", count(200)},
          {"rate_limited", count(429)},
          {"by_status", by_status},
          {"first_arrival", static_cast<double>(first_us_) / 1e6},
          {"last_arrival", static_cast<double>(last_us_) / 1e6},
          {"tokens_charged", tokens_charged_},
          {"log_entries", entries_.size()},
          {"log_dropped", dropped_}};
}

bool Matches(const LogFilter& filter, const LogEntry& entry) {
  const double at = static_cast<double>(entry.real_us) / 1e6;
  return (filter.model.empty() || entry.model == filter.model) &&
         (filter.key_hash.empty() || KeyHashText(entry.key_hash) == filter.key_hash) &&
         (filter.contains.empty() || entry.user.find(filter.contains) != std::string::npos) &&
         (filter.since <= 0 || at >= filter.since) && (filter.until <= 0 || at <= filter.until);
}

std::string KeyHashText(std::uint32_t key_hash) {
  char text[9];
  std::snprintf(text, sizeof text, "%08x", key_hash);
  return text;
}

std::string ToLine(const LogEntry& entry) {
  const auto quote = [](const std::string& text) {
    return json(text).dump(-1, ' ', false, json::error_handler_t::replace);
  };
  std::string line = "{\"t\":" + std::to_string(entry.real_us) + ",\"m\":" + std::to_string(entry.mono_ns) +
                     ",\"model\":" + quote(entry.model) + ",\"status\":" + std::to_string(entry.status) +
                     ",\"tokens\":" + std::to_string(entry.tokens) +
                     ",\"chars\":" + std::to_string(entry.chars) +
                     ",\"in_flight\":" + std::to_string(entry.in_flight) + ",\"key_hash\":\"" +
                     KeyHashText(entry.key_hash) + "\"";
  if (entry.fault != Fault::kNone) line.append(",\"fault\":\"").append(FaultName(entry.fault)).append("\"");
  return line + ",\"user\":" + quote(entry.user) + "}\n";
}

}  // namespace mock_openai
