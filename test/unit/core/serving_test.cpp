#include "core/serving.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace product_optimizer {
namespace {

/* A claim's parts: which store, where it stands, and the costs of the rows that it gave. */
class Claimed {
 public:
  Service& Add(const std::string& store, LinePlace place, const std::vector<double>& costs,
               float weight = 1) {
    Turn& turn = turns_.emplace_back();
    turn.name = store;
    turn.place = place;
    turn.policy.weight = weight;
    Service& service = services.emplace_back(turn);
    for (const double cost : costs) {
      Candidate& row = rows_.emplace_back();
      row.item.id = static_cast<std::int64_t>(rows_.size());
      row.item.instance_id = store;
      row.cost = cost;
      service.rows.push_back(&row);
    }
    return service;
  }

  /* The stores of the chosen rows, a letter each, in the order of service. */
  std::string Serve(const Chooser& chooser = nullptr, bool strict = false) {
    chosen.clear();
    left = product_optimizer::Serve(services, strict, chooser, chosen);
    std::string order;
    for (const Candidate* row : chosen) order += row->item.instance_id;
    return order;
  }

  std::deque<Service> services;
  std::vector<Candidate*> chosen;
  std::int64_t left = 0;

 private:
  std::deque<Turn> turns_;
  std::deque<Candidate> rows_;
};

TEST(Serving, StoresTakeTurns) {
  Claimed claim;
  claim.Add("b", {1, 2}, {1, 1, 1});
  claim.Add("a", {1, 1}, {1, 1});
  claim.Add("c", {2.5, 3}, {1});
  EXPECT_EQ(claim.Serve(), "ababcb");
}

TEST(Serving, ARowMovesItsStoreOnByItsCostOverTheWeight) {
  Claimed claim;
  claim.Add("a", {0, 1}, {3, 1, 1});
  claim.Add("b", {0, 2}, {1, 1, 1, 1});
  claim.Add("c", {0, 3}, {2, 2, 2, 2}, 2);
  EXPECT_EQ(claim.Serve(), "abcbcbcabca");
  EXPECT_EQ(claim.services[0].report.last_start, 4);
  EXPECT_EQ(claim.chosen.front()->place.turn, 0);
  EXPECT_EQ(claim.chosen.back()->place.turn, 4);
}

/* A claim plans a store again when the others had less to give; its second part stood where the plan put it.
 */
TEST(Serving, TheSecondPartOfAStoreComesBehindItsFirst) {
  Claimed claim;
  claim.Add("a", {0, 1}, {10, 10});
  claim.Add("b", {0, 2}, {1});
  claim.Add("a", {2, 3}, {1, 1});
  claim.Add("c", {5, 4}, {1});
  EXPECT_EQ(claim.Serve(), "abcaaa");
  for (std::size_t i = 1; i < claim.chosen.size(); i++)
    if (claim.chosen[i]->item.instance_id == "a" && claim.chosen[i - 1]->item.instance_id == "a") {
      EXPECT_LT(claim.chosen[i - 1]->item.id, claim.chosen[i]->item.id);
    }
}

TEST(Serving, ASkippedStoreGivesNothingMoreAndRestsWithAllItsParts) {
  Claimed claim;
  claim.Add("a", {0, 1}, {1, 1});
  claim.Add("b", {0, 2}, {1, 1});
  claim.Add("a", {2, 3}, {1});
  claim.Add("a", {3, 4}, {});
  const auto skip_first = [](Candidate& row) {
    if (row.item.id != 1) return Choice::kTake;
    row.park_until_ns = 77;
    return Choice::kSkip;
  };
  EXPECT_EQ(claim.Serve(skip_first), "bb");
  EXPECT_EQ(claim.left, 0);
  EXPECT_EQ(claim.services[0].report.park_until_ns, 77U);
  EXPECT_EQ(claim.services[1].report.park_until_ns, 0U);
  EXPECT_EQ(claim.services[2].report.park_until_ns, 77U);
  EXPECT_EQ(claim.services[3].report.park_until_ns, 77U);
}

TEST(Serving, ARowThatIsLeftCostsItsStoreNoTurn) {
  Claimed claim;
  claim.Add("a", {0, 1}, {1, 1});
  claim.Add("b", {0.5, 2}, {1});
  const auto leave_first = [](Candidate& row) { return row.item.id == 1 ? Choice::kLeave : Choice::kTake; };
  EXPECT_EQ(claim.Serve(leave_first), "ab");
  EXPECT_EQ(claim.left, 1);
  EXPECT_EQ(claim.chosen.front()->place.turn, 0);
}

TEST(Serving, NobodyOvertakesAStoreThatMayHaveMoreThanIsLocked) {
  for (const bool strict : {false, true}) {
    Claimed claim;
    claim.Add("a", {0, 1}, {1, 1}).may_have_more = true;
    claim.Add("b", {0, 2}, {1, 1, 1});
    EXPECT_EQ(claim.Serve(nullptr, strict), strict ? "abab" : "ababb");
  }
}

/* What is chosen has places that never fall, is in order within each store, and is all there is. */
TEST(Serving, AnyClaimIsServedInOrder) {
  std::mt19937_64 random(4711);
  for (int round = 0; round < 2000; round++) {
    Claimed claim;
    std::size_t rows = 0;
    const std::size_t parts = 1 + random() % 12;
    std::map<std::string, float> weights;
    for (std::size_t i = 0; i < parts; i++) {
      const std::string store(1, static_cast<char>('a' + random() % 6));
      const float weight = weights.emplace(store, 0.5F * static_cast<float>(1 + random() % 4)).first->second;
      std::vector<double> costs(1 + random() % 4);
      for (double& cost : costs) cost = static_cast<double>(1 + random() % 100);
      rows += costs.size();
      claim.Add(store, {static_cast<double>(random() % 10), random() % 50}, costs, weight);
    }
    claim.Serve();
    ASSERT_EQ(claim.chosen.size(), rows);
    std::map<std::string, std::int64_t> last;
    for (std::size_t i = 0; i < rows; i++) {
      const Candidate& row = *claim.chosen[i];
      if (i > 0) {
        ASSERT_FALSE(row.place < claim.chosen[i - 1]->place) << "round " << round;
      }
      std::int64_t& before = last[row.item.instance_id];
      ASSERT_LT(before, row.item.id) << "round " << round;
      before = row.item.id;
    }
  }
}

}  // namespace
}  // namespace product_optimizer
