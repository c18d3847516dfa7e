/*
 * flags.cpp
 *   The command line.  `--name value` and `--name=value` both work.
 */
#include <algorithm>
#include <stdexcept>

#include <nlohmann/json.hpp>

#include "config.h"

namespace mock_openai {
namespace {

using nlohmann::json;

std::int64_t Integer(const std::string& name, const std::string& text) {
  std::size_t end = 0;
  std::int64_t value = -1;
  try {
    value = std::stoll(text, &end);
  } catch (const std::exception&) {
  }
  if (end != text.size() || value < 0) throw std::invalid_argument("--" + name + " needs a whole number");
  return value;
}

/* Gathers a repeatable flag into the JSON that the settings parser wants. */
void Gather(const std::string& name, const std::string& value, json* settings) {
  if (name == "key") {
    (*settings)["key"].push_back(value);
  } else if (name == "fault") {
    const std::size_t equals = value.find('=');
    if (equals == std::string::npos) throw std::invalid_argument("--fault needs kind=probability");
    (*settings)["faults"][value.substr(0, equals)] = value.substr(equals + 1);
  } else {
    std::string key = name;
    std::replace(key.begin(), key.end(), '-', '_');
    (*settings)[key] = value;
  }
}

}  // namespace

Options ParseFlags(const std::vector<std::string>& arguments) {
  Options options;
  json settings = json::object();
  for (std::size_t i = 0; i < arguments.size(); i++) {
    std::string name = arguments[i], value;
    if (name == "-h" || name == "--help") {
      options.help = true;
      return options;
    }
    if (name.rfind("--", 0) != 0) throw std::invalid_argument("not a flag: " + name);
    name.erase(0, 2);
    const std::size_t equals = name.find('=');
    if (equals != std::string::npos) {
      value = name.substr(equals + 1);
      name.erase(equals);
    } else if (name == "hang" || name == "enforce-cap") {
      value = "true";
    } else if (i + 1 < arguments.size()) {
      value = arguments[++i];
    } else {
      throw std::invalid_argument("--" + name + " needs a value");
    }
    if (name == "listen") {
      options.listen = value;
    } else if (name == "port") {
      options.port = static_cast<int>(std::min<std::int64_t>(Integer(name, value), 65536));
      if (options.port > 65535) throw std::invalid_argument("--port is above 65535");
    } else if (name == "port-file") {
      options.port_file = value;
    } else if (name == "log") {
      options.log_file = value;
    } else if (name == "log-limit") {
      options.log_limit = Integer(name, value);
    } else if (name == "parent-pid") {
      options.parent_pid = Integer(name, value);
    } else {
      Gather(name, value, &settings);
    }
  }
  ApplyJson(settings, &options.config);
  return options;
}

std::string FlagHelp() {
  return "usage: mock_openai [flags]        (all flags and endpoints: test/mock_openai/README.md)\n"
         "  --port N            0 picks a free port                      [8080]\n"
         "  --listen ADDRESS                                             [127.0.0.1]\n"
         "  --port-file FILE    written once the port listens\n"
         "  --parent-pid PID    exit when that process is gone\n"
         "  --log FILE          append one JSON line per arrival\n"
         "  --log-limit N       arrivals kept in memory                  [2000000]\n"
         "  --meter strict|draining|sliding|fixed|none                   [strict]\n"
         "  --rpm N  --tpm N    limits per period, 0 = none              [500, 500000]\n"
         "  --period SECONDS    how long a \"minute\" is                   [60]\n"
         "  --charge reserved|used                                       [reserved]\n"
         "  --headers openai|azure|none                                  [openai]\n"
         "  --latency-ms M | A-B | lognormal:median,sigma                [0]\n"
         "  --seed N                                                     [1]\n"
         "  --key K             repeatable; without it any key is good\n"
         "  --models A,B,C\n"
         "  --fault KIND=P      repeatable; P is a probability\n"
         "  --hang              every request hangs until POST /mock/release\n"
         "  --enforce-cap       an answer longer than its cap ends as `length`\n"
         "  --token-factor F    real tokens per (bytes / 3)              [1]\n"
         "  --slow-ms M         what the fault `slow` adds               [5000]\n"
         "faults: " +
         AllFaultNames() + "\n";
}

}  // namespace mock_openai
