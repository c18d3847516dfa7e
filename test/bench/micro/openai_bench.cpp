#include "openai/reply.h"
#include "openai/request.h"

#include <benchmark/benchmark.h>

namespace product_optimizer {
namespace {

void BM_BuildRequest(benchmark::State& state) {
  RequestSettings settings;
  settings.model = "gpt-5-mini";
  Item item;
  item.payload = R"({"title": "Blue mug", "description": ")" +
                 std::string(static_cast<std::size_t>(state.range(0)), 'x') + R"("})";
  for (auto _ : state) benchmark::DoNotOptimize(BuildRequest(item, settings));
}
BENCHMARK(BM_BuildRequest)->Arg(200)->Arg(20'000);

void BM_ReadReply(benchmark::State& state) {
  const std::string text(static_cast<std::size_t>(state.range(0)), 'x');
  const std::string body =
      R"({"id":"chatcmpl-1","object":"chat.completion","model":"gpt-5-mini","choices":[{"index":0,"message":)"
      R"({"role":"assistant","content":"{\"title\":\")" +
      text + R"(\"}"},"finish_reason":"stop"}],"usage":{"prompt_tokens":19,"completion_tokens":10}})";
  for (auto _ : state)
    benchmark::DoNotOptimize(ReadReply(Api::kChatCompletions, {200, "x-request-id: req_1\r\n", body, 0}));
}
BENCHMARK(BM_ReadReply)->Arg(200)->Arg(20'000);

}  // namespace
}  // namespace product_optimizer
