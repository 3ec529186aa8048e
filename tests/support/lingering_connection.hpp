// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/handle.hpp>

#include <doctest/doctest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <fstream>
#include <string>
#include <vector>

#include "support/process.hpp"

namespace ringbell::test {

/// A TCP connection with bytes that nobody reads: whoever closes `near` last waits for them, for an
/// hour.
class lingering_connection {
public:
  lingering_connection() {
    const sys::handle listening(::socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof name;
    auto* const address = reinterpret_cast<sockaddr*>(&name);
    REQUIRE(::bind(listening.get(), address, size) == 0);
    REQUIRE(::listen(listening.get(), 1) == 0);
    REQUIRE(::getsockname(listening.get(), address, &size) == 0);
    near = sys::handle(::socket(AF_INET, SOCK_STREAM, 0));
    REQUIRE(::connect(near.get(), address, size) == 0);
    far = sys::handle(::accept(listening.get(), nullptr, nullptr));
    const std::vector<char> block(65536);
    while (::send(near.get(), block.data(), block.size(), MSG_DONTWAIT) > 0) {}
    const linger for_an_hour{1, 3600};
    REQUIRE(::setsockopt(near.get(), SOL_SOCKET, SO_LINGER, &for_an_hour, sizeof for_an_hour) == 0);
  }
  /// Closing it waits for nothing any more.
  void calm_down() {
    const linger none{};
    (void)::setsockopt(near.get(), SOL_SOCKET, SO_LINGER, &none, sizeof none);
  }
  sys::handle near;
  sys::handle far;
};

/// A process of Linux that stands still for as long as this object lives.
class stopped {
public:
  explicit stopped(pid_t process) : process_(process) {
    ::kill(process_, SIGSTOP);
    REQUIRE(eventually([&] {
      std::ifstream status("/proc/" + std::to_string(process_) + "/stat");
      std::string id, name, state;
      status >> id >> name >> state;
      return state == "T";
    }));
  }
  stopped(const stopped&) = delete;
  stopped& operator=(const stopped&) = delete;
  ~stopped() { ::kill(process_, SIGCONT); }

private:
  pid_t process_;
};

}  // namespace ringbell::test
