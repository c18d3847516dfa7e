/*
 * service_test.cpp
 *   What the demo and the tests rely on: deterministic answers that conform, faults on request, and the
 *   control endpoints; all without a socket.
 */
#include "service.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "product_text.h"

namespace mock_openai {
namespace {

using nlohmann::json;

const char kSchema[] =
    R"({"type":"object","properties":{"title":{"type":"string"},"description":{"type":"string"},)"
    R"("seo_title":{"type":"string"},"seo_description":{"type":"string"}},)"
    R"("required":["title","description","seo_title","seo_description"],"additionalProperties":false})";

Options WithoutMeter() {
  Options options;
  options.config.limits.model = MeterModel::kNone;
  return options;
}

json ChatRequest(const std::string& user) {
  return {{"model", "gpt-5-mini"}, {"messages", {{{"role", "user"}, {"content", user}}}}};
}

Plan Post(Service* service, const std::string& path, const json& body) {
  HttpRequest request{"POST", path, "Bearer sk-test", body.dump(), true};
  Plan plan = service->Handle(request, {1'000'000'000, 1'000'000});
  service->Finished(plan, true, {1'000'000'000, 1'000'000});
  return plan;
}

int StatusOf(const Plan& plan) {
  return std::stoi(plan.bytes.substr(9, 3));
}
json BodyOf(const Plan& plan) {
  return json::parse(plan.bytes.substr(plan.bytes.find("\r\n\r\n") + 4));
}

TEST(Service, ImprovesAProductBySchema) {
  Service service(WithoutMeter(), {0, 0});
  json request = ChatRequest(R"({"title":"MENS COTTON SHIRT!!","description":"nice"})");
  request["response_format"] = {
      {"type", "json_schema"},
      {"json_schema", {{"name", "p"}, {"strict", true}, {"schema", json::parse(kSchema)}}}};
  const json body = BodyOf(Post(&service, "/v1/chat/completions", request));
  const json answer = json::parse(body["choices"][0]["message"]["content"].get<std::string>());
  EXPECT_EQ(answer.size(), 4u);
  EXPECT_EQ(answer["title"], "Mens Cotton Shirt – Soft All-Day Comfort");
  EXPECT_NE(answer["description"].get<std::string>().find("MENS COTTON SHIRT!!"), std::string::npos);
  EXPECT_LE(answer["seo_title"].get<std::string>().size(), 60u);
  EXPECT_LE(answer["seo_description"].get<std::string>().size(), 155u);
}

TEST(Service, PlainAnswersEchoTheInputAtBothEndpoints) {
  Service service(WithoutMeter(), {0, 0});
  const json chat = BodyOf(Post(&service, "/v1/chat/completions", ChatRequest("row 42")));
  EXPECT_EQ(chat["choices"][0]["message"]["content"], "Answer to: row 42");
  const json responses =
      BodyOf(Post(&service, "/v1/responses", {{"model", "gpt-5-mini"}, {"input", "row 43"}}));
  EXPECT_EQ(responses["output"][1]["content"][0]["text"], "Answer to: row 43");
}

TEST(Service, AFaultWithACountHealsForThatTextOnly) {
  Service service(WithoutMeter(), {0, 0});
  const json one = ChatRequest(R"({"mock": "http_500*2", "i": 1})");
  const json two = ChatRequest(R"({"mock":"http_500*2","i":2})");
  EXPECT_EQ(StatusOf(Post(&service, "/v1/chat/completions", one)), 500);
  EXPECT_EQ(StatusOf(Post(&service, "/v1/chat/completions", two)), 500);
  EXPECT_EQ(StatusOf(Post(&service, "/v1/chat/completions", one)), 500);
  EXPECT_EQ(StatusOf(Post(&service, "/v1/chat/completions", one)), 200);
  EXPECT_EQ(StatusOf(Post(&service, "/v1/chat/completions", two)), 500);
}

TEST(Service, EveryFaultMakesAPlanAtBothEndpoints) {
  Service service(WithoutMeter(), {0, 0});
  std::string names = AllFaultNames() + ", ";
  while (!names.empty()) {
    const std::string name = names.substr(0, names.find(", "));
    names.erase(0, name.size() + 2);
    EXPECT_EQ(FaultName(*FaultFromName(name)), name);
    const std::string user = R"({"mock":")" + name + "\"}";
    const Plan chat = Post(&service, "/v1/chat/completions", ChatRequest(user));
    const Plan responses = Post(&service, "/v1/responses", {{"model", "gpt-5-mini"}, {"input", user}});
    EXPECT_EQ(chat.bytes.empty(), name == "drop") << name;
    EXPECT_EQ(responses.bytes.empty(), name == "drop") << name;
  }
}

TEST(Service, ControlEndpointsChangeAndReport) {
  Service service(Options{}, {0, 0});
  EXPECT_EQ(StatusOf(Post(&service, "/mock/config", {{"rpm", 2}, {"period", 1}})), 200);
  EXPECT_EQ(StatusOf(Post(&service, "/mock/config", {{"rpm", 9}, {"nonsense", 1}})), 400);
  EXPECT_EQ(StatusOf(Post(&service, "/v1/chat/completions", ChatRequest("a"))), 200);
  EXPECT_EQ(StatusOf(Post(&service, "/v1/chat/completions", ChatRequest("b"))), 200);
  EXPECT_EQ(StatusOf(Post(&service, "/v1/chat/completions", ChatRequest("c"))), 429);
  const json audit = BodyOf(Post(&service, "/mock/audit", {{"rpm", 2}, {"burst_seconds", 1}, {"period", 1}}));
  EXPECT_EQ(audit["ok"], false);
  EXPECT_EQ(audit["max_excess_requests"], 3.0);
  EXPECT_EQ(audit["admitted"], 2);
  EXPECT_EQ(StatusOf(Post(&service, "/mock/reset", json::object())), 200);
  EXPECT_EQ(StatusOf(Post(&service, "/v1/chat/completions", ChatRequest("d"))), 200);
}

TEST(Service, DeepRequestsAreRefusedNotFollowed) {
  Service service(WithoutMeter(), {0, 0});
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  HttpRequest request{"POST", "/v1/chat/completions", "Bearer k",
                      R"({"model":"gpt-5-mini","x":)" + deep + "}", true};
  EXPECT_EQ(StatusOf(service.Handle(request, {1, 1})), 400);
  const Plan plan = Post(&service, "/v1/chat/completions", ChatRequest(R"({"echo_id":)" + deep + "}"));
  EXPECT_EQ(StatusOf(plan), 200);
}

TEST(ProductText, CutsBetweenWordsAndNeverInsideACharacter) {
  EXPECT_EQ(CutToLength("short", 60), "short");
  EXPECT_EQ(CutToLength("one two three", 8), "one two");
  EXPECT_EQ(CutToLength("ääääääää", 3), "äää");
}

}  // namespace
}  // namespace mock_openai
