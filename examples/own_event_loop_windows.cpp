// SPDX-License-Identifier: BSL-1.0
// own_event_loop.cpp where programs wait for objects: one with an event loop of its own drives a
// ringbell loop through one handle:
//
//     own_event_loop [NAME]
//
// Says hello to the echo server once a second, three times.
#include <ringbell/ringbell.hpp>

#include <windows.h>

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
  ringbell::loop lp;
  bool done = false;
  lp.spawn(greet(lp, argc > 1 ? argv[1] : "echo", done));

  // In a real program this is the loop that was there before, with its own objects beside ours:
  // MsgWaitForMultipleObjects where there are windows.
  const HANDLE watched[] = {lp.native_handle()};
  lp.run_ready();
  while (!done) {
    if (::WaitForMultipleObjects(1, watched, FALSE, INFINITE) == WAIT_FAILED)
      throw std::system_error(static_cast<int>(::GetLastError()), std::system_category(),
                              "WaitForMultipleObjects");
    lp.run_ready();
  }
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
