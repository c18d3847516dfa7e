#include "core/table_walk.h"

#include <algorithm>
#include <cstring>

namespace product_optimizer {

namespace {

/* The share of the time that may go into walking is one in so many. */
constexpr std::uint64_t kShare = 10;

/* So short a walk is always worth it to somebody who has nothing else to do … */
constexpr std::uint64_t kShortNs = 5'000'000;

/* … and so short a one when something changed: with many dead entries, as under an old snapshot, it can take
 * seconds, and there may be a change before each look. */
constexpr std::uint64_t kShortForChangeNs = 100'000'000;

/* How often a walk that found no room looks for some at most. */
constexpr std::uint64_t kNoRoomNs = 100'000'000;

}  // namespace

void TableWalk::BeginStep(std::uint64_t now_ns, bool own_view, WalkStep& step) {
  step.is_first = !under_way_;
  if (!under_way_) {
    number_++;
    under_way_ = true;
    if (!own_view) changed_ = another_ = false;
    took_ns_ = 0;
    behind_[0] = '\0';
  }
  another_ |= own_view;
  step.walk = number_;
  step.behind = behind_;
  step.began_ns = now_ns;
}

void TableWalk::EndStep(const WalkStep& step, const StepResult& result, std::uint64_t now_ns) {
  if (step.walk != number_ || !under_way_) return;
  took_ns_ += now_ns - step.began_ns;
  if (result.reached_end) {
    under_way_ = false;
    completed_ = true;
    lasted_ns_ = took_ns_;
    ended_ns_ = now_ns;
  } else if (!result.last_told.empty()) {
    const std::size_t bytes = std::min(result.last_told.size(), sizeof behind_ - 1);
    std::memcpy(behind_, result.last_told.data(), bytes);
    behind_[bytes] = '\0';
  }
  retries_ns_ = result.found_no_room ? now_ns + kNoRoomNs : 0;
}

void TableWalk::Forget() {
  const std::uint64_t number = number_;
  *this = TableWalk{};
  number_ = number;
}

std::uint64_t TableWalk::RestNs() const {
  return lasted_ns_ * (kShare - 1);
}

std::uint64_t TableWalk::DueNs(std::uint64_t interval_ns, bool has_room, bool is_empty) const {
  if (retries_ns_ != 0) return has_room ? retries_ns_ : UINT64_MAX;
  if (under_way_ || !completed_) return 0;
  const bool soon = another_ || (is_empty && changed_);
  return ended_ns_ + std::max(RestNs(), soon ? 0 : interval_ns);
}

bool TableWalk::MayWalkWhenIdle(std::uint64_t now_ns) const {
  if (retries_ns_ != 0) return now_ns >= retries_ns_;
  return under_way_ || !completed_ || lasted_ns_ < (changed_ ? kShortForChangeNs : kShortNs) ||
         now_ns >= ended_ns_ + RestNs();
}

}  // namespace product_optimizer
