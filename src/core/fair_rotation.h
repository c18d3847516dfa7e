/*
 * fair_rotation.h
 *   Who may give how many items to one claim: rounds over the waiting stores, one item per store and
 *   round (times its weight), starting after the store that was served last.
 *
 *   Credit below one item is remembered from claim to claim in a CreditTable, which is plain memory
 *   without a lock of its own; losing it costs a store less than one item.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace product_optimizer {

/* Fractions of an item that stores are owed, by a hash of their name; a crowded table forgets. */
class CreditTable {
 public:
  double Get(std::uint64_t key) const {
    const Entry& entry = entries_[key % kEntries];
    return entry.key == key ? static_cast<double>(entry.credit) : 0;
  }

  void Set(std::uint64_t key, double credit) {
    Entry& entry = entries_[key % kEntries];
    if (credit <= 0) {
      if (entry.key == key) entry = Entry{};
    } else {
      entry = {key, static_cast<float>(credit)};
    }
  }

 private:
  static constexpr std::size_t kEntries = 1024;
  struct Entry {
    std::uint64_t key;
    float credit;
  };
  Entry entries_[kEntries];
};

/* A store that waits, in the order of the rotation. */
struct WaitingStore {
  double weight = 1;    /* > 0: items per round */
  std::int64_t cap = 0; /* how many items it may still give to this claim */
  double credit = 0;    /* in: what it is owed; out: what it is owed after the plan */
  bool open = true;     /* false: known to have nothing more */
};

/*
 * The order in which stores give items: indexes into stores, at most max_items of them, beginning with
 * stores[first].  Stores that are not open or have no cap give none.  Shorter than max_items only when
 * every store reached its cap.
 */
std::vector<std::size_t> PlanRounds(std::vector<WaitingStore>& stores, std::int64_t max_items,
                                    std::size_t first = 0);

/* The end of the claim cut the turn of a heavy store: it goes on in the next claim. */
bool HasTurnLeft(const WaitingStore& store);

}  // namespace product_optimizer
