/*
 * fair_queue.h
 *   Whose turn it is: start-time fair queueing over the stores that have something waiting.
 *
 *   Every store has a virtual time, its turn.  The lowest is served next, and an item moves its store on by
 *   cost / weight, so that stores which wait together get service in proportion to their weights, up to one
 *   item each.  A store that begins to wait starts where the others are: nothing is saved up while idle, and
 *   what was served too much is not forgotten.
 *
 *   All of it is a hint about a table that others change: a turn may meet fewer rows than it was planned for,
 *   or none.  Nothing is held by anybody between Plan() and Report(): a claimer that dies between them has
 *   cost its stores some turns.
 *
 *   Plain memory under the caller's lock.  Only Plan() allocates; if it throws, some stores have lost a turn.
 */
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/store_pool.h"

namespace product_optimizer {

constexpr std::uint32_t kUnknownRows = UINT32_MAX;

/* Zeroed memory is a queue that nobody waits in; Start() before its first use. */
struct QueueState {
  SlotIndex ready_root;
  SlotIndex idle_root;
  SlotIndex parked_root;
  std::uint32_t ready;
  std::uint32_t idle;
  std::uint32_t parked;
  std::uint32_t to_wake; /* of the parked, as their policies may have changed */
  std::uint32_t slots;   /* of the pool that its stores take */
  bool overflowed;       /* a store found no room in the pool */
  double now;            /* virtual time: the latest turn that was served */
  std::uint64_t order;
  std::uint64_t epoch;
  std::uint32_t claims[2]; /* turns not yet reported, of the current epoch and the one before it */
  std::uint64_t epoch_since_ns;
  std::uint32_t policy_version; /* policies read under an earlier one may have changed since */
};

constexpr std::int64_t kNothingMore = INT64_MAX;

struct PlanRequest {
  std::uint64_t now_ns = 0;
  std::int64_t max_items = 0;
  std::int64_t max_per_store = 0;
  /* Stop where a store at max_per_store would be next, so that nobody overtakes it: for who claims again at
   * once. */
  bool strict = false;
  /* What stores gave to this claim before, by name (kNothingMore: and have no more); may be null. */
  const std::unordered_map<std::string, std::int64_t>* given = nullptr;
};

/* A store's part in one claim. */
struct Turn {
  std::string name;
  StoreLine line{}; /* its rows behind the head are next */
  LinePlace place{};
  double step = 1;        /* what an item was planned to cost, over the weight */
  std::int64_t items = 0; /* so many at most */
  StorePolicy policy;
  bool policy_known = false;        /* else the plan took the last one that was known, or the default */
  std::uint32_t policy_version = 0; /* to be reported with what is read now */
  std::uint64_t epoch = 0;          /* in which it was planned */
  /* What was posted from this epoch on its claim may not have seen: ≤ epoch, for a claim's first turn of the
   * store counts. */
  std::uint64_t posts_since = 0;
};

/* What came of it. */
struct TurnReport {
  std::int64_t given = 0; /* rows that were found and locked */
  std::int64_t taken = 0; /* … and claimed */
  double charge = 0;      /* the sum of the costs of those, over the weight */
  double last_start = 0;  /* the virtual time at which the last of those began */
  double cost = 0;        /* of its items, on average; 0: nothing new */
  StorePolicy policy;
  std::uint32_t policy_version = 0; /* 0: not to be relied on */
  bool exhausted = false;           /* it gave less than it was asked for */
  ClaimedRange rows_left{};         /* rows it gave that were not claimed */
  ItemKey last_given{};             /* when given > 0 */
  std::uint64_t park_until_ns = 0;  /* 0: it may give more at once */
};

class FairQueue {
 public:
  FairQueue(StorePool& pool, QueueState& state, std::uint8_t id) : pool_(pool), state_(state), id_(id) {}

  void Start();

  /* Forgets up to so many stores and all that is known of them; false when none is left.  Epochs and virtual
   * time go on, so that claims which are under way can still report. */
  bool Forget(int most);

  /*
   * So many rows of a store came to wait, all of them in this range.  False when there is no room for it, or
   * when there was none for others: then looks at the table decide who gets in, so that nobody who posts
   * often keeps the others out.
   */
  bool Post(std::string_view name, const KeyRange& range, std::uint32_t rows);

  /* Rows that a claim had locked wait again, or still. */
  void WaitAgain(std::string_view name, const ClaimedRange& rows);

  /* A look at the table showed that this is a store's first waiting row. */
  bool Found(std::string_view name, const ItemKey& first);

  /* What held the store back may have ended. */
  void Unpark(std::string_view name);

  /* Policies changed: all are to be read again, and nobody stays parked. */
  void ForgetPolicies();

  /* Who gives how much, in the order of their turns.  Each is charged at once as planned. */
  std::vector<Turn> Plan(const PlanRequest& request);

  /* For every turn of a plan, once; corrects what it was charged. */
  void Report(const Turn& turn, const TurnReport& report);

  /* Whether stores found no room since the last call of ForgetOverflow(). */
  bool overflowed() const { return state_.overflowed; }
  void ForgetOverflow() { state_.overflowed = false; }

  std::uint32_t waiting() const { return state_.ready; }
  std::uint32_t known() const { return state_.ready + state_.parked; }
  std::uint64_t NextUnparkNs() const; /* UINT64_MAX: nobody is parked */

 private:
  struct Planned;

  void Queue(SlotIndex index, StoreState state);
  void Dequeue(SlotIndex index);
  void Wake(SlotIndex index, double not_before);
  void Arrive(SlotIndex index, const KeyRange& range, std::uint32_t rows);
  void Note(Store& store, const KeyRange& range);
  SlotIndex Add(std::string_view name);
  void Drop(SlotIndex index);
  SlotIndex Create(std::string_view name, const ItemKey& first, std::uint64_t order);
  void DropIdle();
  void BeginEpoch(std::uint64_t now_ns);
  double Choose(const PlanRequest& request, std::vector<Planned>& chosen);
  bool PostedSince(const Store& store, std::uint64_t epoch) const;
  std::uint64_t ParkUntilNs(const Store& store, const Turn& turn, const TurnReport& report) const;
  void MoveHead(Store& store, const Turn& turn, const TurnReport& report);

  StorePool& pool_;
  QueueState& state_;
  std::uint8_t id_;
};

}  // namespace product_optimizer
