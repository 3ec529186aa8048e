// SPDX-License-Identifier: BSL-1.0
// Connecting, one small message there and back, closing: through ringbell, and as one writes it by
// hand with a Unix socket.
#include "connect_link.hpp"
#include "native_backends.hpp"

#include <ringbell/channel/channel.hpp>
#include <ringbell/channel/connect.hpp>
#include <ringbell/channel/listener.hpp>
#include <ringbell/coro/task.hpp>
#include <ringbell/loop/loop.hpp>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cerrno>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

namespace ringbell::bench {

namespace {

void check_call(bool succeeded, const char* what) {
  if (!succeeded) throw std::system_error(errno, std::generic_category(), what);
}

class native_way {
public:
  native_way(loop_backend backend, sys::bell_set bells, const link_options& options)
      : bells_(bells), path_(options.path) {
    how_.backend = backend;
  }
  void listen() {
    loop_ = std::make_unique<loop>(how_);
    listener_options options;
    options.bells = bells_;
    listener_.emplace(listener::bind(*loop_, path_, options));
  }
  void prepare() { loop_ = std::make_unique<loop>(how_); }
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
  loop_options how_;
  sys::bell_set bells_;
  std::string path_;
  std::unique_ptr<loop> loop_;
  std::optional<listener> listener_;
};

/// A blocking Unix socket, by hand.
class unix_socket_way {
public:
  explicit unix_socket_way(const link_options& options) {
    address_.sun_family = AF_UNIX;
    if (options.path.size() >= sizeof address_.sun_path)
      throw std::runtime_error("the path of a socket is too long");
    std::memcpy(address_.sun_path, options.path.data(), options.path.size());
  }
  void listen() {
    listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check_call(
        ::bind(listener_, address(), sizeof address_) == 0 && ::listen(listener_, SOMAXCONN) == 0,
        "listening");
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
        check_call(
            ::send(client, bytes.in.data(), static_cast<std::size_t>(got), MSG_NOSIGNAL) == got,
            "sending");
      ::close(client);
    }
  }

private:
  const sockaddr* address() const noexcept { return reinterpret_cast<const sockaddr*>(&address_); }
  sockaddr_un address_{};
  int listener_ = -1;
};

}  // namespace

std::vector<contender> connect_contenders() {
  std::vector<contender> all = {connect_contender<unix_socket_way>(
      "socket", "Unix socket by hand, blocking", contender::role::reference)};
  for (const auto& [backend, name] : native_backends())
    for (const auto& [bells, bells_name] :
         {std::pair(detail::default_bells, ""),
          std::pair(sys::bell_bit(sys::bell_kind::socket), "socket-bells")}) {
      const std::string sort = *bells_name ? std::string(name) + '/' + bells_name : name;
      const std::string title =
          *bells_name ? std::string(name) + ", socket bells" : std::string(name) + ", usual bells";
      all.push_back(
          connect_contender<native_way>(sort, title, contender::role::ringbell, backend, bells));
    }
  return all;
}

}  // namespace ringbell::bench
