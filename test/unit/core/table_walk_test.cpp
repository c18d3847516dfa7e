#include "core/table_walk.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace product_optimizer {
namespace {

constexpr std::uint64_t kMs = 1'000'000;
constexpr std::uint64_t kInterval = 30'000 * kMs;

StepResult ToldUpTo(std::string_view store) {
  StepResult result;
  result.last_told = store;
  return result;
}

StepResult TheEnd() {
  StepResult result;
  result.reached_end = true;
  return result;
}

WalkStep Begin(TableWalk& walk, std::uint64_t now_ns = 0, bool own_view = false) {
  WalkStep step;
  walk.BeginStep(now_ns, own_view, step);
  return step;
}

TEST(TableWalk, AStepBeginsWhereTheOneBeforeItCame) {
  TableWalk walk{};
  const WalkStep first = Begin(walk);
  EXPECT_TRUE(first.is_first);
  EXPECT_EQ(first.behind, "");
  walk.EndStep(first, ToldUpTo("m"), 0);
  const WalkStep second = Begin(walk);
  EXPECT_FALSE(second.is_first);
  EXPECT_EQ(second.behind, "m");
  walk.EndStep(second, TheEnd(), 0);
  const WalkStep anew = Begin(walk);
  EXPECT_TRUE(anew.is_first);
  EXPECT_EQ(anew.behind, "");
}

TEST(TableWalk, TheLongestNameHasRoom) {
  TableWalk walk{};
  const std::string longest(kLongestInstanceBytes, 'x');
  walk.EndStep(Begin(walk), ToldUpTo(longest), 0);
  EXPECT_EQ(Begin(walk).behind, longest);
}

TEST(TableWalk, AStepOfAnEarlierWalkNeitherMovesNorEndsALaterOne) {
  TableWalk walk{};
  const WalkStep late = Begin(walk), also_late = Begin(walk);
  walk.EndStep(Begin(walk), TheEnd(), 0);
  const WalkStep first = Begin(walk);
  walk.EndStep(late, ToldUpTo("z"), 0);
  EXPECT_EQ(Begin(walk).behind, "");
  walk.EndStep(also_late, TheEnd(), 0);
  EXPECT_FALSE(Begin(walk).is_first);
  walk.EndStep(first, ToldUpTo("b"), 0);
  EXPECT_EQ(Begin(walk).behind, "b");
}

TEST(TableWalk, NorDoesOneFromBeforeAllWasForgotten) {
  TableWalk walk{};
  const WalkStep late = Begin(walk);
  walk.Forget();
  walk.EndStep(late, TheEnd(), 0);
  EXPECT_EQ(walk.DueNs(kInterval, true, false), 0U);
  Begin(walk);
  walk.EndStep(late, ToldUpTo("z"), 0);
  EXPECT_EQ(Begin(walk).behind, "");
}

TEST(TableWalk, IsDueAtOnceThenEveryIntervalAndSoonAfterAChange) {
  TableWalk walk{};
  EXPECT_EQ(walk.DueNs(kInterval, true, false), 0U);
  const WalkStep step = Begin(walk, 100 * kMs);
  EXPECT_EQ(walk.DueNs(kInterval, true, false), 0U);
  walk.EndStep(step, TheEnd(), 120 * kMs);
  EXPECT_EQ(walk.DueNs(kInterval, true, false), 120 * kMs + kInterval);
  walk.SeeChange();
  EXPECT_EQ(walk.DueNs(kInterval, true, false), 120 * kMs + 9 * 20 * kMs) << "a tenth of the time";
  Begin(walk, 300 * kMs);
  walk.EndStep(Begin(walk, 300 * kMs), TheEnd(), 301 * kMs);
  EXPECT_EQ(walk.DueNs(kInterval, true, false), 301 * kMs + kInterval) << "the walk has seen the change";
}

TEST(TableWalk, AChangeThatWasToldIsLookedAtByWhoHasNothingElseToDo) {
  TableWalk walk{};
  walk.EndStep(Begin(walk), TheEnd(), 20 * kMs);
  EXPECT_EQ(walk.DueNs(kInterval, true, true), 20 * kMs + kInterval);
  walk.SeeToldChange();
  EXPECT_EQ(walk.DueNs(kInterval, true, false), 20 * kMs + kInterval) << "others wait";
  EXPECT_EQ(walk.DueNs(kInterval, true, true), 20 * kMs + 9 * 20 * kMs);
  EXPECT_TRUE(walk.MayWalkWhenIdle(20 * kMs));
  walk.EndStep(Begin(walk, 30 * kMs, true), TheEnd(), 50 * kMs);
  EXPECT_TRUE(walk.changed()) << "it had a view of its own";
  walk.EndStep(Begin(walk, 50 * kMs), TheEnd(), 70 * kMs);
  EXPECT_FALSE(walk.changed());
  EXPECT_EQ(walk.DueNs(kInterval, true, true), 70 * kMs + kInterval);
}

TEST(TableWalk, WhatOneHasSeenAloneIsLookedAtAgain) {
  TableWalk walk{};
  walk.EndStep(Begin(walk, 0, true), TheEnd(), 1 * kMs);
  EXPECT_EQ(walk.DueNs(kInterval, true, false), 1 * kMs + 9 * kMs);

  walk.EndStep(Begin(walk, 10 * kMs), ToldUpTo("m"), 10 * kMs);
  walk.EndStep(Begin(walk, 10 * kMs, true), ToldUpTo("p"), 10 * kMs);
  walk.EndStep(Begin(walk, 10 * kMs), TheEnd(), 11 * kMs);
  EXPECT_EQ(walk.DueNs(kInterval, true, false), 11 * kMs + 9 * kMs)
      << "also when others took the other steps";

  walk.EndStep(Begin(walk, 20 * kMs), TheEnd(), 20 * kMs);
  EXPECT_EQ(walk.DueNs(kInterval, true, false), 20 * kMs + kInterval);
}

TEST(TableWalk, WaitsForRoom) {
  TableWalk walk{};
  StepResult result = ToldUpTo("m");
  result.found_no_room = true;
  walk.EndStep(Begin(walk, 10 * kMs), result, 20 * kMs);
  EXPECT_EQ(walk.DueNs(kInterval, false, false), UINT64_MAX);
  EXPECT_EQ(walk.DueNs(kInterval, true, false), 120 * kMs);
  EXPECT_FALSE(walk.MayWalkWhenIdle(119 * kMs));
  EXPECT_TRUE(walk.MayWalkWhenIdle(120 * kMs));
  const WalkStep next = Begin(walk, 120 * kMs);
  EXPECT_EQ(next.behind, "m");
  walk.EndStep(next, ToldUpTo("p"), 121 * kMs);
  EXPECT_EQ(walk.DueNs(kInterval, false, false), 0U);
}

TEST(TableWalk, WhoHasNothingToDoWalksIfThatIsShortOrTheRestIsOver) {
  TableWalk walk{};
  EXPECT_TRUE(walk.MayWalkWhenIdle(0));
  walk.EndStep(Begin(walk, 0), TheEnd(), 4 * kMs);
  EXPECT_TRUE(walk.MayWalkWhenIdle(4 * kMs)) << "a short one";
  walk.EndStep(Begin(walk, 10 * kMs), TheEnd(), 30 * kMs);
  EXPECT_FALSE(walk.MayWalkWhenIdle(30 * kMs + 9 * 20 * kMs - 1));
  EXPECT_TRUE(walk.MayWalkWhenIdle(30 * kMs + 9 * 20 * kMs));
}

TEST(TableWalk, WhoHasNothingToDoWalksAtOnceWhenSomethingChanged) {
  TableWalk walk{};
  walk.EndStep(Begin(walk, 0), TheEnd(), 20 * kMs);
  EXPECT_FALSE(walk.MayWalkWhenIdle(20 * kMs));
  walk.SeeChange();
  EXPECT_TRUE(walk.MayWalkWhenIdle(20 * kMs));
  walk.EndStep(Begin(walk, 20 * kMs, true), TheEnd(), 40 * kMs);
  EXPECT_TRUE(walk.MayWalkWhenIdle(40 * kMs)) << "this one may not have seen it";
  walk.EndStep(Begin(walk, 40 * kMs), TheEnd(), 60 * kMs);
  EXPECT_FALSE(walk.MayWalkWhenIdle(60 * kMs));
  walk.EndStep(Begin(walk, 60 * kMs, true), TheEnd(), 80 * kMs);
  EXPECT_FALSE(walk.MayWalkWhenIdle(80 * kMs)) << "a view of one's own is no change";
  walk.EndStep(Begin(walk, 100 * kMs), TheEnd(), 200 * kMs);
  walk.SeeChange();
  EXPECT_FALSE(walk.MayWalkWhenIdle(200 * kMs))
      << "it takes long, and there may be a change before each look";
  EXPECT_TRUE(walk.MayWalkWhenIdle(200 * kMs + 9 * 100 * kMs));
}

/*
 * Several processes walk over stores that come and go, each with a stride of its own and at its own pace.  A
 * store that waited when a walk began, and went on waiting, was told of until the walk ended.
 */
void WalkTogether(unsigned seed) {
  std::mt19937 random(seed);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  struct Walker {
    bool walks = false;
    bool has_read = false;
    WalkStep step;
    StepResult result;
    std::string last_told;
    std::vector<std::string> found;
    std::size_t stride = 1;
  };
  std::vector<Walker> walkers(3);
  for (Walker& walker : walkers) walker.stride = static_cast<std::size_t>(1 + below(6));
  std::map<std::string, int> waiting; /* … and when it was told of last */
  std::set<std::string> all_along;
  TableWalk walk{};
  int began_at = 0;
  std::uint64_t walks = 0;
  for (int time = 1; time < 400; time++) {
    if (below(3) == 0) {
      const std::string store(1, static_cast<char>('a' + below(20)));
      if (below(2) == 0) {
        waiting.emplace(store, 0);
      } else {
        waiting.erase(store);
        all_along.erase(store);
      }
    }
    Walker& walker = walkers[static_cast<std::size_t>(below(3))];
    if (!walker.walks) {
      walk.BeginStep(0, false, walker.step);
      walker.walks = true;
      walker.has_read = false;
      if (!walker.step.is_first) continue;
      walks++;
      began_at = time;
      all_along.clear();
      for (const auto& [store, told] : waiting) all_along.insert(store);
    } else if (!walker.has_read) {
      walker.found.clear();
      for (auto i = waiting.upper_bound(walker.step.behind);
           i != waiting.end() && walker.found.size() < walker.stride; ++i)
        walker.found.push_back(i->first);
      walker.has_read = true;
    } else {
      for (const std::string& store : walker.found)
        if (const auto known = waiting.find(store); known != waiting.end()) known->second = time;
      walker.last_told = walker.found.empty() ? "" : walker.found.back();
      walker.result.last_told = walker.last_told;
      walker.result.reached_end = walker.found.size() < walker.stride;
      const bool went = walk.DueNs(kInterval, true, false) == 0;
      walk.EndStep(walker.step, walker.result, 0);
      walker.walks = false;
      if (!went || walk.DueNs(kInterval, true, false) == 0) continue; /* it did not end now */
      for (const std::string& store : all_along)
        ASSERT_GE(waiting[store], began_at) << "seed " << seed << ", walk " << walks << ", store " << store;
    }
  }
  ASSERT_GT(walks, 3U);
}

TEST(TableWalk, FindsWhatWaitsHoweverItsStepsOverlap) {
  for (unsigned seed = 0; seed < 2000; seed++) {
    WalkTogether(seed);
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace product_optimizer
