#include "core/fair_queue.h"

#include <algorithm>

#include "core/store_heap.h"

namespace product_optimizer {

namespace {

struct ByPlace {
  bool operator()(const Store& a, const Store& b) const { return a.place < b.place; }
};

/* Those that are due together come back in the order of their turns. */
struct ByUnpark {
  bool operator()(const Store& a, const Store& b) const {
    return a.parked_until_ns != b.parked_until_ns ? a.parked_until_ns < b.parked_until_ns : a.place < b.place;
  }
};

using ReadyHeap = StoreHeap<ByPlace>;
using ParkedHeap = StoreHeap<ByUnpark>;

/* A store that begins to wait comes behind one item of each of the others: one round. */
constexpr double kOneRound = 1;

/* The first order that a store gets of which the queue is told, or that was served … */
constexpr std::uint64_t kFirstOrder = std::uint64_t{1} << 63;

/* … and one below it for a store that a look at the table found: those of one look come in the order of their
 * first rows, not in that of their names. */
std::uint64_t OrderOfFound(const ItemKey& first) {
  return (static_cast<std::uint64_t>(first.id) ^ kFirstOrder) >> 1;
}

/* How many idle stores one plan may forget, so that nobody holds the lock for long. */
constexpr int kMostDropped = 256;

/* How fast the average cost of a store's items follows what is seen. */
constexpr double kCostMemory = 0.5;

}  // namespace

void FairQueue::Start() {
  state_ = QueueState{};
  state_.ready_root = state_.idle_root = state_.parked_root = kNoSlot;
  state_.order = kFirstOrder;
  state_.epoch = 1;
  state_.policy_version = 1;
}

bool FairQueue::Forget(int most) {
  for (const SlotIndex* root : {&state_.ready_root, &state_.idle_root, &state_.parked_root}) {
    for (; *root != kNoSlot; most--) {
      if (most == 0) return true;
      const SlotIndex index = *root;
      Dequeue(index);
      Drop(index);
    }
  }
  return false;
}

void FairQueue::Queue(SlotIndex index, StoreState state) {
  pool_[index].state = state;
  switch (state) {
    case StoreState::kReady:
      state_.ready++;
      ReadyHeap(pool_, state_.ready_root).Push(index);
      break;
    case StoreState::kIdle:
      state_.idle++;
      ReadyHeap(pool_, state_.idle_root).Push(index);
      break;
    case StoreState::kParked:
      state_.parked++;
      ParkedHeap(pool_, state_.parked_root).Push(index);
      break;
  }
}

void FairQueue::Dequeue(SlotIndex index) {
  switch (pool_[index].state) {
    case StoreState::kReady:
      state_.ready--;
      ReadyHeap(pool_, state_.ready_root).Remove(index);
      break;
    case StoreState::kIdle:
      state_.idle--;
      ReadyHeap(pool_, state_.idle_root).Remove(index);
      break;
    case StoreState::kParked:
      state_.parked--;
      state_.to_wake = std::min(state_.to_wake, state_.parked);
      ParkedHeap(pool_, state_.parked_root).Remove(index);
      pool_[index].unparked_epoch = 0;
      break;
  }
}

/* Where it was in line, but not before those who were served meanwhile: then it comes behind their equals. */
void FairQueue::Wake(SlotIndex index, double not_before) {
  Dequeue(index);
  Store& store = pool_[index];
  if (store.place.turn < not_before) store.place = {not_before, ++state_.order};
  Queue(index, StoreState::kReady);
}

/* Neither the head nor a claim that is under way may pass the first of them. */
void FairQueue::Note(Store& store, const KeyRange& range) {
  const std::uint64_t i = state_.epoch & 1;
  if (store.posted_epoch[i] != state_.epoch) {
    store.posted_epoch[i] = state_.epoch;
    store.posted[i] = range.first;
  } else {
    store.posted[i] = std::min(store.posted[i], range.first);
  }
  store.line.Return(range);
}

/* Beyond its guarantee a queue leaves the others theirs. */
SlotIndex FairQueue::Add(std::string_view name) {
  const std::uint32_t slots = StorePool::SlotsFor(name.size());
  if (state_.slots + slots > pool_.guaranteed() && pool_.free() < pool_.reserve() + slots) return kNoSlot;
  const SlotIndex index = pool_.Add(id_, name);
  if (index != kNoSlot) state_.slots += slots;
  return index;
}

void FairQueue::Drop(SlotIndex index) {
  state_.slots -= StorePool::SlotsFor(pool_[index].name_length);
  pool_.Remove(index);
}

SlotIndex FairQueue::Create(std::string_view name, const ItemKey& first, std::uint64_t order) {
  SlotIndex index = Add(name);
  while (index == kNoSlot && state_.idle_root != kNoSlot) {
    const SlotIndex forgotten = state_.idle_root;
    Dequeue(forgotten);
    Drop(forgotten);
    index = Add(name);
  }
  if (index == kNoSlot) {
    state_.overflowed = true;
    return index;
  }
  Store& store = pool_[index];
  store.place = {state_.now + kOneRound, order};
  store.line.Begin(first);
  store.policy = StorePolicy{};
  Queue(index, StoreState::kReady);
  return index;
}

void FairQueue::Arrive(SlotIndex index, const KeyRange& range, std::uint32_t rows) {
  if (pool_[index].state == StoreState::kIdle) Wake(index, state_.now + kOneRound);
  Store& store = pool_[index];
  Note(store, range);
  const bool countable = store.known != kUnknownRows && rows < kUnknownRows - store.known;
  store.known = countable ? store.known + rows : kUnknownRows;
}

bool FairQueue::Post(std::string_view name, const KeyRange& range, std::uint32_t rows) {
  SlotIndex index = pool_.Find(id_, name);
  if (index == kNoSlot && !state_.overflowed) index = Create(name, range.first, ++state_.order);
  if (index == kNoSlot) return false;
  Arrive(index, range, rows);
  return true;
}

/* Behind first: the other way round the second would swallow the gap that the first one opens. */
void FairQueue::WaitAgain(std::string_view name, const ClaimedRange& rows) {
  for (const KeyRange* range : {&rows.behind, &rows.before})
    if (!range->empty()) Post(name, *range, kUnknownRows);
}

bool FairQueue::Found(std::string_view name, const ItemKey& first) {
  SlotIndex index = pool_.Find(id_, name);
  const bool is_new = index == kNoSlot;
  if (is_new) index = Create(name, first, OrderOfFound(first));
  if (index == kNoSlot) return false;
  Store& store = pool_[index];
  store.line.Seen();
  if (is_new || store.state == StoreState::kIdle || first <= store.line.head) {
    Arrive(index, From(first), kUnknownRows);
  } else {
    /* Nobody told of what lies between: claims that are under way may have passed it over. */
    Note(store, From(first));
    store.known = kUnknownRows;
  }
  return true;
}

void FairQueue::Unpark(std::string_view name) {
  const SlotIndex index = pool_.Find(id_, name);
  if (index == kNoSlot) return;
  if (pool_[index].state == StoreState::kParked) Wake(index, state_.now);
  pool_[index].unparked_epoch = state_.epoch;
}

void FairQueue::ForgetPolicies() {
  if (++state_.policy_version == 0) state_.policy_version = 1;
  state_.to_wake = state_.parked;
}

std::uint64_t FairQueue::NextUnparkNs() const {
  if (state_.to_wake > 0) return 0;
  return state_.parked_root == kNoSlot ? UINT64_MAX : pool_[state_.parked_root].parked_until_ns;
}

/* Those whose debt is over are as good as unknown. */
void FairQueue::DropIdle() {
  for (int i = 0; i < kMostDropped && state_.idle_root != kNoSlot; i++) {
    const SlotIndex index = state_.idle_root;
    if (pool_[index].place.turn > state_.now + kOneRound) return;
    Dequeue(index);
    Drop(index);
  }
}

bool FairQueue::PostedSince(const Store& store, std::uint64_t epoch) const {
  return store.posted_epoch[0] >= epoch || store.posted_epoch[1] >= epoch;
}

void FairQueue::MoveHead(Store& store, const Turn& turn, const TurnReport& report) {
  if (report.given > 0) {
    ItemKey head = report.last_given;
    for (int i = 0; i < 2; i++)
      if (store.posted_epoch[i] >= turn.posts_since) head = std::min(head, Before(store.posted[i]));
    store.line.Advance(head);
  }
  for (const KeyRange* range : {&report.rows_left.behind, &report.rows_left.before})
    if (!range->empty()) Note(store, *range);
}

/* What the store has to wait for may have come while the claim was under way: then it is due at once. */
std::uint64_t FairQueue::ParkUntilNs(const Store& store, const Turn& turn, const TurnReport& report) const {
  const bool called_off = store.state != StoreState::kParked && store.unparked_epoch >= turn.epoch;
  return called_off || report.policy_version != state_.policy_version ? 0 : report.park_until_ns;
}

void FairQueue::Report(const Turn& turn, const TurnReport& report) {
  std::uint32_t& claims = state_.claims[turn.epoch & 1];
  if (turn.epoch + 1 >= state_.epoch && claims > 0) claims--;
  SlotIndex index = pool_.Find(id_, turn.name);
  const bool forgotten = index == kNoSlot;
  if (forgotten) {
    /* Another claim found nothing more, for these rows were locked. */
    if (report.exhausted && report.rows_left.empty()) return;
    index = Create(turn.name, report.given > 0 ? report.last_given : turn.line.head, ++state_.order);
    if (index == kNoSlot) return;
    pool_[index].known = kUnknownRows;
  }
  Store& store = pool_[index];
  const bool news = PostedSince(store, turn.posts_since);
  MoveHead(store, turn, report);
  if (report.taken > 0) state_.now = std::max(state_.now, report.last_start);
  const double planned = static_cast<double>(turn.items) * turn.step;
  LinePlace next = store.place;
  if (!forgotten) next.turn += report.charge - planned;
  /* Refused as the first in line, it stays the first: nobody of the same turn overtakes it. */
  if (report.taken == 0) next.order = std::min(next.order, turn.place.order);
  store.policy = report.policy;
  store.policy_version = report.policy_version;
  if (report.cost > 0)
    store.cost = static_cast<float>(store.cost == 0 ? report.cost
                                                    : store.cost + (report.cost - store.cost) * kCostMemory);
  if (news || !report.rows_left.empty()) {
    store.known = kUnknownRows; /* another claim may have counted, or forgotten, what this one took */
  } else if (report.exhausted) {
    store.known = 0;
  } else if (store.known != kUnknownRows) {
    store.known -= static_cast<std::uint32_t>(std::min<std::int64_t>(report.taken, store.known));
  }

  /* Where the pool is too small for all, nobody holds room by waiting for something else. */
  const bool parks = report.park_until_ns != 0 && !state_.overflowed;
  const bool stays = report.park_until_ns == 0 && store.known > 0 && !(state_.overflowed && report.taken > 0);
  /* As planned, which is how most claims end. */
  if (stays && store.state == StoreState::kReady && next == store.place) return;
  const std::uint64_t park_until_ns = ParkUntilNs(store, turn, report);
  Dequeue(index);
  store.place = next;
  if (parks) {
    store.parked_until_ns = park_until_ns;
    Queue(index, StoreState::kParked);
  } else if (stays) {
    Queue(index, StoreState::kReady);
  } else if (store.known == 0 && store.place.turn > state_.now + kOneRound) {
    Queue(index, StoreState::kIdle);
  } else {
    /* Where the pool is too small for all, whoever was served makes room: a look at the table finds it
     * again. */
    Drop(index);
  }
}

}  // namespace product_optimizer
