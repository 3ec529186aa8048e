// SPDX-License-Identifier: BSL-1.0
// A service that Prometheus can watch:
//
//     prometheus [NAME]
//
// It answers `greet` (hello_service call NAME asks for it), and gives its metrics by the method
// `metrics` as well as by HTTP on 127.0.0.1; where, it prints when it is ready.
#include <ringbell/ringbell.hpp>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "prometheus_observer.hpp"

namespace {

using namespace std::chrono_literals;

ringbell::task<ringbell::reply> answer(const prometheus_observer& metrics, ringbell::request r) {
  switch (r.method()) {
    case ringbell::method_id("greet"): co_return ringbell::reply("hello, " + std::string(r.text()));
    case ringbell::method_id("metrics"): co_return ringbell::reply(metrics.text());
  }
  throw std::system_error(ringbell::errc::no_such_method);
}

// -- what there has to be of HTTP: GET /metrics, one request a connection, on sockets that the loop waits for --

std::string response(std::string_view request, const prometheus_observer& metrics) {
  std::string status = "200 OK";
  std::string body;
  if (!request.starts_with("GET "))
    status = "405 Method Not Allowed\r\nAllow: GET";
  else if (request.starts_with("GET /metrics ") || request.starts_with("GET /metrics?"))
    body = metrics.text();
  else
    status = "404 Not Found";
  return "HTTP/1.1 " + status +
         "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" + body;
}

ringbell::task<> exchange(ringbell::sys::handle socket, const prometheus_observer& metrics) {
  constexpr std::size_t longest_request = 8192;
  std::string request;
  while (request.find("\r\n\r\n") == std::string::npos) {
    char bytes[1024];
    const ssize_t n = ::recv(socket.get(), bytes, sizeof bytes, 0);
    if (n > 0) request.append(bytes, static_cast<std::size_t>(n));
    if (n == 0 || request.size() > longest_request) co_return;
    if (n < 0 && errno != EAGAIN) co_return;
    if (n < 0) co_await ringbell::readable(socket.get());
  }
  const std::string reply = response(request, metrics);
  for (std::string_view left = reply; !left.empty();) {
    const ssize_t n = ::send(socket.get(), left.data(), left.size(), MSG_NOSIGNAL);
    if (n > 0) left.remove_prefix(static_cast<std::size_t>(n));
    if (n < 0 && errno != EAGAIN) co_return;
    if (n < 0) co_await ringbell::writable(socket.get());
  }
}

/// Gives a client 5 seconds for all of it, so that a silent one does not hold a place for ever.
ringbell::task<> session(ringbell::sys::handle socket, const prometheus_observer& metrics) {
  // Not thrown, but given: that somebody on HTTP is slow is no failure of ours.
  (void)co_await ringbell::as_result(ringbell::timeout(5s, exchange(std::move(socket), metrics)));
}

/// Of a new descriptor, if it is one: does not block, and is closed on exec.
ringbell::sys::handle without_blocking(int fd) noexcept {
  if (fd >= 0) {
    ::fcntl(fd, F_SETFL, O_NONBLOCK);
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
  return ringbell::sys::handle(fd);
}

ringbell::task<> serve_http(ringbell::loop& lp, const prometheus_observer& metrics) {
  const ringbell::sys::handle listener = without_blocking(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);  // port 0: the system chooses
  socklen_t size = sizeof address;
  if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      ::listen(listener.get(), 16) != 0 ||
      ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
    throw std::system_error(errno, std::generic_category(), "127.0.0.1");
  std::printf("http://127.0.0.1:%u/metrics\n", ntohs(address.sin_port));
  std::fflush(stdout);

  constexpr std::size_t most_sessions = 16;
  ringbell::scope sessions(lp);
  for (;;) {
    co_await ringbell::readable(listener.get());
    ringbell::sys::handle socket = without_blocking(::accept(listener.get(), nullptr, nullptr));
    if (socket && sessions.size() < most_sessions)
      sessions.spawn(session(std::move(socket), metrics));
    else if (!socket && errno != EAGAIN && errno != ECONNABORTED)
      co_await ringbell::sleep_for(100ms);  // out of descriptors: better late than busy
  }
}

ringbell::task<> serve(ringbell::loop& lp, std::string name) {
  prometheus_observer metrics{"greet", "metrics"};
  ringbell::server_options options;
  options.observer = &metrics;
  ringbell::server service(
      lp, name, [&metrics](ringbell::request r) { return answer(metrics, std::move(r)); }, options);
  co_await ringbell::when_any(ringbell::signalled(SIGINT, SIGTERM), serve_http(lp, metrics));
  co_await service.stop();
}

}  // namespace

int main(int argc, char** argv) try {
  ringbell::loop lp;
  lp.run(serve(lp, argc > 1 ? argv[1] : "watched"));
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
