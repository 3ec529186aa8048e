// SPDX-License-Identifier: BSL-1.0
#include <ringbell/coro/detail/list.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <string>

TEST_SUITE("list") {

namespace {

struct item : ringbell::detail::list_node<item> {
  explicit item(char n) : name(n) {}
  char name;
};
using items = ringbell::detail::list<item>;

std::string names(items& all) {
  std::string result;
  all.for_each([&](item& i) { result += i.name; });
  return result;
}

}  // namespace

TEST_CASE("a new list is empty") {
  items all;
  CHECK(all.empty());
  CHECK(names(all).empty());
}

TEST_CASE("items come in the order in which they were pushed") {
  item a('a'), b('b'), c('c');
  items all;
  all.push_back(b);
  all.push_back(c);
  all.push_front(a);
  CHECK(names(all) == "abc");
  CHECK(all.front().name == 'a');
}

TEST_CASE("an unlinked item is gone, and the others stay") {
  item a('a'), b('b'), c('c');
  items all;
  for (item* i : {&a, &b, &c}) all.push_back(*i);
  b.unlink();
  CHECK_FALSE(b.linked());
  CHECK(names(all) == "ac");
  a.unlink();
  c.unlink();
  CHECK(all.empty());
}

TEST_CASE("unlinking twice has no effect") {
  item a('a');
  items all;
  all.push_back(a);
  a.unlink();
  a.unlink();
  CHECK(all.empty());
}

TEST_CASE("a destroyed item has left its list") {
  item a('a');
  auto b = std::make_unique<item>('b');
  items all;
  all.push_back(a);
  all.push_back(*b);
  b.reset();
  CHECK(names(all) == "a");
}

TEST_CASE("items of a destroyed list are linked no more, and can go into another") {
  item a('a');
  auto first = std::make_unique<items>();
  first->push_back(a);
  first.reset();
  CHECK_FALSE(a.linked());
  items second;
  second.push_back(a);
  CHECK(names(second) == "a");
}

TEST_CASE("append moves everything to the end, in order") {
  item a('a'), b('b'), c('c'), d('d');
  items all, more;
  all.push_back(a);
  all.push_back(b);
  more.push_back(c);
  more.push_back(d);
  all.append(more);
  CHECK(names(all) == "abcd");
  CHECK(more.empty());
  all.append(more);
  CHECK(names(all) == "abcd");
  more.append(all);
  CHECK(all.empty());
  CHECK(names(more) == "abcd");
}

TEST_CASE("for_each lets its function unlink the item that it is given") {
  item a('a'), b('b'), c('c');
  items all;
  for (item* i : {&a, &b, &c}) all.push_back(*i);
  all.for_each([](item& i) {
    if (i.name != 'b') i.unlink();
  });
  CHECK(names(all) == "b");
}

}  // TEST_SUITE("list")
