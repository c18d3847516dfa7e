#include "core/fair_rotation.h"

#include <algorithm>
#include <cmath>

namespace product_optimizer {

namespace {

bool CanGive(const WaitingStore& store) {
  return store.open && store.cap > 0 && store.weight > 0;
}

/* Sums of fractions such as ten times 0.1 must reach the whole item. */
constexpr double kRounding = 1e-6;

/* When every weight is below one, rounds in which nobody gives anything would only burn time. */
double RoundScale(const std::vector<WaitingStore>& stores) {
  double heaviest = 0;
  for (const WaitingStore& store : stores)
    if (CanGive(store)) heaviest = std::max(heaviest, store.weight);
  return heaviest > 0 && heaviest < 1 ? 1 / heaviest : 1;
}

}  // namespace

bool HasTurnLeft(const WaitingStore& store) {
  return store.credit >= 1 - kRounding;
}

std::vector<std::size_t> PlanRounds(std::vector<WaitingStore>& stores, std::int64_t max_items,
                                    std::size_t first) {
  std::vector<std::size_t> order;
  std::vector<std::size_t> giving;
  for (std::size_t k = 0; k < stores.size(); k++) {
    const std::size_t i = (first + k) % stores.size();
    if (CanGive(stores[i])) giving.push_back(i);
  }
  const double scale = RoundScale(stores);

  for (bool first_round = true; !giving.empty(); first_round = false) {
    std::vector<std::size_t> next_round;
    for (std::size_t i : giving) {
      const std::int64_t room = max_items - static_cast<std::int64_t>(order.size());
      if (room <= 0) return order; /* the turn of the others comes first in the next claim */
      WaitingStore& store = stores[i];
      /* A turn that the end of the last claim cut short goes on; it is not a new one. */
      if (!first_round || !HasTurnLeft(store)) store.credit += store.weight * scale;
      const auto whole = static_cast<std::int64_t>(std::floor(store.credit + kRounding));
      const std::int64_t given = std::min({whole, store.cap, room});
      order.insert(order.end(), static_cast<std::size_t>(given), i);
      store.cap -= given;
      store.credit = std::max(store.credit - static_cast<double>(given), 0.0);
      /* What its own cap keeps a store from giving is not saved up. */
      if (given < room || store.cap == 0) store.credit = std::min(store.credit, 1 - 2 * kRounding);
      if (store.cap > 0) next_round.push_back(i);
    }
    giving = std::move(next_round);
  }
  return order;
}

}  // namespace product_optimizer
