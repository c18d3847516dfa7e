/*
 * blocking.h
 *   When nothing can succeed until a person acts, the queue is blocked; and how it is told apart from
 *   rows that cannot succeed.
 *
 *   Items that are refused with the same HTTP 400, one after the other, may be at fault themselves, or the
 *   settings are.  A request of our own decides, the canary: the same settings, a trivial product.  Refused
 *   too, it blocks the queue, and the suspects go back; answered, it lets them fail.  Until it has spoken
 *   their outcomes wait, for a while, in Worker::to_settle.
 */
#pragma once

#include <cstdint>

#include "postgres/worker_state.h"

namespace product_optimizer {

/* A claim that is no item's, for every item's has an attempt. */
inline bool IsCanary(const HeldClaim& held) {
  return held.claim.attempt == 0;
}

/* of_model: by the settings' model alone. */
void BlockQueue(Worker& worker, const Outcome& outcome, bool of_model, std::uint64_t now_ns);

/* Something succeeded: with the model of the settings, or with another. */
void NoticeSuccess(Worker& worker, bool with_settings_model);

/* An item with the settings' model was refused by a 400: may make its settlement wait, or go back. */
void Suspect(Worker& worker, Settlement& settlement, std::uint64_t now_ns);

/* What became of the canary. */
void JudgeByCanary(Worker& worker, Outcome outcome, std::uint64_t now_ns);

/* Sends one when it is due; and when it is: kNever for no time known. */
void SendCanary(Worker& worker, std::uint64_t now_ns);
std::uint64_t CanaryAtNs(const Worker& worker);

/* Other settings, or another key: nothing is known of them. */
void DoubtSettings(Worker& worker);

}  // namespace product_optimizer
