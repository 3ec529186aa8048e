// SPDX-License-Identifier: BSL-1.0
// What `check` counts the instructions of: instructions CASE N does the case's work N times, and
// nothing else that depends on N. Both sides of the channel are in this thread, so each run
// executes the same instructions; the kernel is called only to set up.
#include "../temporary_folder.hpp"

#include <ringbell/channel/channel.hpp>
#include <ringbell/channel/connect.hpp>
#include <ringbell/channel/listener.hpp>
#include <ringbell/coro/task.hpp>
#include <ringbell/loop/loop.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>

namespace {

using namespace ringbell;

constexpr int messages_at_once = 64;  // less than a ring holds, so nobody waits for space

struct both_ends {
  channel client;
  channel server;
};

using bytes = std::array<std::byte, 64>;

void expect(bool right) {
  if (!right) throw std::runtime_error("not what was sent");
}

task<> accept_one(listener& l, channel& to) { to = co_await l.accept(); }
task<> connect_one(loop& lp, std::string path, channel& to) { to = co_await connect(lp, path); }

// -- the cases; each returns after n times --

// There and back, and nobody has to wait.
task<> round_trip(both_ends& ends, std::uint64_t n) {
  bytes data{};
  for (; n != 0; --n) {
    co_await ends.client.send(data);
    expect(co_await ends.server.recv_into(data) == data.size());
    co_await ends.server.send(data);
    expect(co_await ends.client.recv_into(data) == data.size());
  }
}

task<> one_way(both_ends& ends, std::uint64_t n) {
  bytes data{};
  for (; n > messages_at_once; n -= messages_at_once) {
    for (int i = 0; i < messages_at_once; ++i) co_await ends.client.send(data);
    for (int i = 0; i < messages_at_once; ++i)
      expect(co_await ends.server.recv_into(data) == data.size());
  }
}

task<> batched(both_ends& ends, std::uint64_t n) {
  bytes data{};
  for (; n > messages_at_once; n -= messages_at_once) {
    {
      const sender::batch together(ends.client.sender());
      for (int i = 0; i < messages_at_once; ++i) co_await ends.client.send(data);
    }
    for (int i = 0; i < messages_at_once; ++i)
      expect(co_await ends.server.recv_into(data) == data.size());
  }
}

task<> in_place(both_ends& ends, std::uint64_t n) {
  for (; n > messages_at_once; n -= messages_at_once) {
    for (int i = 0; i < messages_at_once; ++i) {
      claim space = co_await ends.client.claim(sizeof(bytes));
      space.bytes()[0] = std::byte(i);
      space.commit();
    }
    for (int i = 0; i < messages_at_once; ++i) {
      const auto got = co_await ends.server.recv();
      expect(got && got->size() == sizeof(bytes) && got->bytes()[0] == std::byte(i));
    }
  }
}

// There and back between two coroutines: each waits, and the loop finds by polling that it can go
// on.
task<> answer(channel& ch, std::uint64_t n) {
  bytes data{};
  for (; n != 0; --n) {
    expect(co_await ch.recv_into(data) == data.size());
    co_await ch.send(data);
  }
}
task<> woken(both_ends& ends, std::uint64_t n) {
  bytes data{};
  for (; n != 0; --n) {
    co_await ends.client.send(data);
    expect(co_await ends.client.recv_into(data) == data.size());
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: instructions round-trip|one-way|batched|in-place|woken N\n");
    return 2;
  }
  const std::string_view what = argv[1];
  const std::uint64_t n = std::strtoull(argv[2], nullptr, 10);

  loop_options options;
  options.backend = loop_backend::epoll;  // the one that valgrind knows
  options.spin = spin_policy::always;     // so nobody sleeps, however slow this is under valgrind
  loop lp(options);
  both_ends ends;
  {
    const ringbell::bench::temporary_folder folder;
    const std::string path = folder.new_name();
    listener l = listener::bind(lp, path);
    lp.spawn(connect_one(lp, path, ends.client));
    lp.run(accept_one(l, ends.server));
    lp.run_until_idle();
  }

  if (what == "round-trip") {
    lp.run(round_trip(ends, n));
  } else if (what == "one-way") {
    lp.run(one_way(ends, n));
  } else if (what == "batched") {
    lp.run(batched(ends, n));
  } else if (what == "in-place") {
    lp.run(in_place(ends, n));
  } else if (what == "woken") {
    lp.spawn(answer(ends.server, n));
    lp.run(woken(ends, n));
  } else {
    std::fprintf(stderr, "no such case: %s\n", argv[1]);
    return 2;
  }
}
