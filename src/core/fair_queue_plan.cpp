#include <algorithm>

#include "core/fair_queue.h"

namespace product_optimizer {

namespace {

/* How many parked stores one plan may wake, so that nobody holds the lock for long. */
constexpr int kMostUnparked = 1024;

/* A claim that has not reported for so long is not waited for; should it still come, a walk may be needed to
 * find what was posted meanwhile. */
constexpr std::uint64_t kLostClaimNs = 60'000'000'000;

double StepOf(const Store& store) {
  return (store.cost == 0 ? 1.0 : static_cast<double>(store.cost)) / store.policy.weight;
}

}  // namespace

/* A store while a plan is made. */
struct FairQueue::Planned {
  SlotIndex slot;
  LinePlace first; /* item's */
  LinePlace next;
  double step;
  std::int64_t items;
  std::int64_t cap;
};

/*
 * A claim may raise a head only up to the lowest key that was posted since its first turn of the store was
 * planned, which stays unreported until the claim ends.  So claims of the last two epochs can be under way,
 * and what was posted before those no longer matters.
 */
void FairQueue::BeginEpoch(std::uint64_t now_ns) {
  std::uint32_t& before = state_.claims[(state_.epoch + 1) & 1];
  if (before > 0 && now_ns < state_.epoch_since_ns + kLostClaimNs) return;
  before = 0;
  state_.epoch++;
  state_.epoch_since_ns = now_ns;
}

double FairQueue::Choose(const PlanRequest& request, std::vector<Planned>& chosen) {
  double latest = state_.now;
  const auto comes_later = [&](std::size_t a, std::size_t b) { return chosen[b].next < chosen[a].next; };
  std::vector<std::size_t> line; /* a heap */
  line.reserve(chosen.capacity());
  std::unordered_map<SlotIndex, std::int64_t> given;
  if (request.given != nullptr) {
    for (const auto& [name, rows] : *request.given) {
      const SlotIndex index = pool_.Find(id_, name);
      if (index != kNoSlot) given.emplace(index, rows);
    }
  }
  /* From here on stores are out of line, and nothing allocates. */
  std::int64_t room = request.max_items;
  const auto push = [&](std::size_t i) {
    line.push_back(i);
    std::push_heap(line.begin(), line.end(), comes_later);
  };
  while (room > 0) {
    const SlotIndex root = state_.ready_root;
    const Planned* const first = line.empty() ? nullptr : &chosen[line.front()];
    if (root != kNoSlot && chosen.size() < chosen.capacity() &&
        (first == nullptr || pool_[root].place < first->next)) {
      std::int64_t cap = request.max_per_store;
      const auto gave = given.find(root);
      if (gave != given.end())
        cap = gave->second == kNothingMore ? kNothingMore : std::max<std::int64_t>(cap - gave->second, 0);
      Dequeue(root);
      const Store& store = pool_[root];
      chosen.push_back({root, store.place, store.place, StepOf(store), 0, cap});
      if (cap != kNothingMore) push(chosen.size() - 1);
      continue;
    }
    if (line.empty()) break;
    std::pop_heap(line.begin(), line.end(), comes_later);
    const std::size_t next = line.back();
    line.pop_back();
    Planned& store = chosen[next];
    if (store.items == store.cap) {
      if (request.strict) break;
      continue;
    }
    latest = std::max(latest, store.next.turn);
    store.items++;
    store.next = {store.next.turn + store.step, ++state_.order};
    room--;
    push(next);
  }
  return latest;
}

std::vector<Turn> FairQueue::Plan(const PlanRequest& request) {
  for (int i = 0; i < kMostUnparked && NextUnparkNs() <= request.now_ns; i++) {
    if (state_.to_wake > 0) state_.to_wake--;
    Wake(state_.parked_root, state_.now);
  }
  std::vector<Planned> chosen;
  const auto already = request.given != nullptr ? static_cast<std::int64_t>(request.given->size()) : 0;
  chosen.reserve(static_cast<std::size_t>(std::min<std::int64_t>(request.max_items + already, state_.ready)));
  const double latest = Choose(request, chosen);
  BeginEpoch(request.now_ns);
  std::int64_t turns = 0;
  for (const Planned& planned : chosen) {
    Store& store = pool_[planned.slot];
    store.place = planned.next;
    /* What the caller's cap keeps a store from giving is not saved up. */
    if (planned.items == planned.cap && !request.strict)
      store.place.turn = std::max(store.place.turn, latest);
    Queue(planned.slot, StoreState::kReady);
    if (planned.items > 0) turns++;
  }
  state_.claims[state_.epoch & 1] += static_cast<std::uint32_t>(turns);
  DropIdle();

  std::vector<Turn> plan;
  plan.reserve(static_cast<std::size_t>(turns));
  for (const Planned& planned : chosen) {
    if (planned.items == 0) continue;
    const Store& store = pool_[planned.slot];
    plan.push_back({pool_.Name(planned.slot), store.line, planned.first, planned.step, planned.items,
                    store.policy, store.policy_version == state_.policy_version, state_.policy_version,
                    state_.epoch, state_.epoch});
  }
  return plan;
}

}  // namespace product_optimizer
