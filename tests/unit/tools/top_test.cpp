// SPDX-License-Identifier: BSL-1.0
// What `ringbell top` works out and draws, without a service or a terminal.
#include "top/keys.hpp"
#include "top/screen.hpp"
#include "top/table.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

TEST_SUITE("top") {

using namespace ringbell;
using namespace ringbell::tool::top;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t second = 1'000'000'000;

client_statistics client_row(std::uint64_t process, std::uint64_t connected_ns,
                             std::uint64_t requests) {
  client_statistics s;
  s.process = process;
  s.connected_ns = connected_ns;
  s.requests = requests;
  return s;
}

/// That of top itself.
client_statistics own_row(std::uint64_t connected_ns, std::uint64_t requests) {
  client_statistics s =
      client_row(7, connected_ns,
                 requests);  // as it may be: a process of another namespace has the same number
  s.asking = 1;
  return s;
}

snapshot at(std::chrono::nanoseconds time, std::vector<client_statistics> rows) {
  snapshot s;
  s.taken = std::chrono::steady_clock::time_point(time);
  s.rows = std::move(rows);
  return s;
}

const row& of(const table& t, std::uint64_t process) {
  return *std::find_if(t.rows.begin(), t.rows.end(),
                       [=](const row& r) { return r.now.process == process; });
}

view with_clients(std::size_t n) {
  std::vector<client_statistics> rows;
  for (std::size_t i = 0; i < n; ++i) rows.push_back(client_row(100 + i, second, i));
  view v;
  v.name = "kv";
  v.interval = 1s;
  v.clients = compare(nullptr, at(0s, rows));
  sort(v.clients, *column_of('p'), false);
  return v;
}

std::string joined(const std::vector<screen_line>& lines) {
  std::string all;
  for (const screen_line& l : lines) all += l.text + '\n';
  return all;
}

}  // namespace

TEST_CASE("rates are what happened between two snapshots, by the service's own clock") {
  const snapshot before = at(0s, {own_row(second, 0), client_row(7, 5 * second, 100)});
  // Our clock says ten seconds: the answer was late.
  const snapshot now = at(10s, {own_row(3 * second, 0), client_row(7, 7 * second, 300)});
  const table t = compare(&before, now);
  REQUIRE(t.rows.size() == 1);
  CHECK(t.rows[0].per_second.requests == doctest::Approx(100));
  CHECK(t.total.per_second.requests == doctest::Approx(100));
  CHECK_FALSE(t.averages);
}

TEST_CASE("a first snapshot gives averages since each client connected") {
  const table t = compare(nullptr, at(0s, {client_row(7, 4 * second, 100)}));
  CHECK(t.averages);
  CHECK(of(t, 7).per_second.requests == doctest::Approx(25));
}

TEST_CASE("a client that came in between began with nothing") {
  const snapshot before = at(0s, {own_row(second, 0)});
  const snapshot now = at(1s, {own_row(2 * second, 0), client_row(7, second / 2, 100)});
  CHECK(of(compare(&before, now), 7).per_second.requests == doctest::Approx(100));
}

TEST_CASE(
    "several connections of one process are told apart by their age, also when one of them has gone") {
  const snapshot before = at(0s, {own_row(second, 0), client_row(7, 5 * second, 1000),
                                  client_row(7, 3 * second, 10), client_row(7, second, 500)});
  const snapshot now = at(
      1s, {own_row(2 * second, 0), client_row(7, 4 * second, 30), client_row(7, 2 * second, 500)});
  table t = compare(&before, now);
  REQUIRE(t.rows.size() == 2);
  sort(t, *column_of('n'), false);
  CHECK(t.rows[0].per_second.requests == doctest::Approx(20));
  CHECK(t.rows[1].per_second.requests == 0);
}

TEST_CASE("when our own connection is a new one, our clock says how much time has passed") {
  const snapshot before = at(0s, {own_row(40 * second, 0), client_row(7, 5 * second, 100)});
  const snapshot now = at(2s, {own_row(1000, 0), client_row(7, 7 * second, 300)});
  CHECK(of(compare(&before, now), 7).per_second.requests == doctest::Approx(100));
}

TEST_CASE("the total adds up what can be added") {
  client_statistics one = client_row(7, second, 10);
  one.in_flight = 3;
  one.depth_to_client = 100;
  client_statistics two = client_row(8, second, 20);
  two.in_flight = 4;
  two.depth_to_server = 28;
  const table t = compare(nullptr, at(0s, {one, two}));
  CHECK(t.total.now.in_flight == 7);
  CHECK(t.total.depth() == 128);
  CHECK(t.total.per_second.requests == doctest::Approx(30));
}

TEST_CASE(
    "numbers are sorted downwards, identifiers and texts upwards, and the other way round when reversed") {
  view v = with_clients(3);
  v.clients.rows[0].command = "zsh";
  v.clients.rows[1].command = "bash";
  v.clients.rows[2].command = "dash";
  const auto first_by = [&](char key, bool reversed) {
    sort(v.clients, *column_of(key), reversed);
    return v.clients.rows.front().now.process;
  };
  CHECK(first_by('n', false) == 102);
  CHECK(first_by('n', true) == 100);
  CHECK(first_by('p', false) == 100);
  CHECK(first_by('p', true) == 102);
  CHECK(first_by('c', false) == 101);
  CHECK(first_by('c', true) == 100);
}

TEST_CASE("no column has a key that does something else, or that another has") {
  std::string keys;
  for (const column& c : columns()) keys += c.key;
  for (const char taken : {'q', 'r', 'j', 'k'}) CHECK(keys.find(taken) == keys.npos);
  std::sort(keys.begin(), keys.end());
  CHECK(std::adjacent_find(keys.begin(), keys.end()) == keys.end());
  CHECK(column_of('?') == nullptr);
}

TEST_CASE("a screen has as many lines as the terminal, and none is wider") {
  const view v = with_clients(200);
  for (const screen_size size :
       {screen_size{80, 24}, screen_size{200, 60}, screen_size{200, 300}, screen_size{20, 10},
        screen_size{1, 1}, screen_size{80, 4}, screen_size{80, 3}}) {
    CAPTURE(size.columns);
    CAPTURE(size.lines);
    const auto lines = draw(v, size);
    CHECK(lines.size() == static_cast<std::size_t>(size.lines));
    for (const screen_line& l : lines)
      CHECK(l.text.size() <= static_cast<std::size_t>(size.columns));
  }
}

TEST_CASE("a screen shows the rows from the first on, and says which ones they are") {
  view v = with_clients(200);
  v.first = 50;
  const std::string shown = joined(draw(v, {120, 24}));
  CHECK(shown.find("rows 51-70 of 200") != shown.npos);
  CHECK(shown.find("     150 ") != shown.npos);
  CHECK(shown.find("     170 ") == shown.npos);
  CHECK(shown.find("kv  200 clients") != shown.npos);
  CHECK(shown.find("left out") != shown.npos);
}

TEST_CASE("a screen that is scrolled too far shows the last rows") {
  view v = with_clients(30);
  v.first = 1000;
  CHECK(joined(draw(v, {120, 14})).find("rows 21-30 of 30") != std::string::npos);
  v = with_clients(3);
  v.first = 2;
  CHECK(joined(draw(v, {120, 14})).find("     100 ") != std::string::npos);
}

TEST_CASE("a narrow screen leaves out the columns on the right, and says so") {
  const view v = with_clients(1);
  const std::string narrow = joined(draw(v, {100, 24}));
  CHECK(narrow.find("SPIN/s") == narrow.npos);
  CHECK(narrow.find("REQ/s") != narrow.npos);
  CHECK(narrow.find("more if wider") != narrow.npos);
  const std::string wide = joined(draw(v, {160, 24}));
  CHECK(wide.find("SPIN/s") != wide.npos);
  CHECK(wide.find("more if wider") == wide.npos);
}

TEST_CASE("40 columns have room for the command and for rates, not for user ids") {
  const std::string titles = draw(with_clients(1), {40, 10})[2].text;
  CHECK(titles.find("c:COMMAND") != std::string::npos);
  CHECK(titles.find("n:REQ/s") != std::string::npos);
  CHECK(titles.find("u:UID") == std::string::npos);
}

TEST_CASE("without highlights a frame has no attributes, but is drawn all the same") {
  const std::string out = frame(draw(with_clients(2), {80, 10}), false);
  CHECK(out.starts_with("\x1b[H\x1b[K"));
  CHECK(out.find('m', out.find("\x1b[")) != std::string::npos);  // of words
  for (const char* attribute : {"\x1b[0m", "\x1b[1m", "\x1b[7m", "\x1b[0;1m"})
    CHECK(out.find(attribute) == std::string::npos);
}

TEST_CASE("the column that is sorted by stands out in the titles") {
  view v = with_clients(1);
  v.sorted_by = 'f';
  const screen_line titles = draw(v, {120, 24})[2];
  CHECK(titles.text.substr(titles.marked_from, titles.marked_to - titles.marked_from) ==
        "f:FLIGHT");
}

TEST_CASE("what a process calls itself does not reach the terminal as control characters") {
  view v = with_clients(1);
  v.clients.rows[0].command = "\x1b[2J\xc3\xa4\n";
  const std::string shown = joined(draw(v, {120, 5}));
  CHECK(shown.find("?[2J???") != shown.npos);
  CHECK(std::count(shown.begin(), shown.end(), '\n') == 5);
}

TEST_CASE("a frame clears each line before it writes it, and ends without a new line") {
  const std::string f = frame(
      {screen_line("one", screen_line::look::bold), screen_line("two", screen_line::look::plain)});
  CHECK(f == "\x1b[H\x1b[K\x1b[1mone\x1b[0m\r\n\x1b[Ktwo\x1b[0m");
}

TEST_CASE("the plain text has all columns and rows, and no control characters") {
  const std::string all = text(with_clients(100));
  CHECK(std::count(all.begin(), all.end(), '\n') == 103);
  CHECK(all.find("SPIN/s") != all.npos);
  CHECK(all.find('\x1b') == all.npos);
}

TEST_CASE("a client of another pid namespace has no number here, and no command") {
  view v = with_clients(2);
  v.clients.rows[0].elsewhere = true;
  v.clients.rows[1].now.process = 0;
  v.clients.rows[1].command = "";
  const std::string shown = text(v);
  CHECK_MESSAGE(shown.find("       - (other pid ns)") != shown.npos, shown);
  CHECK_MESSAGE(shown.find("     100 ") == shown.npos, shown);
  CHECK_MESSAGE(shown.find("process not visible here") != shown.npos, shown);
  const std::string json = as_json(v);
  CHECK_MESSAGE(json.find("\"process\":0") == json.npos, json);
  CHECK_MESSAGE(json.find("\"process\":null,\"user\"") != json.npos, json);
}

TEST_CASE("keys that come as several bytes are one key, in whatever pieces they come") {
  key_reader whole;
  CHECK(whole.take("a\x1b[A\x1b[6~\x1bOBj") ==
        std::vector<key>{character('a'), key::up, key::page_down, key::down, character('j')});
  key_reader pieces;
  CHECK(pieces.take("\x1b").empty());
  CHECK(pieces.take("[").empty());
  CHECK(pieces.take("5").empty());
  CHECK(pieces.take("~q") == std::vector<key>{key::page_up, character('q')});
}

TEST_CASE("unknown sequences of keys are dropped, and what follows is not") {
  key_reader keys;
  CHECK(keys.take("\x1b[1;5Aq") == std::vector<key>{character('q')});
  CHECK(keys.take("\x1bxq") == std::vector<key>{character('q')});
  CHECK(keys.take("\x1b\x1b[Aq") == std::vector<key>{key::up, character('q')});
  CHECK(keys.take("\x1b[000000000000000000q").back() == character('q'));
}

}  // TEST_SUITE("top")
