/*
 * busy_table.h
 *   A table in use, with a fair queue over it: rows are committed late and out of the order of their ids, and
 *   told of later still, while claims of several passes, a walk and TRUNCATE come between.
 */
#pragma once

#include <cstdint>
#include <iterator>
#include <list>
#include <string>
#include <utility>
#include <vector>

#include "claim_in_passes.h"

namespace product_optimizer {

struct Life {
  int stores = 3;
  std::uint32_t capacity = 4096;
  int rows_before = 0; /* so many wait in each store before the queue begins, and nobody ever tells of them */
  bool walks = false;
  bool leaves_untold = false; /* rows that came when no trigger fired: only a walk finds them */
  bool truncates = false;
};

class BusyTable {
 public:
  BusyTable(unsigned seed, const Life& life)
      : life_(life), dice_(seed), urgent_one_in_(3 + dice_.Below(25)), shop_(life.capacity) {
    for (int store = 0; store < life_.stores; store++) {
      for (int i = 0; i < life_.rows_before; i++) shop_.waiting[Name(store)].insert({next_id_++, 0});
      inserted_ += static_cast<std::size_t>(life_.rows_before);
    }
  }

  void LiveOn() {
    for (int i = 100 + dice_.Below(300); i > 0; i--) Deed();
  }

  /* No new rows come, and whatever is under way ends; where rows were left untold, one walk goes beside it.
   */
  void ComeToRest() {
    while (!uncommitted_.empty()) Commit(uncommitted_.begin());
    tells_of_all_ = true;
    const bool claims_first = dice_.OneIn(2);
    while (claims_first && IsBusy()) GoOn();
    if (life_.walks) {
      walk_ = Walk{};
      do {
        if (!WalkOn()) Drain();
        if (dice_.OneIn(2)) GoOn();
      } while (walk_.under_way);
    }
    while (IsBusy()) GoOn();
    for (int store = 0; store < life_.stores && life_.rows_before > 0; store++) TellOfTheFirst(Name(store));
    Drain();
    WalkWhileThereIsNoRoom();
  }

  std::size_t waiting() const { return shop_.Rows(); }
  std::size_t inserted() const { return inserted_; }
  std::size_t claimed() const { return claimed_; }
  std::uint32_t turns_under_way() const { return shop_.turns_under_way(); }

 private:
  struct Rows {
    std::string store;
    std::vector<ItemKey> keys;
  };
  using Those = std::list<Rows>::iterator;

  struct Walk {
    bool under_way = false;
    std::string behind;
    std::list<std::pair<std::string, ItemKey>> read; /* not told yet */
  };

  template <typename List>
  typename List::iterator AnyOf(List& list) {
    return std::next(list.begin(), dice_.Below(static_cast<int>(list.size())));
  }

  std::string AnyStore() { return Name(dice_.Below(life_.stores)); }

  void Deed() {
    shop_.now_ns += static_cast<std::uint64_t>(dice_.Below(10));
    switch (dice_.Below(16)) {
      case 0:
      case 1:
        Insert();
        break;
      case 2:
      case 3:
        if (claims_.size() < 6) claims_.emplace_back(shop_, dice_);
        break;
      case 4:
        if (life_.walks && (walk_.under_way || dice_.OneIn(3))) WalkOn();
        break;
      case 5:
        if (dice_.OneIn(10)) shop_.queue.Unpark(AnyStore());
        if (dice_.OneIn(40)) shop_.queue.ForgetPolicies();
        if (life_.truncates && dice_.OneIn(10)) Truncate();
        break;
      default:
        GoOn();
    }
  }

  bool IsBusy() const { return !uncommitted_.empty() || !news_.empty() || !claims_.empty(); }

  void GoOn() {
    switch (dice_.Below(4)) {
      case 0:
        if (!uncommitted_.empty()) Commit(AnyOf(uncommitted_));
        break;
      case 1:
        if (!news_.empty()) Tell(AnyOf(news_));
        break;
      default:
        if (!claims_.empty()) Step(AnyOf(claims_));
    }
  }

  void Insert() {
    /* Ids of transactions that run at once lie between each other. */
    const bool goes_on = !uncommitted_.empty() && !dice_.OneIn(4);
    Rows& rows = goes_on ? *AnyOf(uncommitted_) : uncommitted_.emplace_back(Rows{AnyStore(), {}});
    for (int i = dice_.Below(5); i >= 0; i--) {
      const int priority = dice_.OneIn(urgent_one_in_) ? -1 - dice_.Below(3) : 0;
      rows.keys.push_back({next_id_++, static_cast<std::int16_t>(priority)});
    }
    /* A claim in the same transaction tells of them before the commit. */
    if (dice_.OneIn(10)) Post(rows);
  }

  void Commit(Those rows) {
    shop_.waiting[rows->store].insert(rows->keys.begin(), rows->keys.end());
    inserted_ += rows->keys.size();
    const bool tells = tells_of_all_ || !life_.leaves_untold || !dice_.OneIn(3);
    if (tells) news_.push_back(*rows);
    uncommitted_.erase(rows);
  }

  void Post(const Rows& rows) {
    KeyRange range;
    for (const ItemKey& key : rows.keys) range.Add(Only(key));
    shop_.queue.Post(rows.store, range, static_cast<std::uint32_t>(rows.keys.size()));
  }

  void Tell(Those rows) {
    Post(*rows);
    news_.erase(rows);
  }

  bool Step(std::list<ClaimInPasses>::iterator claim) {
    if (claim->Step()) return true;
    claimed_ += claim->claimed().size();
    /* Some fail, and are tried again. */
    for (const auto& [name, key] : claim->claimed())
      if (dice_.OneIn(6)) uncommitted_.push_back({name, {key}});
    claims_.erase(claim);
    return false;
  }

  /* False when it met a store that has no room; it goes on from there when there is some. */
  bool WalkOn() {
    if (!walk_.under_way) {
      walk_ = Walk{};
      walk_.under_way = true;
      shop_.queue.ForgetOverflow();
    }
    if (walk_.read.empty()) {
      for (auto store = shop_.waiting.upper_bound(walk_.behind); store != shop_.waiting.end(); ++store)
        if (!store->second.empty() && walk_.read.size() < 3)
          walk_.read.emplace_back(store->first, *store->second.begin());
      walk_.under_way = !walk_.read.empty();
    } else if (const auto& [name, first] = walk_.read.front(); shop_.queue.Found(name, first)) {
      walk_.behind = name;
      walk_.read.pop_front();
    } else {
      walk_.read.clear();
      return false;
    }
    return true;
  }

  /* Waits for all that have touched the table, and told of it; claims that are planned go on behind it. */
  void Truncate() {
    for (auto claim = claims_.begin(); claim != claims_.end();) {
      const auto next = std::next(claim);
      if (claim->touches_table())
        while (Step(claim)) {
        }
      claim = next;
    }
    while (!uncommitted_.empty()) Commit(uncommitted_.begin());
    while (!news_.empty()) Tell(news_.begin());
    inserted_ -= shop_.Rows();
    shop_.waiting.clear();
    walk_ = Walk{};
    while (shop_.queue.Forget(2)) {
    }
    if (dice_.OneIn(2)) next_id_ = 1;
  }

  /* The store's first row now; nobody counted what waits behind it. */
  void TellOfTheFirst(const std::string& store) {
    const ItemKey first{next_id_++, INT16_MIN};
    shop_.waiting[store].insert(first);
    inserted_++;
    shop_.queue.Post(store, Only(first), kUnknownRows);
  }

  void Drain() {
    for (int i = 0; i < 100 && shop_.queue.known() > 0; i++) {
      shop_.now_ns += 100;
      for (const auto& [name, rows] : shop_.ClaimNow(50)) claimed_ += static_cast<std::size_t>(rows);
    }
  }

  /* Each walk brings some of those who found no room. */
  void WalkWhileThereIsNoRoom() {
    for (std::size_t before = SIZE_MAX; shop_.queue.overflowed() && shop_.Rows() < before;) {
      before = shop_.Rows();
      walk_ = Walk{};
      do {
        WalkOn();
        Drain();
      } while (walk_.under_way);
    }
  }

  const Life life_;
  Dice dice_;
  const int urgent_one_in_;
  Shop shop_;
  std::list<Rows> uncommitted_;
  std::list<Rows> news_;
  std::list<ClaimInPasses> claims_;
  Walk walk_;
  bool tells_of_all_ = false;
  std::int64_t next_id_ = 1;
  std::size_t inserted_ = 0;
  std::size_t claimed_ = 0;
};

}  // namespace product_optimizer
