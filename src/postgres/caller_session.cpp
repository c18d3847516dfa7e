#include "postgres/caller_session.h"

#include "postgres/guard.h"

namespace product_optimizer {

namespace {

/* How many live in this process, one inside the other. */
int sessions_guarded = 0;

/* Runs visit(name) for each cursor of the session.  Without SPI, whose own right to call the function the
 * owner may lack.  Raises. */
template <typename F>
void ForEachCursor(F&& visit) {
  FmgrInfo function;
  fmgr_info(F_PG_CURSOR, &function);
  ExprContext* const context = CreateStandaloneExprContext();
  ReturnSetInfo result{};
  result.type = T_ReturnSetInfo;
  result.econtext = context;
  result.allowedModes = SFRM_Materialize;
  LOCAL_FCINFO(fcinfo, 0);
  InitFunctionCallInfoData(*fcinfo, &function, 0, InvalidOid, nullptr, reinterpret_cast<Node*>(&result));
  FunctionCallInvoke(fcinfo);
  TupleTableSlot* const slot = MakeSingleTupleTableSlot(result.setDesc, &TTSOpsMinimalTuple);
  while (tuplestore_gettupleslot(result.setResult, true, false, slot)) {
    bool is_null;
    const Datum name = slot_getattr(slot, 1, &is_null);
    if (!is_null) visit(TextDatumGetCString(name));
  }
  ExecDropSingleTupleTableSlot(slot);
  tuplestore_end(result.setResult);
  FreeExprContext(context, true);
}

}  // namespace

CallerSession::CallerSession() noexcept {
  sessions_guarded++;
}

CallerSession::~CallerSession() {
  sessions_guarded--;
  /* None can have gone: what is pinned is not dropped, and the (sub)transaction is not aborted yet. */
  for (Portal const portal : held_) portal->portalPinned = false;
}

void CallerSession::HoldCursors() {
  Call([&] {
    ForEachCursor([&](const char* name) {
      Portal const portal = GetPortalByName(name);
      open_++;
      if (!PortalIsValid(portal) || portal->portalPinned) return;
      held_.push_back(portal);
      PinPortal(portal);
    });
  });
}

void CallerSession::CheckCursors() const {
  Call([&] {
    std::size_t open = 0;
    ForEachCursor([&](const char*) { open++; });
    if (open > open_)
      ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                      errmsg("cannot leave a cursor open within security-restricted operation"),
                      errhint("A trigger or constraint on the tables of product_optimizer opened it: "
                              "let it close its cursors.")));
  });
}

void RefusePreparing(const Node* statement) {
  if (sessions_guarded == 0) return;
  if (IsA(statement, PrepareStmt) || IsA(statement, DeallocateStmt))
    ereport(ERROR,
            (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
             errmsg("cannot execute %s within security-restricted operation",
                    IsA(statement, PrepareStmt) ? "PREPARE" : "DEALLOCATE"),
             errhint("A trigger or constraint on the tables of product_optimizer must leave the session's "
                     "prepared statements alone.")));
}

}  // namespace product_optimizer
