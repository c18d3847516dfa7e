/*
 * service.cpp
 *   The order of judgement is the API's: key, JSON, model, limits, parameters, and then the answer.
 */
#include "service.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include "product_text.h"

namespace mock_openai {
namespace {

using nlohmann::json;

constexpr std::size_t kLoggedChars = 200;
constexpr std::int64_t kUncappedTokens = 4096; /* where an answer without a cap is cut */
constexpr double kNsPerMs = 1e6;

std::string FirstChars(const std::string& text) {
  std::size_t end = 0;
  for (std::size_t count = 0; end < text.size(); end++) {
    if ((static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) continue;
    if (count++ == kLoggedChars) break;
  }
  return text.substr(0, end);
}

HttpReply JsonReply(int status, const json& body) {
  HttpReply reply;
  reply.status = status;
  reply.body = body.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
  return reply;
}

std::string Line(const char* name, const std::string& value) {
  return name + (": " + value) + "\r\n";
}

Plan::Delivery DeliveryOf(Fault fault) {
  switch (fault) {
    case Fault::kCut:
      return Plan::Delivery::kCut;
    case Fault::kDrop:
      return Plan::Delivery::kDrop;
    case Fault::kHang:
      return Plan::Delivery::kHang;
    case Fault::kEndless:
      return Plan::Delivery::kEndless;
    case Fault::kTrickle:
      return Plan::Delivery::kTrickle;
    default:
      return Plan::Delivery::kWhole;
  }
}

}  // namespace

Service::Service(const Options& options, Now now)
    : config_(options.config),
      log_(options.log_file, static_cast<std::size_t>(options.log_limit)),
      random_(options.config.seed) {
  meter_.Configure(config_.limits, now.mono_ns);
}

void Service::ConnectionOpened() {
  max_connections_ = std::max(max_connections_, ++connections_);
}

Plan Service::Handle(const HttpRequest& request, Now now) {
  const std::size_t question = request.target.find('?');
  const std::string path = request.target.substr(0, question);
  const std::string query = question == std::string::npos ? "" : request.target.substr(question + 1);
  const bool chat = path == "/v1/chat/completions";
  if (chat || path == "/v1/responses") {
    if (request.method == "POST") return Metered(chat ? Endpoint::kChat : Endpoint::kResponses, request, now);
    Plan plan;
    plan.bytes = HttpText(ErrorReply({405,
                                      "Not allowed to " + request.method + " on " + path +
                                          ". (HINT: Perhaps you meant to make your request via a different "
                                          "method?)",
                                      "invalid_request_error", "", "method_not_supported"}),
                          request.keep_alive);
    return plan;
  }
  Plan plan;
  HttpReply reply;
  if (path.rfind("/mock/", 0) == 0) {
    reply = Control(request, path, query, &plan.release, now);
  } else if (path == "/v1/models" || path.rfind("/v1/models/", 0) == 0) {
    reply = Models(request, path);
  } else {
    reply = ErrorReply(
        {404, "Invalid URL (" + request.method + " " + path + ")", "invalid_request_error", "", ""});
  }
  plan.bytes = HttpText(reply, request.keep_alive);
  return plan;
}

std::optional<ApiError> Service::CheckKey(const HttpRequest& request, std::string* key) const {
  constexpr char kBearer[] = "bearer ";
  constexpr std::size_t kLength = sizeof kBearer - 1;
  std::string scheme = request.authorization.substr(0, kLength);
  std::transform(scheme.begin(), scheme.end(), scheme.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  if (scheme != kBearer) return MissingKey();
  *key = request.authorization.substr(kLength);
  key->erase(0, key->find_first_not_of(' '));
  if (key->empty()) return MissingKey();
  if (config_.keys.empty()) return std::nullopt;
  const bool known = std::find(config_.keys.begin(), config_.keys.end(), *key) != config_.keys.end();
  return known ? std::nullopt : std::optional<ApiError>(WrongKey(*key));
}

bool Service::KnowsModel(const std::string& model) const {
  return std::find(config_.models.begin(), config_.models.end(), model) != config_.models.end();
}

HttpReply Service::Models(const HttpRequest& request, const std::string& path) const {
  std::string key;
  if (auto error = CheckKey(request, &key)) return ErrorReply(*error);
  const auto describe = [](const std::string& model) {
    json object = {{"id", model}, {"object", "model"}, {"created", 1754425777}, {"owned_by", "system"}};
    if (model == "gpt-5-mini") object["shutdown_date"] = "2026-12-11";
    return object;
  };
  const std::string prefix = "/v1/models/";
  if (path.size() > prefix.size()) {
    const std::string model = path.substr(prefix.size());
    return KnowsModel(model) ? JsonReply(200, describe(model)) : ErrorReply(ModelNotFound(model));
  }
  json list = {{"object", "list"}, {"data", json::array()}};
  for (const std::string& model : config_.models) list["data"].push_back(describe(model));
  return JsonReply(200, list);
}

Fault Service::PickFault(const ApiRequest& request, bool* from_content) {
  const RequestedFault requested = FindFault(request.user_text);
  *from_content = requested.fault != Fault::kNone && requested.times > 0;
  if (requested.fault != Fault::kNone) {
    if (requested.times == 0) return requested.fault;
    const auto seen = times_seen_.find(request.user_text);
    if (seen == times_seen_.end() || seen->second < requested.times) return requested.fault;
    *from_content = false;
    return Fault::kNone;
  }
  if (config_.hang) return Fault::kHang;
  if (config_.faults.empty()) return Fault::kNone;
  double draw = std::uniform_real_distribution<double>(0, 1)(random_);
  for (const auto& [fault, probability] : config_.faults) {
    if (draw < probability) return fault;
    draw -= probability;
  }
  return Fault::kNone;
}

std::int64_t Service::DrawLatencyNs() {
  const Latency& latency = config_.latency;
  double ms = latency.low_ms;
  if (latency.kind == Latency::Kind::kLogNormal) {
    ms = latency.median_ms * std::exp(latency.sigma * std::normal_distribution<double>(0, 1)(random_));
  } else if (latency.high_ms > latency.low_ms) {
    ms = std::uniform_real_distribution<double>(latency.low_ms, latency.high_ms)(random_);
  }
  return static_cast<std::int64_t>(ms * kNsPerMs);
}

std::string Service::LimitHeaders(const std::string& account, Now now) {
  if (config_.headers == HeaderStyle::kNone) return "";
  const Gauge requests = meter_.Requests(account, now.mono_ns), tokens = meter_.Tokens(account, now.mono_ns);
  const auto lines = [](const std::string& what, const Gauge& gauge, const std::string& reset) {
    return "x-ratelimit-limit-" + what + ": " + std::to_string(gauge.limit) + "\r\nx-ratelimit-remaining-" +
           what + ": " + std::to_string(gauge.remaining) + "\r\nx-ratelimit-reset-" + what + ": " + reset +
           "\r\n";
  };
  if (config_.headers == HeaderStyle::kAzure) { /* bare seconds, and limits that say nothing */
    return lines("requests", {0, -1, 0}, "0") +
           lines("tokens", {-1, tokens.remaining, 0},
                 std::to_string((tokens.reset_ns + 999'999'999) / 1'000'000'000));
  }
  std::string text;
  if (requests.limit > 0) text += lines("requests", requests, GoDuration(requests.reset_ns));
  if (tokens.limit > 0) text += lines("tokens", tokens, GoDuration(tokens.reset_ns));
  return text;
}

Service::Outcome Service::Decide(const ApiRequest& request, const std::string& key,
                                 const std::string& account, LogEntry* entry, Now now) {
  Outcome outcome;
  bool counts_down = false;
  outcome.fault = PickFault(request, &counts_down);
  if (IsRefusedBeforeMetering(outcome.fault)) {
    outcome.refused = true;
    if (counts_down) times_seen_[request.user_text]++;
    FaultReply(outcome.fault, request.model, key, config_.organization, &outcome.reply);
    return outcome;
  }
  const bool reserved = config_.charge == ChargeModel::kReserved;
  const std::int64_t tokens =
      reserved ? std::max(request.cap, request.chars / 4) : PromptTokens(request, config_.token_factor);
  entry->tokens = tokens;
  const Verdict verdict = meter_.Take(account, tokens, reserved, now.mono_ns);
  if (verdict.kind != Verdict::Kind::kAdmitted) {
    outcome.fault = Fault::kNone;
    outcome.refused = true;
    outcome.reply = ErrorReply(RateLimited(verdict, request.model, config_.organization));
    return outcome;
  }
  entry->charged = reserved;
  if (auto error = CheckRequest(request)) {
    outcome.fault = Fault::kNone;
    outcome.refused = true;
    outcome.reply = ErrorReply(*error);
    return outcome;
  }
  if (counts_down) times_seen_[request.user_text]++;
  if (FaultReply(outcome.fault, request.model, key, config_.organization, &outcome.reply)) return outcome;

  Answer answer = MakeAnswer(request, outcome.fault, config_.token_factor);
  if (request.cap > 0 && answer.usage.completion > request.cap) {
    if (config_.enforce_cap && outcome.fault == Fault::kNone) {
      outcome.fault = Fault::kLength;
    } else { /* the figures stay plausible: never more than the cap */
      answer.usage.completion = request.cap;
      answer.usage.reasoning = std::min(answer.usage.reasoning, request.cap / 2);
    }
  }
  if (outcome.fault == Fault::kLength) { /* all of it went into reasoning, and is billed */
    answer.usage.completion = answer.usage.reasoning = request.cap > 0 ? request.cap : kUncappedTokens;
  }
  outcome.has_usage = true;
  outcome.usage = answer.usage;
  outcome.reply.body = ReplyBody(request, answer, outcome.fault, number_, now.real_us / 1'000'000);
  if (outcome.fault == Fault::kHtml) outcome.reply.content_type = "text/html";
  return outcome;
}

Plan Service::Metered(Endpoint endpoint, const HttpRequest& http, Now now) {
  number_++;
  Plan plan;
  plan.counted = true;
  max_in_flight_ = std::max(max_in_flight_, ++in_flight_);

  ApiRequest request;
  LogEntry entry;
  Outcome outcome;
  std::string key, limit_headers;
  std::optional<ApiError> error = CheckKey(http, &key);
  if (!error) error = ReadRequest(endpoint, http.body, &request);
  if (!error && !KnowsModel(request.model)) error = ModelNotFound(request.model);
  if (error) {
    outcome.refused = true;
    outcome.reply = ErrorReply(*error);
  } else {
    const std::string account = key + '\n' + request.model;
    outcome = Decide(request, key, account, &entry, now);
    limit_headers = LimitHeaders(account, now);
    if (config_.charge == ChargeModel::kUsed && outcome.has_usage) {
      plan.account = account;
      plan.settle_tokens = outcome.usage.prompt + outcome.usage.completion;
      entry.tokens = plan.settle_tokens;
      entry.charged = true;
    }
  }

  plan.delivery = DeliveryOf(outcome.fault);
  plan.hung = plan.delivery == Plan::Delivery::kHang;
  if (plan.hung) hanging_++;
  if (!outcome.refused && plan.delivery != Plan::Delivery::kDrop) plan.delay_ns = DrawLatencyNs();
  if (outcome.fault == Fault::kSlow) plan.delay_ns += static_cast<std::int64_t>(config_.slow_ms * kNsPerMs);

  entry.real_us = now.real_us;
  entry.mono_ns = now.mono_ns;
  entry.model = request.model;
  entry.status = plan.delivery == Plan::Delivery::kDrop ? 0 : outcome.reply.status;
  entry.fault = outcome.fault;
  entry.chars = request.chars;
  entry.in_flight = in_flight_;
  entry.key_hash = static_cast<std::uint32_t>(StableHash(key));
  entry.user = FirstChars(request.user_text);
  log_.Append(std::move(entry));

  outcome.reply.headers +=
      Line("x-request-id", "req_mock" + std::to_string(number_)) +
      Line("openai-organization", config_.organization) + Line("openai-version", "2020-10-01") +
      Line("openai-processing-ms", std::to_string(plan.delay_ns / 1'000'000)) + limit_headers;
  if (plan.delivery != Plan::Delivery::kDrop) {
    plan.bytes = HttpText(outcome.reply, http.keep_alive, plan.delivery == Plan::Delivery::kEndless);
  }
  return plan;
}

void Service::Finished(const Plan& plan, bool answered, Now now) {
  if (!plan.counted) return;
  in_flight_--;
  if (plan.hung) hanging_--;
  (answered ? answered_ : aborted_)++;
  if (!plan.account.empty()) meter_.ChargeTokens(plan.account, plan.settle_tokens, now.mono_ns);
}

}  // namespace mock_openai
