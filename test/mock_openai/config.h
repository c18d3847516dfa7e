/*
 * config.h
 *   Everything that can be set, by a flag at the start or by POST /mock/config while running.  A flag is
 *   turned into the same JSON key (dashes become underscores), so that both go through one parser.
 */
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "fault.h"
#include "meter.h"

namespace mock_openai {

enum class ChargeModel { kReserved, kUsed };
enum class HeaderStyle { kOpenAi, kAzure, kNone };

struct Latency {
  enum class Kind { kUniform, kLogNormal };
  Kind kind = Kind::kUniform;
  double low_ms = 0, high_ms = 0;  /* kUniform; equal = fixed */
  double median_ms = 0, sigma = 0; /* kLogNormal */
};

struct Config {
  MeterLimits limits;
  ChargeModel charge = ChargeModel::kReserved;
  HeaderStyle headers = HeaderStyle::kOpenAi;
  Latency latency;
  std::uint64_t seed = 1;
  std::vector<std::string> keys; /* empty = any non-empty key */
  std::vector<std::string> models = {"gpt-5-mini",  "gpt-5-nano",   "gpt-5",        "gpt-5.1",
                                     "gpt-4o-mini", "gpt-4.1-mini", "gpt-4.1-nano", "gpt-4o"};
  std::vector<std::pair<Fault, double>> faults; /* probabilities; one draw per request */
  bool hang = false;                            /* every request hangs until released */
  bool enforce_cap = false;                     /* an answer longer than its cap ends as `length` */
  double token_factor = 1;                      /* real tokens / (bytes / 3) */
  double slow_ms = 5000;                        /* what the fault `slow` adds */
  std::string organization = "org-mock";
};

/* Changes what the object names, all or nothing.  Throws std::invalid_argument with a message for people. */
void ApplyJson(const nlohmann::json& changes, Config* config);

nlohmann::json ToJson(const Config& config);

struct Options {
  Config config;
  std::string listen = "127.0.0.1";
  int port = 8080;
  std::string port_file;
  std::string log_file;
  std::int64_t log_limit = 2'000'000; /* arrivals kept in memory */
  std::int64_t parent_pid = 0;
  bool help = false;
};

/* Throws std::invalid_argument with a message for people. */
Options ParseFlags(const std::vector<std::string>& arguments);

std::string FlagHelp();

}  // namespace mock_openai
