// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "support/program.hpp"
#include "support/streams.hpp"

#include <ringbell/sys/handle.hpp>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

// The command line tool as a child process, with what it reads and writes. RINGBELL_TOOL is its
// path.
namespace ringbell::test {

using clock_type = std::chrono::steady_clock;

inline std::string contents_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string all, piece(1 << 16, '\0');
  while (file.read(piece.data(), static_cast<std::streamsize>(piece.size())), file.gcount() > 0)
    all.append(piece, 0, static_cast<std::size_t>(file.gcount()));
  return all;
}
inline void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

/// The first line that comes; "" when none comes in time.
inline std::string read_line(const descriptor& from) {
  std::string line;
  const auto deadline = clock_type::now() + patience;
  while (clock_type::now() < deadline) {
    const auto c = next_piece(from, std::chrono::milliseconds(100), 1);
    if (!c) continue;
    if (c->empty() || *c == "\n") return line;
    line += *c;
  }
  return {};
}

/// Whether the other ends of a pipe are all closed after a while; what comes before is dropped.
inline bool ends_in_time(const descriptor& from) {
  const auto deadline = clock_type::now() + patience;
  while (clock_type::now() < deadline) {
    const auto dropped = next_piece(from, std::chrono::milliseconds(100));
    if (dropped && dropped->empty()) return true;
  }
  return false;
}

inline std::string path_of_tool() {
  const char* const path = std::getenv("RINGBELL_TOOL");
  if (!path)
    throw std::runtime_error("RINGBELL_TOOL is not set: give the path of the ringbell executable");
  return path;
}

/// What the tool gets as one of its standard streams.
class stream {
public:
  enum kind { usual, closed, opened };
  stream(kind k) : kind_(k) {}  // NOLINT: in place of such a kind
  stream(const descriptor& opened_one)
      : kind_(opened), to_(opened_one.get()) {}  // NOLINT: in place of a descriptor
  sys::native_handle or_usual(const descriptor& other) const {
    return kind_ == usual ? other.get() : to_;
  }

private:
  kind kind_;
  sys::native_handle to_ = sys::invalid_handle;
};

/// A running tool. Unless said otherwise there is nothing to read, and what it writes goes to files
/// of the test; killed when the test ends before it.
class tool {
public:
  explicit tool(std::vector<std::string> arguments, stream in = stream::usual,
                stream out = stream::usual, stream err = stream::usual)
      : program_(started(folder_, std::move(arguments), in, out, err)) {}

  void send(int signal) const { program_.send(signal); }
  void kill() const { program_.kill(); }
  void stop() const { program_.stop(); }
  bool has_company() const { return program_.has_company(); }
  std::vector<std::string> left_behind() const { return program_.left_behind(); }
  int wait(std::chrono::milliseconds limit = patience) { return program_.wait(limit); }
  std::string out() const { return contents_of(folder_ / "out"); }
  std::string err() const { return contents_of(folder_ / "err"); }
  /// Whether it complained in one line.
  bool one_line() const {
    const std::string text = err();
    return text.starts_with("ringbell: ") && std::count(text.begin(), text.end(), '\n') == 1 &&
           text.ends_with('\n');
  }

private:
  static program started(const file_folder& folder, std::vector<std::string> arguments,
                         const stream& in, const stream& out, const stream& err) {
    const descriptor nothing = reading_nothing();
    const descriptor out_file = writing(folder / "out");
    const descriptor err_file = writing(folder / "err");
    return program(path_of_tool(), std::move(arguments), in.or_usual(nothing),
                   out.or_usual(out_file), err.or_usual(err_file));
  }

  file_folder folder_;
  program program_;
};

/// An echo server that listens already.
class echo_server {
public:
  explicit echo_server(const std::string& name) : tool_({"echo", name}, stream::usual, line_.in) {
    line_.in.reset();
    greeting_ = read_line(line_.out);
  }
  const std::string& greeting() const { return greeting_; }
  tool& process() { return tool_; }

private:
  plumbing line_;
  tool tool_;
  std::string greeting_;
};

}  // namespace ringbell::test
