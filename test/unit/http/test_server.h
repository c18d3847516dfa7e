/*
 * test_server.h
 *   A server on 127.0.0.1 for the tests of src/http: one thread a connection, which runs the handler the test
 *   gives.  Raw sockets, because most of what is tested is what no proper server would do.
 *
 *   Ownership: the destructor shuts every connection and joins every thread; a handler must return when its
 *   connection ends.
 */
#pragma once

#include "http/client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace product_optimizer::test {

using Clock = std::chrono::steady_clock;
constexpr auto kPatience = std::chrono::seconds(20); /* a hang, not a slow machine */

/* Listens on a free port of 127.0.0.1. */
inline int Listen(int backlog, int* port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (fd < 0 || bind(fd, generic, size) != 0 || listen(fd, backlog) != 0 ||
      getsockname(fd, generic, &size) != 0)
    throw std::runtime_error("the test server could not listen");
  *port = ntohs(address.sin_port);
  return fd;
}

class Connection {
 public:
  explicit Connection(int fd) : fd_(fd) {}

  /* The next whole request, head and body; empty when the client closed. */
  std::string ReadRequest() {
    for (;;) {
      const std::size_t end = buffer_.find("\r\n\r\n");
      if (end != std::string::npos) {
        std::size_t length = 0;
        const std::size_t at = buffer_.find("Content-Length: ");
        if (at < end) length = std::strtoul(buffer_.c_str() + at + 16, nullptr, 10);
        if (buffer_.size() >= end + 4 + length) {
          std::string request = buffer_.substr(0, end + 4 + length);
          buffer_.erase(0, request.size());
          return request;
        }
      }
      if (!Fill()) return {};
    }
  }

  /* False when the client is gone. */
  bool Send(const std::string& bytes) {
    std::size_t sent = 0;
    while (sent < bytes.size()) {
      const ssize_t n = send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) return false;
      sent += static_cast<std::size_t>(n);
    }
    return true;
  }

  bool Reply(const std::string& body, const std::string& headers = "") {
    return Send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + headers +
                "\r\n" + body);
  }

  /* Says nothing until the client goes. */
  void Hang() {
    while (Fill()) buffer_.clear();
  }

 private:
  bool Fill() {
    char chunk[16384];
    const ssize_t n = recv(fd_, chunk, sizeof chunk, 0);
    if (n > 0) buffer_.append(chunk, static_cast<std::size_t>(n));
    return n > 0;
  }

  int fd_;
  std::string buffer_;
};

class TestServer {
 public:
  using Handler = std::function<void(Connection&)>;

  explicit TestServer(Handler handler) : handler_(std::move(handler)), listener_(Listen(1024, &port_)) {
    acceptor_ = std::thread([this] { Accept(); });
  }

  ~TestServer() {
    shutdown(listener_, SHUT_RDWR); /* ends accept() */
    acceptor_.join();
    {
      const std::lock_guard<std::mutex> guard(lock_);
      for (const int fd : open_) shutdown(fd, SHUT_RDWR);
    }
    for (std::thread& thread : threads_) thread.join();
    close(listener_);
  }

  std::string Url(const std::string& path = "/") const {
    return "http://127.0.0.1:" + std::to_string(port_) + path;
  }
  int port() const { return port_; }
  int accepted() const { return accepted_; }

 private:
  void Accept() {
    for (;;) {
      const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) return;
      const int one = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      ++accepted_;
      const std::lock_guard<std::mutex> guard(lock_);
      open_.push_back(fd);
      threads_.emplace_back([this, fd] { Serve(fd); });
    }
  }

  void Serve(int fd) {
    Connection connection(fd);
    handler_(connection);
    const std::lock_guard<std::mutex> guard(lock_);
    open_.erase(std::find(open_.begin(), open_.end(), fd));
    close(fd);
  }

  Handler handler_;
  int port_ = 0;
  int listener_;
  std::atomic<int> accepted_{0};
  std::mutex lock_;
  std::vector<int> open_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

inline HttpRequest Post(const std::string& url, const std::string& body = "{}") {
  HttpRequest request;
  request.url = url;
  request.body = body;
  request.headers = {"Content-Type: application/json"};
  return request;
}

/* Drives as the worker does: waits outside for the descriptor or the time, whichever is first. */
inline std::vector<HttpCompletion> DriveUntil(HttpClient& client, std::size_t count) {
  std::vector<HttpCompletion> all;
  const auto end = Clock::now() + kPatience;
  while (all.size() < count && Clock::now() < end) {
    pollfd wait{client.Descriptor(), POLLIN, 0};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
    poll(&wait, 1, static_cast<int>(std::min<std::int64_t>(left, client.TimeoutMs().value_or(left))));
    for (HttpCompletion& one : client.Drive()) all.push_back(std::move(one));
  }
  return all;
}

inline HttpCompletion Perform(HttpClient& client, HttpRequest request) {
  client.Start(1, std::move(request));
  std::vector<HttpCompletion> all = DriveUntil(client, 1);
  if (all.size() != 1) throw std::runtime_error("the request did not end");
  return std::move(all.front());
}

inline double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace product_optimizer::test
