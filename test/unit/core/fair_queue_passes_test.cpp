#include <gtest/gtest.h>

#include <string>

#include "busy_table.h"

namespace product_optimizer {
namespace {

void ExpectNoRowHidden(const Life& life) {
  for (unsigned seed = 1; seed <= 1500 && !::testing::Test::HasFailure(); seed++) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    BusyTable table(seed, life);
    table.LiveOn();
    table.ComeToRest();
    EXPECT_EQ(table.waiting(), 0u) << "hidden from the queue";
    EXPECT_EQ(table.claimed(), table.inserted());
    EXPECT_EQ(table.turns_under_way(), 0u);
  }
}

TEST(FairQueuePasses, NoRowIsHiddenThatTheQueueWasToldOf) {
  ExpectNoRowHidden({});
}

/* As after a start: a row that is told of brings with it what waits behind it, without a walk. */
TEST(FairQueuePasses, NoRowIsHiddenThatWaitedBeforeTheQueueBegan) {
  Life life;
  life.rows_before = 30;
  ExpectNoRowHidden(life);
}

TEST(FairQueuePasses, NoRowIsHiddenFromAWalk) {
  Life life;
  life.walks = life.leaves_untold = true;
  ExpectNoRowHidden(life);
}

/* Where stores find no room, or make room when they were served, walks bring them back. */
TEST(FairQueuePasses, NoRowIsHiddenInASmallPool) {
  Life life;
  life.stores = 8;
  life.capacity = 5;
  life.walks = life.leaves_untold = true;
  ExpectNoRowHidden(life);
}

TEST(FairQueuePasses, NoRowIsHiddenByWhatWasPlannedBeforeATruncate) {
  Life life;
  life.truncates = true;
  ExpectNoRowHidden(life);
}

}  // namespace
}  // namespace product_optimizer
