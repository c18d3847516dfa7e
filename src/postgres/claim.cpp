#include "postgres/claim.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <unordered_map>

#include "core/serving.h"
#include "postgres/clock.h"
#include "postgres/guard.h"
#include "postgres/probe.h"
#include "postgres/queue_notes.h"
#include "postgres/shared_queue.h"
#include "postgres/store_walk.h"

namespace product_optimizer {

namespace {

/* How many stores that turn out to have nothing one claim goes on after. */
constexpr std::int64_t kMostEmpty = 1000;

/* Longest time until a store is asked again that nothing was heard of: paused, or full of RUNNING items. */
constexpr std::uint64_t kPausedNs = 30'000'000'000;
constexpr std::uint64_t kFullNs = 5'000'000'000;

/* Until the claimer of a store with a max_in_flight has committed. */
constexpr std::uint64_t kBusyNs = 10'000'000;

constexpr int kMostPlans = 4;

/* What an old snapshot shows of the policies, or this transaction changed in them, holds for this claim
 * alone. */
std::uint32_t PolicyVersionOf(const Turn& turn) {
  return IsolationUsesXactSnapshot() || ChangedPolicies() ? 0 : turn.policy_version;
}

/* A turn that nothing was made of. */
TurnReport Untouched(const Turn& turn) {
  TurnReport report;
  report.policy = turn.policy;
  report.policy_version = PolicyVersionOf(turn);
  return report;
}

class Claim {
 public:
  explicit Claim(const ClaimRequest& request) : request_(request) {}

  /* A claim that fails leaves the queue as it was, except for stores that had nothing to give to a worker:
   * else they would stand before the one at fault. */
  ~Claim() {
    if (!reported_) Report();
  }

  /* Locks what the queue has to give; how many rows are locked. */
  std::int64_t Lock(bool to_send);

  /* Stores that had nothing to give. */
  std::int64_t empty() const { return empty_; }

  /* There may be more stores to ask. */
  bool gave_up() const { return empty_ >= kMostEmpty; }

  ClaimResult Take(const Chooser& chooser);

 private:
  std::vector<Part*> Plan(std::int64_t items);
  void Withdraw(const std::vector<Part*>& planned);
  void LimitRunning(const std::vector<Part*>& planned);
  void RememberGiven(const std::vector<Part*>& planned);
  void Account(const Part& part, const std::unordered_map<std::int64_t, TakenRow>& taken, TurnReport& report);
  void Report();
  TurnReport ReportOfFailure(const Part& part);

  const ClaimRequest& request_;
  std::deque<Part> parts_; /* stays where it is while it grows */
  /* What stores gave so far, and up to where: they are told to the queue only at the end. */
  std::unordered_map<std::string, std::int64_t> given_;
  struct Reached {
    ItemKey head;
    std::uint64_t posts_since;
  };
  std::unordered_map<std::string, Reached> reached_;
  std::int64_t locked_ = 0;
  std::int64_t empty_ = 0;
  std::deque<Service> services_;
  bool accounted_ = false; /* services_ say what came of the parts */
  bool reported_ = false;
};

/* The turns of the queue, with the policies that hold now: where one changed them, the queue plans anew. */
std::vector<Part*> Claim::Plan(std::int64_t items) {
  std::vector<Part*> planned;
  for (int attempt = 1; attempt <= kMostPlans; attempt++) {
    std::vector<Turn> turns;
    {
      QueueScope scope;
      turns = scope.queue().Plan(
          {NowNs(), items, request_.max_per_store, request_.strict, given_.empty() ? nullptr : &given_});
    }
    planned.clear();
    std::vector<Part*> unknown;
    std::vector<StorePolicy> assumed;
    for (Turn& turn : turns) {
      Part& part = parts_.emplace_back();
      part.most = turn.items;
      part.turn = std::move(turn);
      planned.push_back(&part);
      if (part.turn.policy_known) continue;
      unknown.push_back(&part);
      assumed.push_back(part.turn.policy);
    }
    if (unknown.empty()) break;
    ReadPolicies(unknown);
    bool as_assumed = true;
    for (std::size_t i = 0; i < unknown.size(); i++) as_assumed &= unknown[i]->turn.policy == assumed[i];
    if (as_assumed || attempt == kMostPlans) break;
    Withdraw(planned);
  }
  return planned;
}

/* These turns are not taken after all; the queue learns the policies that made it so. */
void Claim::Withdraw(const std::vector<Part*>& planned) {
  QueueScope scope;
  for (const Part* part : planned) scope.queue().Report(part->turn, Untouched(part->turn));
  parts_.resize(parts_.size() - planned.size());
}

/* Lowers what is asked of stores with a max_in_flight to the room they have. */
void Claim::LimitRunning(const std::vector<Part*>& planned) {
  std::vector<Part*> limited;
  for (Part* part : planned)
    if (part->turn.policy.max_in_flight >= 0 && !part->turn.policy.paused) limited.push_back(part);
  if (limited.empty()) return;
  const std::vector<std::int64_t> room = CountRoom(limited);
  for (std::size_t i = 0; i < limited.size(); i++) {
    const auto given = given_.find(limited[i]->turn.name);
    const std::int64_t ours = given == given_.end() ? 0 : given->second;
    limited[i]->most = std::clamp<std::int64_t>(room[i] - ours, 0, limited[i]->most);
  }
}

/* For the next pass. */
void Claim::RememberGiven(const std::vector<Part*>& planned) {
  for (const Part* part : planned) {
    const auto found = static_cast<std::int64_t>(part->rows.size());
    std::int64_t& given = given_[part->turn.name];
    given = found < part->turn.items ? kNothingMore : given + found;
    if (found > 0) reached_[part->turn.name] = {KeyOf(part->rows.back()), part->turn.posts_since};
  }
}

std::int64_t Claim::Lock(bool to_send) {
  while (locked_ < request_.max_items && empty_ < kMostEmpty) {
    const std::vector<Part*> planned = Plan(request_.max_items - locked_);
    if (planned.empty()) break;
    LimitRunning(planned);
    std::vector<Part*> asked;
    for (Part* part : planned) {
      if (part->turn.policy.paused) part->most = 0;
      const auto reached = reached_.find(part->turn.name);
      if (reached != reached_.end()) {
        /* What came before that in the meantime is not seen by this part either. */
        part->turn.line.Advance(reached->second.head);
        part->turn.posts_since = reached->second.posts_since;
      }
      if (part->most > 0) asked.push_back(part);
    }
    if (!asked.empty()) LockRows(asked, to_send);
    for (Part* part : planned) {
      part->was_asked = true;
      locked_ += static_cast<std::int64_t>(part->rows.size());
      if (part->rows.empty() && !part->busy) empty_++;
    }
    if (locked_ < request_.max_items) RememberGiven(planned);
  }
  return locked_;
}

/*
 * What an old snapshot shows says nothing of where the store stands now; what was taken counts all the same.
 * A store that gave nothing may have rows that this transaction cannot see: it is passed over for one turn.
 */
void AccountOldSnapshot(const Part& part, TurnReport& report) {
  report.given = 0;
  report.rows_left = {};
  if (report.taken == 0) report.charge = static_cast<double>(part.turn.items) * part.turn.step;
}

/*
 * What the queue is told of one part.  A row to which a trigger of the application gave another status as it
 * was claimed has left the line and costs its turn, too, but none of the room of a max_in_flight.
 */
void Claim::Account(const Part& part, const std::unordered_map<std::int64_t, TakenRow>& taken,
                    TurnReport& report) {
  report.given = static_cast<std::int64_t>(part.rows.size());
  report.policy = part.turn.policy;
  report.policy_version = PolicyVersionOf(part.turn);
  double cost = 0;
  bool leaves_room = false;
  for (const LockedRow& row : part.rows) {
    report.last_given = KeyOf(row);
    if (row.is_chosen) {
      report.taken++;
      cost += row.cost;
      leaves_room |= taken.count(row.item.id) == 0;
    } else {
      report.rows_left.Add(part.turn.line.RangeOf(report.last_given));
    }
  }
  report.charge = cost / part.turn.policy.weight;
  if (report.taken > 0) report.cost = cost / static_cast<double>(report.taken);
  if (IsolationUsesXactSnapshot()) {
    AccountOldSnapshot(part, report);
    return;
  }
  if (!report.rows_left.empty()) NoteLeft(part.turn.name, report.rows_left);
  if (report.park_until_ns != 0) return;
  if (part.turn.policy.paused) {
    report.park_until_ns = NowNs() + kPausedNs;
  } else if (report.given < part.most) {
    report.exhausted = true;
  } else if (part.most < part.turn.items && !leaves_room) {
    report.park_until_ns = NowNs() + (part.busy ? kBusyNs : kFullNs);
  }
}

/* Also on the way out of an error: nothing here allocates. */
void Claim::Report() {
  reported_ = true;
  QueueScope scope;
  for (std::size_t i = 0; i < parts_.size(); i++)
    scope.queue().Report(parts_[i].turn, accounted_ ? services_[i].report : ReportOfFailure(parts_[i]));
}

TurnReport Claim::ReportOfFailure(const Part& part) {
  TurnReport report = Untouched(part.turn);
  /* Others may have seen what their own transaction did, which is undone now; and what the store gave in an
   * earlier pass it has again. */
  const bool gave_nothing = part.was_asked && part.rows.empty() && reached_.count(part.turn.name) == 0;
  if (request_.strict && gave_nothing) Account(part, {}, report);
  return report;
}

ClaimResult Claim::Take(const Chooser& chooser) {
  ClaimResult result;
  for (Part& part : parts_) {
    Service& service = services_.emplace_back(part.turn);
    service.rows.reserve(part.rows.size());
    for (LockedRow& row : part.rows) service.rows.push_back(&row);
    service.may_have_more =
        part.most == part.turn.items && static_cast<std::int64_t>(part.rows.size()) == part.most;
  }
  std::vector<Candidate*> chosen;
  result.left = Serve(services_, request_.strict, chooser, chosen);
  std::unordered_map<std::int64_t, TakenRow> taken;
  if (!chosen.empty())
    taken = TakeRows(chosen, request_.claimed_by, request_.lease_ms, &result.row_description);
  for (std::size_t i = 0; i < parts_.size(); i++) Account(parts_[i], taken, services_[i].report);
  accounted_ = true;
  Report();
  for (Candidate* row : chosen) {
    const auto found = taken.find(row->item.id);
    if (found == taken.end()) continue;
    result.rows.push_back(found->second.row);
    result.items.push_back(std::move(row->item));
    result.items.back().attempt = found->second.attempt;
  }
  return result;
}

}  // namespace

ClaimResult ClaimItems(const ClaimRequest& request, const Chooser& chooser) {
  LookAtOwnRows(request.max_items);
  bool found = false;
  std::optional<std::int64_t> to_ask; /* stores, before nobody is asked again */
  for (;;) {
    Claim claim(request);
    const std::int64_t locked = claim.Lock(static_cast<bool>(chooser));
    ClaimResult result = claim.Take(chooser);
    /* Of rows that were locked a trigger may have made something else, all of them: others than a worker,
     * which comes again at once, are to hear that nothing waits only when that is so. */
    if (!result.items.empty() || (locked > 0 && request.strict)) return result;
    if (locked > 0) continue;
    /*
     * A worker comes again at once; to others nothing claimed means that nothing waits.  Some may be in
     * line again when they were asked: under an old snapshot, or with policies that only this transaction
     * sees.
     */
    if (claim.gave_up() && !request.strict) {
      to_ask = to_ask ? *to_ask - claim.empty() : std::int64_t{LookAtQueue().known};
      if (*to_ask > 0) continue;
    }
    /* Found, but not to be had: others have these rows locked. */
    result.met_locked = found;
    if (found || !MayWalkWhenIdle(NowNs())) return result;
    found = WalkUntilFound();
    if (!found) return result;
  }
}

std::string ParkNextStore(std::uint64_t until_ns) {
  QueueScope scope;
  const std::vector<Turn> turns = scope.queue().Plan({NowNs(), 1, 1, true, nullptr});
  if (turns.empty()) return {};
  TurnReport report = Untouched(turns.front());
  report.park_until_ns = until_ns;
  scope.queue().Report(turns.front(), report);
  return turns.front().name;
}

}  // namespace product_optimizer
