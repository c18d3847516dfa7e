/*
 * item.h
 *   One claimed piece of work, as plain data: what the request builder needs and what the
 *   settlement needs to find the row again.  Every string is valid UTF-8 without NUL bytes.
 */
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace product_optimizer {

struct Item {
  std::int64_t id = 0;
  std::int16_t attempt = 0;      /* the fencing token: attempts as this claim left it */
  std::int16_t max_attempts = 0; /* what holds for this row, the setting already applied */
  std::int16_t priority = 0;
  std::string instance_id;
  std::string payload;         /* JSON text of any kind */
  std::string last_error_code; /* of the previous attempt; empty when there was none */

  /* What the item's job sets; absent means the setting. */
  std::optional<std::int64_t> job_id;
  std::optional<std::string> instructions;
  std::optional<std::string> response_schema; /* JSON text */
  std::optional<std::string> model;
  std::optional<std::string> params; /* JSON text: an object merged over the request body */
};

}  // namespace product_optimizer
