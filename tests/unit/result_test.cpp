// SPDX-License-Identifier: BSL-1.0
#include <ringbell/result.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <ostream>
#include <string>
#include <type_traits>

TEST_SUITE("result") {

using ringbell::errc;
using ringbell::result;

TEST_CASE("a result made of a value has it, and no error") {
  const result<int> r = 7;
  CHECK(r);
  CHECK(r.has_value());
  CHECK(*r == 7);
  CHECK(r.value() == 7);
  CHECK_FALSE(r.error());
}

TEST_CASE("a result made of an error has it, and no value") {
  const result<int> r = errc::would_block;
  CHECK_FALSE(r);
  CHECK(r.error() == errc::would_block);
}

TEST_CASE("asking a failed result for its value throws its error") {
  const result<int> r = std::make_error_code(std::errc::permission_denied);
  try {
    (void)r.value();
    FAIL("did not throw");
  } catch (const std::system_error& thrown) {
    CHECK(thrown.code() == std::errc::permission_denied);
  }
}

TEST_CASE("a value that can only be moved is moved in and out") {
  result<std::unique_ptr<int>> r = std::make_unique<int>(3);
  const std::unique_ptr<int> out = std::move(r).value();
  CHECK(*out == 3);
  result<std::unique_ptr<int>> other = std::make_unique<int>(4);
  CHECK(*std::move(*std::move(other)) == 4);
}

TEST_CASE("the arrow reaches the value's members") {
  result<std::string> r = std::string("abc");
  r->push_back('d');
  CHECK(std::as_const(r)->size() == 4);
}

TEST_CASE("a type without default constructor can be a result") {
  struct needs_an_int {
    explicit needs_an_int(int n) : value(n) {}
    int value;
  };
  const result<needs_an_int> failed = errc::busy;
  CHECK(failed.error() == errc::busy);
  CHECK(result<needs_an_int>(needs_an_int(2)).value().value == 2);
}

TEST_CASE("a result of nothing is success until told otherwise") {
  const result<void> fine;
  CHECK(fine);
  CHECK_NOTHROW(fine.value());
  const result<void> failed = errc::cancelled;
  CHECK_FALSE(failed);
  CHECK(failed.error() == errc::cancelled);
  CHECK_THROWS_AS(failed.value(), std::system_error);
}

TEST_CASE("moving a result throws only when moving its value does") {
  CHECK(std::is_nothrow_move_constructible_v<result<std::string>>);
  CHECK(std::is_nothrow_move_constructible_v<result<void>>);
}

}  // TEST_SUITE("result")
