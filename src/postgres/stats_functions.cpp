/*
 * stats_functions.cpp
 *   optimizer_stats() and optimizer_workers(): the worker slots, as rows.
 */
#include <memory>
#include <string>

#include "postgres/guard.h"
#include "postgres/owner_rights.h"
#include "postgres/settings.h"
#include "postgres/shared_state.h"
#include "postgres/spi.h"
#include "postgres/upkeep.h"
#include "postgres/usage_report.h"

namespace product_optimizer {

namespace {

Datum NumericDatum(const std::string& number) {
  return DirectFunctionCall3(numeric_in, CStringGetDatum(number.c_str()), ObjectIdGetDatum(InvalidOid),
                             Int32GetDatum(-1));
}

/* Collects the columns of a row in order. */
struct RowBuilder {
  static constexpr int kMostColumns = 32;
  Datum values[kMostColumns];
  bool nulls[kMostColumns];
  int count = 0;

  void Add(Datum value, bool is_null = false) {
    values[count] = value;
    nulls[count++] = is_null;
  }
  void AddCount(std::int64_t number) { Add(Int64GetDatum(number)); }
  void AddText(const char* utf8) { Add(utf8[0] == '\0' ? Datum{0} : TextDatum(utf8), utf8[0] == '\0'); }
};

}  // namespace

}  // namespace product_optimizer

using namespace product_optimizer;

extern "C" {

PGDLLEXPORT Datum product_optimizer_stats(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(product_optimizer_stats);
Datum product_optimizer_stats(PG_FUNCTION_ARGS) {
  return EntryAsOwner(fcinfo, [&]() -> Datum {
    const Settings settings = CurrentSettings();
    const std::int64_t pending = CountPending();
    const std::int64_t scheduled = CountScheduled();
    const auto model_limits = ReadModelLimits(settings.limits);
    const Usage usage = BusiestModel(settings.request.model, settings.limits, model_limits);
    const std::string rpm_percent = PercentText(usage.requests, usage.requests_limit);
    const std::string tpm_percent = PercentText(usage.tokens, usage.tokens_limit);
    const std::unique_ptr<WorkerSlot> slot = CopySlot(MyDatabaseId);
    return Call([&] {
      const Counters& c = slot->counters;
      RowBuilder row;
      row.AddText(WorkerStateName(slot->state));
      row.AddText(slot->reason);
      row.AddCount(pending);
      row.AddCount(scheduled);
      row.AddCount(slot->in_flight);
      row.AddCount(slot->connections_open);
      row.AddCount(slot->connections_idle);
      row.AddCount(usage.requests);
      row.AddCount(usage.requests_limit);
      row.Add(NumericDatum(rpm_percent));
      row.AddCount(usage.tokens);
      row.AddCount(usage.tokens_limit);
      row.Add(NumericDatum(tpm_percent));
      for (const std::int64_t counter : {c.claims, c.items_claimed, c.items_done, c.items_failed, c.retries,
                                         c.rate_limited, c.orphans_rescued, c.late_results_rejected,
                                         c.paid_results_lost, c.prompt_tokens, c.completion_tokens})
        row.AddCount(counter);
      const bool no_latency = slot->latency.total() == 0;
      for (const double share : {0.5, 0.95, 0.99})
        row.Add(Int64GetDatum(static_cast<std::int64_t>(slot->latency.Percentile(share))), no_latency);
      row.Add(TimestampTzGetDatum(slot->started_at), slot->pid == 0);
      row.Add(TimestampTzGetDatum(slot->stats_since), slot->stats_since == 0);
      TupleDesc description;
      if (get_call_result_type(fcinfo, nullptr, &description) != TYPEFUNC_COMPOSITE ||
          description->natts != row.count)
        elog(ERROR, "optimizer_stats() is declared with other columns than it returns");
      return SPI_datumTransfer(
          HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(description), row.values, row.nulls)), false, -1);
    });
  });
}

PGDLLEXPORT Datum product_optimizer_workers(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(product_optimizer_workers);
Datum product_optimizer_workers(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  auto* const result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
  return Entry([&]() -> Datum {
    for (int i = 0; i < Shared()->slot_count; i++) {
      const Oid database = Shared()->slots[i].database;
      if (database == InvalidOid) continue;
      const std::unique_ptr<WorkerSlot> slot = CopySlot(database);
      Call([&] {
        const char* const name = get_database_name(database);
        if (name == nullptr) return; /* dropped since */
        Datum database_name = DirectFunctionCall1(namein, CStringGetDatum(name));
        RowBuilder row;
        row.Add(database_name);
        row.Add(Int32GetDatum(slot->pid), slot->pid == 0);
        row.AddText(WorkerStateName(slot->state));
        row.AddText(slot->reason);
        row.Add(Int32GetDatum(slot->in_flight));
        row.AddText(slot->last_error);
        row.Add(TimestampTzGetDatum(slot->started_at), slot->pid == 0);
        tuplestore_putvalues(result->setResult, result->setDesc, row.values, row.nulls);
      });
    }
    return Datum{0};
  });
}

}  // extern "C"
