// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace ringbell::tool {

/// One side of `ringbell proxy`.
struct proxy_address {
  enum class kind { tcp, unix_socket, service };
  kind what = kind::service;
  std::string host;  ///< of TCP
  std::string port;  ///< of TCP
  std::string path;  ///< of a Unix socket; or the name of a service

  bool is_socket() const noexcept { return what != kind::service; }
};

/// Reads `tcp:HOST:PORT` (an IPv6 address stands in brackets), `unix:PATH`, or else the name of a
/// service. Empty when it is none of these.
inline std::optional<proxy_address> parse_proxy_address(std::string_view text) {
  proxy_address address;
  if (text.starts_with("unix:")) {
    address.what = proxy_address::kind::unix_socket;
    address.path = text.substr(5);
  } else if (text.starts_with("tcp:")) {
    address.what = proxy_address::kind::tcp;
    text.remove_prefix(4);
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) return std::nullopt;
    std::string_view host = text.substr(0, colon);
    address.port = text.substr(colon + 1);
    const bool brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
    if (brackets) host = host.substr(1, host.size() - 2);
    if (host.empty() || (!brackets && host.find_first_of(":[") != std::string_view::npos))
      return std::nullopt;
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    if (address.port.empty() || address.port.size() > 5) return std::nullopt;
    for (const char c : address.port)
      if (!is_digit(c)) return std::nullopt;
    if (std::stoul(address.port) > 65535) return std::nullopt;
    address.host = host;
    return address;
  } else {
    address.path = text;
  }
  if (address.path.empty()) return std::nullopt;
  return address;
}

/// As it is written on a command line.
inline std::string text_of(const proxy_address& address) {
  switch (address.what) {
    case proxy_address::kind::tcp:
      return address.host.find(':') == std::string::npos
                 ? "tcp:" + address.host + ":" + address.port
                 : "tcp:[" + address.host + "]:" + address.port;
    case proxy_address::kind::unix_socket: return "unix:" + address.path;
    default: return address.path;
  }
}

}  // namespace ringbell::tool
