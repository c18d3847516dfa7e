#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <string>

#include "shop.h"

namespace product_optimizer {
namespace {

/* Rows that are committed late, out of the order of their ids, or wait again, while claims are under way. */
void ExpectNoRowHidden(unsigned seeds, bool tells_of_all) {
  for (unsigned seed = 1; seed <= seeds; seed++) {
    std::mt19937 random(seed);
    bool tells = tells_of_all;
    Shop shop;
    std::vector<std::pair<std::string, std::vector<ItemKey>>> uncommitted;
    std::vector<Shop::Claim> claims;
    std::int64_t next_id = 1;
    std::size_t inserted = 0, claimed = 0;
    const auto finish = [&](std::size_t i) {
      if (random() % 5 == 0) {
        shop.Abort(claims[i]);
      } else {
        for (const auto& [name, items] : shop.Finish(claims[i])) claimed += static_cast<std::size_t>(items);
        /* Some fail, and are tried again. */
        for (std::size_t part = 0; part < claims[i].turns.size(); part++)
          for (const ItemKey& key : claims[i].rows[part])
            if (random() % 6 == 0)
              uncommitted.emplace_back(claims[i].turns[part].name, std::vector<ItemKey>{key});
      }
      claims.erase(claims.begin() + static_cast<std::ptrdiff_t>(i));
    };
    const auto commit = [&](std::size_t i) {
      const auto [name, keys] = uncommitted[i];
      shop.waiting[name].insert(keys.begin(), keys.end());
      inserted += keys.size();
      KeyRange range;
      for (const ItemKey& key : keys) range.Add(Only(key));
      if (tells || random() % 10 != 0)
        shop.queue.Post(name, random() % 20 == 0 ? From(range.first) : range,
                        static_cast<std::uint32_t>(keys.size()));
      uncommitted.erase(uncommitted.begin() + static_cast<std::ptrdiff_t>(i));
    };
    const auto walk = [&] {
      for (const auto& [name, keys] : shop.waiting)
        if (!keys.empty()) shop.queue.Found(name, *keys.begin());
    };
    for (int step = 0; step < 300; step++) {
      if (!tells && random() % 20 == 0) walk();
      switch (random() % 4) {
        case 0: {
          std::vector<ItemKey> keys;
          for (unsigned i = 0; i <= random() % 4; i++)
            keys.push_back({next_id++, static_cast<std::int16_t>(random() % 10 == 0 ? -1 : 0)});
          uncommitted.emplace_back(Name(static_cast<int>(random() % 3)), keys);
          break;
        }
        case 1:
          if (!uncommitted.empty()) commit(random() % uncommitted.size());
          break;
        case 2:
          if (claims.size() < 4) claims.push_back(shop.Begin(1 + random() % 6, 1 + random() % 4));
          break;
        case 3:
          if (!claims.empty()) finish(random() % claims.size());
          break;
      }
    }
    while (!uncommitted.empty()) commit(0);
    if (!tells) walk();
    tells = true;
    while (!claims.empty()) finish(0);
    while (!uncommitted.empty()) commit(0);
    for (int i = 0; i < 2000 && shop.queue.waiting() > 0; i++)
      for (const auto& [name, items] : shop.ClaimNow(50)) claimed += static_cast<std::size_t>(items);
    ASSERT_EQ(shop.Rows(), 0u) << "hidden from the queue, seed " << seed;
    ASSERT_EQ(claimed, inserted);
  }
}

TEST(FairQueue, NoInterleavingHidesARow) {
  ExpectNoRowHidden(1000, true);
}

/* One walk finds what nobody told of, also while claims are under way. */
TEST(FairQueue, NoInterleavingHidesARowFromAWalk) {
  ExpectNoRowHidden(1000, false);
}

/* Shares in proportion to weights, the bound of start-time fair queueing, and no permit unused. */
TEST(FairQueue, SharesOfRandomStoresStayWithinAnItem) {
  for (unsigned seed = 1; seed <= 200; seed++) {
    std::mt19937 random(seed);
    Shop shop;
    const int stores = 2 + static_cast<int>(random() % 30);
    for (int i = 0; i < stores; i++) {
      const double weights[] = {0.5, 1, 1, 1, 2, 3};
      shop.policies[Name(i)] = {weights[random() % 6], random() % 4 == 0 ? 1.0 + random() % 10 : 1.0, false};
      shop.Insert(Name(i), 3000);
    }
    std::map<std::string, double> service, turned;
    /* The weights and costs are learned on the first visit. */
    for (int i = 0; i < 3 * stores; i++) shop.ClaimNow(1);
    std::int64_t given = 0, asked = 0;
    while (given < 2000) {
      const std::int64_t items = 1 + static_cast<std::int64_t>(random() % 3);
      asked += items;
      for (const auto& [name, count] : shop.ClaimNow(items, 20, true)) {
        given += count;
        service[name] += count * shop.PolicyOf(name).cost / shop.PolicyOf(name).weight;
      }
    }
    ASSERT_EQ(given, asked) << "while all wait, everything that is asked for is given";
    for (int a = 0; a < stores; a++) {
      for (int b = 0; b < stores; b++) {
        const Shop::Policy x = shop.PolicyOf(Name(a)), y = shop.PolicyOf(Name(b));
        ASSERT_LE(std::abs(service[Name(a)] - service[Name(b)]), x.cost / x.weight + y.cost / y.weight + 1e-6)
            << "seed " << seed;
      }
    }
  }
}

}  // namespace
}  // namespace product_optimizer
