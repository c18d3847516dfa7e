#include "core/first_in_line.h"

#include <algorithm>

#include "core/token_bucket.h"

namespace product_optimizer {

namespace {

/* Jobs may name what they like. */
constexpr std::size_t kMostModels = 1000;
constexpr std::uint64_t kPatienceNs = 200'000'000;
constexpr std::uint64_t kLookAgainNs = 20'000'000;

}  // namespace

void FirstInLine::Refused(const std::string& model, std::int64_t item, const std::string& store,
                          const LinePlace& place, std::uint64_t due_ns) {
  if (firsts_.size() > kMostModels) firsts_.clear();
  firsts_[model] = {item, store, place, due_ns, SaturatingAdd(due_ns, kPatienceNs)};
}

void FirstInLine::Passed(const std::string& model, std::int64_t item) {
  const auto first = firsts_.find(model);
  if (first != firsts_.end() && first->second.item == item) firsts_.erase(first);
}

std::uint64_t FirstInLine::BehindUntilNs(const std::string& model, const std::string& store,
                                         const LinePlace& place, std::uint64_t now_ns) {
  const auto first = firsts_.find(model);
  /* What comes before it in the line of its own store keeps it from being reached. */
  if (first == firsts_.end() || first->second.store == store || place < first->second.place) return 0;
  if (now_ns >= first->second.expires_ns) {
    firsts_.erase(first);
    return 0;
  }
  return std::max(first->second.due_ns, now_ns + kLookAgainNs);
}

std::uint64_t FirstInLine::DueNs(const std::string& model) const {
  const auto first = firsts_.find(model);
  return first == firsts_.end() ? 0 : first->second.due_ns;
}

}  // namespace product_optimizer
