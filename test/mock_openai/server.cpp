/*
 * server.cpp
 *   The only file that knows Boost.  A Session owns one connection and lives as long as one of its
 *   handlers is pending.  All of it runs on one thread, so nothing is locked.
 */
#include "server.h"

#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>

#include "process.h"
#include "service.h"

namespace mock_openai {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;
using Executor = asio::io_context::executor_type;
using Socket = asio::basic_stream_socket<asio::ip::tcp, Executor>;
using Acceptor = asio::basic_socket_acceptor<asio::ip::tcp, Executor>;
using Clock = std::chrono::steady_clock;
using Timer = asio::basic_waitable_timer<Clock, asio::wait_traits<Clock>, Executor>;

constexpr std::uint64_t kMaxBodyBytes = 64u << 20;
constexpr std::uint32_t kMaxHeaderBytes = 64u << 10;
constexpr std::size_t kFirstBufferBytes = 8u << 10;
constexpr auto kEndlessPause = std::chrono::milliseconds(5);
constexpr auto kTricklePause = std::chrono::milliseconds(100);
constexpr auto kParentPoll = std::chrono::milliseconds(250);

Now ReadClocks() {
  timespec mono{}, real{};
  clock_gettime(CLOCK_MONOTONIC, &mono);
  clock_gettime(CLOCK_REALTIME, &real);
  return {mono.tv_sec * std::int64_t{1'000'000'000} + mono.tv_nsec,
          real.tv_sec * std::int64_t{1'000'000} + real.tv_nsec / 1000};
}

class Session;

struct Shared { /* outlives every session */
  explicit Shared(const Options& options) : service(options, ReadClocks()) {}
  Service service;
  std::unordered_set<std::shared_ptr<Session>> hanging;
};

class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(Socket socket, Shared* shared)
      : shared_(shared), socket_(std::move(socket)), timer_(socket_.get_executor()) {
    buffer_.reserve(kFirstBufferBytes);
    shared_->service.ConnectionOpened();
  }
  ~Session() {
    if (busy_) shared_->service.Finished(plan_, false, ReadClocks());
    shared_->service.ConnectionClosed();
  }

  void Read() {
    parser_.emplace();
    parser_->body_limit(kMaxBodyBytes);
    parser_->header_limit(kMaxHeaderBytes);
    http::async_read_header(
        socket_, buffer_, *parser_,
        [self = shared_from_this()](error_code error, std::size_t) { self->OnHeader(error); });
  }

  /* Answers a request that hangs. */
  void Release() {
    StopWatching();
    Send();
  }

 private:
  void OnHeader(error_code error) {
    if (error) return OnBadRequest(error);
    if (parser_->get()[http::field::expect] == "100-continue") {
      static const std::string kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
      asio::async_write(socket_, asio::buffer(kContinue),
                        [self = shared_from_this()](error_code failed, std::size_t) {
                          if (!failed) self->ReadBody();
                        });
    } else if (parser_->is_done()) {
      OnRequest();
    } else {
      ReadBody();
    }
  }

  void ReadBody() {
    http::async_read(socket_, buffer_, *parser_, [self = shared_from_this()](error_code error, std::size_t) {
      if (error) return self->OnBadRequest(error);
      self->OnRequest();
    });
  }

  /* Not HTTP, or too long: say so if there is somebody to hear it, then close. */
  void OnBadRequest(error_code error) {
    if (error.category() != http::make_error_code(http::error::end_of_stream).category()) return;
    if (error == http::error::end_of_stream || error == http::error::partial_message) return;
    keep_alive_ = false;
    plan_ = Plan{};
    const bool too_large = error == http::error::body_limit;
    plan_.bytes = HttpText(ErrorReply({too_large ? 413 : 400, "bad request: " + error.message(),
                                       "invalid_request_error", "", ""}),
                           false);
    Send();
  }

  void OnRequest() {
    auto& message = parser_->get();
    HttpRequest request;
    request.method = std::string(message.method_string());
    request.target = std::string(message.target());
    request.authorization = std::string(message[http::field::authorization]);
    request.body = std::move(message.body());
    request.keep_alive = keep_alive_ = message.keep_alive();
    plan_ = shared_->service.Handle(request, ReadClocks());
    busy_ = true;
    if (plan_.release) {
      std::unordered_set<std::shared_ptr<Session>> waiting;
      waiting.swap(shared_->hanging);
      for (const auto& session : waiting) session->Release();
    }
    if (plan_.delivery == Plan::Delivery::kDrop) return Close();
    if (plan_.delivery == Plan::Delivery::kHang) {
      shared_->hanging.insert(shared_from_this());
      return Watch();
    }
    if (plan_.delay_ns == 0) return Send();
    timer_.expires_after(std::chrono::nanoseconds(plan_.delay_ns));
    timer_.async_wait([self = shared_from_this()](error_code error) {
      if (error) return;
      self->StopWatching();
      self->Send();
    });
    Watch();
  }

  /* While nothing is to be sent: notice that the client has gone. */
  void Watch() {
    watch_++;
    socket_.async_wait(Socket::wait_read, [self = shared_from_this(), watch = watch_](error_code error) {
      if (error || watch != self->watch_) return;
      char byte = 0;
      const ssize_t n = recv(self->socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
      if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR))) return; /* it pipelines: still there */
      self->timer_.cancel();
      self->shared_->hanging.erase(self);
      self->Close();
    });
  }

  void StopWatching() {
    watch_++;
    error_code ignored;
    socket_.cancel(ignored);
  }

  void Send() {
    switch (plan_.delivery) {
      case Plan::Delivery::kTrickle:
        return Trickle(0);
      case Plan::Delivery::kEndless:
        return Write(plan_.bytes.size(), &Session::SendEndless);
      case Plan::Delivery::kCut: {
        const std::size_t head = plan_.bytes.find("\r\n\r\n") + 4;
        return Write(head + (plan_.bytes.size() - head) / 2, &Session::Close);
      }
      default:
        return Write(plan_.bytes.size(), &Session::OnAnswered);
    }
  }

  void Write(std::size_t length, void (Session::*next)()) {
    asio::async_write(socket_, asio::buffer(plan_.bytes.data(), length),
                      [self = shared_from_this(), next](error_code error, std::size_t) {
                        if (error) return self->Close();
                        (self.get()->*next)();
                      });
  }

  void OnAnswered() {
    Finish(true);
    if (!keep_alive_) return Close();
    Read();
  }

  void SendEndless() {
    static const std::string kStart = "23\r\n{\"choices\":[{\"message\":{\"content\":\"\r\n";
    plan_.bytes = endless_ ? "10000\r\n" + std::string(0x10000, 'a') + "\r\n" : kStart;
    endless_ = true;
    timer_.expires_after(kEndlessPause);
    timer_.async_wait([self = shared_from_this()](error_code error) {
      if (!error) self->Write(self->plan_.bytes.size(), &Session::SendEndless);
    });
  }

  void Trickle(std::size_t sent) {
    if (sent == plan_.bytes.size()) return OnAnswered();
    asio::async_write(socket_, asio::buffer(plan_.bytes.data() + sent, 1),
                      [self = shared_from_this(), sent](error_code error, std::size_t) {
                        if (error) return self->Close();
                        self->timer_.expires_after(kTricklePause);
                        self->timer_.async_wait([self, sent](error_code failed) {
                          if (!failed) self->Trickle(sent + 1);
                        });
                      });
  }

  void Finish(bool answered) {
    if (!busy_) return;
    busy_ = false;
    shared_->service.Finished(plan_, answered, ReadClocks());
    if (plan_.bytes.capacity() > kFirstBufferBytes) plan_.bytes = std::string();
  }

  void Close() {
    Finish(false);
    error_code ignored;
    socket_.shutdown(Socket::shutdown_both, ignored);
    socket_.close(ignored);
  }

  Shared* shared_;
  Socket socket_;
  Timer timer_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  Plan plan_;
  std::uint64_t watch_ = 0; /* a watch of an earlier number is stale */
  bool keep_alive_ = true;
  bool busy_ = false; /* plan_ is under way */
  bool endless_ = false;
};

void Accept(Acceptor* acceptor, Shared* shared, Timer* pause) {
  acceptor->async_accept([=](error_code error, Socket socket) {
    if (error == asio::error::operation_aborted) return;
    if (error) { /* out of descriptors: leave it to the backlog for a while */
      pause->expires_after(std::chrono::milliseconds(20));
      pause->async_wait([=](error_code) { Accept(acceptor, shared, pause); });
      return;
    }
    error_code ignored;
    socket.set_option(asio::ip::tcp::no_delay(true), ignored);
    std::make_shared<Session>(std::move(socket), shared)->Read();
    Accept(acceptor, shared, pause);
  });
}

void WatchParent(Timer* timer, std::int64_t pid, const std::string& identity, asio::io_context* io) {
  timer->expires_after(kParentPoll);
  timer->async_wait([=](error_code error) {
    if (error) return;
    if (ProcessIdentity(pid) != identity) return io->stop();
    WatchParent(timer, pid, identity, io);
  });
}

}  // namespace

int Serve(const Options& options) {
  RaiseDescriptorLimit();
  std::signal(SIGPIPE, SIG_IGN);
  const std::string parent = options.parent_pid > 0 ? ProcessIdentity(options.parent_pid) : "-";
  if (parent.empty()) return 0; /* it was gone before we began */

  asio::io_context io(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE);
  auto shared = std::make_unique<Shared>(options);
  Acceptor acceptor(io.get_executor());
  const asio::ip::tcp::endpoint endpoint(asio::ip::make_address(options.listen),
                                         static_cast<unsigned short>(options.port));
  acceptor.open(endpoint.protocol());
  acceptor.set_option(Acceptor::reuse_address(true));
  acceptor.bind(endpoint);
  acceptor.listen(Acceptor::max_listen_connections);
  const int port = acceptor.local_endpoint().port();

  Timer accept_pause(io.get_executor()), parent_timer(io.get_executor());
  Accept(&acceptor, shared.get(), &accept_pause);
  if (options.parent_pid > 0) WatchParent(&parent_timer, options.parent_pid, parent, &io);
  asio::signal_set signals(io, SIGTERM, SIGINT);
  signals.async_wait([&](error_code, int) { io.stop(); });

  std::printf("mock_openai listens on http://%s:%d/v1\n", options.listen.c_str(), port);
  std::fflush(stdout);
  if (!options.port_file.empty() && !WritePortFile(options.port_file, port)) {
    std::fprintf(stderr, "mock_openai: cannot write %s\n", options.port_file.c_str());
    return 1;
  }
  io.run();
  /* The log is in the kernel; thousands of sessions need no orderly end. */
  std::fflush(stdout);
  std::_Exit(0);
}

}  // namespace mock_openai
