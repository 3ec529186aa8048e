// SPDX-License-Identifier: BSL-1.0
// A program with an event loop of its own, here poll(2), drives a ringbell loop through one handle:
//
//     own_event_loop [NAME]
//
// Says hello to the echo server once a second, three times.
#include <ringbell/ringbell.hpp>

#include <poll.h>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <system_error>

namespace {

using namespace std::chrono_literals;

ringbell::task<> greet(ringbell::loop& lp, std::string name, bool& done) {
  auto ch = co_await ringbell::connect(lp, name);
  for (int i = 0; i < 3; ++i) {
    co_await ch.send("hello " + std::to_string(i));
    const auto reply = co_await ch.recv();
    if (!reply) break;
    std::printf("%.*s\n", static_cast<int>(reply->size()), reply->text().data());
    co_await ringbell::sleep_for(i < 2 ? 1s : 0s);
  }
  done = true;
}

}  // namespace

int main(int argc, char** argv) try {
  ringbell::loop lp({.spin = ringbell::spin_policy::none});  // poll(2) has the thread
  bool done = false;
  lp.spawn(greet(lp, argc > 1 ? argv[1] : "echo", done));

  // In a real program this is the loop that was there before, with its own descriptors beside ours.
  pollfd watched{lp.native_handle(), POLLIN, 0};
  lp.run_ready();
  while (!done) {
    if (::poll(&watched, 1, -1) < 0 && errno != EINTR)
      throw std::system_error(errno, std::system_category(), "poll");
    lp.run_ready();
  }
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
