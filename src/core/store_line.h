/*
 * store_line.h
 *   The line of one store: which of its rows are dealt with, as far as is known, so that a row which waits
 *   again, or an urgent one, does not make a claim read again what was served since.
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

  bool empty() const { return last < first; }

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

/* Rows of a claim, before and behind the gap of its line; all behind where it had none.  Of several passes
 * over a store they may overlap. */
struct ClaimedRange {
  KeyRange before;
  KeyRange behind;

  bool empty() const { return before.empty() && behind.empty(); }

  void Add(const ClaimedRange& more) {
    before.Add(more.before);
    behind.Add(more.behind);
  }
};

/* Plain memory. */
struct StoreLine {
  ItemKey head; /* rows up to this key are dealt with, as far as is known … */
  /* … and so are those behind gap_begin up to gap_end, though some before them came back; no gap where
   * gap_end <= gap_begin … */
  ItemKey gap_begin;
  ItemKey gap_end;
  /* … but of rows below this key nothing is known yet: nobody told of them, and no walk came by. */
  ItemKey known_from;

  bool has_gap() const { return gap_begin < gap_end; }

  /* The line of a store whose first row that was told of is this one. */
  void Begin(const ItemKey& first) {
    head = Before(first);
    known_from = first;
    ForgetGap();
  }

  /* Where a row that a claim from this line gave belongs to. */
  ClaimedRange RangeOf(const ItemKey& key) const {
    ClaimedRange range;
    (has_gap() && key <= gap_begin ? range.before : range.behind) = Only(key);
    return range;
  }

  /* These wait, and others between them may. */
  void Return(const KeyRange& rows) {
    if (rows.first < known_from) {
      known_from = rows.first;
      ForgetGap();
    } else if (has_gap()) {
      if (rows.first <= gap_end) gap_begin = std::max(gap_begin, rows.last);
    } else if (rows.first <= head) {
      gap_begin = rows.last;
      gap_end = head;
    }
    if (rows.first <= head) head = Before(rows.first);
  }

  /* All up to this key that did not come back are dealt with. */
  void Advance(const ItemKey& key) {
    head = std::max(head, key);
    if (!has_gap() || head < gap_begin) return;
    head = std::max(head, gap_end);
    ForgetGap();
  }

  /* A walk saw that none waits below the first that does: what lies between is to be read once more. */
  void Seen() {
    known_from = kFirstKey;
    ForgetGap();
  }

 private:
  void ForgetGap() { gap_begin = gap_end = kFirstKey; }
};

}  // namespace product_optimizer
