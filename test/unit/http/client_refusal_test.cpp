/*
 * client_refusal_test.cpp
 *   Requests that never leave: refused URLs and headers, hosts that cannot be found or reached, TLS that
 *   cannot be trusted; and what becomes of signals and of a client that is destroyed meanwhile.
 */
#include "http/client.h"

#include "http/signal_block.h"
#include "fake_resolver.h"
#include "openssl_server.h"
#include "test_server.h"

#include <gtest/gtest.h>

#include <dirent.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <memory>

namespace product_optimizer::test {
namespace {

void ExpectUnsent(const HttpCompletion& done, const std::string& error_code) {
  EXPECT_EQ(done.error_code, error_code) << done.error;
  EXPECT_FALSE(done.sent);
  EXPECT_EQ(done.status, 0);
  EXPECT_FALSE(done.error.empty());
}

TEST(HttpClientRefusal, ComesFromDriveAndAtOnce) {
  HttpClient client({});
  client.Start(5, Post("http://example.invalid/v1"));
  EXPECT_EQ(client.in_flight(), 0U);
  EXPECT_EQ(client.TimeoutMs(), std::optional<std::int64_t>(0));
  const std::vector<HttpCompletion> done = client.Drive();
  ASSERT_EQ(done.size(), 1U);
  EXPECT_EQ(done.front().id, 5U);
  ExpectUnsent(done.front(), "plain_http_refused");
  EXPECT_TRUE(client.Drive().empty());
  EXPECT_FALSE(client.TimeoutMs().has_value());
  EXPECT_EQ(client.connections_open(), 0U);
}

TEST(HttpClientRefusal, UserInfoAndNonsense) {
  TestServer server([](Connection& connection) { connection.Hang(); });
  HttpClient client({});
  ExpectUnsent(Perform(client, Post("http://user:pw@127.0.0.1:" + std::to_string(server.port()))), "bad_url");
  ExpectUnsent(Perform(client, Post("nonsense")), "bad_url");
  ExpectUnsent(Perform(client, Post("")), "bad_url");
  EXPECT_EQ(server.accepted(), 0);
}

TEST(HttpClientRefusal, SplitHeader) {
  TestServer server([](Connection& connection) { connection.Hang(); });
  HttpClient client({});
  HttpRequest request = Post(server.Url());
  request.headers.push_back("Authorization: Bearer key\n");
  const HttpCompletion done = Perform(client, request);
  ExpectUnsent(done, "http_failed");
  EXPECT_EQ(done.error.find("key"), std::string::npos);
  EXPECT_EQ(server.accepted(), 0);
}

TEST(HttpClientRefusal, PlainHttpWhenAllowedIsTried) {
  HttpOptions options;
  options.allow_plain_http = true;
  HttpClient client(options);
  ExpectUnsent(Perform(client, Post("http://no-such-host.invalid/")), "dns_failed");
  client.SetOptions({});
  ExpectUnsent(Perform(client, Post("http://no-such-host.invalid/")), "plain_http_refused");
}

TEST(HttpClientRefusal, NobodyListens) {
  int port = 0;
  const int listener = Listen(1, &port);
  close(listener);
  HttpClient client({});
  ExpectUnsent(Perform(client, Post("http://127.0.0.1:" + std::to_string(port))), "connect_failed");
  EXPECT_EQ(client.connections_open(), 0U);
}

/* A listener whose queue is full drops further attempts: connecting to it hangs. */
class FullBacklog {
 public:
  FullBacklog() : listener_(Listen(0, &port_)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port_));
    for (int& fd : fillers_) {
      fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      [[maybe_unused]] const int result = connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
    }
  }
  ~FullBacklog() {
    for (const int fd : fillers_) close(fd);
    close(listener_);
  }
  int port() const { return port_; }

 private:
  int port_ = 0;
  int listener_;
  int fillers_[8];
};

TEST(HttpClientRefusal, ConnectTimesOut) {
  FullBacklog full;
  HttpClient client({});
  HttpRequest request = Post("http://127.0.0.1:" + std::to_string(full.port()));
  request.connect_timeout_ms = 200;
  const HttpCompletion done = Perform(client, request);
  ExpectUnsent(done, "timeout");
  EXPECT_NE(done.error.find("connect timeout"), std::string::npos);
  EXPECT_EQ(client.connections_open(), 0U);
}

TEST(HttpClientRefusal, NotTls) {
  TestServer server([](Connection& connection) {
    connection.Send("HTTP/1.1 400 Bad Request\r\n\r\n");
    connection.Hang();
  });
  HttpClient client({});
  ExpectUnsent(Perform(client, Post("https://127.0.0.1:" + std::to_string(server.port()))), "tls_failed");
}

/* Everybody else's deadline holds for those that share the connection being made, too. */
TEST(HttpClientRefusal, SharersOfAHangingConnectionEnd) {
  TestServer server([](Connection& connection) { connection.Hang(); });
  HttpClient client({});
  HttpRequest request = Post("https://127.0.0.1:" + std::to_string(server.port()));
  request.timeout_ms = 300;
  for (std::uint64_t i = 0; i < 20; ++i) client.Start(i, request);
  const std::vector<HttpCompletion> all = DriveUntil(client, 20);
  ASSERT_EQ(all.size(), 20U);
  for (const HttpCompletion& done : all) ExpectUnsent(done, "timeout");
  EXPECT_LE(server.accepted(), 2);
}

TEST(HttpClientRefusal, UntrustedCertificate) {
  OpensslServer server;
  if (server.port() == 0) GTEST_SKIP() << "no openssl program";
  HttpClient client({});
  ExpectUnsent(Perform(client, Post(server.Url("localhost"))), "certificate_refused");
}

/* Ids of the threads, and of those with an open signal other than the two that cannot be blocked here. */
std::pair<int, int> ThreadsAndOpenOnes() {
  int threads = 0, open = 0;
  std::unique_ptr<DIR, int (*)(DIR*)> tasks(opendir("/proc/self/task"), closedir);
  while (const dirent* entry = readdir(tasks.get())) {
    if (entry->d_name[0] == '.' || std::atoi(entry->d_name) == getpid()) continue;
    std::ifstream file(std::string("/proc/self/task/") + entry->d_name + "/status");
    for (std::string line; std::getline(file, line);) {
      if (line.rfind("SigBlk:", 0) != 0) continue;
      ++threads;
      const unsigned long long mask = std::strtoull(line.c_str() + 7, nullptr, 16);
      bool all = true;
      for (int number = 1; number <= 31; ++number)
        if (number != SIGKILL && number != SIGSTOP && ((mask >> (number - 1)) & 1U) == 0) all = false;
      if (!all) ++open;
    }
  }
  return {threads, open};
}

/* Drives until that many look-ups hang, each in a thread of libcurl's. */
void DriveUntilHanging(HttpClient& client, int count) {
  const auto end = Clock::now() + kPatience;
  while (FakeResolver::Hanging() < count && Clock::now() < end) {
    pollfd wait{client.Descriptor(), POLLIN, 0};
    poll(&wait, 1, 1);
    client.Drive();
  }
  ASSERT_EQ(FakeResolver::Hanging(), count);
}

TEST(HttpClientSignals, ResolverThreadsTakeNone) {
  sigset_t before, after;
  pthread_sigmask(SIG_SETMASK, nullptr, &before);
  HttpClient client({});
  for (std::uint64_t i = 0; i < 10; ++i)
    client.Start(i, Post("https://hang" + std::to_string(i) + ".invalid/"));
  DriveUntilHanging(client, 10);
  const auto [threads, open] = ThreadsAndOpenOnes();
  EXPECT_EQ(threads, 10);
  EXPECT_EQ(open, 0);
  EXPECT_EQ(client.waiting(), 10U);
  EXPECT_EQ(client.connections_open(), 0U);
  FakeResolver::LetGo();
  const std::vector<HttpCompletion> all = DriveUntil(client, 10);
  EXPECT_EQ(all.size(), 10U);
  for (const HttpCompletion& done : all) ExpectUnsent(done, "dns_failed");
  pthread_sigmask(SIG_SETMASK, nullptr, &after);
  for (int number = 1; number <= 31; ++number)
    EXPECT_EQ(sigismember(&before, number), sigismember(&after, number));
}

TEST(HttpClientRefusal, HangingResolverTimesOut) {
  HttpClient client({});
  HttpRequest request = Post("https://hang.invalid/");
  request.connect_timeout_ms = 200;
  ExpectUnsent(Perform(client, request), "timeout");
  request.connect_timeout_ms = 5000;
  request.timeout_ms = 200;
  ExpectUnsent(Perform(client, request), "timeout");
  FakeResolver::LetGo();
}

TEST(HttpClientSignals, BlockNestsAndRestores) {
  sigset_t now;
  const auto blocked = [&now] {
    pthread_sigmask(SIG_SETMASK, nullptr, &now);
    return sigismember(&now, SIGTERM) == 1 && sigismember(&now, SIGALRM) == 1;
  };
  EXPECT_FALSE(blocked());
  {
    SignalBlock outer;
    EXPECT_TRUE(blocked());
    { SignalBlock inner; }
    EXPECT_TRUE(blocked());
  }
  EXPECT_FALSE(blocked());
}

TEST(HttpClientDestruction, DoesNotWaitForWhatHangs) {
  TestServer server([](Connection& connection) { connection.Hang(); });
  FullBacklog full;
  auto client = std::make_unique<HttpClient>(HttpOptions{});
  for (std::uint64_t i = 0; i < 100; ++i) client->Start(i, Post(server.Url()));
  for (std::uint64_t i = 100; i < 110; ++i)
    client->Start(i, Post("http://127.0.0.1:" + std::to_string(full.port())));
  for (std::uint64_t i = 110; i < 120; ++i)
    client->Start(i, Post("https://hang" + std::to_string(i) + ".invalid/"));
  client->Start(120, Post("http://refused.invalid/"));
  DriveUntilHanging(*client, 10);
  client->Start(121, Post(server.Url())); /* not driven once */
  const auto start = Clock::now();
  client.reset();
  EXPECT_LT(SecondsSince(start), 1.0);
  EXPECT_EQ(FakeResolver::Hanging(), 10);
  FakeResolver::LetGo();
}

}  // namespace
}  // namespace product_optimizer::test
