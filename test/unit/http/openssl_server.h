/*
 * openssl_server.h
 *   openssl s_server on 127.0.0.1 with a certificate that it signed itself, for the name localhost only.
 *
 *   Ownership: the process ends and the files go with the object.
 */
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace product_optimizer::test {

class OpensslServer {
 public:
  OpensslServer() {
    if (mkdtemp(folder_) == nullptr) return;
    const std::string key = std::string(folder_) + "/key", certificate = std::string(folder_) + "/cert";
    int status = 0;
    const pid_t maker = Spawn({"openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
                               "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout",
                               key, "-out", certificate});
    if (maker <= 0 || waitpid(maker, &status, 0) != maker || status != 0) return;
    std::ifstream file(certificate);
    pem_.assign(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    /* -www: answers a GET with a page about the connection. */
    server_ =
        Spawn({"openssl", "s_server", "-www", "-accept", "127.0.0.1:0", "-key", key, "-cert", certificate});
    std::string output; /* it names its port: "ACCEPT 127.0.0.1:41234" */
    pollfd wait{output_, POLLIN, 0};
    while (server_ > 0 && poll(&wait, 1, 20000) == 1) {
      char chunk[256];
      const ssize_t n = read(output_, chunk, sizeof chunk);
      if (n <= 0) return;
      output.append(chunk, static_cast<std::size_t>(n));
      const std::size_t at = output.find("ACCEPT ");
      const std::size_t colon = at == std::string::npos ? at : output.find(':', at);
      if (colon == std::string::npos || output.find('\n', colon) == std::string::npos) continue;
      port_ = std::atoi(output.c_str() + colon + 1);
      return;
    }
  }
  ~OpensslServer() {
    if (server_ > 0) {
      kill(server_, SIGKILL);
      waitpid(server_, nullptr, 0);
    }
    if (output_ >= 0) close(output_);
    for (const char* name : {"/key", "/cert"}) unlink((std::string(folder_) + name).c_str());
    rmdir(folder_);
  }
  OpensslServer(const OpensslServer&) = delete;
  OpensslServer& operator=(const OpensslServer&) = delete;

  int port() const { return port_; } /* 0: there is no openssl here */
  const std::string& pem() const { return pem_; }
  std::string Url(const std::string& host) const {
    return "https://" + host + ":" + std::to_string(port_) + "/";
  }

 private:
  pid_t Spawn(std::vector<std::string> words) {
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return -1;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/zero", O_RDONLY, 0);
    pid_t child = -1;
    if (posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ) != 0) child = -1;
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (output_ >= 0) close(output_);
    output_ = ends[0];
    return child;
  }

  char folder_[32] = "/tmp/po_http_XXXXXX";
  std::string pem_;
  int output_ = -1;
  pid_t server_ = -1;
  int port_ = 0;
};

}  // namespace product_optimizer::test
