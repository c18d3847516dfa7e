/*
 * table_walk.h
 *   How far a walk over the table has come that several processes make together, step by step, and when the
 *   next step is due.  A step is begun and ended under the lock; what it reads, and tells the queue, it reads
 *   and tells in between, so steps overlap.
 *
 *   What a walk promises: a store that had something waiting when it began, and keeps it, is told to the
 *   queue until it ends.  Where a step had a view of its own the next walk promises that, and is due soon.
 *
 *   Plain memory; nothing here throws, and nothing allocates when WalkStep.behind has room for the name.
 */
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace product_optimizer {

constexpr int kLongestInstanceBytes = 255 * 4;

struct WalkStep {
  std::uint64_t walk = 0; /* the number of the walk it belongs to */
  bool is_first = false;
  std::string behind; /* it begins behind this store; "": at the start */
  std::uint64_t began_ns = 0;
};

/* What came of a step. */
struct StepResult {
  std::string_view last_told; /* the last store that it told the queue of; "": of none */
  bool reached_end = false;
  bool found_no_room = false; /* in the queue: the walk waits for room */
};

/* Zeroed memory is a walk that never began. */
class TableWalk {
 public:
  /* Of the walk that is under way; else a new one begins.  Who has a view of its own sees the table as it was
   * before, or as its own transaction has made it. */
  void BeginStep(std::uint64_t now_ns, bool own_view, WalkStep& step);

  /* A step of an earlier walk changes nothing of this one. */
  void EndStep(const WalkStep& step, const StepResult& result, std::uint64_t now_ns);

  /* Rows changed in a way that nobody told exactly. */
  void SeeChange() { changed_ = another_ = true; }

  /* Rows changed, and the queue was told of those that wait, as far as a trigger can see: only who has
   * nothing else to do looks whether there are more. */
  void SeeToldChange() { changed_ = true; }

  /* Either of them since the last walk began, or before it where that had a view of its own. */
  bool changed() const { return changed_; }

  /* All is as if no walk had ever begun, but a step that is under way belongs to none that begins later. */
  void Forget();

  /*
   * When the next step is due: at once while a walk is under way, soon when something changed that nobody
   * told, or anything at all and the queue is empty, else every interval.  Walking takes a tenth of the time
   * at most. A walk that found no room goes on when there is some; UINT64_MAX: not before.
   */
  std::uint64_t DueNs(std::uint64_t interval_ns, bool has_room, bool is_empty) const;

  /* Whether who found nothing to claim may walk, to be sure: when it costs next to nothing, or not much and
   * something changed, or when the rest is over. */
  bool MayWalkWhenIdle(std::uint64_t now_ns) const;

 private:
  std::uint64_t RestNs() const;

  char behind_[kLongestInstanceBytes + 1]; /* the store it came to last */
  bool under_way_;
  bool completed_;           /* once at least */
  bool changed_;             /* see changed() */
  bool another_;             /* walk is due soon */
  std::uint64_t number_;     /* of walks that began */
  std::uint64_t took_ns_;    /* so far */
  std::uint64_t ended_ns_;   /* the last one … */
  std::uint64_t lasted_ns_;  /* … and how long its steps took */
  std::uint64_t retries_ns_; /* it found no room: it goes on not before; 0: it did find some */
};

}  // namespace product_optimizer
