/*
 * client_test.cpp
 *   What a client does with servers that behave: whole replies, connections kept, many at once.
 */
#include "http/client.h"

#include "test_server.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/eventfd.h>

#include <set>

namespace product_optimizer::test {
namespace {

void Echo(Connection& connection) {
  for (;;) {
    const std::string request = connection.ReadRequest();
    if (request.empty()) return;
    if (!connection.Reply(request, "X-Who: echo\r\n")) return;
  }
}

TEST(HttpClient, WholeReply) {
  TestServer server(Echo);
  HttpClient client({});
  const HttpCompletion done = Perform(client, Post(server.Url("/v1/x"), "hello"));
  EXPECT_EQ(done.id, 1U);
  EXPECT_EQ(done.status, 200);
  EXPECT_EQ(done.error_code, "");
  EXPECT_TRUE(done.sent);
  EXPECT_GT(done.seconds, 0);
  EXPECT_NE(done.headers.find("X-Who: echo\r\n"), std::string::npos);
  EXPECT_EQ(done.headers.find("HTTP/1.1"), std::string::npos);
  EXPECT_EQ(done.body.find("POST /v1/x HTTP/1.1\r\n"), 0U);
  EXPECT_NE(done.body.find("\r\nUser-Agent: product_optimizer\r\n"), std::string::npos);
  EXPECT_NE(done.body.find("\r\nContent-Type: application/json\r\n"), std::string::npos);
  EXPECT_EQ(done.body.substr(done.body.size() - 9), "\r\n\r\nhello");
  EXPECT_EQ(client.in_flight(), 0U);
  EXPECT_FALSE(HttpLibraryVersion().empty());
}

TEST(HttpClient, NothingOfOneRequestReachesTheNext) {
  TestServer server(Echo);
  HttpClient client({});
  HttpRequest first = Post(server.Url("/first"), "body of the first");
  first.headers.push_back("Authorization: Bearer secret");
  first.headers.push_back("User-Agent: other");
  const HttpCompletion one = Perform(client, first);
  EXPECT_NE(one.body.find("User-Agent: other"), std::string::npos);
  EXPECT_EQ(one.body.find("User-Agent: product_optimizer"), std::string::npos);

  HttpRequest second;
  second.url = server.Url("/second");
  second.get = true;
  const HttpCompletion two = Perform(client, second);
  EXPECT_EQ(two.body.find("GET /second HTTP/1.1\r\n"), 0U);
  EXPECT_EQ(two.body.find("secret"), std::string::npos);
  EXPECT_EQ(two.body.find("other"), std::string::npos);
  EXPECT_EQ(two.body.find("Content-"), std::string::npos);

  const HttpCompletion three = Perform(client, Post(server.Url("/third"), ""));
  EXPECT_EQ(three.body.find("POST /third HTTP/1.1\r\n"), 0U);
  EXPECT_NE(three.body.find("Content-Length: 0\r\n"), std::string::npos);
}

TEST(HttpClient, LargeBodyGoesWithoutExpect) {
  TestServer server(Echo);
  HttpClient client({});
  const HttpCompletion done = Perform(client, Post(server.Url(), std::string(3000000, 'x')));
  EXPECT_EQ(done.status, 200);
  EXPECT_GT(done.body.size(), 3000000U);
  EXPECT_EQ(done.body.find("Expect"), std::string::npos);
}

TEST(HttpClient, KeepsTheConnection) {
  TestServer server(Echo);
  HttpClient client({});
  for (int i = 0; i < 50; ++i) {
    ASSERT_EQ(Perform(client, Post(server.Url())).status, 200);
    ASSERT_EQ(client.connections_open(), 1U);
    ASSERT_EQ(client.connections_idle(), 1U);
  }
  EXPECT_EQ(server.accepted(), 1);
}

TEST(HttpClient, ManyAtOnceEachExactlyOnce) {
  constexpr std::size_t kCount = 200;
  TestServer server(Echo);
  HttpClient client({});
  for (int round = 0; round < 3; ++round) {
    for (std::size_t i = 0; i < kCount; ++i)
      client.Start(i, Post(server.Url(), "number " + std::to_string(i) + "."));
    EXPECT_EQ(client.in_flight(), kCount);
    EXPECT_EQ(client.waiting(), kCount);
    std::set<std::uint64_t> seen;
    for (const HttpCompletion& done : DriveUntil(client, kCount)) {
      EXPECT_EQ(done.status, 200) << done.error;
      EXPECT_NE(done.body.find("number " + std::to_string(done.id) + "."), std::string::npos);
      EXPECT_TRUE(seen.insert(done.id).second);
    }
    EXPECT_EQ(seen.size(), kCount);
    EXPECT_EQ(client.in_flight(), 0U);
    EXPECT_EQ(client.waiting(), 0U);
    EXPECT_EQ(client.connections_idle(), client.connections_open());
  }
  EXPECT_LE(server.accepted(), static_cast<int>(kCount));
}

TEST(HttpClient, NeverMoreConnectionsThanAllowed) {
  TestServer server(Echo);
  HttpOptions options;
  options.max_connections = 3;
  HttpClient client(options);
  for (std::uint64_t i = 0; i < 60; ++i) client.Start(i, Post(server.Url()));
  std::size_t ended = 0;
  const auto end = Clock::now() + kPatience;
  while (ended < 60 && Clock::now() < end) {
    ended += DriveUntil(client, 1).size();
    ASSERT_LE(client.connections_open(), 3U);
  }
  EXPECT_EQ(ended, 60U);
  EXPECT_LE(server.accepted(), 3);
}

TEST(HttpClient, ClosedIdleConnectionDoesNotSpinOrHurt) {
  const int closed = eventfd(0, EFD_CLOEXEC);
  TestServer server([closed](Connection& connection) {
    connection.ReadRequest();
    connection.Reply("bye");
    eventfd_write(closed, 1);
  }); /* says nothing of closing, closes */
  HttpClient client({});
  for (int i = 0; i < 5; ++i) {
    ASSERT_EQ(Perform(client, Post(server.Url())).body, "bye");
    eventfd_t count = 0;
    ASSERT_EQ(eventfd_read(closed, &count), 0);
    /* The close is news once; after one Drive() the descriptor is silent. */
    pollfd wait{client.Descriptor(), POLLIN, 0};
    ASSERT_EQ(poll(&wait, 1, 10000), 1);
    ASSERT_TRUE(client.Drive().empty());
    ASSERT_EQ(poll(&wait, 1, 0), 0);
  }
  close(closed);
}

TEST(HttpClient, DescriptorTellsWhenToDrive) {
  TestServer server(Echo);
  HttpClient client({});
  const int fd = client.Descriptor();
  EXPECT_NE(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_FALSE(client.TimeoutMs().has_value());
  client.Start(7, Post(server.Url()));
  ASSERT_TRUE(client.TimeoutMs().has_value());
  EXPECT_EQ(*client.TimeoutMs(), 0);
  std::vector<HttpCompletion> done = client.Drive();
  const auto end = Clock::now() + kPatience;
  while (done.empty() && Clock::now() < end) {
    pollfd wait{fd, POLLIN, 0};
    ASSERT_EQ(poll(&wait, 1, 10000), 1) << "silent while a reply is under way";
    done = client.Drive();
  }
  ASSERT_EQ(done.size(), 1U);
  EXPECT_EQ(done.front().id, 7U);
}

TEST(HttpClient, SocketsAreNotInherited) {
  TestServer server([](Connection& connection) { connection.Hang(); });
  HttpClient client({});
  client.Start(1, Post(server.Url()));
  client.Drive();
  ASSERT_EQ(client.connections_open(), 1U);
  for (int fd = 3; fd < 256; ++fd) {
    const int flags = fcntl(fd, F_GETFD);
    sockaddr_in peer{};
    socklen_t size = sizeof peer;
    if (flags < 0 || getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0) continue;
    if (peer.sin_family != AF_INET) continue; /* libcurl's own pairs for waking itself: out of our reach */
    EXPECT_NE(flags & FD_CLOEXEC, 0) << "descriptor " << fd;
  }
}

/* "localhost" is ::1 first, where nobody listens: the second address may get the first one's descriptor. */
TEST(HttpClient, SecondAddressOfAHost) {
  TestServer server(Echo);
  for (int round = 0; round < 20; ++round) {
    HttpClient client({});
    const auto start = Clock::now();
    const HttpCompletion done =
        Perform(client, Post("http://localhost:" + std::to_string(server.port()) + "/"));
    EXPECT_EQ(done.status, 200) << done.error;
    EXPECT_LT(SecondsSince(start), 4.0) << "went by a timer, not by the socket";
    EXPECT_EQ(client.connections_open(), 1U);
  }
}

TEST(HttpClient, RedirectIsAWholeReply) {
  TestServer server([](Connection& connection) {
    while (!connection.ReadRequest().empty())
      connection.Send("HTTP/1.1 301 Moved\r\nLocation: /elsewhere\r\nContent-Length: 2\r\n\r\nno");
  });
  HttpClient client({});
  const HttpCompletion done = Perform(client, Post(server.Url()));
  EXPECT_EQ(done.status, 301);
  EXPECT_EQ(done.error_code, "");
  EXPECT_EQ(done.body, "no");
  EXPECT_EQ(server.accepted(), 1);
}

TEST(HttpClient, HeadersOfTheFinalReplyOnly) {
  TestServer server([](Connection& connection) {
    while (!connection.ReadRequest().empty())
      connection.Send(
          "HTTP/1.1 103 Early\r\nX-Early: 1\r\n\r\nHTTP/1.1 200 OK\r\nX-Final: 1\r\n"
          "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Trailer: 1\r\n\r\n");
  });
  HttpClient client({});
  const HttpCompletion done = Perform(client, Post(server.Url()));
  EXPECT_EQ(done.status, 200);
  EXPECT_EQ(done.headers, "X-Final: 1\r\nTransfer-Encoding: chunked\r\n");
  EXPECT_EQ(done.body, "abc");
}

}  // namespace
}  // namespace product_optimizer::test
