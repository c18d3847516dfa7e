/*
 * arguments.h
 *   Reading SQL arguments: what is null or out of range becomes one clear error.  All of it raises, so
 *   call it before any object with a destructor exists.
 */
#pragma once

#include <cstdint>

#include "postgres/prelude.h"

namespace product_optimizer {

inline void RefuseNull(FunctionCallInfo fcinfo, int index, const char* name) {
  if (PG_ARGISNULL(index))
    ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("%s must not be null", name),
                    errhint("Pass a value, or leave the argument out where it has a default.")));
}

inline std::int32_t Int32Argument(FunctionCallInfo fcinfo, int index, const char* name, std::int32_t least,
                                  std::int32_t most) {
  RefuseNull(fcinfo, index, name);
  const std::int32_t value = PG_GETARG_INT32(index);
  if (value < least || value > most)
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s must not be %d", name, value),
                    errhint("It can be %d to %d.", least, most)));
  return value;
}

/* An interval in milliseconds; months count 30 days. */
inline std::int64_t IntervalArgumentMs(FunctionCallInfo fcinfo, int index, const char* name,
                                       std::int64_t least_ms, std::int64_t most_ms, const char* range) {
  RefuseNull(fcinfo, index, name);
  const Interval* const value = PG_GETARG_INTERVAL_P(index);
  const double days = static_cast<double>(value->month) * 30 + static_cast<double>(value->day);
  const double ms = days * 86'400'000 + static_cast<double>(value->time) / 1000;
  if (ms < static_cast<double>(least_ms) || ms > static_cast<double>(most_ms))
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s is out of range", name),
                    errhint("It can be %s.", range)));
  return static_cast<std::int64_t>(ms);
}

}  // namespace product_optimizer
