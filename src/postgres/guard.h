/*
 * guard.h
 *   The border between C++ exceptions and ereport.
 *
 *   Entry()  PostgreSQL calls C++: nothing but ereport leaves it.
 *   Call()   C++ calls PostgreSQL: an ERROR becomes a PgError that unwinds C++ frames.  Inside its
 *            lambda every automatic object must be trivially destructible, because an ERROR jumps over it.
 *   Only Entry() and RunTransaction() (transaction.h) may catch a PgError: swallowing one without
 *   aborting the transaction leaves the backend in an undefined state.
 */
#pragma once

#include <cstring>
#include <exception>
#include <new>
#include <type_traits>

#include "postgres/prelude.h"

namespace product_optimizer {

/* A PostgreSQL ERROR on its way through C++ frames.  The data lives in the memory context of the Call(). */
class PgError : public std::exception {
 public:
  explicit PgError(ErrorData* data) noexcept : data_(data) {}
  const char* what() const noexcept override {
    return data_->message != nullptr ? data_->message : "unknown error";
  }
  ErrorData* data() const noexcept { return data_; }

 private:
  ErrorData* data_;
};

/* Restores PostgreSQL's handler stack however the scope is left. */
class ErrorStackScope {
 public:
  ErrorStackScope() noexcept : handler_(PG_exception_stack), context_(error_context_stack) {}
  ~ErrorStackScope() {
    PG_exception_stack = handler_;
    error_context_stack = context_;
  }
  ErrorStackScope(const ErrorStackScope&) = delete;
  ErrorStackScope& operator=(const ErrorStackScope&) = delete;

 private:
  sigjmp_buf* handler_;
  ErrorContextCallback* context_;
};

template <typename F>
auto Call(F&& f) -> std::invoke_result_t<F&> {
  using Result = std::invoke_result_t<F&>;
  static_assert(std::is_trivially_destructible_v<std::remove_reference_t<F>>, "capture by reference only");
  static_assert(std::is_void_v<Result> || std::is_trivially_copyable_v<Result>,
                "return a plain value, or write into an object that lives above the guard");
  MemoryContext const caller = CurrentMemoryContext;
  {
    ErrorStackScope scope;
    sigjmp_buf here;
    if (sigsetjmp(here, 0) == 0) {
      PG_exception_stack = &here;
      return f();
    }
  }
  MemoryContextSwitchTo(caller);
  ErrorData* const data = CopyErrorData();
  FlushErrorState();
  throw PgError(data);
}

template <typename F>
auto Entry(F&& body) -> std::invoke_result_t<F&> {
  static_assert(std::is_trivially_destructible_v<std::remove_reference_t<F>>, "capture by reference only");
  ErrorData* data = nullptr;
  int sqlstate = ERRCODE_INTERNAL_ERROR;
  char message[512] = "unknown C++ exception";
  sigjmp_buf* const handler = PG_exception_stack;
  try {
    return body();
  } catch (const PgError& error) {
    data = error.data();
  } catch (const std::bad_alloc&) {
    sqlstate = ERRCODE_OUT_OF_MEMORY;
    strlcpy(message, "out of memory", sizeof message);
  } catch (const std::exception& error) {
    strlcpy(message, error.what(), sizeof message);
  } catch (...) {
  }
  /* Reported only here, behind the handlers: ereport jumps, and a jump out of one leaks the exception. */
  PG_exception_stack = handler;
  if (data != nullptr) ReThrowError(data);
  ereport(ERROR, (errcode(sqlstate), errmsg("%s", message)));
  pg_unreachable();
}

}  // namespace product_optimizer
