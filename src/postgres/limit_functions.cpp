/*
 * limit_functions.cpp
 *   try_acquire(), settle_tokens(), optimizer_rate_limits(): the shared bucket, from any backend.
 */
#include <algorithm>
#include <deque>
#include <string>

#include "postgres/arguments.h"
#include "postgres/clock.h"
#include "postgres/guard.h"
#include "postgres/owner_rights.h"
#include "postgres/settings.h"
#include "postgres/shared_limiter.h"
#include "postgres/spi.h"
#include "postgres/upkeep.h"

namespace product_optimizer {

namespace {

/* The bucket of a model, or of the setting's when the argument is null. */
BucketRef BucketArgument(FunctionCallInfo fcinfo, int index) {
  BucketRef ref;
  const Settings settings = CurrentSettings();
  ref.model = settings.request.model;
  Call([&] {
    if (!PG_ARGISNULL(index)) TextFromDatum(PG_GETARG_DATUM(index), ref.model);
    if (ref.model.empty() || ref.model.size() > 200)
      ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("model must have 1 to 200 bytes"),
                      errhint("Pass the name of a model, or NULL for product_optimizer.model.")));
  });
  const std::map<std::string, Limits> own = ReadModelLimits(settings.limits);
  const auto found = own.find(ref.model);
  ref.limits = found != own.end() ? found->second : settings.limits;
  ref.configured = found != own.end() || ref.model == settings.request.model;
  return ref;
}

/* What this session took by try_acquire() and has not settled, oldest first. */
struct TokensTaken {
  std::string model;
  std::int32_t tokens;
  std::uint64_t at_ns;
};

std::deque<TokensTaken>& TakenHere() {
  static auto& taken = *new std::deque<TokensTaken>;
  return taken;
}

void RememberTaken(const std::string& model, std::int32_t tokens, std::uint64_t at_ns) {
  constexpr std::size_t kMost = 10'000;
  std::deque<TokensTaken>& taken = TakenHere();
  taken.push_back({model, tokens, at_ns});
  /* Nothing comes back after so long. */
  while (taken.size() > kMost || taken.front().at_ns + LevelHistory::kSlots * LevelHistory::kSlotNs < at_ns)
    taken.pop_front();
}

/* When the oldest take of exactly so many tokens was; it is then settled.  0: there is none. */
std::uint64_t ForgetTaken(const std::string& model, std::int32_t tokens) {
  std::deque<TokensTaken>& taken = TakenHere();
  const auto found = std::find_if(taken.begin(), taken.end(), [&](const TokensTaken& one) {
    return one.tokens == tokens && one.model == model;
  });
  if (found == taken.end()) return 0;
  const std::uint64_t at_ns = found->at_ns;
  taken.erase(found);
  return at_ns;
}

Datum RowDatum(FunctionCallInfo fcinfo, Datum* values, bool* nulls) {
  TupleDesc description;
  if (get_call_result_type(fcinfo, nullptr, &description) != TYPEFUNC_COMPOSITE)
    elog(ERROR, "return type must be a row type");
  return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(description), values, nulls));
}

}  // namespace

}  // namespace product_optimizer

using namespace product_optimizer;

extern "C" {

PGDLLEXPORT Datum product_optimizer_try_acquire(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(product_optimizer_try_acquire);
Datum product_optimizer_try_acquire(PG_FUNCTION_ARGS) {
  const std::int32_t tokens = Int32Argument(fcinfo, 0, "tokens", 0, INT32_MAX);
  const std::int32_t requests = Int32Argument(fcinfo, 2, "requests", 0, INT32_MAX);
  return EntryAsOwner(fcinfo, [&]() -> Datum {
    const BucketRef ref = BucketArgument(fcinfo, 1);
    std::uint64_t at_ns = 0;
    const Verdict verdict = AcquireShared(ref, requests, tokens, &at_ns).verdict;
    if (verdict.gate == Gate::kOpen && tokens > 0) RememberTaken(ref.model, tokens, at_ns);
    return Call([&] {
      if (verdict.gate == Gate::kNeverFits)
        ereport(
            ERROR,
            (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
             errmsg("requests %d, tokens %d: more at once than the bucket ever holds", requests, tokens),
             errhint("Ask for less, or raise product_optimizer.burst_seconds or the limit of the model.")));
      const bool granted = verdict.gate == Gate::kOpen;
      auto* const wait = static_cast<Interval*>(palloc0(sizeof(Interval)));
      wait->time = static_cast<TimeOffset>((verdict.wait_ns + 999) / 1000);
      Datum values[] = {BoolGetDatum(granted), IntervalPGetDatum(wait)};
      bool nulls[] = {false, false};
      return SPI_datumTransfer(RowDatum(fcinfo, values, nulls), false, -1);
    });
  });
}

PGDLLEXPORT Datum product_optimizer_settle_tokens(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(product_optimizer_settle_tokens);
Datum product_optimizer_settle_tokens(PG_FUNCTION_ARGS) {
  const std::int32_t reserved = Int32Argument(fcinfo, 0, "reserved", 0, INT32_MAX);
  const std::int32_t used = Int32Argument(fcinfo, 1, "used", 0, INT32_MAX);
  return EntryAsOwner(fcinfo, [&]() -> Datum {
    const BucketRef ref = BucketArgument(fcinfo, 2);
    const std::uint64_t at_ns = ForgetTaken(ref.model, reserved);
    /* Giving back what this session did not take would raise the limit; an excess counts from anybody. */
    if (at_ns != 0 || used > reserved) SettleSharedTokens(ref, at_ns, reserved, used);
    return Datum{0};
  });
}

PGDLLEXPORT Datum product_optimizer_rate_limits(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(product_optimizer_rate_limits);
Datum product_optimizer_rate_limits(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  auto* const result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
  return EntryAsOwner(fcinfo, [&]() -> Datum {
    const Settings settings = CurrentSettings();
    const std::map<std::string, Limits> own = ReadModelLimits(settings.limits);
    const std::uint64_t now = NowNs();
    for (const BucketReport& report : ReportBuckets()) {
      const auto found = own.find(report.model);
      const Limits& limits = found != own.end() ? found->second : settings.limits;
      const Bucket& bucket = report.bucket;
      const std::string model = InAnyEncoding(report.model); /* another database may have named it */
      Call([&] {
        const auto ago = [now](std::uint64_t then_ns) {
          return TimestampTzPlusMilliseconds(
              GetCurrentTimestamp(),
              (static_cast<std::int64_t>(then_ns) - static_cast<std::int64_t>(now)) / kNsPerMs);
        };
        const double share = EffectiveShare(bucket, now);
        const auto effective = [share](std::int64_t limit) {
          return Int32GetDatum(static_cast<std::int32_t>(static_cast<double>(limit) * share));
        };
        const ServerLevel& requests = bucket.requests.server;
        const ServerLevel& tokens = bucket.tokens.server;
        const std::uint64_t told_at = std::max(requests.told_at_ns, tokens.told_at_ns);
        Datum values[] = {TextDatum(model),
                          Int32GetDatum(static_cast<std::int32_t>(limits.requests_per_minute)),
                          Int64GetDatum(static_cast<std::int64_t>(bucket.requests.used.Sum(now))),
                          Int64GetDatum(AvailableRequests(bucket, limits, now)),
                          Int32GetDatum(static_cast<std::int32_t>(limits.tokens_per_minute)),
                          Int64GetDatum(static_cast<std::int64_t>(bucket.tokens.used.Sum(now))),
                          Int64GetDatum(AvailableTokens(bucket, limits, now)),
                          Float8GetDatum(share),
                          TimestampTzGetDatum(ago(bucket.hold_until_ns)),
                          effective(limits.requests_per_minute),
                          effective(limits.tokens_per_minute),
                          Int64GetDatum(requests.limit),
                          Int64GetDatum(requests.remaining),
                          Int64GetDatum(tokens.limit),
                          Int64GetDatum(tokens.remaining),
                          TimestampTzGetDatum(ago(told_at)),
                          BoolGetDatum(IsFollowed(requests, now) || IsFollowed(tokens, now))};
        const bool no_requests = requests.limit == 0;
        const bool no_tokens = tokens.limit == 0;
        bool nulls[] = {false,        false,       false,
                        false,        false,       false,
                        false,        false,       bucket.hold_until_ns <= now,
                        false,        false,       no_requests,
                        no_requests,  no_tokens,   no_tokens,
                        told_at == 0, told_at == 0};
        static_assert(lengthof(values) == lengthof(nulls));
        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
      });
    }
    return Datum{0};
  });
}

}  // extern "C"
