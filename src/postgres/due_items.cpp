#include "postgres/due_items.h"

#include <algorithm>
#include <optional>

#include "postgres/clock.h"
#include "postgres/prelude.h"
#include "postgres/upkeep.h"

namespace product_optimizer {

namespace {

/* After a failure, and while somebody has what is due locked. */
constexpr std::uint64_t kPauseNs = 1'000'000'000;

/* The share of the time that may go into looks at all is one in so many. */
constexpr std::uint64_t kShare = 10;

}  // namespace

void DueItems::Promote(std::uint64_t now_ns) {
  look_at_all_ |= batch_.Begin(now_ns);
  look_.at_all = look_at_all_ && now_ns >= all_at_ns_;
  look_.began_ns = NowNs();
  const std::int64_t began_at = GetCurrentTimestamp();
  const std::int64_t from = look_.at_all ? INT64_MIN : through_;
  const std::int64_t promoted = PromoteDueItems(batch_, from);
  const std::optional<NextDue> next = FindNextDue(batch_, from);
  look_.through = next ? std::min(next->at, began_at) : began_at;
  if (!next) {
    look_.next_ns = UINT64_MAX;
  } else if (promoted == 0 && next->in_ms == 0) {
    look_.next_ns = now_ns + kPauseNs; /* due, but somebody has it locked */
  } else {
    look_.next_ns = now_ns + static_cast<std::uint64_t>(next->in_ms * kNsPerMs);
  }
}

void DueItems::Committed(std::uint64_t now_ns) {
  batch_.Committed();
  at_ns_ = look_.next_ns;
  through_ = look_.through;
  if (!look_.at_all) return;
  look_at_all_ = false;
  PauseAllLooks(now_ns);
}

bool DueItems::Failed(const TransactionFailure& failure, std::uint64_t now_ns, std::string* found) {
  const bool goes_on = batch_.Failed(failure, now_ns, found);
  if (!goes_on) {
    at_ns_ = all_at_ns_ = now_ns + kPauseNs;
  } else if (look_.at_all) {
    PauseAllLooks(now_ns);
  } else {
    at_ns_ = now_ns;
  }
  return goes_on;
}

void DueItems::PauseAllLooks(std::uint64_t now_ns) {
  all_at_ns_ = now_ns + (NowNs() - look_.began_ns) * (kShare - 1);
}

}  // namespace product_optimizer
