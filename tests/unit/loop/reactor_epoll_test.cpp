// SPDX-License-Identifier: BSL-1.0

// What only epoll has: no futex watches, and kernels without epoll_pwait2.

#include "support/reactors.hpp"
#include "support/refused_call.hpp"

#include <ringbell/errors.hpp>
#include <ringbell/sys/futex.hpp>

#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <cerrno>
#include <string_view>

TEST_SUITE("reactor_epoll") {

using namespace ringbell;
using namespace ringbell::test;

TEST_CASE("epoll says that it cannot wait on a futex") {
  auto r = epoll_set::make();
  const sys::futex_word word{0};
  recorder sink;
  watch_key key;
  CHECK_FALSE(r->has_futex());
  CHECK(r->watch_futex(word, 0, sink, key) == errc::not_supported);
  CHECK_FALSE(key);
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

}  // TEST_SUITE("reactor_epoll")
