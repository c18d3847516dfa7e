#include "core/limiter.h"

#include <benchmark/benchmark.h>

namespace product_optimizer {
namespace {

void BM_TryTake(benchmark::State& state) {
  const Rate rate{450, 60'000'000'000, 45};
  std::uint64_t word = 0;
  std::uint64_t now = 1;
  for (auto _ : state) {
    const Take take = TryTake(word, now += 1'000'000, rate, 1);
    word = take.next;
    benchmark::DoNotOptimize(word);
  }
}
BENCHMARK(BM_TryTake);

void BM_AcquireBothDimensions(benchmark::State& state) {
  const Limits limits{450, 450'000, 6};
  Bucket bucket{};
  std::uint64_t now = 1'000'000'000;
  StartEmpty(bucket, limits, now);
  for (auto _ : state) benchmark::DoNotOptimize(Acquire(bucket, limits, now += 1'000'000, 1, 900));
}
BENCHMARK(BM_AcquireBothDimensions);

}  // namespace
}  // namespace product_optimizer
