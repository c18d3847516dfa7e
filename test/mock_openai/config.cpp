/*
 * config.cpp
 *   The settings, from JSON and back.
 */
#include "config.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <stdexcept>

#include <nlohmann/json.hpp>

namespace mock_openai {
namespace {

using nlohmann::json;

[[noreturn]] void Fail(const std::string& message) {
  throw std::invalid_argument(message);
}

double Number(const std::string& key, const json& value) {
  if (value.is_number()) return value.get<double>();
  if (value.is_string()) {
    const std::string& text = value.get_ref<const std::string&>();
    char* end = nullptr;
    const double number = std::strtod(text.c_str(), &end);
    if (!text.empty() && *end == '\0' && std::isfinite(number)) return number;
  }
  Fail(key + " must be a number");
}

double NumberAtLeast(const std::string& key, const json& value, double least) {
  const double number = Number(key, value);
  if (number < least) Fail(key + " is too small");
  return number;
}

bool Boolean(const std::string& key, const json& value) {
  if (value.is_boolean()) return value.get<bool>();
  if (value == "true" || value == "on" || value == "1") return true;
  if (value == "false" || value == "off" || value == "0") return false;
  Fail(key + " must be true or false");
}

std::string Text(const std::string& key, const json& value) {
  if (!value.is_string()) Fail(key + " must be a string");
  return value.get<std::string>();
}

/* An array of strings, or one string with commas. */
std::vector<std::string> List(const std::string& key, const json& value) {
  std::vector<std::string> list;
  if (value.is_array()) {
    for (const json& element : value) list.push_back(Text(key, element));
    return list;
  }
  std::string text = Text(key, value);
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    if (end > begin) list.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return list;
}

template <typename Enum>
struct Choice {
  const char* name;
  Enum value;
};

constexpr Choice<MeterModel> kMeters[] = {{"strict", MeterModel::kStrict},
                                          {"draining", MeterModel::kDraining},
                                          {"sliding", MeterModel::kSliding},
                                          {"fixed", MeterModel::kFixed},
                                          {"none", MeterModel::kNone}};
constexpr Choice<ChargeModel> kCharges[] = {{"reserved", ChargeModel::kReserved},
                                            {"used", ChargeModel::kUsed}};
constexpr Choice<HeaderStyle> kHeaders[] = {
    {"openai", HeaderStyle::kOpenAi}, {"azure", HeaderStyle::kAzure}, {"none", HeaderStyle::kNone}};

template <typename Enum, std::size_t n>
Enum OneOf(const std::string& key, const json& value, const Choice<Enum> (&choices)[n]) {
  std::string names;
  for (const Choice<Enum>& choice : choices) {
    if (value == choice.name) return choice.value;
    names.append(names.empty() ? "" : ", ").append(choice.name);
  }
  Fail(key + " must be one of: " + names);
}

template <typename Enum, std::size_t n>
const char* NameOf(Enum value, const Choice<Enum> (&choices)[n]) {
  for (const Choice<Enum>& choice : choices) {
    if (choice.value == value) return choice.name;
  }
  return "";
}

/* 12, "12", "5-20", "lognormal:200,0.5" */
Latency ParseLatency(const std::string& key, const json& value) {
  Latency latency;
  if (value.is_string()) {
    const std::string& text = value.get_ref<const std::string&>();
    double a = 0, b = 0;
    char rest = 0;
    if (std::sscanf(text.c_str(), "lognormal:%lf,%lf%c", &a, &b, &rest) == 2) {
      if (a < 0 || b < 0) Fail(key + " must not be negative");
      latency.kind = Latency::Kind::kLogNormal;
      latency.median_ms = a;
      latency.sigma = b;
      return latency;
    }
    if (std::sscanf(text.c_str(), "%lf-%lf%c", &a, &b, &rest) == 2) {
      if (a < 0 || b < a) Fail(key + " must be a range A-B with 0 <= A <= B");
      latency.low_ms = a;
      latency.high_ms = b;
      return latency;
    }
  }
  latency.low_ms = latency.high_ms = NumberAtLeast(key, value, 0);
  return latency;
}

std::vector<std::pair<Fault, double>> ParseFaults(const std::string& key, const json& value) {
  if (!value.is_object()) Fail(key + " must be an object of kind: probability");
  std::vector<std::pair<Fault, double>> faults;
  double sum = 0;
  for (const auto& [name, probability] : value.items()) {
    const auto fault = FaultFromName(name);
    if (!fault) Fail("unknown fault \"" + name + "\"; known: " + AllFaultNames());
    const double p = NumberAtLeast(name, probability, 0);
    sum += p;
    if (p > 0) faults.emplace_back(*fault, p);
  }
  if (sum > 1 + 1e-9) Fail("the probabilities of the faults add up to more than 1");
  return faults;
}

void ApplyOne(const std::string& key, const json& value, Config* c) {
  if (key == "rpm") {
    c->limits.requests = static_cast<std::int64_t>(NumberAtLeast(key, value, 0));
  } else if (key == "tpm") {
    c->limits.tokens = static_cast<std::int64_t>(NumberAtLeast(key, value, 0));
  } else if (key == "period") {
    c->limits.period_ns = static_cast<std::int64_t>(NumberAtLeast(key, value, 0.001) * 1e9);
  } else if (key == "meter") {
    c->limits.model = OneOf(key, value, kMeters);
  } else if (key == "charge") {
    c->charge = OneOf(key, value, kCharges);
  } else if (key == "headers") {
    c->headers = OneOf(key, value, kHeaders);
  } else if (key == "latency_ms" || key == "latency") {
    c->latency = ParseLatency(key, value);
  } else if (key == "seed") {
    c->seed = static_cast<std::uint64_t>(NumberAtLeast(key, value, 0));
  } else if (key == "key") {
    c->keys = List(key, value);
  } else if (key == "models") {
    c->models = List(key, value);
  } else if (key == "faults") {
    c->faults = ParseFaults(key, value);
  } else if (key == "hang") {
    c->hang = Boolean(key, value);
  } else if (key == "enforce_cap") {
    c->enforce_cap = Boolean(key, value);
  } else if (key == "token_factor") {
    c->token_factor = NumberAtLeast(key, value, 0);
  } else if (key == "slow_ms") {
    c->slow_ms = NumberAtLeast(key, value, 0);
  } else if (key == "organization") {
    c->organization = Text(key, value);
  } else {
    Fail("unknown setting \"" + key + "\"");
  }
}

}  // namespace

void ApplyJson(const json& changes, Config* config) {
  if (!changes.is_object()) Fail("the settings must be a JSON object");
  Config changed = *config;
  for (const auto& [key, value] : changes.items()) ApplyOne(key, value, &changed);
  *config = std::move(changed);
}

json ToJson(const Config& c) {
  json faults = json::object();
  for (const auto& [fault, probability] : c.faults) faults[std::string(FaultName(fault))] = probability;
  char latency[80];
  if (c.latency.kind == Latency::Kind::kLogNormal) {
    std::snprintf(latency, sizeof latency, "lognormal:%g,%g", c.latency.median_ms, c.latency.sigma);
  } else {
    std::snprintf(latency, sizeof latency, "%g-%g", c.latency.low_ms, c.latency.high_ms);
  }
  return {{"rpm", c.limits.requests},
          {"tpm", c.limits.tokens},
          {"period", static_cast<double>(c.limits.period_ns) / 1e9},
          {"meter", NameOf(c.limits.model, kMeters)},
          {"charge", NameOf(c.charge, kCharges)},
          {"headers", NameOf(c.headers, kHeaders)},
          {"latency_ms", latency},
          {"seed", c.seed},
          {"key", c.keys},
          {"models", c.models},
          {"faults", faults},
          {"hang", c.hang},
          {"enforce_cap", c.enforce_cap},
          {"token_factor", c.token_factor},
          {"slow_ms", c.slow_ms},
          {"organization", c.organization}};
}

}  // namespace mock_openai
