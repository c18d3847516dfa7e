#include "postgres/preparation.h"

#include <algorithm>

#include "core/text.h"
#include "postgres/blocking.h"
#include "postgres/clock.h"
#include "postgres/receiving.h"

namespace product_optimizer {

namespace {

constexpr std::size_t kMostModels = 1000;
/* A store of which so many outcomes cannot be written is asked again after the pause. */
constexpr int kMostRefused = 20;
constexpr std::uint64_t kRefusedPauseNs = 1'000 * kNsPerMs;

}  // namespace

BucketRef BucketOfModel(const Worker& worker, const std::string& model) {
  BucketRef ref;
  ref.model = model;
  const auto own = worker.model_limits.find(model);
  ref.limits = own != worker.model_limits.end() ? own->second : worker.settings.limits;
  ref.configured = own != worker.model_limits.end() || model == worker.settings.request.model;
  return ref;
}

const char* GateName(Gate gate) {
  switch (gate) {
    case Gate::kHoldOff:
      return "the server's hold-off";
    case Gate::kServer:
      return "what the server has left";
    case Gate::kTokens:
      return "tokens_per_minute";
    default:
      return "requests_per_minute";
  }
}

Preparation::Preparation(Worker& worker) : worker_(worker) {
  for (const Settlement& settlement : worker.to_settle)
    if (settlement.refused) refused_[settlement.held.store]++;
}

Choice Preparation::Choose(Candidate& candidate) {
  const auto refused = refused_.find(candidate.item.instance_id);
  if (refused != refused_.end() && refused->second >= kMostRefused) {
    candidate.park_until_ns = NowNs() + kRefusedPauseNs;
    return Choice::kSkip;
  }
  Prepared prepared;
  prepared.bucket = BucketOf(candidate);
  models_.insert(prepared.bucket.model);
  const auto closed = closed_models_.find(prepared.bucket.model);
  if (closed != closed_models_.end()) return StayBehind(candidate, closed->second);
  auto built = BuildRequest(candidate.item, worker_.settings.request);
  if (auto* error = std::get_if<BuildError>(&built)) {
    /* A wrong setting is nobody's row's fault: it blocks, as a wrong key does. */
    const OutcomeKind kind =
        error->error_code == "invalid_extra_body" ? OutcomeKind::kBlock : OutcomeKind::kFail;
    return Refuse(candidate, std::move(prepared), kind, std::move(error->error),
                  std::move(error->error_code));
  }
  prepared.request = std::get<BuiltRequest>(std::move(built));
  /* Jobs may name what they like. */
  if (worker_.models.size() > kMostModels) worker_.models.clear();
  Reserve(prepared);
  candidate.cost = CostOf(prepared);
  candidate.park_until_ns = worker_.first_in_line.BehindUntilNs(
      prepared.bucket.model, candidate.item.instance_id, candidate.place, NowNs());
  if (candidate.park_until_ns != 0) return Choice::kSkip;
  const PairVerdict verdict = ReserveShared(prepared.bucket, 1, prepared.reserved_tokens);
  if (!verdict.by_store && verdict.verdict.gate != Gate::kNeverFits)
    answered_models_.insert(prepared.bucket.model);
  if (verdict.verdict.gate == Gate::kNeverFits) {
    const Limits& limits = verdict.by_store ? prepared.bucket.store_limits : prepared.bucket.limits;
    std::string error = "needs " + std::to_string(prepared.reserved_tokens) +
                        " tokens at once, more than the " + std::to_string(LargestTokens(limits)) + " that " +
                        (verdict.by_store ? "its store's" : "the model's") +
                        " tokens_per_minute and burst_seconds ever let through: raise them, or lower "
                        "max_output_tokens or the payload";
    /* When the settings alone ask for more, no row is to blame. */
    const bool by_settings = !verdict.by_store && !candidate.item.job_id &&
                             worker_.settings.request.max_output_tokens > LargestTokens(limits);
    prepared.reserved_tokens = 0;
    prepared.refusal.of_model_alone = by_settings;
    return Refuse(candidate, std::move(prepared), by_settings ? OutcomeKind::kBlock : OutcomeKind::kFail,
                  std::move(error), "exceeds_rate_limit");
  }
  if (verdict.verdict.gate != Gate::kOpen) return Postpone(candidate, prepared, verdict);
  worker_.models[prepared.bucket.model].LearnReservation(prepared.reserved_tokens);
  worker_.first_in_line.Passed(prepared.bucket.model, candidate.item.id);
  prepared_.emplace(candidate.item.id, std::move(prepared));
  return Choice::kTake;
}

/* Its part of the scarcer of the two limits, in requests. */
double Preparation::CostOf(const Prepared& prepared) const {
  const Limits& limits = prepared.bucket.limits;
  if (worker_.settings.fair_by == FairBy::kItems || limits.tokens_per_minute == 0) return 1;
  const double tokens_per_request =
      static_cast<double>(limits.tokens_per_minute) / static_cast<double>(limits.requests_per_minute);
  return std::max(1.0, static_cast<double>(prepared.reserved_tokens) / tokens_per_request);
}

/*
 * When this model is the only one, nothing else could leave either: the store stays next in line, and
 * nothing smaller overtakes.  Else the store rests, and those of other models go on; those of the same stay
 * behind it.
 */
Choice Preparation::Postpone(Candidate& candidate, const Prepared& prepared, const PairVerdict& verdict) {
  /* Tenants read it in why_waiting(): it names no store. */
  throttle_ = std::string(GateName(verdict.verdict.gate)) + " of " +
              (verdict.by_store ? "a store's own limit" : prepared.bucket.model);
  const std::uint64_t due_ns = SaturatingAdd(NowNs(), verdict.verdict.wait_ns);
  if (!verdict.by_store) {
    wait_ns_ = std::min(wait_ns_, verdict.verdict.wait_ns);
    closed_models_.emplace(prepared.bucket.model, due_ns);
    if (worker_.models.size() <= 1) return Choice::kLeave;
  }
  if (!verdict.by_store && verdict.verdict.gate == Gate::kTokens)
    worker_.first_in_line.Refused(prepared.bucket.model, candidate.item.id, candidate.item.instance_id,
                                  candidate.place, due_ns);
  candidate.park_until_ns = due_ns;
  return Choice::kSkip;
}

/* Its model was refused a moment ago, so it is neither built nor asked for. */
Choice Preparation::StayBehind(Candidate& candidate, std::uint64_t due_ns) const {
  if (worker_.models.size() <= 1) return Choice::kLeave;
  candidate.park_until_ns = due_ns;
  return Choice::kSkip;
}

void Preparation::Send(std::vector<Item>& items, std::uint64_t now_ns) {
  for (Item& item : items) {
    const auto found = prepared_.find(item.id);
    if (found == prepared_.end()) continue; /* cannot be: claimed, but never chosen; its lease will tell */
    Prepared prepared = std::move(found->second);
    prepared_.erase(found);
    HeldClaim held{{item.id, item.attempt, &worker_.claimed_by},
                   item.max_attempts,
                   item.last_error_code == "length",
                   ++worker_.claims_made,
                   item.instance_id};
    if (!IsCanary(held)) worker_.latest_claim[item.id] = held.number;
    if (prepared.refused) {
      Conclude(worker_, held, std::move(prepared.refusal), prepared.bucket, 0, now_ns);
      continue;
    }
    const std::uint64_t id = worker_.next_request++;
    HttpRequest request = RequestOf(prepared);
    /* The permit was reserved before T1 was committed; what counts is when the request leaves. */
    const Departure departure = LeaveShared(prepared.bucket, 1, prepared.reserved_tokens);
    worker_.in_flight.emplace(
        id, InFlight{held, worker_.settings.request.api, worker_.api_key, std::move(prepared.bucket),
                     prepared.reserved_tokens, departure, prepared.estimated_prompt_tokens,
                     item.model.value_or(worker_.settings.request.model) != worker_.settings.request.model});
    worker_.http.Start(id, std::move(request));
  }
  GiveBack();
}

void Preparation::NoteModelsInUse() {
  for (auto& [model, experience] : worker_.models) {
    if (models_.count(model) != 0) {
      experience.claims_without = 0;
    } else {
      if (!models_.empty() && experience.IsInUse()) experience.claims_without++;
    }
  }
}

void Preparation::StepAside() {
  for (const auto& [model, experience] : worker_.models) {
    if (answered_models_.count(model) != 0) continue;
    StepAsideShared(BucketOfModel(worker_, model), worker_.first_in_line.DueNs(model));
  }
}

void Preparation::GiveBack() {
  for (const auto& [id, prepared] : prepared_)
    if (prepared.reserved_tokens > 0) CancelShared(prepared.bucket, 1, prepared.reserved_tokens);
  prepared_.clear();
}

BucketRef Preparation::BucketOf(const Candidate& candidate) const {
  BucketRef ref = BucketOfModel(worker_, candidate.item.model.value_or(worker_.settings.request.model));
  if (candidate.store_limits.requests_per_minute > 0 || candidate.store_limits.tokens_per_minute > 0) {
    ref.instance_id = candidate.item.instance_id;
    ref.store_limits = candidate.store_limits;
    ref.store_limits.burst_seconds = worker_.settings.limits.burst_seconds;
  }
  return ref;
}

void Preparation::Reserve(Prepared& prepared) {
  const BuiltRequest& request = prepared.request;
  const ModelExperience& experience = worker_.models[prepared.bucket.model];
  prepared.estimated_prompt_tokens = EstimatePromptTokens(request.prompt_bytes, request.messages);
  const auto prompt = static_cast<std::int64_t>(static_cast<double>(prepared.estimated_prompt_tokens) *
                                                experience.prompt_factor.value());
  const std::int64_t cap = request.max_output_tokens;
  if (worker_.settings.token_accounting == TokenAccounting::kUsed) {
    const BucketRef& bucket = prepared.bucket;
    const std::int64_t largest = std::min(LargestTokens(bucket.limits), LargestTokens(bucket.store_limits));
    prepared.reserved_tokens = prompt + AnswerTokens(experience.completion_tokens, cap, largest - prompt);
  } else {
    prepared.reserved_tokens =
        std::max({cap, static_cast<std::int64_t>(request.prompt_chars + 3) / 4, prompt});
  }
}

Choice Preparation::Refuse(const Candidate& candidate, Prepared prepared, OutcomeKind kind, std::string error,
                           std::string code) {
  prepared.refused = true;
  prepared.refusal.kind = kind;
  prepared.refusal.error = std::move(error);
  prepared.refusal.error_code = std::move(code);
  prepared_.emplace(candidate.item.id, std::move(prepared));
  return Choice::kTake;
}

HttpRequest Preparation::RequestOf(Prepared& prepared) const {
  HttpRequest request;
  request.url = worker_.settings.api_base_url + prepared.request.path;
  /* Moved into place, not copied: the client overwrites what it was given. */
  request.headers.reserve(2);
  request.headers.push_back("Authorization: Bearer " + worker_.api_key->key);
  request.headers.emplace_back("Content-Type: application/json");
  request.body = std::move(prepared.request.body);
  request.connect_timeout_ms = worker_.settings.connect_timeout_ms;
  request.timeout_ms = worker_.settings.request_timeout_ms;
  request.max_response_bytes = worker_.settings.max_response_bytes;
  return request;
}

}  // namespace product_optimizer
