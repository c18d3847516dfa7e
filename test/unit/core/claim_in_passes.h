/*
 * claim_in_passes.h
 *   A claim as it really goes, in steps between which others may do anything: it plans, locks rows before the
 *   gap of each line and then behind it, asks again while it has room, reports, and its transaction ends.
 *   What claim.*, probe.* and queue_notes.* of src/postgres do, without a database.
 */
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <random>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "shop.h"

namespace product_optimizer {

class Dice {
 public:
  explicit Dice(unsigned seed) : random_(seed) {}

  int Below(int n) { return static_cast<int>(random_() % static_cast<unsigned>(n)); }
  bool OneIn(int n) { return Below(n) == 0; }

 private:
  std::mt19937 random_;
};

class ClaimInPasses {
 public:
  ClaimInPasses(Shop& shop, Dice& dice)
      : shop_(shop),
        dice_(dice),
        max_items_(1 + dice.Below(8)),
        max_per_store_(1 + dice.Below(5)),
        strict_(dice.OneIn(4)),
        refuses_(dice.OneIn(4)),
        leaves_(dice.OneIn(4)) {}

  /* False when it has ended, and told so. */
  bool Step() {
    if (step_ < kReport && dice_.OneIn(30)) {
      failed_ = true;
      step_ = kReport;
    }
    switch (step_) {
      case kPlan:
        step_ = rows_ < max_items_ && Plan() ? kBeforeGap : kReport;
        break;
      case kBeforeGap:
        for (std::size_t i = pass_; i < parts_.size(); i++) {
          const StoreLine& line = parts_[i].turn.line;
          LockStretch(parts_[i], line.head, line.has_gap() ? line.gap_begin : kLastKey);
        }
        step_ = kBehindGap;
        break;
      case kBehindGap:
        for (std::size_t i = pass_; i < parts_.size(); i++) {
          const StoreLine& line = parts_[i].turn.line;
          if (line.has_gap()) LockStretch(parts_[i], line.gap_end, kLastKey);
        }
        RememberGiven();
        step_ = kPlan;
        break;
      case kReport:
        for (const Part& part : parts_) shop_.queue.Report(part.turn, Account(part));
        for (const auto& [name, key] : left_rows_) ExpectInLine(name, key);
        step_ = kEnd;
        break;
      case kEnd:
        End();
        step_ = kTell;
        break;
      case kTell:
        for (const auto& [name, rows] : committed_ ? left_ : locked_) shop_.queue.WaitAgain(name, rows);
        return false;
    }
    return true;
  }

  /* It holds a lock on the table. */
  bool touches_table() const { return !parts_.empty() && (pass_ > 0 || step_ != kBeforeGap); }

  /* What it claimed, once it has committed. */
  const std::vector<std::pair<std::string, ItemKey>>& claimed() const { return claimed_; }

 private:
  enum Steps { kPlan, kBeforeGap, kBehindGap, kReport, kEnd, kTell };

  struct Part {
    Turn turn;
    std::int64_t most; /* rows that it may lock: fewer than the turn's where a max_in_flight says so */
    std::vector<ItemKey> rows;
  };

  struct Reached {
    ItemKey head;
    std::uint64_t posts_since;
  };

  std::vector<Turn> Ask() {
    return shop_.queue.Plan(
        {shop_.now_ns, max_items_ - rows_, max_per_store_, strict_, given_.empty() ? nullptr : &given_});
  }

  static TurnReport Untouched(const Turn& turn) {
    TurnReport report;
    report.policy_version = turn.policy_version;
    return report;
  }

  bool Plan() {
    std::vector<Turn> turns = Ask();
    /* Policies turned out to be others: these turns are not taken after all. */
    if (dice_.OneIn(20)) {
      for (const Turn& turn : turns) shop_.queue.Report(turn, Untouched(turn));
      turns = Ask();
    }
    pass_ = parts_.size();
    for (Turn& turn : turns) {
      const auto reached = reached_.find(turn.name);
      if (reached != reached_.end()) {
        turn.line.Advance(reached->second.head);
        turn.posts_since = reached->second.posts_since;
      }
      const std::int64_t most = dice_.OneIn(20) ? dice_.Below(static_cast<int>(turn.items)) : turn.items;
      parts_.push_back({turn, most, {}});
    }
    return !turns.empty();
  }

  void LockStretch(Part& part, const ItemKey& behind, const ItemKey& last) {
    const std::set<ItemKey>& waiting = shop_.waiting[part.turn.name];
    for (auto row = waiting.upper_bound(behind); row != waiting.end() && *row <= last; ++row) {
      if (static_cast<std::int64_t>(part.rows.size()) == part.most) return;
      /* Rows that it locked itself before are not skipped. */
      if (!shop_.locked.insert(row->id).second && own_.count(row->id) == 0) continue;
      own_.insert(row->id);
      part.rows.push_back(*row);
      locked_[part.turn.name].Add(part.turn.line.RangeOf(*row));
    }
  }

  void RememberGiven() {
    for (std::size_t i = pass_; i < parts_.size(); i++) {
      const Part& part = parts_[i];
      const auto found = static_cast<std::int64_t>(part.rows.size());
      rows_ += found;
      std::int64_t& given = given_[part.turn.name];
      given = found < part.turn.items ? kNothingMore : given + found;
      if (found > 0) reached_[part.turn.name] = {part.rows.back(), part.turn.posts_since};
    }
  }

  /* Once a row is refused, nothing behind it is taken of that store, and it parks. */
  TurnReport Account(const Part& part) {
    TurnReport report = Untouched(part.turn);
    if (failed_) return report;
    const std::string& name = part.turn.name;
    report.given = static_cast<std::int64_t>(part.rows.size());
    for (const ItemKey& key : part.rows) {
      report.last_given = key;
      if (refuses_ && dice_.OneIn(4)) refused_.emplace(name, shop_.now_ns + 1 + dice_.Below(50));
      if (refused_.count(name) > 0 || (leaves_ && dice_.OneIn(2))) {
        report.rows_left.Add(part.turn.line.RangeOf(key));
        left_rows_.emplace_back(name, key);
      } else {
        report.taken++;
        claimed_.emplace_back(name, key);
      }
    }
    report.charge = static_cast<double>(report.taken);
    report.cost = report.taken > 0 ? 1 : 0;
    report.last_start =
        part.turn.place.turn + static_cast<double>(std::max<std::int64_t>(report.taken - 1, 0));
    if (!report.rows_left.empty()) left_[name].Add(report.rows_left);
    if (refused_.count(name) > 0) {
      report.park_until_ns = refused_[name];
    } else if (part.most < part.turn.items && report.given == part.most) {
      report.park_until_ns = shop_.now_ns + 1 + dice_.Below(50);
    } else {
      report.exhausted = report.given < part.turn.items;
    }
    return report;
  }

  /* What a claim leaves keeps its store in line, and the next claim reads it. */
  void ExpectInLine(const std::string& name, const ItemKey& key) {
    if (shop_.queue.overflowed()) return;
    const SlotIndex index = shop_.pool()->Find(0, name);
    ASSERT_NE(index, kNoSlot) << name;
    const Store& store = (*shop_.pool())[index];
    EXPECT_NE(store.state, StoreState::kIdle) << name;
    EXPECT_TRUE(store.line.head < key && !(store.line.gap_begin < key && key <= store.line.gap_end))
        << name << ", row " << key.id;
  }

  /* Others see that before the queue is told. */
  void End() {
    committed_ = !failed_ && !dice_.OneIn(4);
    if (!committed_) claimed_.clear();
    for (const auto& [name, key] : claimed_) shop_.waiting[name].erase(key);
    for (const std::int64_t id : own_) shop_.locked.erase(id);
  }

  Shop& shop_;
  Dice& dice_;
  const std::int64_t max_items_;
  const std::int64_t max_per_store_;
  const bool strict_;
  const bool refuses_;
  const bool leaves_;

  Steps step_ = kPlan;
  std::deque<Part> parts_;
  std::size_t pass_ = 0;  /* the first part of the pass that is under way */
  std::int64_t rows_ = 0; /* locked so far */
  std::unordered_map<std::string, std::int64_t> given_;
  std::map<std::string, Reached> reached_;
  std::map<std::string, std::uint64_t> refused_;
  std::set<std::int64_t> own_; /* ids of the rows that it locked */
  std::map<std::string, ClaimedRange> locked_;
  std::map<std::string, ClaimedRange> left_;
  std::vector<std::pair<std::string, ItemKey>> left_rows_;
  std::vector<std::pair<std::string, ItemKey>> claimed_;
  bool failed_ = false;
  bool committed_ = false;
};

}  // namespace product_optimizer
