// SPDX-License-Identifier: BSL-1.0
#include <ringbell/coro/stop_token.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <vector>

TEST_SUITE("stop_token") {

using ringbell::inplace_stop_callback;
using ringbell::inplace_stop_source;
using ringbell::inplace_stop_token;

namespace {

struct append {
  std::vector<int>* to;
  int what;
  void operator()() noexcept { to->push_back(what); }
};
using callback = inplace_stop_callback<append>;

}  // namespace

TEST_CASE("a default token can never be stopped") {
  const inplace_stop_token token;
  CHECK_FALSE(token.stop_possible());
  CHECK_FALSE(token.stop_requested());
  std::vector<int> calls;
  const callback c(token, append{&calls, 1});
  CHECK(calls.empty());
}

TEST_CASE("a stop is seen by all tokens, and requested once") {
  inplace_stop_source source;
  const inplace_stop_token a = source.get_token(), b = a;
  CHECK(a == b);
  CHECK(a.stop_possible());
  CHECK_FALSE(a.stop_requested());
  CHECK(source.request_stop());
  CHECK_FALSE(source.request_stop());
  CHECK(a.stop_requested());
  CHECK(b.stop_requested());
}

TEST_CASE("callbacks are called once, when the stop is requested") {
  inplace_stop_source source;
  std::vector<int> calls;
  const callback one(source.get_token(), append{&calls, 1}),
      two(source.get_token(), append{&calls, 2});
  CHECK(calls.empty());
  source.request_stop();
  CHECK(calls == std::vector<int>{2, 1});
  source.request_stop();
  CHECK(calls.size() == 2);
}

TEST_CASE("a callback that comes after the request is called at once") {
  inplace_stop_source source;
  source.request_stop();
  std::vector<int> calls;
  const callback c(source.get_token(), append{&calls, 7});
  CHECK(calls == std::vector<int>{7});
}

TEST_CASE("a destroyed callback is not called, wherever it was in the list") {
  for (int gone = 0; gone < 3; ++gone) {
    inplace_stop_source source;
    std::vector<int> calls;
    std::optional<callback> all[3];
    for (int i = 0; i < 3; ++i) all[i].emplace(source.get_token(), append{&calls, i});
    all[gone].reset();
    source.request_stop();
    CHECK(calls.size() == 2);
    for (int call : calls) CHECK(call != gone);
  }
}

TEST_CASE("a callback may destroy itself") {
  struct destroy_self {
    std::unique_ptr<inplace_stop_callback<destroy_self>>* self;
    void operator()() noexcept { self->reset(); }
  };
  inplace_stop_source source;
  std::unique_ptr<inplace_stop_callback<destroy_self>> self;
  self = std::make_unique<inplace_stop_callback<destroy_self>>(source.get_token(),
                                                               destroy_self{&self});
  source.request_stop();
  CHECK(self == nullptr);
}

TEST_CASE("a callback may destroy others, which are then not called") {
  struct destroy_other {
    std::optional<callback>* other;
    void operator()() noexcept { other->reset(); }
  };
  inplace_stop_source source;
  std::vector<int> calls;
  std::optional<callback> other(std::in_place, source.get_token(), append{&calls, 1});
  const inplace_stop_callback<destroy_other> c(source.get_token(), destroy_other{&other});
  source.request_stop();
  CHECK(calls.empty());
}

}  // TEST_SUITE("stop_token")
