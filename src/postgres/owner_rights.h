/*
 * owner_rights.h
 *   Acting with the rights of another role, and no more: as the owner of job_items for everything that reads
 *   or writes the queue, in the worker and in the SQL functions.  So a caller needs no right but EXECUTE, and
 *   what a trigger, constraint or child table of that owner does, it does with its owner's own rights,
 *   whoever called.
 *
 *   Always as a security-restricted operation: nothing in it can SET ROLE, leave a trigger for later, when
 *   the caller is back, or put temporary objects in the caller's way.  PostgreSQL does not forbid it to
 *   replace the caller's cursors and prepared statements, which run with the caller's rights when they are
 *   next used: in a function of ours caller_session.h does, wherever the session is not the owner's own.
 */
#pragma once

#include <optional>

#include "postgres/caller_session.h"
#include "postgres/guard.h"
#include "postgres/prelude.h"

namespace product_optimizer {

struct Actor {
  Oid user;
  int security_context;
};

/* Acts as role from here on; returns who acted before.  Neither raises. */
Actor ActAs(Oid role) noexcept;
void ActAgainAs(const Actor& actor) noexcept;

/* The schema of the SQL function that is being called: the extension's.  These raise. */
Oid SchemaOfFunction(FunctionCallInfo fcinfo);
Oid OwnerOfFunction(FunctionCallInfo fcinfo);

struct QueueTable {
  Oid owner;
  bool is_plain; /* not a view, which would run its owner's functions */
};
QueueTable FindTable(const char* name, Oid schema);

/*
 * For the hook on utility statements.  Raises 42809 for CREATE RULE … ON SELECT to a table of the extension:
 * PostgreSQL 15 makes a view of it, whose functions run with the rights of whoever reads the table or one of
 * the extension's views over it.
 */
void RefuseViewOfTable(const Node* statement);

/* Why the queue must not be touched, palloc'd; null unless one of its tables is not plain, or has another
 * owner than job_items, with whose rights what the other hangs on it would run. */
const char* TroubleWithTables(Oid schema);
Oid OwnerOfQueue(FunctionCallInfo fcinfo); /* 55000 for such a queue */

/* For AsRole(): what settings were changed inside is undone, as a function that is not trusted must not
 * leave a search_path behind; of a violated constraint no row is shown. */
class RoleScope {
 public:
  explicit RoleScope(Oid role) noexcept : settings_level_(NewGUCNestLevel()), before_(ActAs(role)) {}
  /* After an ERROR the abort of the (sub)transaction undoes the settings. */
  ~RoleScope() { ActAgainAs(before_); }
  RoleScope(const RoleScope&) = delete;
  RoleScope& operator=(const RoleScope&) = delete;

  /* The session, or who calls in it, is somebody else. */
  bool IsForeign(Oid role) const noexcept { return before_.user != role || GetSessionUserId() != role; }
  void UndoSettings();
  static void HideRow(const PgError& error) noexcept;

 private:
  int settings_level_;
  Actor before_;
};

/* Runs body, which may use Call(), as role; returns a Datum. */
template <typename F>
Datum AsRole(Oid role, F&& body) {
  RoleScope scope(role);
  try {
    std::optional<CallerSession> session;
    if (scope.IsForeign(role)) session.emplace().HoldCursors();
    const Datum result = body();
    if (session) session->CheckCursors();
    scope.UndoSettings();
    return result;
  } catch (const PgError& error) {
    RoleScope::HideRow(error);
    throw;
  }
}

/* The body of an SQL function that works on the queue: as its owner, with SPI connected.  A result by
 * reference must outlive SPI_finish(): SPI_datumTransfer(). */
template <typename F>
Datum EntryAsOwner(FunctionCallInfo fcinfo, F&& body) {
  return Entry([&]() -> Datum {
    return AsRole(Call([&] { return OwnerOfQueue(fcinfo); }), [&]() -> Datum {
      Call([] { SPI_connect(); });
      const Datum result = body();
      Call([] { SPI_finish(); });
      return result;
    });
  });
}

}  // namespace product_optimizer
