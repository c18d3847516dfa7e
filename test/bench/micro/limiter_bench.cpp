#include "core/limiter.h"

#include <mutex>

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

/* What one request of the worker costs: reserved, left, and its answer's headers learned from. */
void BM_ReserveLeaveLearn(benchmark::State& state) {
  const Limits limits{450'000, 450'000'000, 6};
  Bucket bucket{};
  std::uint64_t now = 1'000'000'000;
  StartEmpty(bucket, limits, now);
  for (auto _ : state) {
    now += 1'000'000;
    if (Reserve(bucket, limits, now, 1, 900).gate != Gate::kOpen) continue;
    const Departure departure = Leave(bucket, limits, now, 1, 900);
    LearnFromServer(bucket.requests.server, now, {500'000, 499'000, 120}, departure.requests);
    LearnFromServer(bucket.tokens.server, now, {500'000'000, 499'000'000, 120}, departure.tokens);
  }
}
BENCHMARK(BM_ReserveLeaveLearn);

void BM_Settle(benchmark::State& state) {
  const Limits limits{450'000, 450'000'000, 6};
  Bucket bucket{};
  std::uint64_t now = 1'000'000'000;
  StartEmpty(bucket, limits, now);
  for (auto _ : state) {
    now += 1'000'000;
    Acquire(bucket, limits, now, 1, 900);
    SettleTokens(bucket, limits, now, now > 3'000'000'000 ? now - 2'000'000'000 : now, 900, 500);
  }
}
BENCHMARK(BM_Settle);

/* Two processes at the same bucket, which a lock guards. */
void BM_AcquireUnderALock(benchmark::State& state) {
  static std::mutex lock;
  static Bucket bucket{};
  static std::uint64_t now = 1'000'000'000;
  const Limits limits{450'000, 450'000'000, 6};
  for (auto _ : state) {
    const std::lock_guard<std::mutex> guard(lock);
    benchmark::DoNotOptimize(Acquire(bucket, limits, now += 100'000, 1, 900));
  }
}
BENCHMARK(BM_AcquireUnderALock)->Threads(1)->Threads(2);

}  // namespace
}  // namespace product_optimizer
