#include "postgres/suppressed_updates.h"

#include "postgres/spi.h"

namespace product_optimizer {

namespace {

/* The status is compared in a way that no partial index serves: the items are found by their ids. */
Statement find_unchanged = {
    "SELECT i.id FROM job_items i WHERE i.id = ANY ($1) AND i.status || '' = ANY ($2)"
    "   AND (i.status || '' <> 'SCHEDULED' OR i.run_after <= clock_timestamp()) LIMIT 1",
    2,
    {INT8ARRAYOID, TEXTARRAYOID}};

}  // namespace

void RaiseSuppressed(std::int64_t item) {
  ereport(ERROR,
          (errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
           errmsg("a trigger or policy of job_items leaves out what was to be written"),
           errdetail("It concerns the item %lld.", static_cast<long long>(item)),
           errhint("A BEFORE UPDATE trigger has to return NEW, and not to give it its old status back.")));
  pg_unreachable();
}

void RefuseSuppressed(Datum item_ids, std::initializer_list<const char*> statuses) {
  DatumArray refused(statuses.size());
  for (const char* status : statuses) refused.Add(CStringGetTextDatum(status));
  Arguments arguments;
  arguments.Set(0, item_ids);
  arguments.Set(1, refused.Make(TEXTOID));
  if (Execute(find_unchanged, arguments) > 0) RaiseSuppressed(Int64Column(0, 1));
  SPI_freetuptable(SPI_tuptable);
}

}  // namespace product_optimizer
