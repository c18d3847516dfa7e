#include "core/fair_queue.h"

#include <benchmark/benchmark.h>

#include <string>
#include <vector>

namespace product_optimizer {
namespace {

/* A claim of so many items over so many waiting stores: the plan and the reports, which hold the lock. */
void BM_PlanAndReport(benchmark::State& state) {
  const auto stores = static_cast<std::uint32_t>(state.range(0));
  std::vector<std::uint64_t> memory(StorePool::BytesFor(stores) / sizeof(std::uint64_t) + 1);
  StorePool& pool = *reinterpret_cast<StorePool*>(memory.data());
  pool.Start(stores);
  QueueState queue_state{};
  FairQueue queue(pool, queue_state, 0);
  queue.Start();
  for (std::uint32_t i = 0; i < stores; i++)
    queue.Post("a-store-name-of-thirty-six-bytes-" + std::to_string(100 + i), From({1, 0}), kUnknownRows);
  std::int64_t next_id = 1;
  for (auto _ : state) {
    for (const Turn& turn : queue.Plan({1, state.range(1), 20, true, nullptr})) {
      TurnReport report;
      report.given = report.taken = turn.items;
      report.charge = static_cast<double>(turn.items);
      report.last_given = {next_id++, 0};
      queue.Report(turn, report);
    }
  }
  state.SetItemsProcessed(state.iterations() * state.range(1));
}
BENCHMARK(BM_PlanAndReport)
    ->Args({4, 1})
    ->Args({4, 80})
    ->Args({1000, 100})
    ->Args({100000, 1})
    ->Args({100000, 100});

}  // namespace
}  // namespace product_optimizer
