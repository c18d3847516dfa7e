/*
 * caller_session.h
 *   What a session keeps by name, cursors and prepared statements, and runs later with the rights of whoever
 *   asks for it: a security-restricted operation alone does not keep an owner's trigger from replacing it.
 */
#pragma once

#include <vector>

#include "postgres/prelude.h"

namespace product_optimizer {

/*
 * While it lives, no cursor that was open before can be closed or replaced (24000, whoever tries), and
 * PREPARE and DEALLOCATE are refused (42501).
 */
class CallerSession {
 public:
  CallerSession() noexcept;
  ~CallerSession();
  CallerSession(const CallerSession&) = delete;
  CallerSession& operator=(const CallerSession&) = delete;

  /* Of those that are open now.  Raises. */
  void HoldCursors();
  /* Raises 42501 when a cursor was opened since and is still there: the caller could fetch from it. */
  void CheckCursors() const;

 private:
  std::vector<Portal> held_; /* those that nobody else had pinned */
  std::size_t open_ = 0;
};

/* For the hook on utility statements.  Raises 42501. */
void RefusePreparing(const Node* statement);

}  // namespace product_optimizer
