/*
 * store_line.h
 *   The line of one store: which of its rows are dealt with, as far as is known.  A row that waits again
 *   behind what was served since, as a retry or an urgent one does, does not make all of that be read again.
 */
#pragma once

#include <algorithm>
#include <cstdint>

namespace product_optimizer {

/* Where a row stands in the line of its store: lower is served first. */
struct ItemKey {
  std::int64_t id;
  std::int16_t priority;

  bool operator<(const ItemKey& other) const {
    return priority != other.priority ? priority < other.priority : id < other.id;
  }
  bool operator<=(const ItemKey& other) const { return !(other < *this); }
};

constexpr ItemKey kFirstKey{INT64_MIN, INT16_MIN};
constexpr ItemKey kLastKey{INT64_MAX, INT16_MAX};

/* The greatest key below this one. */
inline ItemKey Before(const ItemKey& key) {
  if (key.id > INT64_MIN) return {key.id - 1, key.priority};
  return key.priority > INT16_MIN ? ItemKey{INT64_MAX, static_cast<std::int16_t>(key.priority - 1)}
                                  : kFirstKey;
}

/* Rows of a store: all of them lie from first to last. */
struct KeyRange {
  ItemKey first = kLastKey;
  ItemKey last = kFirstKey;

  void Add(const KeyRange& more) {
    first = std::min(first, more.first);
    last = std::max(last, more.last);
  }
};

inline KeyRange Only(const ItemKey& key) {
  return {key, key};
}
inline KeyRange From(const ItemKey& first) {
  return {first, kLastKey};
}

/* Plain memory; zeroed, it is a line of which nothing is known to be dealt with behind key (0, 0). */
struct StoreLine {
  ItemKey head; /* rows up to this key are dealt with … */
  /* … and so are those behind after up to upto, though some before them came back; upto <= after: none. */
  ItemKey after;
  ItemKey upto;

  bool has_gap() const { return after < upto; }

  /* These wait. */
  void Return(const KeyRange& rows) {
    if (has_gap()) {
      if (rows.first <= upto) after = std::max(after, rows.last);
    } else if (rows.first <= head) {
      after = rows.last;
      upto = head;
    }
    if (rows.first <= head) head = Before(rows.first);
  }

  /* All up to this key that did not come back are dealt with. */
  void Advance(const ItemKey& key) {
    head = std::max(head, key);
    if (!has_gap() || head < after) return;
    head = std::max(head, upto);
    ForgetGap();
  }

  /* What lies between is to be read once more. */
  void ForgetGap() { after = upto = kFirstKey; }
};

}  // namespace product_optimizer
