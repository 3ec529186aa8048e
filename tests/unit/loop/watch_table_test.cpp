// SPDX-License-Identifier: BSL-1.0

// The table in which every reactor keeps its watches.

#include "support/reactors.hpp"

#include "loop/watch_table.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

TEST_SUITE("watch_table") {

using namespace ringbell;
using namespace ringbell::test;

TEST_CASE("a key of an ended watch does not find the watch that got its slot") {
  watch_table<watch_slot> table;
  recorder sink;
  watch_slot& first = table.open(sink);
  const watch_key old = table.key_of(first);
  CHECK(table.find(old.value) == &first);
  table.close(first);
  CHECK(table.find(old.value) == nullptr);

  watch_slot& second = table.open(sink);
  CHECK(table.size() == 1);
  CHECK(table.key_of(second).value != old.value);
  CHECK(table.find(old.value) == nullptr);
  CHECK(table.find(table.key_of(second).value) == &second);
}

TEST_CASE("no key is below 2^32, even when a generation has wrapped") {
  watch_table<watch_slot> table;
  recorder sink;
  watch_slot& slot = table.open(sink);
  slot.generation = ~std::uint32_t{0};
  table.close(slot);
  CHECK((table.key_of(table.open(sink)).value >> 32) != 0);
  CHECK(table.find(0) == nullptr);
  CHECK(table.find(1) == nullptr);
  CHECK(table.find(~std::uint64_t{0}) == nullptr);
}

TEST_CASE("queued slots come out in order, and each only once") {
  watch_table<watch_slot> table;
  recorder sink;
  for (int i = 0; i < 3; ++i) table.open(sink);
  std::vector<watch_slot*> slots;
  for (std::uint64_t i = 0; i < 3; ++i) slots.push_back(table.find(std::uint64_t{1} << 32 | i));
  for (const std::size_t i : {2u, 0u, 2u, 1u, 0u}) table.push(*slots[i]);
  CHECK(table.queued() == 3);
  for (const std::size_t i : {2u, 0u, 1u}) {
    CHECK(&table.front() == slots[i]);
    table.pop();
  }
  CHECK(table.queued() == 0);
}

}  // TEST_SUITE("watch_table")
