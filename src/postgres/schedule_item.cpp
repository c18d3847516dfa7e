/*
 * schedule_item.cpp
 *   The trigger that makes a PENDING item SCHEDULED whose run_after lies ahead; its WHEN clause decides.
 */
#include "postgres/guard.h"
#include "postgres/prelude.h"
#include "postgres/spi.h"

using namespace product_optimizer;

extern "C" {

PGDLLEXPORT Datum product_optimizer_schedule_item(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(product_optimizer_schedule_item);
Datum product_optimizer_schedule_item(PG_FUNCTION_ARGS) {
  const auto* const trigger = reinterpret_cast<const TriggerData*>(fcinfo->context);
  if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
      !TRIGGER_FIRED_FOR_ROW(trigger->tg_event) || TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
    ereport(ERROR,
            (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
             errmsg("schedule_item() can only be called as a trigger before INSERT or UPDATE of a row")));
  TupleDesc const description = RelationGetDescr(trigger->tg_relation);
  HeapTuple const row =
      TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? trigger->tg_newtuple : trigger->tg_trigtuple;
  int column = TableColumn(description, "status", TEXTOID);
  Datum scheduled = CStringGetTextDatum("SCHEDULED");
  bool is_null = false;
  return PointerGetDatum(heap_modify_tuple_by_cols(row, description, 1, &column, &scheduled, &is_null));
}

}  // extern "C"
