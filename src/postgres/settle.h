/*
 * settle.h
 *   How a claim ends.  Every statement matches (id, attempts, RUNNING), and the holder where it is known: a
 *   claim that no longer holds changes nothing.  SPI must be connected and search_path pinned; everything
 *   throws PgError.
 */
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "postgres/prelude.h"

namespace product_optimizer {

struct ClaimRef {
  std::int64_t id;
  std::int16_t attempt; /* the fencing token */
  /* Who must still hold it; null: whoever knows the token, which is all that callers of SQL show. */
  const std::string* holder = nullptr;
};

struct Completion {
  Datum result;      /* jsonb */
  std::string model; /* empty: not known */
  std::optional<std::int32_t> prompt_tokens;
  std::optional<std::int32_t> completion_tokens;
};

struct Failure {
  std::string error;      /* UTF-8 */
  std::string error_code; /* empty: none */
};

/* False when the claim no longer holds. */
bool CompleteItem(const ClaimRef& claim, const Completion& completion);
bool FailItem(const ClaimRef& claim, const Failure& failure);
bool RetryItem(const ClaimRef& claim, const Failure& failure, std::int64_t delay_ms);
bool ReleaseItem(const ClaimRef& claim);

/* How the claim of an item stands, to say what was wrong with a claim that did not match. */
struct ItemState {
  bool exists;
  std::int16_t attempts;
  std::int16_t max_attempts; /* the setting already applied */
};
ItemState LookUpItem(std::int64_t id);

}  // namespace product_optimizer
