#include "core/store_line.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace product_optimizer {
namespace {

ItemKey Key(std::int64_t id, std::int16_t priority = 0) {
  return {id, priority};
}

void ExpectEqual(const ItemKey& a, const ItemKey& b) {
  EXPECT_FALSE(a < b || b < a) << a.priority << "/" << a.id << " and " << b.priority << "/" << b.id;
}

StoreLine ServedUpTo(std::int64_t id) {
  StoreLine line{};
  line.Begin(Key(1));
  line.Seen();
  line.Advance(Key(id));
  return line;
}

TEST(StoreLine, WhatComesBehindTheHeadChangesNothing) {
  StoreLine line = ServedUpTo(100);
  line.Return(From(Key(101)));
  ExpectEqual(line.head, Key(100));
  EXPECT_FALSE(line.has_gap());
}

TEST(StoreLine, ARowThatCameBackIsServedAndWhatWasServedSinceIsPassedOver) {
  StoreLine line = ServedUpTo(100);
  line.Return(Only(Key(40)));
  ExpectEqual(line.head, Key(39));
  ASSERT_TRUE(line.has_gap());
  ExpectEqual(line.gap_begin, Key(40));
  ExpectEqual(line.gap_end, Key(100));
  line.Advance(Key(40));
  ExpectEqual(line.head, Key(100));
  EXPECT_FALSE(line.has_gap());
}

TEST(StoreLine, AnUrgentRowDoesNotBringTheLineBackToItsStart) {
  StoreLine line = ServedUpTo(100);
  line.Return(Only(Key(500, -7)));
  ExpectEqual(line.head, Key(499, -7));
  line.Advance(Key(500, -7));
  ExpectEqual(line.head, Key(100));
}

TEST(StoreLine, AllThatCameBackLiesBeforeTheGap) {
  StoreLine line = ServedUpTo(100);
  line.Return(Only(Key(40)));
  line.Return(Only(Key(60)));
  line.Return(Only(Key(20)));
  ExpectEqual(line.head, Key(19));
  ExpectEqual(line.gap_begin, Key(60));
  line.Advance(Key(40));
  ExpectEqual(line.head, Key(40));
  EXPECT_TRUE(line.has_gap());
  line.Advance(Key(60));
  ExpectEqual(line.head, Key(100));
}

/* Nobody knows where the others are. */
TEST(StoreLine, RowsOfWhichOnlyTheFirstIsKnownLeaveNoGap) {
  StoreLine line = ServedUpTo(100);
  line.Return(From(Key(40)));
  ExpectEqual(line.head, Key(39));
  EXPECT_FALSE(line.has_gap());
  line.Advance(Key(40));
  ExpectEqual(line.head, Key(40));

  line = ServedUpTo(100);
  line.Return(Only(Key(40)));
  line.Return(From(Key(70)));
  ExpectEqual(line.head, Key(39));
  EXPECT_FALSE(line.has_gap());
}

TEST(StoreLine, AWalkMakesAGapBeReadOnceMore) {
  StoreLine line = ServedUpTo(100);
  line.Return(Only(Key(40)));
  line.Seen();
  line.Advance(Key(40));
  ExpectEqual(line.head, Key(40));
}

/* A store that was heard of by its newest row may have thousands before it. */
TEST(StoreLine, WhereNothingIsKnownYetIsNoGap) {
  StoreLine line{};
  line.Begin(Key(500));
  line.Advance(Key(500));
  line.Return(Only(Key(40)));
  EXPECT_FALSE(line.has_gap());
  ExpectEqual(line.head, Key(39));
  line.Advance(Key(600));
  line.Return(Only(Key(40)));
  ASSERT_TRUE(line.has_gap());
  ExpectEqual(line.gap_end, Key(600));
}

/* Whatever waits lies behind the head and not in the gap. */
TEST(StoreLine, NeverPassesOverWhatWaits) {
  for (unsigned seed = 1; seed <= 500; seed++) {
    std::mt19937 random(seed);
    StoreLine line{};
    line.Begin(Key(1, -3));
    std::set<ItemKey> waiting;
    const auto any_key = [&] { return Key(1 + random() % 60, static_cast<std::int16_t>(random() % 3) - 1); };
    for (int step = 0; step < 200; step++) {
      if (random() % 3 == 0) {
        KeyRange range;
        for (unsigned i = 0; i <= random() % 3; i++) {
          const ItemKey key = any_key();
          waiting.insert(key);
          range.Add(Only(key));
        }
        line.Return(random() % 8 == 0 ? From(range.first) : range);
      } else if (!waiting.empty()) {
        const ItemKey next = *waiting.begin();
        waiting.erase(waiting.begin());
        line.Advance(next);
      }
      for (const ItemKey& key : waiting) {
        ASSERT_TRUE(line.head < key) << "seed " << seed;
        ASSERT_FALSE(line.has_gap() && line.gap_begin < key && key <= line.gap_end) << "seed " << seed;
      }
      if (line.has_gap()) {
        ASSERT_TRUE(line.head < line.gap_begin);
      }
    }
  }
}

}  // namespace
}  // namespace product_optimizer
