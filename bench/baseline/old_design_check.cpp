// SPDX-License-Identifier: BSL-1.0
// Whether the baseline works, in some ten milliseconds: a figure of a broken one would say nothing.
#include "old_design_check.hpp"

#include "old_design.hpp"
#include "worker_process.hpp"

#include <ringbell/errors.hpp>

#include <stdlib.h>
#include <unistd.h>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace ringbell::bench {

namespace {

using namespace std::chrono_literals;
using namespace old_design;

constexpr auto patience = 60s;

/// A server that echoes, in a thread of this process.
class echo_server {
public:
  explicit echo_server(const std::string& path,
                       const session_timeouts& timeouts = session_timeouts())
      : server_(
            path, [](std::span<const std::byte> request) { return request; }, timeouts),
        runs_([this] { server_.run(); }) {}
  echo_server(const echo_server&) = delete;
  echo_server& operator=(const echo_server&) = delete;
  ~echo_server() { end(); }

  void end() {
    server_.stop();
    if (runs_.joinable()) runs_.join();
  }
  bool comes_to(std::size_t sessions) const {
    return server_.wait_for_sessions(sessions, patience);
  }

private:
  server server_;
  std::thread runs_;
};

std::vector<std::byte> random_message(std::mt19937& random, std::size_t size) {
  std::vector<std::byte> made(size);
  std::ranges::generate(made, [&] { return static_cast<std::byte>(random()); });
  return made;
}

bool echoes(client& c, const std::vector<std::byte>& message) {
  return std::ranges::equal(c.call(message), message);
}

std::error_code error_of(const auto& what) {
  try {
    what();
  } catch (const std::system_error& error) {
    return error.code();
  }
  return {};
}

bool messages_of_all_sizes_come_back(const std::string& path) {
  const echo_server s(path);
  client c(path);
  std::mt19937 random(1);
  std::uniform_int_distribution<std::size_t> any(0, longest_message);
  if (!echoes(c, {}) || !echoes(c, random_message(random, longest_message))) return false;
  for (int i = 0; i < 1000; ++i)
    if (!echoes(c, random_message(random, i % 2 ? any(random) : any(random) % 256))) return false;
  const std::vector<std::byte> too_long(longest_message + 1);
  return error_of([&] { c.call(too_long); }) == errc::message_too_large && echoes(c, {});
}

bool a_killed_client_ends_its_thread(const std::string& path) {
  session_timeouts timeouts;
  timeouts.wait = 50ms;
  auto victim = std::make_unique<worker_process>("client", [&](const pipe_end& end) {
    char go = 0;
    if (!end.get(go)) return;
    client c(path);
    end.put(c.call({}).empty());
    end.get(go);
  });
  const echo_server s(path, timeouts);
  client other(path);
  victim->put('c');
  if (!victim->get<bool>() || !s.comes_to(2)) return false;
  victim.reset();  // by SIGKILL
  return s.comes_to(1) && echoes(other, {});
}

bool a_client_that_leaves_ends_its_thread_at_once(const std::string& path) {
  session_timeouts timeouts;
  timeouts.wait = std::chrono::minutes(10);
  const echo_server s(path, timeouts);
  auto c = std::make_unique<client>(path);
  if (!echoes(*c, {}) || !s.comes_to(1)) return false;
  c.reset();
  return s.comes_to(0);
}

bool a_server_that_ends_fails_the_next_call_at_once(const std::string& path) {
  session_timeouts timeouts;
  timeouts.wait = std::chrono::minutes(10);
  echo_server s(path, timeouts);
  client c(path);
  if (!echoes(c, {})) return false;
  s.end();
  return error_of([&] { c.call({}); }) == errc::peer_closed &&
         error_of([&] { client again(path); }) != std::error_code();
}

bool a_client_that_asks_nothing_is_dropped(const std::string& path) {
  session_timeouts timeouts;
  timeouts.wait = 20ms;
  timeouts.idle =
      500ms;  // so that its first call comes in time, be the machine as busy as it likes
  const echo_server s(path, timeouts);
  client c(path);
  if (!echoes(c, {}) || !s.comes_to(0)) return false;
  return error_of([&] { c.call({}); }) == errc::peer_closed;
}

}  // namespace

int check_old_design() {
  struct {
    const char* name;
    bool (*passes)(const std::string& path);
  } const cases[] = {
      {"a killed client ends its thread", a_killed_client_ends_its_thread},
      {"messages of all sizes come back", messages_of_all_sizes_come_back},
      {"a client that leaves ends its thread at once",
       a_client_that_leaves_ends_its_thread_at_once},
      {"a server that ends fails the next call at once",
       a_server_that_ends_fails_the_next_call_at_once},
      {"a client that asks nothing is dropped", a_client_that_asks_nothing_is_dropped},
  };
  std::string folder = (std::filesystem::temp_directory_path() / "ringbell-bench-XXXXXX").string();
  if (!::mkdtemp(folder.data())) return 1;
  int failed = 0;
  for (const auto& c : cases) {
    bool good = false;
    try {
      good = c.passes(folder + "/echo");
    } catch (const std::exception& error) {
      std::printf("%s\n", error.what());
    }
    std::printf("%s: %s\n", good ? "passed" : "FAILED", c.name);
    if (!good) ++failed;
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  return failed == 0 ? 0 : 1;
}

}  // namespace ringbell::bench
