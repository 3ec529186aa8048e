// SPDX-License-Identifier: BSL-1.0
#include <ringbell/coro/as_result.hpp>
#include <ringbell/coro/sleep.hpp>
#include <ringbell/loop/loop.hpp>

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>

TEST_SUITE("as_result") {

using namespace ringbell;
using namespace std::chrono_literals;

namespace {

task<std::string> text(const char* s) {
  co_await sleep_for(1us);
  co_return s;
}
task<std::string> fails_with(errc e) {
  co_await sleep_for(1us);
  throw std::system_error(e);
}
task<void> throws_something_else() {
  co_await sleep_for(1us);
  throw std::out_of_range("no error code");
}

}  // namespace

TEST_CASE("the value of a task arrives in the result") {
  loop lp;
  const auto coroutine = []() -> task<void> {
    const result<std::string> r = co_await as_result(text("hello"));
    REQUIRE(r.has_value());
    CHECK(*r == "hello");
  };
  lp.run(coroutine());
}

TEST_CASE("a std::system_error that leaves a task becomes the result's error") {
  loop lp;
  const auto coroutine = []() -> task<void> {
    const result<std::string> r = co_await as_result(fails_with(errc::bad_peer));
    CHECK_FALSE(r.has_value());
    CHECK(r.error() == errc::bad_peer);
  };
  lp.run(coroutine());
}

TEST_CASE("other exceptions pass through") {
  loop lp;
  const auto coroutine = []() -> task<void> {
    const result<void> r = co_await as_result(throws_something_else());
    CHECK_FALSE(r.has_value());
  };
  CHECK_THROWS_AS(lp.run(coroutine()), std::out_of_range);
}

TEST_CASE("a wait of the library gives its result without a frame") {
  loop lp;
  const auto coroutine = []() -> task<void> {
    auto wait = as_result(sleep_for(1us));
    CHECK_FALSE(std::is_same_v<decltype(wait), task<result<void>>>);
    const result<void> r = co_await std::move(wait);
    CHECK(r.has_value());
  };
  lp.run(coroutine());
}

}  // TEST_SUITE("as_result")
