// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>
#include <string_view>

namespace ringbell::sys {

/// The longest path that a socket address holds, without the terminating zero.
inline constexpr std::size_t max_socket_path = sizeof(sockaddr_un::sun_path) - 1;

/// A path as a socket address. False when the path cannot be one: it is empty, too long, or
/// contains a zero.
class unix_address {
public:
  explicit unix_address(std::string_view path) noexcept
      : valid_(!path.empty() && path.size() <= max_socket_path && path.find('\0') == path.npos) {
    address_.sun_family = AF_UNIX;
    if (valid_) std::memcpy(address_.sun_path, path.data(), path.size());
  }
  explicit operator bool() const noexcept { return valid_; }
  const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&address_); }
  static constexpr socklen_t size() noexcept { return sizeof(sockaddr_un); }

private:
  sockaddr_un address_{};
  bool valid_;
};

}  // namespace ringbell::sys
