/*
 * queue_triggers.cpp
 *   The statement triggers that note what came to wait in job_items, and what changed there and in the
 *   policies.
 */
#include <set>
#include <string>

#include "postgres/guard.h"
#include "postgres/pending_cap.h"
#include "postgres/prelude.h"
#include "postgres/queue_notes.h"
#include "postgres/shared_state.h"
#include "postgres/spi.h"

using namespace product_optimizer;

namespace {

const TriggerData* AsTriggerAfterStatement(FunctionCallInfo fcinfo) {
  if (!CALLED_AS_TRIGGER(fcinfo)) return nullptr;
  const auto* const trigger = reinterpret_cast<const TriggerData*>(fcinfo->context);
  const bool as_expected =
      TRIGGER_FIRED_AFTER(trigger->tg_event) && TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event);
  return as_expected ? trigger : nullptr;
}

/* A value of a column that is never null. */
Datum ValueOf(TupleTableSlot* slot, int column) {
  bool is_null;
  const Datum value = slot_getattr(slot, column, &is_null);
  if (is_null) RefuseNullColumn(true, NameStr(TupleDescAttr(slot->tts_tupleDescriptor, column - 1)->attname));
  return value;
}

/*
 * The constraint job_items_payload_size sees only the compressed size of a payload that comes out of another
 * row; a dump would bring it unpacked, and be refused.
 */
void CheckPayload(Relation job_items, Datum payload) {
  constexpr Size kLargest = 8 * 1024 * 1024; /* as the constraint says */
  if (toast_raw_datum_size(payload) > kLargest)
    ereport(ERROR, (errcode(ERRCODE_CHECK_VIOLATION),
                    errmsg("new row for relation \"job_items\" violates check constraint "
                           "\"job_items_payload_size\""),
                    errdetail("The payload is compressed, and too large when it is unpacked."),
                    errtableconstraint(job_items, "job_items_payload_size")));
}

/*
 * Reads the inserted rows and notes the waiting ones per store; refuses payloads that are too large, and more
 * waiting rows than their store may have.
 */
void NoteInserted(const TriggerData* trigger) {
  TupleDesc const description = RelationGetDescr(trigger->tg_relation);
  Tuplestorestate* const inserted = trigger->tg_newtable;
  std::string store;
  const bool is_any_capped = IsAnyStoreCapped(trigger->tg_relation);
  std::set<std::string> waiting;
  Call([&] {
    const int id = TableColumn(description, "id", INT8OID);
    const int instance = TableColumn(description, "instance_id", TEXTOID);
    const int status = TableColumn(description, "status", TEXTOID);
    const int priority = TableColumn(description, "priority", INT2OID);
    const int payload = TableColumn(description, "payload", JSONBOID);
    TupleTableSlot* const slot = MakeSingleTupleTableSlot(description, &TTSOpsMinimalTuple);
    tuplestore_select_read_pointer(inserted, tuplestore_alloc_read_pointer(inserted, EXEC_FLAG_REWIND));
    tuplestore_rescan(inserted);
    while (tuplestore_gettupleslot(inserted, true, false, slot)) {
      CHECK_FOR_INTERRUPTS();
      CheckPayload(trigger->tg_relation, ValueOf(slot, payload));
      const Datum state = ValueOf(slot, status);
      const bool is_pending = IsWord(state, "PENDING");
      if (!is_pending && !IsWord(state, "SCHEDULED")) continue;
      if (is_pending || is_any_capped) KeyFromDatum(ValueOf(slot, instance), store);
      if (is_any_capped) waiting.insert(store);
      if (!is_pending) {
        NoteNews(kNewsDue);
        continue;
      }
      NoteArrival(store, {DatumGetInt64(ValueOf(slot, id)), DatumGetInt16(ValueOf(slot, priority))});
    }
    ExecDropSingleTupleTableSlot(slot);
  });
  if (!waiting.empty()) EnforcePendingCaps(trigger->tg_relation, waiting);
}

}  // namespace

extern "C" {

PGDLLEXPORT Datum product_optimizer_note_arrivals(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(product_optimizer_note_arrivals);
Datum product_optimizer_note_arrivals(PG_FUNCTION_ARGS) {
  const TriggerData* const trigger = AsTriggerAfterStatement(fcinfo);
  if (trigger == nullptr || !TRIGGER_FIRED_BY_INSERT(trigger->tg_event) || trigger->tg_newtable == nullptr)
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("note_arrivals() can only be called as a trigger after INSERT for each statement"),
                    errhint("It needs a name for the inserted rows: REFERENCING NEW TABLE AS arrived.")));
  return Entry([&]() -> Datum {
    NoteInserted(trigger);
    return PointerGetDatum(nullptr);
  });
}

PGDLLEXPORT Datum product_optimizer_wake_worker(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(product_optimizer_wake_worker);
Datum product_optimizer_wake_worker(PG_FUNCTION_ARGS) {
  const TriggerData* const trigger = AsTriggerAfterStatement(fcinfo);
  if (trigger == nullptr)
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("wake_worker() can only be called as a trigger after a statement")));
  return Entry([&]() -> Datum {
    /* stores and rate_limits have the same trigger: what the worker remembers of them no longer holds. */
    const bool policy = strcmp(RelationGetRelationName(trigger->tg_relation), "job_items") != 0;
    if (policy) {
      NoteNews(kNewsControl);
    } else if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event)) {
      NoteEmptied();
    } else if (!IsTriggerOfOwnStatement()) {
      NoteChange();
    }
    return PointerGetDatum(nullptr);
  });
}

}  // extern "C"
