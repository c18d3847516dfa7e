/*
 * limit_functions.cpp
 *   try_acquire(), settle_tokens(), optimizer_rate_limits(): the shared bucket, from any backend.
 */
#include <string>

#include "postgres/arguments.h"
#include "postgres/clock.h"
#include "postgres/guard.h"
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
  std::map<std::string, Limits> own;
  Call([&] {
    if (!PG_ARGISNULL(index)) ref.model.assign(text_to_cstring(PG_GETARG_TEXT_PP(index)));
    if (ref.model.empty() || ref.model.size() > 200)
      ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("model must have 1 to 200 bytes"),
                      errhint("Pass the name of a model, or NULL for product_optimizer.model.")));
    SPI_connect();
  });
  own = ReadModelLimits(settings.limits);
  Call([] { SPI_finish(); });
  const auto found = own.find(ref.model);
  ref.limits = found != own.end() ? found->second : settings.limits;
  return ref;
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
  return Entry([&]() -> Datum {
    const BucketRef ref = BucketArgument(fcinfo, 1);
    const Verdict verdict = AcquireShared(ref, requests, tokens).verdict;
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
      return RowDatum(fcinfo, values, nulls);
    });
  });
}

PGDLLEXPORT Datum product_optimizer_settle_tokens(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(product_optimizer_settle_tokens);
Datum product_optimizer_settle_tokens(PG_FUNCTION_ARGS) {
  const std::int32_t reserved = Int32Argument(fcinfo, 0, "reserved", 0, INT32_MAX);
  const std::int32_t used = Int32Argument(fcinfo, 1, "used", 0, INT32_MAX);
  return Entry([&]() -> Datum {
    SettleSharedTokens(BucketArgument(fcinfo, 2), reserved, used);
    return Datum{0};
  });
}

PGDLLEXPORT Datum product_optimizer_rate_limits(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(product_optimizer_rate_limits);
Datum product_optimizer_rate_limits(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  auto* const result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
  return Entry([&]() -> Datum {
    const Settings settings = CurrentSettings();
    Call([] { SPI_connect(); });
    const std::map<std::string, Limits> own = ReadModelLimits(settings.limits);
    Call([] { SPI_finish(); });
    const std::uint64_t now = NowNs();
    for (const BucketReport& report : ReportBuckets()) {
      const auto found = own.find(report.model);
      const Limits& limits = found != own.end() ? found->second : settings.limits;
      const Bucket& bucket = report.bucket;
      Call([&] {
        const bool held = bucket.hold_until_ns > now;
        const TimestampTz until = TimestampTzPlusMilliseconds(
            GetCurrentTimestamp(),
            static_cast<std::int64_t>(SaturatingSubtract(bucket.hold_until_ns, now) / kNsPerMs));
        Datum values[] = {TextDatum(report.model),
                          Int32GetDatum(static_cast<std::int32_t>(limits.requests_per_minute)),
                          Int64GetDatum(static_cast<std::int64_t>(bucket.requests_used.Sum(now))),
                          Int64GetDatum(AvailableRequests(bucket, limits, now)),
                          Int32GetDatum(static_cast<std::int32_t>(limits.tokens_per_minute)),
                          Int64GetDatum(static_cast<std::int64_t>(bucket.tokens_used.Sum(now))),
                          Int64GetDatum(AvailableTokens(bucket, limits, now)),
                          Float8GetDatum(EffectiveShare(bucket, now)),
                          TimestampTzGetDatum(until)};
        bool nulls[9] = {false, false, false, false, false, false, false, false, !held};
        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
      });
    }
    return Datum{0};
  });
}

}  // extern "C"
