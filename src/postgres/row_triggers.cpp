/*
 * row_triggers.cpp
 *   The triggers on rows of job_items that come to wait: their WHEN clauses see to it that no other row calls
 *   them.
 */
#include <string>

#include "core/table_walk.h"
#include "postgres/guard.h"
#include "postgres/prelude.h"
#include "postgres/queue_notes.h"
#include "postgres/shared_state.h"
#include "postgres/spi.h"

using namespace product_optimizer;

namespace {

HeapTuple Scheduled(Relation job_items, HeapTuple row) {
  TupleDesc const description = RelationGetDescr(job_items);
  int column = TableColumn(description, "status", TEXTOID);
  Datum scheduled = CStringGetTextDatum("SCHEDULED");
  bool is_null = false;
  return heap_modify_tuple_by_cols(row, description, 1, &column, &scheduled, &is_null);
}

struct Field {
  Datum value = 0;
  bool is_null = false;
};

Field FieldOf(HeapTuple row, TupleDesc description, const char* name, Oid type) {
  Field field;
  field.value = heap_getattr(row, TableColumn(description, name, type), description, &field.is_null);
  return field;
}

/* Whether a text is no longer than the CHECK of instance_id allows. */
bool IsShortEnough(Datum instance) {
  return toast_raw_datum_size(instance) - VARHDRSZ <= static_cast<Size>(kLongestInstanceBytes);
}

/* Else it is SCHEDULED: the trigger is called for no other. */
bool IsPending(HeapTuple row, TupleDesc description) {
  const Field status = FieldOf(row, description, "status", TEXTOID);
  return !status.is_null && IsWord(status.value, "PENDING");
}

/* The row as it is to be.  What the constraints will refuse is left to them, to say so; that it was noted
 * costs an empty turn. */
HeapTuple Requeue(Relation job_items, HeapTuple row) {
  TupleDesc const description = RelationGetDescr(job_items);
  std::string store;
  return Call([&] {
    const bool in_own_statement = IsTriggerOfOwnStatement();
    if (!IsPending(row, description)) {
      if (!in_own_statement) NoteNews(kNewsDue);
      return row;
    }
    const Field run_after = FieldOf(row, description, "run_after", TIMESTAMPTZOID);
    if (!run_after.is_null && DatumGetTimestampTz(run_after.value) > GetCurrentTimestamp()) {
      if (!in_own_statement) NoteNews(kNewsDue);
      return Scheduled(job_items, row);
    }
    if (in_own_statement) return row;
    const Field id = FieldOf(row, description, "id", INT8OID);
    const Field instance = FieldOf(row, description, "instance_id", TEXTOID);
    const Field priority = FieldOf(row, description, "priority", INT2OID);
    if (id.is_null || instance.is_null || priority.is_null || !IsShortEnough(instance.value)) return row;
    KeyFromDatum(instance.value, store);
    NoteArrival(store, {DatumGetInt64(id.value), DatumGetInt16(priority.value)});
    return row;
  });
}

}  // namespace

extern "C" {

PGDLLEXPORT Datum product_optimizer_schedule_item(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(product_optimizer_schedule_item);
Datum product_optimizer_schedule_item(PG_FUNCTION_ARGS) {
  const auto* const trigger = reinterpret_cast<const TriggerData*>(fcinfo->context);
  if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
      !TRIGGER_FIRED_FOR_ROW(trigger->tg_event) || !TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("schedule_item() can only be called as a trigger before INSERT of a row")));
  return PointerGetDatum(Scheduled(trigger->tg_relation, trigger->tg_trigtuple));
}

PGDLLEXPORT Datum product_optimizer_requeue_item(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(product_optimizer_requeue_item);
Datum product_optimizer_requeue_item(PG_FUNCTION_ARGS) {
  const auto* const trigger = reinterpret_cast<const TriggerData*>(fcinfo->context);
  if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
      !TRIGGER_FIRED_FOR_ROW(trigger->tg_event) || !TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("requeue_item() can only be called as a trigger before UPDATE of a row")));
  return Entry(
      [&]() -> Datum { return PointerGetDatum(Requeue(trigger->tg_relation, trigger->tg_newtuple)); });
}

}  // extern "C"
