/*
 * service.h
 *   Decides what each request gets: everything between the parsed HTTP request and the bytes to send.
 *   Knows no sockets and no clock (time is a parameter), and belongs to one thread.
 */
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <unordered_map>

#include "arrival_log.h"
#include "config.h"
#include "meter.h"
#include "reply.h"

namespace mock_openai {

struct Now {
  std::int64_t mono_ns;
  std::int64_t real_us;
};

struct HttpRequest {
  std::string method, target, authorization, body;
  bool keep_alive = true;
};

/* What to do with the connection; the owner gives it back to Finished(). */
struct Plan {
  enum class Delivery {
    kWhole,
    kCut,     /* half of the bytes, then close */
    kDrop,    /* close without a byte */
    kHang,    /* wait for the release, then kWhole */
    kEndless, /* the bytes, then chunks for ever */
    kTrickle, /* the bytes one by one */
  };
  Delivery delivery = Delivery::kWhole;
  std::string bytes;
  std::int64_t delay_ns = 0;
  bool release = false; /* let all hanging requests go */
  bool counted = false; /* is one of those in flight */
  bool hung = false;
  std::string account; /* where to charge settle_tokens when it is over; empty = nowhere */
  std::int64_t settle_tokens = 0;
};

class Service {
 public:
  Service(const Options& options, Now now);

  Plan Handle(const HttpRequest& request, Now now);
  void Finished(const Plan& plan, bool answered, Now now);
  void ConnectionOpened();
  void ConnectionClosed() { connections_--; }

 private:
  struct Outcome { /* of one metered request, before it becomes bytes */
    HttpReply reply;
    Fault fault = Fault::kNone;
    bool refused = false; /* before the model saw it: answered without latency */
    bool has_usage = false;
    Usage usage;
  };

  Plan Metered(Endpoint endpoint, const HttpRequest& request, Now now);
  Outcome Decide(const ApiRequest& request, const std::string& key, const std::string& account,
                 LogEntry* entry, Now now);
  std::optional<ApiError> CheckKey(const HttpRequest& request, std::string* key) const;
  bool KnowsModel(const std::string& model) const;
  Fault PickFault(const ApiRequest& request, bool* from_content);
  std::string LimitHeaders(const std::string& account, Now now);
  std::int64_t DrawLatencyNs();
  HttpReply Models(const HttpRequest& request, const std::string& path) const;

  /* control.cpp */
  HttpReply Control(const HttpRequest& request, const std::string& path, const std::string& query,
                    bool* release, Now now);
  HttpReply ControlAudit(const nlohmann::json& body) const;
  void Reset();

  Config config_;
  Meter meter_;
  ArrivalLog log_;
  std::mt19937_64 random_;
  std::unordered_map<std::string, std::int64_t> times_seen_; /* of user texts with "mock":"kind*N" */
  std::uint64_t number_ = 0;
  std::int64_t in_flight_ = 0, max_in_flight_ = 0, hanging_ = 0;
  std::int64_t connections_ = 0, max_connections_ = 0;
  std::int64_t answered_ = 0, aborted_ = 0;
};

}  // namespace mock_openai
