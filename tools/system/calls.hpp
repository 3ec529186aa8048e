// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/platform.hpp>

#include <chrono>
#include <cstdint>
#include <ctime>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

/// What the systems have under different names, or not at all: calls_linux.cpp, calls_bsd.cpp, what
/// these two have in common in calls_posix.cpp; calls_windows.cpp.
namespace ringbell::tool {

/// What --help says of this platform, and of no other.
struct platform_words {
  const char* loops;  ///< those that can be chosen
  const char* loop_help;
  const char* path_help;    ///< how a path is told from a name: "the path of a ..."
  const char* demo_socket;  ///< what the demo compares with
};
const platform_words& platform() noexcept;

/// The processors that this process may be bound to; none where that cannot be done.
std::vector<int> usable_processors();
void bind_to_processor(int processor) noexcept;
/// A name for the core that a processor is a thread of; empty when it is not known.
std::string impl_of(int processor);

/// Whatever ends the parent ends this process, from now on; where the system does not do that,
/// nothing.
void end_with_parent() noexcept;
/// This thread's sleeps are to end on time, not gathered with others'.
void ask_for_exact_sleeps() noexcept;
void sleep_until_blocking(std::chrono::steady_clock::time_point due) noexcept;

/// The processor time that this process has used.
std::uint64_t processor_time_ns() noexcept;
/// The signals by which people and systems end a program.
std::initializer_list<int> ending_signals() noexcept;
/// Those by which they ask it to finish what it does. On Windows Ctrl-Break is one: a program in a
/// process group of its own gets no Ctrl-C.
std::initializer_list<int> stopping_signals() noexcept;
/// A client costs a descriptor, and many programs begin with no more than 1024 of them.
void allow_many_descriptors() noexcept;
/// What `f` returns when a child process runs it: whatever ends that, this one goes on. Nothing,
/// with the signal's number, when a signal ended it. Where no child can be made, `f` runs here.
std::optional<std::string> run_apart(const std::function<std::string()>& f, int& signal);
/// Gives the socket that a service manager passed to this process, if there is one. Throws
/// `std::system_error` when there are several.
std::optional<sys::native_handle> passed_socket();
/// Tells the service manager, if there is one that wants to know ("READY=1", "STOPPING=1"). What
/// cannot be told is complained about.
void tell_service_manager(const char* state);
/// In universal time.
std::tm calendar_time(std::time_t seconds) noexcept;

/// Names of services that are this process's own, for as long as this lives: in a folder that is
/// then removed; on Windows there is none. Where there is one, signals that end a program wait that
/// long. Throws the system's error.
class own_names {
public:
  own_names();
  own_names(const own_names&) = delete;
  own_names& operator=(const own_names&) = delete;
  ~own_names();
  std::string operator/(const char* name) const;
  /// For people: "a socket in /tmp".
  static std::string place();
  /// In a child that was forked meanwhile.
  void let_signals_through() const noexcept;

private:
  struct state;
  state* state_;
};

}  // namespace ringbell::tool
