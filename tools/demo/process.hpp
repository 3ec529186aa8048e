// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "demo/peer.hpp"
#include "system/calls.hpp"

#include <ringbell/sys/handle.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

// What differs between the systems: process_posix.cpp, process_windows.cpp.
namespace ringbell::tool::demo {

/// What is measured beside ringbell: a pair of Unix sockets, on Windows a named pipe. Both ends
/// block.
extern const char* const link_name;

class placement;

/// The demo's server in a process of its own, which ends with this one at the latest.
class server_process {
public:
  server_process() noexcept = default;
  server_process(const server_process&) = delete;
  server_process& operator=(const server_process&) = delete;
  ~server_process() {
    kill();
    join();
  }

  /// Starts it, with two links to it. Forks where that can be done: the calling process must have
  /// no other thread. Throws the system's error.
  void start(const own_names& names, const common_options& common, const placement& cpus);
  sys::native_handle orders() const noexcept { return orders_.get(); }
  sys::native_handle socket() const noexcept { return socket_.get(); }
  void kill() noexcept;
  void join() noexcept;

private:
  sys::handle orders_;
  sys::handle socket_;
  std::intptr_t process_ = 0;
};

/// On Windows: when the process is such a server, serves, and gives the exit code.
std::optional<int> run_as_server(int argc, char** argv);

}  // namespace ringbell::tool::demo
