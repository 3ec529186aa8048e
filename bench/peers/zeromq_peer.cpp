// SPDX-License-Identifier: BSL-1.0
// ZeroMQ: PAIR sockets over ipc://, a context with one thread for I/O on each side, as its guide
// has it for two peers.
#include "blocking_link.hpp"
#include "contenders.hpp"

#include <zmq.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

namespace ringbell::bench {

namespace {

void check_call(bool succeeded, const char* what) {
  if (!succeeded)
    throw std::runtime_error(std::string(what) + ": " + ::zmq_strerror(::zmq_errno()));
}

struct close_socket {
  void operator()(void* socket) const noexcept { ::zmq_close(socket); }
};
struct end_context {
  void operator()(void* context) const noexcept { ::zmq_ctx_term(context); }
};

class zeromq_end {
public:
  explicit zeromq_end(const link_options& options)
      : name_("ipc://" + options.path), where_(options.where) {}
  void listen() {
    open(side::child);
    check_call(::zmq_bind(socket_.get(), name_.c_str()) == 0, "zmq_bind");
  }
  void become(side which) {
    // It connects in the background; once a word has come back, its socket's name is needed no
    // more.
    std::byte word[acknowledgement] = {};
    if (which == side::child) {
      receive(word, sizeof word);
      send(word, sizeof word);
      return;
    }
    open(side::parent);
    check_call(::zmq_connect(socket_.get(), name_.c_str()) == 0, "zmq_connect");
    send(word, sizeof word);
    receive(word, sizeof word);
  }
  void send(const std::byte* bytes, std::size_t size) const {
    check_call(::zmq_send(socket_.get(), bytes, size, 0) >= 0, "zmq_send");
  }
  void receive(std::byte* bytes, std::size_t size) const {
    check_call(::zmq_recv(socket_.get(), bytes, size, 0) == static_cast<int>(size), "zmq_recv");
  }
  void flush() const noexcept {}

private:
  void open(side which) {
    const threads_unbound meanwhile(where_, which == side::child);
    context_.reset(::zmq_ctx_new());
    check_call(context_ != nullptr, "zmq_ctx_new");
    socket_.reset(::zmq_socket(context_.get(), ZMQ_PAIR));
    check_call(socket_ != nullptr, "zmq_socket");
    const int none = 0;
    ::zmq_setsockopt(socket_.get(), ZMQ_LINGER, &none, sizeof none);
  }
  std::string name_;
  placement where_;
  std::unique_ptr<void, end_context> context_;
  std::unique_ptr<void, close_socket> socket_;
};

}  // namespace

std::vector<contender> zeromq_contenders(std::string& version) {
  int major = 0;
  int minor = 0;
  int patch = 0;
  ::zmq_version(&major, &minor, &patch);
  version = std::to_string(major) + '.' + std::to_string(minor) + '.' + std::to_string(patch);
  contender c =
      blocking_contender<zeromq_end>("zeromq", "ZeroMQ, PAIR, ipc", contender::role::peer, false);
  c.queues_much = true;  // 1,000 messages on each side
  return {std::move(c)};
}

}  // namespace ringbell::bench
