// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/service/statistics.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

// What `ringbell top` knows, and the figures that it shows. No I/O.
namespace ringbell::tool::top {

/// What a service said of its clients at one time.
struct snapshot {
  snapshot() noexcept {}
  std::chrono::steady_clock::time_point taken;
  std::vector<client_statistics> rows;
};

/// What happened per second. In: from the client to the service.
struct rates {
  double requests = 0;
  double errors = 0;  ///< answered by an error, or refused
  double messages_in = 0;
  double bytes_in = 0;
  double messages_out = 0;
  double bytes_out = 0;
  double stalls = 0;
  double bells = 0;
  double suppressed = 0;
  double parks = 0;
  double spins = 0;  ///< that paid
};

/// One client; or all of them, added up.
struct row {
  row() noexcept {}
  std::string command;
  /// It is in another pid namespace: its number, if it has one, is not of a process here.
  bool elsewhere = false;
  client_statistics now;
  rates per_second;
  double depth() const noexcept {
    return static_cast<double>(now.depth_to_server) + static_cast<double>(now.depth_to_client);
  }
  /// Its number here, if there is one.
  std::optional<std::uint64_t> process() const noexcept {
    return elsewhere || now.process == 0 ? std::nullopt : std::optional(now.process);
  }
};

struct table {
  table() noexcept {}
  std::vector<row> rows;
  row total;
  /// The rates are averages since each client connected: there was no earlier snapshot.
  bool averages = false;
};

/// What has happened between two snapshots, without the connection that asked for them. The others
/// are recognized by their processes and ages: the rows have no other name. One that came in
/// between began with nothing. `before` is null for the first snapshot.
table compare(const snapshot* before, const snapshot& now);

/// A column: its key and title, how wide it is, and what is in it.
struct column {
  char key;
  const char* title;
  int width;
  bool text;  ///< flush left, and sorted upwards
  std::string (*show)(const row&);
  double (*number)(const row&);  ///< to sort by; null: by what is shown
};
/// From left to right.
std::span<const column> columns() noexcept;
/// The one with this key; null when there is none.
const column* column_of(char key) noexcept;

/// Numbers fall, texts and identifiers rise, unless reversed. What is equal is sorted by process
/// and age.
void sort(table& t, const column& by, bool reversed);

/// Printable ASCII only: whatever a process called itself must not steer the terminal.
std::string harmless(const std::string& text);

}  // namespace ringbell::tool::top
