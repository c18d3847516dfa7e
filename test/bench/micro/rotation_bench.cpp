#include "core/fair_rotation.h"

#include <benchmark/benchmark.h>

namespace product_optimizer {
namespace {

/* A claim of 100 over so many waiting stores. */
void BM_PlanRounds(benchmark::State& state) {
  WaitingStore store;
  store.cap = 20;
  const std::vector<WaitingStore> waiting(static_cast<std::size_t>(state.range(0)), store);
  for (auto _ : state) {
    std::vector<WaitingStore> stores = waiting;
    benchmark::DoNotOptimize(PlanRounds(stores, 100));
  }
}
BENCHMARK(BM_PlanRounds)->Arg(4)->Arg(10)->Arg(100)->Arg(1000);

}  // namespace
}  // namespace product_optimizer
