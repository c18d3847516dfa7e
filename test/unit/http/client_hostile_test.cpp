/*
 * client_hostile_test.cpp
 *   What a client does with servers that break off, lie, never stop or send too much.
 */
#include "http/client.h"

#include "test_server.h"

#include <gtest/gtest.h>

#include <atomic>

namespace product_optimizer::test {
namespace {

/* Answers every request with these bytes and closes. */
TestServer::Handler Says(std::string bytes) {
  return [bytes = std::move(bytes)](Connection& connection) {
    if (!connection.ReadRequest().empty()) connection.Send(bytes);
  };
}

HttpCompletion Ask(const TestServer& server, std::size_t max_bytes = 1000) {
  HttpClient client({});
  HttpRequest request = Post(server.Url());
  request.max_response_bytes = max_bytes;
  return Perform(client, request);
}

void ExpectFailure(const HttpCompletion& done, const std::string& error_code, bool sent) {
  EXPECT_EQ(done.error_code, error_code);
  EXPECT_EQ(done.status, 0);
  EXPECT_EQ(done.body, "");
  EXPECT_EQ(done.headers, "");
  EXPECT_EQ(done.sent, sent);
  ASSERT_FALSE(done.error.empty());
  EXPECT_EQ(done.error.back(), '.');
}

TEST(HttpClientHostile, CutBody) {
  TestServer server(Says("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this"));
  ExpectFailure(Ask(server), "connection_lost", true);
}

TEST(HttpClientHostile, CutChunkedBody) {
  TestServer server(Says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"));
  ExpectFailure(Ask(server), "connection_lost", true);
}

TEST(HttpClientHostile, EmptyReply) {
  TestServer server(Says(""));
  ExpectFailure(Ask(server), "connection_lost", true);
}

TEST(HttpClientHostile, ADeadConnectionIsNoReasonToSendTwice) {
  std::atomic<int> received{0};
  TestServer server([&received](Connection& connection) {
    if (connection.ReadRequest().empty()) return;
    received++;
    connection.Reply("first");
    /* The connection is kept, and ends under the next request. */
    if (!connection.ReadRequest().empty()) received++;
  });
  HttpClient client({});
  EXPECT_EQ(Perform(client, Post(server.Url())).body, "first");
  ExpectFailure(Perform(client, Post(server.Url())), "connection_lost", true);
  EXPECT_EQ(received, 2);
  EXPECT_EQ(client.waiting(), 0u);
}

TEST(HttpClientHostile, NotHttp) {
  TestServer server(Says("SSH-2.0-OpenSSH_9.2\r\n"));
  ExpectFailure(Ask(server), "http_failed", true);
}

TEST(HttpClientHostile, AnnouncedTooLarge) {
  TestServer server(Says("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n" + std::string(1001, 'x')));
  ExpectFailure(Ask(server), "response_too_large", true);
}

TEST(HttpClientHostile, ExactlyAsLargeAsAllowed) {
  TestServer server(Says("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + std::string(1000, 'x')));
  const HttpCompletion done = Ask(server);
  EXPECT_EQ(done.status, 200);
  EXPECT_EQ(done.body.size(), 1000U);
}

TEST(HttpClientHostile, EndlessBody) {
  TestServer server([](Connection& connection) {
    connection.ReadRequest();
    connection.Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    const std::string chunk = "1000\r\n" + std::string(4096, 'x') + "\r\n";
    while (connection.Send(chunk)) continue;
  });
  ExpectFailure(Ask(server, 100000), "response_too_large", true);
}

TEST(HttpClientHostile, ManyHeaders) {
  TestServer server([](Connection& connection) {
    connection.ReadRequest();
    connection.Send("HTTP/1.1 200 OK\r\n");
    while (connection.Send("X-Filler: " + std::string(1000, 'x') + "\r\n")) continue;
  });
  ExpectFailure(Ask(server), "response_too_large", true);
}

TEST(HttpClientHostile, OneEndlessHeader) {
  TestServer server([](Connection& connection) {
    connection.ReadRequest();
    connection.Send("HTTP/1.1 200 OK\r\nX-Filler: ");
    while (connection.Send(std::string(10000, 'x'))) continue;
  });
  ExpectFailure(Ask(server), "response_too_large", true);
}

TEST(HttpClientHostile, EndlessInterimReplies) {
  TestServer server([](Connection& connection) {
    connection.ReadRequest();
    while (connection.Send("HTTP/1.1 102 Processing\r\nX-Filler: " + std::string(500, 'x') + "\r\n\r\n"))
      continue;
  });
  ExpectFailure(Ask(server), "response_too_large", true);
}

/* A gzip stream of one letter, count times: fixed Huffman codes, written bit by bit (RFC 1951, 1952). */
std::string GzipOfRepeatedLetter(std::size_t repeats_of_258) {
  std::string out("\x1f\x8b\x08\0\0\0\0\0\0\x03", 10);
  unsigned held = 0;
  int bits = 0;
  const auto put = [&](unsigned value, int width, bool huffman) {
    for (int i = 0; i < width; ++i) {
      const unsigned bit = (value >> (huffman ? width - 1 - i : i)) & 1U;
      held |= bit << bits;
      if (++bits == 8) {
        out.push_back(static_cast<char>(held));
        held = 0;
        bits = 0;
      }
    }
  };
  put(1, 1, false);         /* the last block */
  put(1, 2, false);         /* fixed codes */
  put(0x30 + 'a', 8, true); /* the letter */
  for (std::size_t i = 0; i < repeats_of_258; ++i) {
    put(0xC5, 8, true); /* copy 258 … */
    put(0, 5, true);    /* … from one back */
  }
  put(0, 7, true); /* end of block */
  if (bits != 0) put(0, 8 - bits, false);

  const std::size_t size = 1 + repeats_of_258 * 258;
  std::uint32_t crc = 0xffffffff;
  for (std::size_t i = 0; i < size; ++i) {
    crc ^= 'a';
    for (int k = 0; k < 8; ++k) crc = (crc >> 1) ^ ((crc & 1U) != 0 ? 0xedb88320U : 0U);
  }
  for (const std::uint32_t word : {crc ^ 0xffffffff, static_cast<std::uint32_t>(size)})
    for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<char>(word >> shift));
  return out;
}

std::string GzipReply(const std::string& stream) {
  return "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: " + std::to_string(stream.size()) +
         "\r\n\r\n" + stream;
}

TEST(HttpClientHostile, GzipIsUnpacked) {
  TestServer server(Says(GzipReply(GzipOfRepeatedLetter(2))));
  EXPECT_EQ(Ask(server).body, std::string(517, 'a'));
}

TEST(HttpClientHostile, GzipBombIsCapped) {
  const std::string stream = GzipOfRepeatedLetter(20000); /* 5 MB out of 33 kB */
  ASSERT_LT(stream.size(), 40000U);
  TestServer server(Says(GzipReply(stream)));
  ExpectFailure(Ask(server, 1000000), "response_too_large", true);
}

TEST(HttpClientHostile, BrokenGzip) {
  TestServer server(Says(GzipReply("this is not gzip at all")));
  ExpectFailure(Ask(server), "http_failed", true);
}

TEST(HttpClientHostile, WholeRequestTimesOut) {
  TestServer server([](Connection& connection) { connection.Hang(); });
  HttpClient client({});
  HttpRequest request = Post(server.Url());
  request.timeout_ms = 200;
  const auto start = Clock::now();
  const HttpCompletion done = Perform(client, request);
  ExpectFailure(done, "timeout", true);
  EXPECT_NE(done.error.find("whole request"), std::string::npos);
  EXPECT_GE(done.seconds, 0.2);
  EXPECT_GE(SecondsSince(start), 0.2);
  EXPECT_EQ(client.connections_open(), 0U); /* such a connection is not used again */
}

TEST(HttpClientHostile, SlowDripTimesOutToo) {
  TestServer server([](Connection& connection) {
    connection.ReadRequest();
    connection.Send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc");
    connection.Hang();
  });
  HttpClient client({});
  HttpRequest request = Post(server.Url());
  request.timeout_ms = 200;
  ExpectFailure(Perform(client, request), "timeout", true);
}

TEST(HttpClientHostile, WaitingForAConnectionTimesOutToo) {
  TestServer server([](Connection& connection) { connection.Hang(); });
  HttpOptions options;
  options.max_connections = 1;
  HttpClient client(options);
  HttpRequest request = Post(server.Url());
  client.Start(1, request);
  client.Drive();
  request.timeout_ms = 200;
  client.Start(2, request);
  const std::vector<HttpCompletion> done = DriveUntil(client, 1);
  ASSERT_EQ(done.size(), 1U);
  EXPECT_EQ(done.front().id, 2U);
  ExpectFailure(done.front(), "timeout", false);
  EXPECT_EQ(client.in_flight(), 1U);
}

TEST(HttpClientHostile, TheOthersLiveOn) {
  TestServer server([](Connection& connection) {
    for (;;) {
      const std::string request = connection.ReadRequest();
      if (request.empty() || request.find("/cut") != std::string::npos) return;
      connection.Reply("fine");
    }
  });
  HttpClient client({});
  for (std::uint64_t i = 0; i < 100; ++i) client.Start(i, Post(server.Url(i % 2 == 0 ? "/ok" : "/cut")));
  const std::vector<HttpCompletion> all = DriveUntil(client, 100);
  EXPECT_EQ(all.size(), 100U);
  for (const HttpCompletion& done : all)
    EXPECT_EQ(done.error_code, done.id % 2 == 0 ? "" : "connection_lost");
}

}  // namespace
}  // namespace product_optimizer::test
