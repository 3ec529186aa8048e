// SPDX-License-Identifier: BSL-1.0

// What only io_uring has: futex watches, completions that one thread defers, and system calls that
// a sandbox refuses.

#include "support/patience.hpp"
#include "support/reactors.hpp"
#include "support/refused_call.hpp"

#include <ringbell/sys/futex.hpp>

#include <sys/mman.h>
#include <sys/syscall.h>
#include <cerrno>
#include <new>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>

TEST_SUITE("reactor_io_uring") {

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

}  // namespace

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

}  // TEST_SUITE("reactor_io_uring")
