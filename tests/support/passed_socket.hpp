// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/handle.hpp>

#include <doctest/doctest.h>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <string>

namespace ringbell::test {

/// What a service manager does: it binds a path, listens, and gives copies of the socket to the
/// processes that it starts.
class service_manager {
public:
  explicit service_manager(const std::string& path, int type = SOCK_STREAM, bool listens = true)
      : socket_(::socket(AF_UNIX, type, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    REQUIRE(path.size() < sizeof address.sun_path);
    std::memcpy(address.sun_path, path.data(), path.size());
    REQUIRE(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
            0);
    if (listens) REQUIRE(::listen(socket_.get(), 16) == 0);
  }
  /// A socket for the next process; it is blocking, and open across exec.
  sys::native_handle pass() const { return ::dup(socket_.get()); }

private:
  sys::handle socket_;
};

}  // namespace ringbell::test
