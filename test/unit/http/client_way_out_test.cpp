/*
 * client_way_out_test.cpp
 *   Where requests go, and where they must not: addresses that a name must not lead to, redirects, proxies of
 *   the environment.
 */
#include "http/client.h"

#include "fake_resolver.h"
#include "test_server.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace product_optimizer::test {
namespace {

HttpOptions PlainAllowed() {
  HttpOptions options;
  options.allow_plain_http = true;
  return options;
}

void ExpectRefused(const HttpCompletion& done) {
  EXPECT_EQ(done.error_code, "address_refused") << done.error;
  EXPECT_FALSE(done.sent);
  EXPECT_FALSE(done.error.empty());
}

TEST(HttpClientWayOut, NamesOfForbiddenAddresses) {
  HttpClient client(PlainAllowed());
  for (const char* address : {"169.254.169.254", "fe80::1", "fd00:ec2::254", "100.100.100.200", "0.0.0.0", "::",
                              "224.0.0.1", "::ffff:169.254.169.254", "64:ff9b::169.254.169.254"}) {
    FakeResolver::Answer("metadata.invalid", {address});
    /* Another port each time: libcurl remembers names by host and port. */
    static int port = 8000;
    ++port;
    ExpectRefused(Perform(client, Post("https://metadata.invalid:" + std::to_string(port) + "/")));
    ExpectRefused(Perform(client, Post("http://metadata.invalid:" + std::to_string(port) + "/")));
    EXPECT_EQ(client.connections_open(), 0U);
  }
}

/* The server is there and would answer: the name alone makes the difference. */
TEST(HttpClientWayOut, NameOfThisMachine) {
  TestServer server([](Connection& connection) {
    while (!connection.ReadRequest().empty()) connection.Reply("hello");
  });
  const std::string port = std::to_string(server.port());
  FakeResolver::Answer("rebound.invalid", {"169.254.169.254", "127.0.0.1"});
  HttpClient client(PlainAllowed());
  ExpectRefused(Perform(client, Post("http://rebound.invalid:" + port + "/")));
  EXPECT_EQ(server.accepted(), 0);
  EXPECT_EQ(Perform(client, Post(server.Url())).body, "hello");
  EXPECT_EQ(Perform(client, Post("http://localhost:" + port + "/")).body, "hello");
}

/* Nothing need answer there; only the verdict counts. */
TEST(HttpClientWayOut, LiteralIsWhatItSays) {
  HttpClient client(PlainAllowed());
  HttpRequest request = Post("http://169.254.0.1:9/");
  request.connect_timeout_ms = 100;
  EXPECT_NE(Perform(client, request).error_code, "address_refused");
}

TEST(HttpClientWayOut, RedirectIsAnAnswer) {
  TestServer other([](Connection& connection) { connection.Hang(); });
  TestServer server([&other](Connection& connection) {
    while (!connection.ReadRequest().empty())
      connection.Send("HTTP/1.1 307 Temporary Redirect\r\nContent-Length: 0\r\nLocation: " + other.Url() +
                      "\r\n\r\n");
  });
  HttpClient client({});
  EXPECT_EQ(Perform(client, Post(server.Url())).status, 307);
  EXPECT_EQ(other.accepted(), 0);
}

class Environment {
 public:
  Environment(std::vector<std::string> names, const std::string& value) : names_(std::move(names)) {
    for (const std::string& name : names_) setenv(name.c_str(), value.c_str(), 1);
  }
  ~Environment() {
    for (const std::string& name : names_) unsetenv(name.c_str());
  }

 private:
  std::vector<std::string> names_;
};

TEST(HttpClientWayOut, ProxiesOfTheEnvironmentAreIgnored) {
  TestServer proxy([](Connection& connection) { connection.Hang(); });
  const Environment environment(
      {"http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"}, proxy.Url());
  HttpClient client(PlainAllowed());
  EXPECT_EQ(Perform(client, Post("http://no-proxy.invalid/")).error_code, "dns_failed");
  EXPECT_EQ(Perform(client, Post("https://no-proxy.invalid/")).error_code, "dns_failed");
  EXPECT_EQ(proxy.accepted(), 0);
}

}  // namespace
}  // namespace product_optimizer::test
