// SPDX-License-Identifier: BSL-1.0
#include "top/table.hpp"

#include "common/units.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <utility>

namespace ringbell::tool::top {

namespace {

// Rows of one snapshot are taken within this time.
constexpr std::int64_t tolerance_ns = 10'000'000;

std::int64_t age_of(const client_statistics& s) noexcept {
  return static_cast<std::int64_t>(s.connected_ns);
}

const client_statistics* own_row(const snapshot& in) noexcept {
  const auto found = std::find_if(in.rows.begin(), in.rows.end(),
                                  [](const client_statistics& s) { return s.asking != 0; });
  return found == in.rows.end() ? nullptr : &*found;
}

/// How much time the service saw pass. The age of our own connection says so exactly; our clock
/// does when it is a new one.
std::int64_t time_between(const snapshot& before, const snapshot& now) noexcept {
  const client_statistics* const then = own_row(before);
  const client_statistics* const here = own_row(now);
  if (then && here && here->connected_ns > then->connected_ns) return age_of(*here) - age_of(*then);
  return std::max<std::int64_t>(1, std::chrono::nanoseconds(now.taken - before.taken).count());
}

rates between(const client_statistics& then, const client_statistics& now,
              double seconds) noexcept {
  const auto per_second = [=](std::uint64_t from, std::uint64_t to) {
    return to <= from || seconds <= 0 ? 0 : static_cast<double>(to - from) / seconds;
  };
  rates r;
  r.requests = per_second(then.requests, now.requests);
  r.errors = per_second(then.failed + then.refused, now.failed + now.refused);
  r.messages_in = per_second(then.channel.messages_received, now.channel.messages_received);
  r.bytes_in = per_second(then.channel.bytes_received, now.channel.bytes_received);
  r.messages_out = per_second(then.channel.messages_sent, now.channel.messages_sent);
  r.bytes_out = per_second(then.channel.bytes_sent, now.channel.bytes_sent);
  r.stalls = per_second(then.channel.ring_full_stalls, now.channel.ring_full_stalls);
  r.bells = per_second(then.channel.bells_rung, now.channel.bells_rung);
  r.suppressed = per_second(then.channel.bells_suppressed, now.channel.bells_suppressed);
  r.parks = per_second(then.channel.parks, now.channel.parks);
  r.spins = per_second(then.channel.spins_paid, now.channel.spins_paid);
  return r;
}

/// The connections of each process, the oldest first.
using by_process = std::map<std::uint64_t, std::vector<const client_statistics*>>;
by_process sorted(const snapshot& s) {
  by_process all;
  for (const client_statistics& each : s.rows)
    if (each.asking == 0) all[each.process].push_back(&each);
  for (auto& [process, rows] : all)
    std::sort(rows.begin(), rows.end(),
              [](const auto* a, const auto* b) { return a->connected_ns > b->connected_ns; });
  return all;
}

/// Which of the earlier rows of the same process is this one: the one whose age differs by the time
/// that passed, as nearly as any. `from` is moved beyond it.
const client_statistics* match(const std::vector<const client_statistics*>& earlier,
                               std::size_t& from, const client_statistics& row,
                               std::int64_t passed) noexcept {
  const auto off = [&](std::size_t i) { return age_of(*earlier[i]) + passed - age_of(row); };
  while (from < earlier.size() && off(from) > tolerance_ns) ++from;
  while (from + 1 < earlier.size() && std::abs(off(from + 1)) < std::abs(off(from))) ++from;
  if (from == earlier.size() || off(from) < -tolerance_ns) return nullptr;
  return earlier[from++];
}

void add(row& to, const row& r) noexcept {
  to.now.in_flight += r.now.in_flight;
  to.now.bytes_in_flight += r.now.bytes_in_flight;
  to.now.depth_to_server += r.now.depth_to_server;
  to.now.depth_to_client += r.now.depth_to_client;
  rates& sum = to.per_second;
  const rates& each = r.per_second;
  for (const auto member : {&rates::requests, &rates::errors, &rates::messages_in, &rates::bytes_in,
                            &rates::messages_out, &rates::bytes_out, &rates::stalls, &rates::bells,
                            &rates::suppressed, &rates::parks, &rates::spins})
    sum.*member += each.*member;
}

/// Less than a thousandth per second is shown as nothing.
std::string rate(double value) { return format_count(value < 0.001 ? 0 : value); }
std::string amount(double bytes) { return format_bytes(bytes < 0.001 ? 0 : bytes); }

constexpr std::array<column, 15> all_columns{{
    {'p', "PID", 8, false,
     [](const row& r) { return r.process() ? std::to_string(*r.process()) : std::string("-"); },
     [](const row& r) { return -static_cast<double>(r.now.process); }},
    {'c', "COMMAND", 15, true,
     [](const row& r) { return r.elsewhere ? std::string("(other pid ns)") : r.command; }, nullptr},
    {'n', "REQ/s", 8, false, [](const row& r) { return rate(r.per_second.requests); },
     [](const row& r) { return r.per_second.requests; }},
    {'f', "FLIGHT", 8, false, [](const row& r) { return std::to_string(r.now.in_flight); },
     [](const row& r) { return static_cast<double>(r.now.in_flight); }},
    {'d', "DEPTH", 8, false, [](const row& r) { return amount(r.depth()); },
     [](const row& r) { return r.depth(); }},
    {'m', "MSG IN/s", 10, false, [](const row& r) { return rate(r.per_second.messages_in); },
     [](const row& r) { return r.per_second.messages_in; }},
    {'b', "B IN/s", 9, false, [](const row& r) { return amount(r.per_second.bytes_in); },
     [](const row& r) { return r.per_second.bytes_in; }},
    {'o', "MSG OUT/s", 11, false, [](const row& r) { return rate(r.per_second.messages_out); },
     [](const row& r) { return r.per_second.messages_out; }},
    {'t', "B OUT/s", 9, false, [](const row& r) { return amount(r.per_second.bytes_out); },
     [](const row& r) { return r.per_second.bytes_out; }},
    {'u', "UID", 7, false, [](const row& r) { return std::to_string(r.now.user); },
     [](const row& r) { return -static_cast<double>(r.now.user); }},
    {'s', "STALL/s", 9, false, [](const row& r) { return rate(r.per_second.stalls); },
     [](const row& r) { return r.per_second.stalls; }},
    {'l', "BELL/s", 8, false, [](const row& r) { return rate(r.per_second.bells); },
     [](const row& r) { return r.per_second.bells; }},
    {'x', "QUIET/s", 9, false, [](const row& r) { return rate(r.per_second.suppressed); },
     [](const row& r) { return r.per_second.suppressed; }},
    {'a', "PARK/s", 8, false, [](const row& r) { return rate(r.per_second.parks); },
     [](const row& r) { return r.per_second.parks; }},
    {'w', "SPIN/s", 8, false, [](const row& r) { return rate(r.per_second.spins); },
     [](const row& r) { return r.per_second.spins; }},
}};

}  // namespace

table compare(const snapshot* before, const snapshot& now) {
  table t;
  t.averages = before == nullptr;
  t.rows.reserve(now.rows.size());
  const by_process then = before ? sorted(*before) : by_process();
  const std::int64_t passed = before ? time_between(*before, now) : 0;
  for (const auto& [process, rows] : sorted(now)) {
    const auto earlier = then.find(process);
    std::size_t from = 0;
    for (const client_statistics* each : rows) {
      const client_statistics* const old =
          earlier == then.end() ? nullptr : match(earlier->second, from, *each, passed);
      const std::int64_t during = old ? passed : std::max(passed, age_of(*each));
      row r;
      r.now = *each;
      r.per_second =
          between(old ? *old : client_statistics(), *each, static_cast<double>(during) / 1e9);
      add(t.total, r);
      t.rows.push_back(std::move(r));
    }
  }
  return t;
}

std::span<const column> columns() noexcept { return all_columns; }

const column* column_of(char key) noexcept {
  const auto found = std::find_if(all_columns.begin(), all_columns.end(),
                                  [=](const column& c) { return c.key == key; });
  return found == all_columns.end() ? nullptr : &*found;
}

void sort(table& t, const column& by, bool reversed) {
  const auto age_first = [](const row& a, const row& b) {
    return a.now.process != b.now.process ? a.now.process < b.now.process
                                          : a.now.connected_ns > b.now.connected_ns;
  };
  const auto less = [&](const row& a, const row& b) {
    if (!by.number) return by.show(a) < by.show(b);
    return by.number(a) > by.number(b);
  };
  std::sort(t.rows.begin(), t.rows.end(), [&](const row& a, const row& b) {
    if (less(a, b)) return !reversed;
    if (less(b, a)) return reversed;
    return age_first(a, b);
  });
}

std::string harmless(const std::string& text) {
  std::string clean = text;
  for (char& c : clean)
    if (c < ' ' || c > '~') c = '?';
  return clean;
}

}  // namespace ringbell::tool::top
