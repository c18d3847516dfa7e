/*
 * worker_state.h
 *   What one worker has in its own memory: requests in flight, answers not yet written, what it waits
 *   for.  Everything here may vanish with the process: the table says who held what.
 */
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/first_in_line.h"
#include "core/outcome.h"
#include "core/retry_policy.h"
#include "http/client.h"
#include "openai/token_estimate.h"
#include "postgres/api_key.h"
#include "postgres/due_items.h"
#include "postgres/settings.h"
#include "postgres/settle.h"
#include "postgres/shared_limiter.h"
#include "postgres/shared_state.h"
#include "postgres/upkeep.h"
#include "postgres/worker_log.h"

namespace product_optimizer {

/* What a claim needs to be settled, whatever becomes of its request. */
struct HeldClaim {
  ClaimRef claim;
  std::int16_t max_attempts = 0;
  bool was_truncated = false; /* the attempt before this one was */
  std::uint64_t number = 0;   /* counts this worker's claims; 0: not counted */
  std::string store;
};

struct InFlight {
  HeldClaim held;
  Api api = Api::kChatCompletions;       /* that was asked; a reload may have changed the setting since */
  std::shared_ptr<const ApiKey> api_key; /* likewise: the reply may quote it */
  BucketRef bucket;
  std::int64_t reserved_tokens = 0;
  Departure departure;
  std::int64_t estimated_prompt_tokens = 0;
  bool job_chose_model = false;
};

/* An outcome that is not yet in the table. */
struct Settlement {
  HeldClaim held;
  Outcome outcome;
  Decision decision;
  bool written = false;
  bool suspect = false; /* waits for the canary's word, see blocking.h */
  int failed_writes = 0;
  bool refused = false; /* its row alone could not be written: a trigger, a constraint, a lock of those */
  std::uint64_t not_before_ns = 0;
};

/* What this model's answers were like so far. */
struct ModelExperience {
  TokenFactor prompt_factor;
  HighWater completion_tokens;
  double mean_reservation = 0; /* tokens; moving */
  HoldOffsInARow hold_offs;
  int claims_without = 0; /* in a row that found items of other models only */

  /* Else others are not kept waiting for it. */
  bool IsInUse() const { return claims_without < 8; }

  void LearnReservation(std::int64_t tokens) {
    const double now = static_cast<double>(tokens);
    mean_reservation = mean_reservation == 0 ? now : mean_reservation + (now - mean_reservation) * 0.1;
  }

  /* How many requests like those so far would fit: at least one, for only a try can tell. */
  std::int64_t FitInto(std::int64_t tokens) const {
    if (mean_reservation < 1) return INT64_MAX;
    return std::max<std::int64_t>(1,
                                  static_cast<std::int64_t>(static_cast<double>(tokens) / mean_reservation));
  }
};

/* How many outcomes may wait to be written before nothing more is claimed, whoever refuses them. */
constexpr std::size_t kMostUnwritten = 2000;

/* The queue is blocked while nothing can succeed until a person acts. */
struct Block {
  std::string reason; /* empty: not blocked */
  std::uint64_t probe_at_ns = 0;
  int probes = 0;
  bool no_key = false;    /* there is nothing to probe with */
  bool by_canary = false; /* it was refused, and no item is asked to probe before it is not */
  bool of_model = false;  /* the settings' model alone: what another one answers says nothing of it */
};

/* Whose fault are the items that were refused?  See blocking.h. */
struct Canary {
  std::string error_code; /* of those in a row */
  int in_a_row = 0;
  std::uint64_t at_ns = kNever; /* when to send one */
  bool in_flight = false;
  bool outdated = false;              /* … and the settings have changed since */
  bool proven = false;                /* something was answered with these settings */
  std::uint64_t trusted_until_ns = 0; /* one was answered not long ago */
  int enough_again = 0;               /* so many in a row make another one due by then */
};

struct Worker {
  explicit Worker(WorkerSlot* slot_, const Settings& settings_)
      : slot(slot_), settings(settings_), http(HttpOptions()) {}

  WorkerSlot* slot;
  std::string claimed_by;
  Settings settings;
  std::uint64_t settings_since_ns = 0; /* they were read then */
  std::shared_ptr<const ApiKey> api_key = std::make_shared<ApiKey>();
  HttpClient http;
  std::mt19937_64 random{std::random_device{}()};

  std::unordered_map<std::uint64_t, InFlight> in_flight; /* by request id */
  std::uint64_t next_request = 1;
  std::uint64_t claims_made = 0;
  /*
   * By item id: the number of the latest claim that is not settled.  After TRUNCATE … RESTART IDENTITY this
   * worker may hold a new row of the same id, at the same attempt, beside the claim of the old one.
   */
  std::unordered_map<std::int64_t, std::uint64_t> latest_claim;
  std::vector<Settlement> to_settle;

  std::map<std::string, Limits> model_limits;    /* the rows of rate_limits */
  std::map<std::string, ModelExperience> models; /* every model asked for so far */

  bool handed_back = false; /* at exit: nothing in the table is this worker's any more */
  std::string wrong_owner;  /* why nothing may be done, see TransactionFailure; empty: it may */
  bool paused = false;
  std::string pause_reason;
  Block block;
  Canary canary;
  bool key_works = false; /* something was answered with this key */

  DueItems due;
  CarefulBatch orphans;

  bool maybe_work = true; /* the queue may not know of everything that waits */
  int locked_claims = 0;  /* in a row that met nothing but rows locked by others */
  std::string throttle;   /* what the limiter said last; empty: open */
  FirstInLine first_in_line;
  std::uint64_t claim_at_ns = 0; /* not before, after the limiter said no */
  std::uint64_t poll_at_ns = 0;
  std::uint64_t rescan_at_ns = 0;
  std::uint64_t rescue_at_ns = kNever;
  std::uint64_t rewrite_at_ns = 0; /* what was refused: not before */
  std::uint64_t walk_at_ns = 0;    /* not before, after a walk that failed */
  int single_claims = 0;           /* so many claims are of one item, to find the row that made one fail */
  std::string last_write_failure;  /* so that one cause is logged once */
  std::string last_due_failure;
  std::string last_rescue_failure;
  std::string last_failure; /* of a transaction, so that it is logged once */

  Counters counted{};                      /* since the last publication */
  std::vector<std::uint64_t> latencies_ms; /* of whole replies, since the last publication */
  WorkerLog log;
};

/* A later claim of this worker has the same item id: the row of this one is gone. */
inline bool IsSuperseded(const Worker& worker, const HeldClaim& held) {
  const auto latest = worker.latest_claim.find(held.claim.id);
  return held.number != 0 && latest != worker.latest_claim.end() && latest->second != held.number;
}

inline void ForgetClaim(Worker& worker, const HeldClaim& held) {
  const auto latest = worker.latest_claim.find(held.claim.id);
  if (latest != worker.latest_claim.end() && latest->second == held.number) worker.latest_claim.erase(latest);
}

/* What counts against max_in_flight: not the outcomes that their rows refuse, which are no fault of the
 * others. */
inline std::size_t CountBusy(const Worker& worker) {
  return worker.in_flight.size() + static_cast<std::size_t>(std::count_if(
                                       worker.to_settle.begin(), worker.to_settle.end(),
                                       [](const Settlement& settlement) { return !settlement.refused; }));
}

inline void TakeHome(Worker& worker, HomeState home) {
  worker.paused = home.paused;
  worker.pause_reason = std::move(home.reason);
}

}  // namespace product_optimizer
