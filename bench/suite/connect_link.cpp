// SPDX-License-Identifier: BSL-1.0
// Connecting, one small message there and back, closing: through ringbell, and as one writes it by hand with a Unix socket.
#include "blocking_link.hpp"
#include "contenders.hpp"

#include <ringbell/channel.hpp>
#include <ringbell/connect.hpp>
#include <ringbell/listener.hpp>
#include <ringbell/loop.hpp>
#include <ringbell/task.hpp>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cerrno>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>

namespace ringbell::bench {

namespace {

void check_call(bool succeeded, const char* what) {
  if (!succeeded) throw std::system_error(errno, std::generic_category(), what);
}

/// What connects and closes, as a link of which each round trip is a whole cycle. `Way` has listen(), prepare(), cycle(payload&) and serve(n, payload&).
template <class Way>
class connect_link final : public link {
public:
  template <class... Arguments>
  explicit connect_link(const Arguments&... arguments) : way_(arguments...) {}
  void listen() override { way_.listen(); }
  void connect() override { way_.prepare(); }
  void ping(const slice& s, times& t) override {
    payload bytes(s.size);
    with_stopwatch(s, t, [&](auto& watch) {
      for (std::uint64_t i = 0; i < s.all(); ++i) {
        if (i == s.lead_in) watch.start();
        watch.pace();
        way_.cycle(bytes);
        if (i >= s.lead_in) watch.lap();
      }
      watch.stop();
    });
  }
  void answer(const slice& s) override {
    payload bytes(s.size);
    way_.serve(s.all(), bytes);
  }
  void send(const slice&, times&) override { throw std::logic_error("connections are no messages"); }
  void receive(const slice&) override { throw std::logic_error("connections are no messages"); }

private:
  Way way_;
};

class native_way {
public:
  native_way(sys::bell_set bells, const link_options& options) : bells_(bells), path_(options.path) {}
  void listen() {
    loop_ = std::make_unique<loop>();
    listener_options options;
    options.bells = bells_;
    listener_.emplace(listener::bind(*loop_, path_, options));
  }
  void prepare() { loop_ = std::make_unique<loop>(); }
  void cycle(payload& bytes) { loop_->run(one_cycle(bytes)); }
  void serve(std::uint64_t n, payload& bytes) { loop_->run(serve_clients(n, bytes)); }

private:
  task<> one_cycle(payload& bytes) {
    connect_options options;
    options.bells = bells_;
    channel ch = co_await ringbell::connect(*loop_, path_, options);
    co_await ch.send(bytes.out);
    const auto reply = co_await ch.recv();
    if (!reply || reply->size() != bytes.out.size()) throw std::runtime_error("no echo");
  }
  task<> serve_clients(std::uint64_t n, payload& bytes) {
    for (; n != 0; --n) {
      channel ch = co_await listener_->accept();
      while (auto got = co_await ch.recv()) {
        if (got->size() != bytes.in.size()) throw std::runtime_error("a message of another size");
        std::memcpy(bytes.in.data(), got->data(), got->size());
        got->release();
        co_await ch.send(bytes.in);
      }
    }
  }
  sys::bell_set bells_;
  std::string path_;
  std::unique_ptr<loop> loop_;
  std::optional<listener> listener_;
};

class socket_way {
public:
  explicit socket_way(const link_options& options) {
    address_.sun_family = AF_UNIX;
    if (options.path.size() >= sizeof address_.sun_path) throw std::runtime_error("the path of a socket is too long");
    std::memcpy(address_.sun_path, options.path.data(), options.path.size());
  }
  void listen() {
    listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check_call(::bind(listener_, address(), sizeof address_) == 0 && ::listen(listener_, SOMAXCONN) == 0, "listening");
  }
  void prepare() const noexcept {}
  void cycle(payload& bytes) const {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check_call(::connect(fd, address(), sizeof address_) == 0, "connecting");
    const auto size = static_cast<ssize_t>(bytes.out.size());
    check_call(::send(fd, bytes.out.data(), bytes.out.size(), MSG_NOSIGNAL) == size &&
                   ::recv(fd, bytes.in.data(), bytes.in.size(), MSG_WAITALL) == size,
               "the echo of a socket");
    ::close(fd);
  }
  void serve(std::uint64_t n, payload& bytes) const {
    for (; n != 0; --n) {
      const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      check_call(client >= 0, "accepting");
      for (ssize_t got = 0; (got = ::recv(client, bytes.in.data(), bytes.in.size(), 0)) > 0;)
        check_call(::send(client, bytes.in.data(), static_cast<std::size_t>(got), MSG_NOSIGNAL) == got, "sending");
      ::close(client);
    }
  }

private:
  const sockaddr* address() const noexcept { return reinterpret_cast<const sockaddr*>(&address_); }
  sockaddr_un address_{};
  int listener_ = -1;
};

contender make(const char* id, const char* title, contender::role what, std::function<std::unique_ptr<link>(const link_options&)> how) {
  contender c;
  c.id = id;
  c.title = title;
  c.what = what;
  c.links = 1;
  c.needs_name = true;
  c.make = std::move(how);
  return c;
}

contender native(const char* id, const char* title, sys::bell_set bells) {
  return make(id, title, contender::role::ringbell,
              [bells](const link_options& options) { return std::make_unique<connect_link<native_way>>(bells, options); });
}

}  // namespace

std::vector<contender> connect_contenders() {
  return {make("connect/socket", "Unix socket by hand, blocking", contender::role::reference,
               [](const link_options& options) { return std::make_unique<connect_link<socket_way>>(options); }),
          native("connect/native", "ringbell, usual bells", default_bells),
          native("connect/native/socket-bells", "ringbell, socket bells", sys::bell_bit(sys::bell_kind::socket))};
}

}  // namespace ringbell::bench
