#include <gtest/gtest.h>

#include <cstdlib>
#include <new>
#include <string>
#include <unordered_map>

#include "shop.h"

namespace {

/* So many allocations succeed, and then one fails; -1: all succeed. */
int allocations_left = -1;

}  // namespace

/* Not inlined, or the compiler sees malloc() paired with delete where only one of the two was. */
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (allocations_left >= 0 && allocations_left-- == 0) throw std::bad_alloc();
  if (void* const memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace product_optimizer {
namespace {

TEST(FairQueue, APlanThatRunsOutOfMemoryLeavesEverybodyInLine) {
  Shop shop;
  const std::string prefix(100, 'x'); /* no name fits into a std::string itself */
  std::unordered_map<std::string, std::int64_t> given;
  for (int i = 0; i < 20; i++) {
    shop.Insert(prefix + Name(i), 1);
    if (i % 2 == 0) given[prefix + Name(i)] = i % 4 == 0 ? 1 : kNothingMore;
  }
  int failures = 0;
  for (bool failed = true; failed;) {
    allocations_left = failures;
    try {
      shop.queue.Plan({1, 10, 20, false, &given});
      failed = false;
    } catch (const std::bad_alloc&) {
      failures++;
    }
    allocations_left = -1;
    ASSERT_EQ(shop.queue.waiting(), 20u) << failures;
  }
  EXPECT_GT(failures, 10);
  EXPECT_EQ(shop.ClaimNow(100).size(), 20u);
}

}  // namespace
}  // namespace product_optimizer
