#include "core/take_in_turn.h"
#include "http/clock.h"

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

/*
 * What a take of try_acquire() costs: the lock, the clock, the turns, both dimensions, whether it is granted
 * or refused.  Beside it, a server pays for finding the bucket by its name.
 */
class SharedBucket {
 public:
  explicit SharedBucket(const Limits& limits) : limits_(limits) { StartEmpty(bucket_, limits, Now()); }

  /* As many as there is room for wait too, but had more than those who take. */
  SharedBucket& WithOthers() {
    for (std::uint64_t who = 101; who < 101 + TurnTaking::kMost - 2; who++) {
      NoteTaken(bucket_.turns, who, Now(), 86'400'000'000'000);
      NoteRefused(bucket_.turns, who, Now(), 86'400'000'000'000);
    }
    return *this;
  }

  /* The server counts a window of a minute, in which others have a tenth. */
  SharedBucket& WithServerWindow() {
    constexpr std::int64_t kOfServer = 1'000'000'000'000;
    for (int i = 0; i < 10; i++) {
      const std::uint64_t now = Now();
      const Departure departure = Leave(bucket_, limits_, now, 1, 900);
      const ServerReading reading{kOfServer, kOfServer / 10 * 9, 60'000};
      LearnFromServer(bucket_.requests.server, now, reading, departure.requests);
      LearnFromServer(bucket_.tokens.server, now, reading, departure.tokens);
    }
    return *this;
  }

  Verdict Take(std::uint64_t who) {
    const std::lock_guard<std::mutex> guard(lock_);
    return TakeInTurn({&bucket_, &limits_}, {nullptr, nullptr}, Now(), {who, 1, 900}, Acquire).verdict;
  }

 private:
  static std::uint64_t Now() { return static_cast<std::uint64_t>(MonotonicNs()); }

  std::mutex lock_;
  const Limits limits_;
  Bucket bucket_;
};

void TakeFrom(SharedBucket& bucket, benchmark::State& state) {
  const auto who = static_cast<std::uint64_t>(state.thread_index()) + 1;
  std::int64_t granted = 0;
  for (auto _ : state) granted += bucket.Take(who).gate == Gate::kOpen ? 1 : 0;
  state.counters["granted"] =
      benchmark::Counter(static_cast<double>(granted), benchmark::Counter::kAvgIterations);
}

/* More than anybody takes. */
constexpr Limits kPlenty{10'000'000'000, 10'000'000'000'000, 60};

void BM_TryAcquireGranted(benchmark::State& state) {
  static SharedBucket bucket(kPlenty);
  TakeFrom(bucket, state);
}
BENCHMARK(BM_TryAcquireGranted)->Threads(1)->Threads(2)->UseRealTime();

void BM_TryAcquireGrantedAmongOthers(benchmark::State& state) {
  static SharedBucket& bucket = (new SharedBucket(kPlenty))->WithOthers();
  TakeFrom(bucket, state);
}
BENCHMARK(BM_TryAcquireGrantedAmongOthers)->Threads(1)->Threads(2)->UseRealTime();

void BM_TryAcquireGrantedBesideServerWindow(benchmark::State& state) {
  static SharedBucket& bucket = (new SharedBucket(kPlenty))->WithServerWindow();
  TakeFrom(bucket, state);
}
BENCHMARK(BM_TryAcquireGrantedBesideServerWindow)->Threads(1)->Threads(2)->UseRealTime();

void BM_TryAcquireRefused(benchmark::State& state) {
  static SharedBucket bucket(Limits{450, 450'000, 6});
  TakeFrom(bucket, state);
}
BENCHMARK(BM_TryAcquireRefused)->Threads(1)->Threads(2)->UseRealTime();

/* What one request of the worker costs: reserved in turn, left, and its answer's headers learned from. */
void BM_ReserveLeaveLearn(benchmark::State& state) {
  const Limits limits{450'000, 450'000'000, 6};
  Bucket bucket{};
  std::uint64_t now = 1'000'000'000;
  StartEmpty(bucket, limits, now);
  for (auto _ : state) {
    now += 1'000'000;
    const Verdict verdict =
        TakeInTurn({&bucket, &limits}, {nullptr, nullptr}, now, {1, 1, 900}, Reserve).verdict;
    if (verdict.gate != Gate::kOpen) continue;
    const Departure departure = Leave(bucket, limits, now, 1, 900);
    LearnFromServer(bucket.requests.server, now, {500'000, 499'000, 60'000}, departure.requests);
    LearnFromServer(bucket.tokens.server, now, {500'000'000, 499'000'000, 60'000}, departure.tokens);
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

}  // namespace
}  // namespace product_optimizer
