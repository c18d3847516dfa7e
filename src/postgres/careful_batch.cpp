#include "postgres/careful_batch.h"

#include <algorithm>

#include "core/text.h"
#include "postgres/poison.h"

namespace product_optimizer {

namespace {

/* With more of them its store rests as a whole: else a million of them would take all the time. */
constexpr std::int64_t kMostOfOneStore = 20;

}  // namespace

bool CarefulBatch::Begin(std::uint64_t now_ns) {
  picked_.clear();
  const auto over =
      std::remove_if(rests_.begin(), rests_.end(), [&](const Rest& rest) { return rest.until_ns <= now_ns; });
  if (over == rests_.end()) return false;
  rests_.erase(over, rests_.end());
  Rebuild();
  return true;
}

std::uint64_t CarefulBatch::RestEndsNs() const {
  std::uint64_t at = UINT64_MAX;
  for (const Rest& rest : rests_) at = std::min(at, rest.until_ns);
  return at;
}

void CarefulBatch::Committed() {
  limit_ = std::min(limit_ * 2, kMost);
}

bool CarefulBatch::Failed(const TransactionFailure& failure, std::uint64_t now_ns, std::string* found) {
  if (!MayBeOneRow(failure) || picked_.empty()) return false;
  limit_ = std::max<std::int64_t>(1, static_cast<std::int64_t>(picked_.size()) / 2);
  if (picked_.size() > 1) return true;
  Row& guilty = picked_.front();
  const auto is_of_store = [&](const Rest& rest) { return rest.row.store == guilty.store; };
  if (std::count_if(rests_.begin(), rests_.end(), is_of_store) >= kMostOfOneStore) {
    rests_.erase(std::remove_if(rests_.begin(), rests_.end(), is_of_store), rests_.end());
    *found = "store " + OneLine(guilty.store, 64);
    guilty.id = 0;
  } else {
    *found = "item " + std::to_string(guilty.id);
  }
  rests_.push_back({std::move(guilty), now_ns + kRestNs});
  Rebuild();
  return true;
}

void CarefulBatch::Rebuild() {
  items_.clear();
  stores_.clear();
  for (const Rest& rest : rests_) {
    if (rest.row.id != 0) {
      items_.push_back(rest.row.id);
    } else {
      stores_.push_back(rest.row.store);
    }
  }
}

}  // namespace product_optimizer
