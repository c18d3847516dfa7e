#include "core/fair_rotation.h"

#include <algorithm>
#include <cmath>

namespace product_optimizer {

namespace {

bool CanGive(const WaitingStore& store) {
  return store.open && store.cap > 0 && store.weight > 0;
}

/* When every weight is below one, rounds in which nobody gives anything would only burn time. */
double RoundScale(const std::vector<WaitingStore>& stores) {
  double heaviest = 0;
  for (const WaitingStore& store : stores)
    if (CanGive(store)) heaviest = std::max(heaviest, store.weight);
  return heaviest > 0 && heaviest < 1 ? 1 / heaviest : 1;
}

}  // namespace

std::vector<std::size_t> PlanRounds(std::vector<WaitingStore>& stores, std::int64_t max_items) {
  std::vector<std::size_t> order;
  std::vector<std::size_t> giving;
  for (std::size_t i = 0; i < stores.size(); i++)
    if (CanGive(stores[i])) giving.push_back(i);
  const double scale = RoundScale(stores);

  while (!giving.empty() && static_cast<std::int64_t>(order.size()) < max_items) {
    std::vector<std::size_t> next_round;
    for (std::size_t i : giving) {
      const std::int64_t room = max_items - static_cast<std::int64_t>(order.size());
      if (room <= 0) break; /* the turn of the others comes first in the next claim */
      WaitingStore& store = stores[i];
      store.credit += store.weight * scale;
      /* Sums of fractions such as ten times 0.1 must reach the whole item. */
      const auto whole = static_cast<std::int64_t>(std::floor(store.credit + 1e-6));
      const std::int64_t given = std::min({whole, store.cap, room});
      order.insert(order.end(), static_cast<std::size_t>(given), i);
      store.cap -= given;
      store.credit = std::clamp(store.credit - static_cast<double>(given), 0.0, 1.0);
      if (store.cap > 0) next_round.push_back(i);
    }
    giving = std::move(next_round);
  }
  return order;
}

}  // namespace product_optimizer
