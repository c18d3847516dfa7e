/*
 * client_way_out_test.cpp
 *   Where requests go, and where they must not: addresses that a name must not lead to, redirects, proxies,
 *   and whose certificates are trusted.
 */
#include "http/client.h"

#include "fake_resolver.h"
#include "openssl_server.h"
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
  for (const char* address : {"169.254.169.254", "fe80::1", "fd00:ec2::254", "100.100.100.200", "0.0.0.0",
                              "::", "224.0.0.1", "::ffff:169.254.169.254", "64:ff9b::169.254.169.254"}) {
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

/* A proxy that answers every CONNECT with that status and remembers what it was asked. */
class RefusingProxy {
 public:
  explicit RefusingProxy(const std::string& status)
      : server_([this, status](Connection& connection) {
          for (;;) {
            std::string request = connection.ReadRequest();
            if (request.empty()) return;
            const std::lock_guard<std::mutex> guard(lock_);
            asked_ += request;
            connection.Send("HTTP/1.1 " + status + "\r\nContent-Length: 0\r\n\r\n");
          }
        }) {}
  std::string asked() {
    const std::lock_guard<std::mutex> guard(lock_);
    return asked_;
  }
  TestServer& server() { return server_; }

 private:
  std::mutex lock_;
  std::string asked_;
  TestServer server_; /* last: its threads use the others */
};

HttpOptions Through(const std::string& proxy) {
  HttpOptions options = PlainAllowed();
  options.proxy = proxy;
  return options;
}

TEST(HttpClientProxy, IsAskedForTheHostAndNotGivenTheKey) {
  RefusingProxy proxy("407 Proxy Authentication Required");
  HttpClient client(Through("http://me:proxy-pw@127.0.0.1:" + std::to_string(proxy.server().port())));
  HttpRequest request = Post("https://api.invalid/v1");
  request.headers.push_back("Authorization: Bearer sk-key");
  const HttpCompletion done = Perform(client, request);
  EXPECT_EQ(done.error_code, "proxy_refused") << done.error;
  EXPECT_FALSE(done.sent);
  EXPECT_NE(done.error.find("407"), std::string::npos);
  EXPECT_EQ(done.error.find("proxy-pw"), std::string::npos);
  const std::string asked = proxy.asked();
  EXPECT_EQ(asked.rfind("CONNECT api.invalid:443 ", 0), 0U) << asked;
  EXPECT_NE(asked.find("Proxy-Authorization: Basic bWU6cHJveHktcHc="), std::string::npos) << asked;
  EXPECT_EQ(asked.find("sk-key"), std::string::npos) << asked;
}

TEST(HttpClientProxy, ItsTroubleMayPass) {
  RefusingProxy proxy("502 Bad Gateway");
  HttpClient client(Through(proxy.server().Url("")));
  const HttpCompletion done = Perform(client, Post("https://api.invalid/v1"));
  EXPECT_EQ(done.error_code, "connect_failed");
  EXPECT_NE(done.error.find("502"), std::string::npos) << done.error;
}

/* Plain http to this machine must not become plain http to somebody else. */
TEST(HttpClientProxy, NotForThisMachine) {
  RefusingProxy proxy("407 Proxy Authentication Required");
  TestServer server([](Connection& connection) {
    while (!connection.ReadRequest().empty()) connection.Reply("hello");
  });
  HttpClient client(Through(proxy.server().Url("")));
  EXPECT_EQ(Perform(client, Post(server.Url())).body, "hello");
  EXPECT_EQ(proxy.server().accepted(), 0);
  client.SetOptions(PlainAllowed()); /* and no longer a proxy for the others */
  EXPECT_EQ(Perform(client, Post("https://api.invalid/v1")).error_code, "dns_failed");
  EXPECT_EQ(proxy.server().accepted(), 0);
}

TEST(HttpClientProxy, EnvironmentDoesNotLeadPastIt) {
  RefusingProxy proxy("502 Bad Gateway");
  const Environment environment({"no_proxy", "NO_PROXY"}, "*");
  HttpClient client(Through(proxy.server().Url("")));
  EXPECT_EQ(Perform(client, Post("https://api.invalid/v1")).error_code, "connect_failed");
  EXPECT_EQ(proxy.server().accepted(), 1);
}

TEST(HttpClientProxy, ItsOwnAddressIsJudged) {
  FakeResolver::Answer("proxy.invalid", {"169.254.169.254"});
  HttpClient client(Through("http://proxy.invalid:3128"));
  const HttpCompletion done = Perform(client, Post("https://api.invalid/v1"));
  ExpectRefused(done);
  EXPECT_NE(done.error.find("proxy"), std::string::npos) << done.error;
  client.SetOptions(Through("http://no-proxy.invalid:3128"));
  EXPECT_EQ(Perform(client, Post("https://api.invalid/v1")).error_code, "dns_failed");
}

TEST(HttpClientProxy, BadUrl) {
  HttpClient client({});
  for (const char* proxy : {"socks5://127.0.0.1:1", "http://", "127.0.0.1:3128",
                            "http://user:secret@127.0.0.1/x", "http://127.0.0.1/?secret"}) {
    client.SetOptions(Through(proxy));
    const HttpCompletion done = Perform(client, Post("https://api.invalid/v1"));
    EXPECT_EQ(done.error_code, "bad_url") << proxy;
    EXPECT_EQ(done.error.find("secret"), std::string::npos);
  }
}

TEST(HttpClientCertificates, OwnOnesInsteadOfTheSystems) {
  OpensslServer server, stranger;
  if (server.port() == 0 || stranger.port() == 0) GTEST_SKIP() << "no openssl program";
  HttpRequest request;
  request.get = true;
  request.url = server.Url("localhost");
  HttpOptions options;
  options.ca_pem = server.pem();
  HttpClient client(options);
  const HttpCompletion done = Perform(client, request);
  EXPECT_EQ(done.status, 200) << done.error;
  /* Right certificate, other name. */
  request.url = server.Url("127.0.0.1");
  EXPECT_EQ(Perform(client, request).error_code, "certificate_refused");
  request.url = stranger.Url("localhost");
  EXPECT_EQ(Perform(client, request).error_code, "certificate_refused");
  /* The same handle, with other certificates or none: nothing is left of the first. */
  request.url = server.Url("localhost");
  options.ca_pem = stranger.pem();
  client.SetOptions(options);
  EXPECT_EQ(Perform(client, request).error_code, "certificate_refused");
  client.SetOptions({});
  EXPECT_EQ(Perform(client, request).error_code, "certificate_refused");
  options.ca_pem = "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n";
  client.SetOptions(options);
  EXPECT_EQ(Perform(client, request).error_code, "certificate_refused");
  options.ca_pem = server.pem();
  client.SetOptions(options);
  EXPECT_EQ(Perform(client, request).status, 200);
}

}  // namespace
}  // namespace product_optimizer::test
