// SPDX-License-Identifier: BSL-1.0

// What the reactors promise beside watches: sleeping, being slept on by a foreign loop, floods,
// futex words, threads, and what a sandbox refuses.

#include "support/allocations.hpp"
#include "support/patience.hpp"
#include "support/process.hpp"
#include "support/reactors.hpp"
#include "support/time_namespace.hpp"

#include <ringbell/errors.hpp>
#include <ringbell/sys/futex.hpp>

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <string_view>
#include <thread>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

TEST_SUITE("reactor_wait") {

using namespace ringbell;
using namespace ringbell::test;

namespace {

// A word that a child process shares.
class shared_word {
public:
  shared_word()
      : memory_(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
    REQUIRE(memory_ != MAP_FAILED);
    word_ = new (memory_) sys::futex_word(0);
  }
  shared_word(const shared_word&) = delete;
  shared_word& operator=(const shared_word&) = delete;
  ~shared_word() { ::munmap(memory_, 4096); }
  sys::futex_word& operator*() const { return *word_; }

private:
  void* memory_;
  sys::futex_word* word_;
};

// From here on this process gets `error` from one system call.
bool refuse(unsigned number, unsigned error) {
  std::array<sock_filter, 4> filter{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  sock_fprog program{filter.size(), filter.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

constexpr int no_filters = 77;

// Runs `f` in a process from which one system call is kept; 0 when all went well.
template <class F>
int run_without(unsigned number, unsigned error, F f) {
  const int status = run_in_child([&] { return refuse(number, error) ? f() : no_filters; });
  if (status == no_filters) MESSAGE("skipped: no seccomp filters here");
  return status == no_filters ? 0 : status;
}

// Delivers as a foreign loop does: sleeps on the pollable handle, and then asks the reactor.
template <class Condition>
bool poll_until(reactor& r, Condition holds) {
  const auto deadline = clock_type::now() + patience;
  while (!holds()) {
    if (clock_type::now() >= deadline) return false;
    r.arm(deadline);
    poll_now(r.pollable(), POLLIN, 60'000);
    r.poll();
  }
  return true;
}

}  // namespace

TEST_CASE_TEMPLATE("wait returns at its deadline, and not before", B, RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  for (const auto time : {1ns, 1'000ns, 50'000ns, 999'999ns, 1'000'001ns, 3'500'000ns}) {
    const auto until = clock_type::now() + time;
    CHECK(r->wait(until) == 0);
    CHECK(clock_type::now() >= until);
  }
}

TEST_CASE_TEMPLATE("wait with a deadline in the past delivers what is there without sleeping", B,
                   RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  CHECK(r->wait(reactor::time_point::min()) == 0);
  CHECK(r->wait(reactor::time_point()) == 0);
  auto event = make_event();
  recorder sink;
  watch_key key;
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, sink, key));
  CHECK(r->wait(reactor::time_point::min()) == 0);
  signal_bell(event);
  CHECK(r->wait(reactor::time_point::min()) == 1);
  r->unwatch(key);
}

TEST_CASE_TEMPLATE("wait without a deadline sleeps until something happens", B, RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event();
  recorder sink;
  watch_key key;
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, sink, key));
  std::thread ringer([&] { signal_bell(event); });
  CHECK(r->wait(reactor::time_point::max()) == 1);
  CHECK(sink.count == 1);
  ringer.join();
  r->unwatch(key);
}

TEST_CASE_TEMPLATE("signals are slept through", B, RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  static std::atomic<int> signals;
  signals = 0;
  struct sigaction action{};
  struct sigaction before{};
  action.sa_handler = [](int) { ++signals; };  // without SA_RESTART
  ::sigaction(SIGALRM, &action, &before);
  itimerval every{{0, 2000}, {0, 2000}};
  ::setitimer(ITIMER_REAL, &every, nullptr);
  const auto until = clock_type::now() + 30ms;
  CHECK(r->wait(until) == 0);
  CHECK(clock_type::now() >= until);
  every = {};
  ::setitimer(ITIMER_REAL, &every, nullptr);
  ::sigaction(SIGALRM, &before, nullptr);
  CHECK(signals > 0);
}

TEST_CASE_TEMPLATE("a foreign loop that sleeps on the pollable handle misses no ring", B,
                   RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event();
  std::atomic<int> rung{0}, heard{0};
  recorder sink([&] { heard.store(rung.load(), std::memory_order_release), heard.notify_one(); });
  watch_key key;
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, sink, key));
  std::thread ringer([&] {
    for (int i = 1; i <= 300; ++i) {
      rung = i;
      signal_bell(event);
      while (heard.load(std::memory_order_acquire) != i) heard.wait(i - 1);
    }
  });
  const bool all = poll_until(*r, [&] { return heard == 300; });
  CHECK(all);
  if (!all) std::_Exit(1);  // the ringer waits for ever
  ringer.join();
  r->unwatch(key);
}

TEST_CASE_TEMPLATE(
    "the pollable handle is readable while something is to be delivered, and only then", B,
    RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event();
  recorder sink;
  watch_key key;
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, sink, key));
  r->arm(reactor::time_point::max());
  CHECK(poll_now(r->pollable(), POLLIN) == 0);
  for (int i = 1; i <= 3; ++i) {
    signal_bell(event);
    CHECK(poll_now(r->pollable(), POLLIN, 60'000) == POLLIN);
    CHECK(r->poll() == 1);
    r->arm(reactor::time_point::max());
    CHECK(poll_now(r->pollable(), POLLIN) == 0);
  }
  CHECK(sink.count == 3);
  r->unwatch(key);
}

TEST_CASE_TEMPLATE(
    "the pollable handle becomes readable at the armed time, not before, and not when that was taken back",
    B, RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  for (int i = 0; i < 3; ++i) {
    const auto due = clock_type::now() + 5ms;
    r->arm(due);
    CHECK(poll_now(r->pollable(), POLLIN, 60'000) == POLLIN);
    CHECK(clock_type::now() >= due);
    CHECK(r->poll() == 0);
    r->arm(reactor::time_point::max());
    r->poll();
    CHECK(poll_now(r->pollable(), POLLIN) == 0);
  }
  r->arm(clock_type::now() + 20ms);
  r->arm(clock_type::now() + 24h);
  r->arm(reactor::time_point::max());
  r->poll();
  CHECK(poll_now(r->pollable(), POLLIN, 40) == 0);
  r->arm(reactor::time_point::min());
  CHECK(poll_now(r->pollable(), POLLIN, 60'000) == POLLIN);
}

TEST_CASE_TEMPLATE("a foreign loop hears of a regular file, too", B, RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  const sys::handle file(::memfd_create("reactor_wait_test", MFD_CLOEXEC));
  recorder sink;
  watch_key key;
  REQUIRE_FALSE(r->watch(file.get(), event_read, watch_mode::edge, sink, key));
  CHECK(poll_until(*r, [&] { return sink.count > 0; }));
  r->unwatch(key);
}

TEST_CASE_TEMPLATE("watches that began before a foreign loop asked for the handle go on", B,
                   RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event(), pending = make_event();
  socket_pair s, closing;
  sys::futex_word word{0};
  recorder edge, once, undelivered, ended, futex;
  watch_key edge_key, once_key, undelivered_key, ended_key, futex_key;
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, edge, edge_key));
  REQUIRE_FALSE(r->watch(s.near.get(), event_read, watch_mode::once, once, once_key));
  REQUIRE_FALSE(
      r->watch(pending.get(), event_read, watch_mode::edge, undelivered, undelivered_key));
  REQUIRE_FALSE(r->watch(closing.near.get(), event_read, watch_mode::edge, ended, ended_key));
  if (r->has_futex()) REQUIRE_FALSE(r->watch_futex(word, 0, futex, futex_key));
  drain(*r);
  signal_bell(pending);
  if (r->has_futex()) CHECK(sys::futex_wake(word, 1, sys::futex_scope::shared) == 1);

  r->pollable();
  r->unwatch(ended_key);
  closing.near.reset();
  CHECK((poll_now(closing.far.get(), POLLIN) & POLLHUP) != 0);
  signal_bell(event);
  REQUIRE(::send(s.far.get(), "x", 1, 0) == 1);
  CHECK(poll_until(*r, [&] {
    return edge.count > 0 && once.count > 0 && undelivered.count > 0 &&
           (futex.count > 0 || !r->has_futex());
  }));
  drain(*r);
  CHECK(once.count == 1);
  CHECK(ended.count == 0);
  CHECK(futex.count == (r->has_futex() ? 1 : 0));
  r->unwatch(edge_key);
  r->unwatch(undelivered_key);
}

TEST_CASE_TEMPLATE("each of 3000 watches hears the last of a flood of rings", B,
                   RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  // More than the completion queue holds, with nobody taking anything out.
  const auto events = many_events(3000);
  std::vector<recorder> sinks(events.size());
  std::vector<watch_key> keys(events.size());
  for (std::size_t i = 0; i < events.size(); ++i)
    REQUIRE_FALSE(r->watch(events[i].get(), event_read, watch_mode::edge, sinks[i], keys[i]));
  drain(*r);
  for (int round = 1; round <= 3; ++round) {
    for (auto& sink : sinks) sink.count = 0;
    for (const auto& event : events) signal_bell(event), signal_bell(event);
    const auto all = [&] {
      return std::all_of(sinks.begin(), sinks.end(), [](const recorder& s) { return s.count > 0; });
    };
    CHECK(wait_until(*r, all));
    drain(*r);
  }
  for (auto& key : keys) r->unwatch(key);
}

TEST_CASE_TEMPLATE("a watch survives 20,000 rings that nobody listened to", B, RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event();
  std::uint64_t heard = 0, rung = 0;
  recorder sink([&] { heard = rung; });
  watch_key key;
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, sink, key));
  drain(*r);
  for (int i = 0; i < 20'000; ++i) signal_bell(event), ++rung;
  CHECK(wait_until(*r, [&] { return heard == rung; }));
  drain(*r);
  signal_bell(event), ++rung;
  CHECK(wait_until(*r, [&] { return heard == rung; }));
  r->unwatch(key);
}

TEST_CASE_TEMPLATE(
    "nothing is allocated per event, nor for a watch that takes the place of an ended one", B,
    RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event();
  socket_pair s;
  recorder sink;
  watch_key key, once;
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, sink, key));
  REQUIRE_FALSE(r->watch(s.near.get(), event_write, watch_mode::once, sink, once));
  drain(*r);
  const std::size_t before = allocations;
  bool fine = true;
  for (int i = 0; i < 100; ++i) {
    signal_bell(event);
    fine = fine && !r->watch(s.near.get(), event_write, watch_mode::once, sink, once);
    r->wait(clock_type::now() + patience);
    r->poll();
  }
  CHECK(allocations == before);
  CHECK(fine);
  r->unwatch(once);
  r->unwatch(key);
}

TEST_CASE_TEMPLATE("a reactor leaves no descriptor behind", B, RINGBELL_REACTORS) {
  const int before = open_descriptors();
  {
    auto r = B::make();
    if (!r) return;
    socket_pair s;
    recorder sink;
    watch_key read_key, write_key;
    REQUIRE_FALSE(r->watch(s.near.get(), event_read, watch_mode::edge, sink, read_key));
    REQUIRE_FALSE(r->watch(s.near.get(), event_write, watch_mode::edge, sink, write_key));
    r->arm(clock_type::now());
    CHECK(wait_until(*r, [&] { return sink.count > 0; }));
    r->unwatch(write_key);  // the other one is left to the destructor
  }
  CHECK(open_descriptors() == before);
}

TEST_CASE_TEMPLATE(
    "a reactor may be made and given its first watches on one thread, and used on another", B,
    RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  auto event = make_event(1), gone = make_event(1);
  recorder sink;
  watch_key key, gone_key;
  REQUIRE_FALSE(r->watch(event.get(), event_read, watch_mode::edge, sink, key));
  REQUIRE_FALSE(r->watch(gone.get(), event_read, watch_mode::edge, sink, gone_key));
  r->unwatch(gone_key);
  bool heard = false;
  std::thread user([&] {
    heard = wait_until(*r, [&] { return sink.count == 1; });
    signal_bell(event);
    heard = heard && wait_until(*r, [&] { return sink.count == 2; });
    r->unwatch(key);
  });
  user.join();
  CHECK(heard);
}

TEST_CASE("a second thread that asks a deferring io_uring gets an exception") {
  auto r = io_uring_deferred::make();
  if (!r) return;
  if (r->reason().find("deferred") == std::string_view::npos) {
    MESSAGE("skipped: " << r->reason());
    return;
  }
  r->wait(reactor::time_point::min());
  bool refused = false;
  std::thread intruder([&] {
    try {
      r->wait(reactor::time_point::min());
    } catch (const std::system_error&) {
      refused = true;
    }
  });
  intruder.join();
  CHECK(refused);
}

TEST_CASE_TEMPLATE(
    "the watches of a thread that has ended go on with the next, which says that it is another", B,
    RINGBELL_REACTORS) {
  for (const bool foreign : {false, true}) {
    CAPTURE(foreign);
    auto r = B::make();
    if (!r) return;
    const auto bell = make_event();
    socket_pair s;
    recorder rung, heard;
    watch_key key, socket_key;
    std::thread([&] {
      if (foreign) r->pollable();
      (void)r->watch(bell.get(), event_read, watch_mode::edge, rung, key);
      (void)r->watch(s.near.get(), event_read, watch_mode::once, heard, socket_key);
      drain(*r);
      if (foreign) r->arm(reactor::time_point::max());
    }).join();
    signal_bell(bell);
    REQUIRE(::write(s.far.get(), "x", 1) == 1);
    if (foreign) CHECK(poll_now(r->pollable(), POLLIN, 60'000) != 0);
    r->change_thread();
    CHECK(wait_until(*r, [&] { return rung.count > 0 && heard.count > 0; }));
    CHECK(rung.seen == event_read);
    CHECK(heard.seen == event_read);
    drain(*r);
    rung.count = 0;
    std::thread([&] {
      r->change_thread();
      drain(*r);
      rung.count = 0;
    }).join();
    r->change_thread();
    signal_bell(bell);
    CHECK(wait_until(*r, [&] { return rung.count > 0; }));
    r->unwatch(key);
  }
}

TEST_CASE_TEMPLATE(
    "a timer that one thread has armed for a foreign loop fires after that thread's end", B,
    RINGBELL_REACTORS) {
  auto r = B::make();
  if (!r) return;
  std::thread([&] {
    r->pollable();
    r->arm(clock_type::now() + 20ms);
  }).join();
  CHECK(poll_now(r->pollable(), POLLIN, 60'000) != 0);
}

TEST_CASE_TEMPLATE(
    "a forked child ends its copies of watches, and of the reactor, and the parent's go on", B,
    RINGBELL_REACTORS) {
  for (const bool asked : {false, true}) {
    CAPTURE(asked);
    auto r = B::make();
    if (!r) return;
    const auto bell = make_event();
    socket_pair s;
    recorder rung, heard;
    watch_key key, socket_key;
    REQUIRE_FALSE(r->watch(bell.get(), event_read, watch_mode::edge, rung, key));
    REQUIRE_FALSE(r->watch(s.near.get(), event_read, watch_mode::edge, heard, socket_key));
    if (asked) drain(*r);
    CHECK(run_in_child([&] {
            r->unwatch(key);
            r->unwatch(socket_key);
            r.reset();
            return 0;
          }) == 0);
    signal_bell(bell);
    REQUIRE(::write(s.far.get(), "x", 1) == 1);
    CHECK(wait_until(*r, [&] { return rung.count > 0 && heard.count > 0; }));
    r->unwatch(key);
    r->unwatch(socket_key);
  }
}

TEST_CASE_TEMPLATE("in a time namespace waits and timers are of the length that was asked for", B,
                   RINGBELL_REACTORS) {
  const int outcome = run_a_day_ahead([] {
    auto r = B::make();
    if (!r) return 77;
    auto due = clock_type::now() + 20ms;
    r->wait(due);
    if (clock_type::now() < due) return 1;
    const sys::native_handle handle = r->pollable();
    due = clock_type::now() + 20ms;
    r->arm(due);
    if (poll_now(handle, POLLIN, 60'000) == 0) return 2;
    return clock_type::now() < due ? 3 : 0;
  });
  if (outcome == 77)
    MESSAGE("skipped: no time namespaces");
  else
    CHECK(outcome == 0);
}

TEST_CASE_TEMPLATE("a futex watch reports a wake, once", B, RINGBELL_IO_URINGS) {
  auto r = B::make();
  if (!r) return;
  if (!r->has_futex()) {
    MESSAGE("skipped: " << r->reason());
    return;
  }
  sys::futex_word word{7};
  recorder sink;
  watch_key key;
  REQUIRE_FALSE(r->watch_futex(word, 7, sink, key));
  drain(*r);
  CHECK(sink.count == 0);
  CHECK(sys::futex_wake(word, 10, sys::futex_scope::shared) == 1);
  CHECK(wait_until(*r, [&] { return sink.count > 0; }));
  CHECK(sink.seen == event_read);
  CHECK(sys::futex_wake(word, 10, sys::futex_scope::shared) == 0);
  drain(*r);
  CHECK(sink.count == 1);
}

TEST_CASE_TEMPLATE("a futex watch reports a word that has changed already", B, RINGBELL_IO_URINGS) {
  auto r = B::make();
  if (!r) return;
  if (!r->has_futex()) return;
  sys::futex_word word{8};
  recorder sink;
  watch_key key;
  REQUIRE_FALSE(r->watch_futex(word, 7, sink, key));
  CHECK(wait_until(*r, [&] { return sink.count > 0; }));
  CHECK(sink.seen == event_read);
}

TEST_CASE_TEMPLATE("a futex watch that has ended sleeps on the word no longer", B,
                   RINGBELL_IO_URINGS) {
  auto r = B::make();
  if (!r) return;
  if (!r->has_futex()) return;
  sys::futex_word word{7};
  recorder sink;
  watch_key key;
  REQUIRE_FALSE(r->watch_futex(word, 7, sink, key));
  drain(*r);
  r->unwatch(key);
  CHECK(sys::futex_wake(word, 10, sys::futex_scope::shared) == 0);
  drain(*r);
  CHECK(sink.count == 0);
}

TEST_CASE_TEMPLATE("a futex watch is woken by another process", B, RINGBELL_IO_URINGS) {
  auto r = B::make();
  if (!r) return;
  if (!r->has_futex()) return;
  const shared_word shared;
  recorder sink;
  watch_key key;
  REQUIRE_FALSE(r->watch_futex(*shared, 0, sink, key));
  drain(*r);
  child waker([&] {
    (*shared).store(1);
    sys::futex_wake(*shared, 1, sys::futex_scope::shared);
  });
  CHECK(wait_until(*r, [&] { return sink.count == 1; }));
  CHECK((*shared).load() == 1);
  CHECK(waker.join() == 0);
}

TEST_CASE("epoll says that it cannot wait on a futex") {
  auto r = epoll_set::make();
  const sys::futex_word word{0};
  recorder sink;
  watch_key key;
  CHECK_FALSE(r->has_futex());
  CHECK(r->watch_futex(word, 0, sink, key) == errc::not_supported);
  CHECK_FALSE(key);
}

TEST_CASE("where a sandbox refuses one of io_uring's calls there is no io_uring, and it says why") {
  for (const unsigned call : {SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register}) {
    for (const unsigned refusal : {EPERM, ENOSYS}) {
      CHECK(run_without(call, refusal, [&] {
              std::error_code error;
              std::string why_not;
              const auto r = make_io_uring_reactor(error, why_not);
              // Only the deferring ring has to register something.
              if (r)
                return call == SYS_io_uring_register &&
                               r->reason().find("deferred") == std::string_view::npos
                           ? 0
                           : 1;
              if (!error) return 2;
              return why_not.find("io_uring") == 0 && why_not.find(':') != std::string::npos ? 0
                                                                                             : 3;
            }) == 0);
    }
  }
}

TEST_CASE("epoll without epoll_pwait2 waits for milliseconds, and never too short") {
  for (const unsigned refusal : {ENOSYS, EPERM}) {
    CHECK(run_without(SYS_epoll_pwait2, refusal, [] {
            std::error_code error;
            const auto r = make_epoll_reactor(error);
            if (!r) return 1;
            if (r->reason().find("millisecond") == std::string_view::npos) return 2;
            for (const auto time : {1ns, 50'000ns, 1'500'000ns}) {
              const auto until = clock_type::now() + time;
              if (r->wait(until) != 0 || clock_type::now() < until) return 3;
            }
            const sys::handle event(::eventfd(1, EFD_CLOEXEC));
            recorder sink;
            watch_key key;
            if (r->watch(event.get(), event_read, watch_mode::edge, sink, key)) return 4;
            if (r->wait(reactor::time_point::max()) != 1) return 5;
            r->unwatch(key);
            return 0;
          }) == 0);
  }
}

}  // TEST_SUITE("reactor_wait")
