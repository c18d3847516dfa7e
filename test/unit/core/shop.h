/*
 * shop.h
 *   A table of rows with a fair queue over it: what the claim does, without a database.
 */
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/fair_queue.h"

namespace product_optimizer {

class Shop {
 public:
  explicit Shop(std::uint32_t capacity = 4096)
      : memory_(StorePool::BytesFor(capacity) / sizeof(std::uint64_t) + 1) {
    pool()->Start(capacity);
    queue.Start();
  }

  void Insert(const std::string& store, int rows, int priority = 0) {
    const ItemKey first{next_id_, static_cast<std::int16_t>(priority)};
    for (int i = 0; i < rows; i++) waiting[store].insert({next_id_++, static_cast<std::int16_t>(priority)});
    queue.Post(store, {first, {next_id_ - 1, first.priority}}, static_cast<std::uint32_t>(rows));
  }

  struct Claim {
    std::vector<Turn> turns;
    std::vector<std::vector<ItemKey>> rows;
    std::vector<TurnReport> reports;
  };

  /* What a claim's transaction sees and locks. */
  Claim Begin(std::int64_t items, std::int64_t per_store = 20, bool strict = false) {
    Claim claim;
    claim.turns = queue.Plan({now_ns, items, per_store, strict, nullptr});
    for (const Turn& turn : claim.turns) {
      std::vector<ItemKey>& rows = claim.rows.emplace_back();
      const Policy policy = PolicyOf(turn.name);
      std::int64_t most = policy.paused ? 0 : turn.items;
      for (const ItemKey& key : waiting[turn.name]) {
        if (static_cast<std::int64_t>(rows.size()) == most) break;
        const bool in_gap = turn.line.has_gap() && turn.line.gap_begin < key && key <= turn.line.gap_end;
        if (turn.line.head < key && !in_gap && locked.count(key.id) == 0) rows.push_back(key);
      }
      for (const ItemKey& key : rows) locked.insert(key.id);
      TurnReport& report = claim.reports.emplace_back();
      report.given = report.taken = static_cast<std::int64_t>(rows.size());
      report.policy.weight = static_cast<float>(policy.weight);
      report.policy_version = turn.policy_version;
      report.charge = static_cast<double>(rows.size()) * policy.cost / policy.weight;
      report.cost = rows.empty() ? 0 : policy.cost;
      report.last_start = turn.place.turn + report.charge - policy.cost / policy.weight;
      report.exhausted = !policy.paused && report.given < turn.items;
      if (policy.paused) report.park_until_ns = now_ns + 1000;
      if (!rows.empty()) report.last_given = rows.back();
    }
    return claim;
  }

  /* Commits it: the rows are gone. */
  std::map<std::string, int> Finish(const Claim& claim) {
    std::map<std::string, int> got;
    for (std::size_t i = 0; i < claim.turns.size(); i++) {
      for (const ItemKey& key : claim.rows[i]) {
        waiting[claim.turns[i].name].erase(key);
        locked.erase(key.id);
      }
      queue.Report(claim.turns[i], claim.reports[i]);
      if (claim.reports[i].given > 0) got[claim.turns[i].name] += static_cast<int>(claim.reports[i].given);
    }
    return got;
  }

  std::map<std::string, int> ClaimNow(std::int64_t items, std::int64_t per_store = 20, bool strict = false) {
    return Finish(Begin(items, per_store, strict));
  }

  /* The transaction of a claim was rolled back. */
  void Abort(const Claim& claim) {
    for (std::size_t i = 0; i < claim.turns.size(); i++) {
      queue.Report(claim.turns[i], claim.reports[i]);
      for (const ItemKey& key : claim.rows[i]) locked.erase(key.id);
      ClaimedRange again;
      for (const ItemKey& key : claim.rows[i]) again.Add(claim.turns[i].line.RangeOf(key));
      queue.WaitAgain(claim.turns[i].name, again);
    }
  }

  std::size_t Rows() const {
    std::size_t rows = 0;
    for (const auto& [name, keys] : waiting) rows += keys.size();
    return rows;
  }

  struct Policy {
    double weight = 1;
    double cost = 1;
    bool paused = false;
  };
  Policy PolicyOf(const std::string& name) const {
    const auto found = policies.find(name);
    return found == policies.end() ? Policy{} : found->second;
  }
  /* Turns that nobody reported yet. */
  std::uint32_t turns_under_way() const { return state_.claims[0] + state_.claims[1]; }
  StorePool* pool() { return reinterpret_cast<StorePool*>(memory_.data()); }

  std::map<std::string, std::set<ItemKey>> waiting;
  std::map<std::string, Policy> policies;
  std::set<std::int64_t> locked;
  std::uint64_t now_ns = 1;

 private:
  std::vector<std::uint64_t> memory_;
  QueueState state_{};
  std::int64_t next_id_ = 1;

 public:
  FairQueue queue{*pool(), state_, 0};
};

inline std::string Name(int i) {
  return "store-" + std::to_string(1000 + i);
}

}  // namespace product_optimizer
