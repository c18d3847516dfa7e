/*
 * control.cpp
 *   The /mock/ endpoints: settings, release, reset, counters, log and audit.
 */
#include <cstdlib>
#include <stdexcept>

#include <nlohmann/json.hpp>

#include "audit.h"
#include "service.h"

namespace mock_openai {
namespace {

using nlohmann::json;

HttpReply Say(int status, const json& body) {
  HttpReply reply;
  reply.status = status;
  reply.body = body.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
  return reply;
}

HttpReply Complain(int status, const std::string& message) {
  return Say(status, {{"error", message}});
}

std::string Decoded(const std::string& text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); i++) {
    if (text[i] == '%' && i + 2 < text.size()) {
      result += static_cast<char>(std::strtol(text.substr(i + 1, 2).c_str(), nullptr, 16));
      i += 2;
    } else {
      result += text[i] == '+' ? ' ' : text[i];
    }
  }
  return result;
}

/* The filter as JSON strings, from a=b&c=d. */
json ParseQuery(const std::string& query) {
  json fields = json::object();
  for (std::size_t begin = 0; begin < query.size();) {
    const std::size_t end = std::min(query.find('&', begin), query.size());
    const std::string field = query.substr(begin, end - begin);
    const std::size_t equals = field.find('=');
    if (equals != std::string::npos)
      fields[Decoded(field.substr(0, equals))] = Decoded(field.substr(equals + 1));
    begin = end + 1;
  }
  return fields;
}

double NumberOr(const json& body, const char* name, double otherwise) {
  const json& value = Member(body, name);
  if (value.is_number()) return value.get<double>();
  if (value.is_string()) return std::strtod(value.get_ref<const std::string&>().c_str(), nullptr);
  if (value.is_null()) return otherwise;
  throw std::invalid_argument(std::string(name) + " must be a number");
}

std::string TextOr(const json& body, const char* name) {
  const json& value = Member(body, name);
  return value.is_string() ? value.get<std::string>() : std::string();
}

LogFilter FilterOf(const json& body) {
  LogFilter filter;
  filter.model = TextOr(body, "model");
  filter.key_hash = TextOr(body, "key_hash");
  filter.contains = TextOr(body, "contains");
  filter.since = NumberOr(body, "since", 0);
  filter.until = NumberOr(body, "until", 0);
  filter.from = static_cast<std::size_t>(std::max(NumberOr(body, "from", 0), 0.0));
  return filter;
}

}  // namespace

HttpReply Service::ControlAudit(const json& body) const {
  AuditBound bound{};
  bound.period_seconds = NumberOr(body, "period", static_cast<double>(config_.limits.period_ns) / 1e9);
  bound.requests_per_period = NumberOr(body, "rpm", 0);
  bound.tokens_per_period = NumberOr(body, "tpm", 0);
  bound.burst_seconds = NumberOr(body, "burst_seconds", 0);
  if (bound.period_seconds <= 0) throw std::invalid_argument("period must be above 0");

  const LogFilter filter = FilterOf(body);
  std::vector<Arrival> arrivals;
  const std::vector<LogEntry>& entries = log_.entries();
  for (std::size_t i = filter.from; i < entries.size(); i++) {
    if (!Matches(filter, entries[i])) continue;
    arrivals.push_back({entries[i].mono_ns, entries[i].tokens, entries[i].status != 429});
  }
  const AuditResult result = Audit(arrivals, bound);
  const auto least = [](double value) { return value < 0 ? json() : json(value); };
  return Say(200, {{"ok", result.requests.ok && result.tokens.ok},
                   {"arrivals", result.arrivals},
                   {"admitted", result.admitted},
                   {"seconds", result.seconds},
                   {"max_excess_requests", result.requests.max_excess},
                   {"max_excess_tokens", result.tokens.max_excess},
                   {"bound_requests", result.requests.bound},
                   {"bound_tokens", result.tokens.bound},
                   {"max_in_60s_requests", result.requests.max_in_period},
                   {"max_in_60s_tokens", result.tokens.max_in_period},
                   {"min_in_60s_requests", least(result.requests.min_in_period)},
                   {"min_in_60s_tokens", least(result.tokens.min_in_period)},
                   {"use_requests", result.requests.use},
                   {"use_tokens", result.tokens.use},
                   {"use", std::max(result.requests.use, result.tokens.use)}});
}

void Service::Reset() {
  log_.Clear();
  meter_.Clear();
  times_seen_.clear();
  random_.seed(config_.seed);
  max_in_flight_ = in_flight_;
  max_connections_ = connections_;
  answered_ = aborted_ = 0;
}

HttpReply Service::Control(const HttpRequest& request, const std::string& path, const std::string& query,
                           bool* release, Now now) {
  const std::string what = path.substr(sizeof "/mock/" - 1);
  const bool post = request.method == "POST";
  json body = json::object();
  if (post && !request.body.empty()) {
    body = json::parse(request.body, nullptr, false);
    if (!body.is_object()) return Complain(400, "the body must be a JSON object");
  }
  try {
    if (what == "health") return Say(200, {{"ok", true}});
    if (what == "stats") {
      json stats = log_.Stats();
      stats.update({{"in_flight", in_flight_},
                    {"max_in_flight", max_in_flight_},
                    {"hanging", hanging_},
                    {"connections", connections_},
                    {"max_connections", max_connections_},
                    {"answered", answered_},
                    {"aborted", aborted_}});
      return Say(200, stats);
    }
    if (what == "log") {
      const LogFilter filter = FilterOf(ParseQuery(query));
      HttpReply reply;
      reply.content_type = "application/x-ndjson";
      for (std::size_t i = filter.from; i < log_.entries().size(); i++) {
        if (Matches(filter, log_.entries()[i])) reply.body += ToLine(log_.entries()[i]);
      }
      return reply;
    }
    if (what == "config" && post) {
      const bool reseed = body.contains("seed");
      ApplyJson(body, &config_);
      meter_.Configure(config_.limits, now.mono_ns);
      if (reseed) random_.seed(config_.seed);
      return Say(200, ToJson(config_));
    }
    if (what == "config") return Say(200, ToJson(config_));
    if (what == "audit" && post) return ControlAudit(body);
    if (what == "release" && post) {
      *release = true;
      config_.hang = Member(body, "keep_hanging") == true && config_.hang;
      return Say(200, {{"released", hanging_}});
    }
    if (what == "reset" && post) {
      Reset();
      return Say(200, {{"ok", true}});
    }
  } catch (const std::exception& e) {
    return Complain(400, e.what());
  }
  return Complain(404, "no such endpoint, or it wants POST");
}

}  // namespace mock_openai
