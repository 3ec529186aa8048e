// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "support/process.hpp"

#include <windows.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#ifndef POLLIN
#define POLLIN 1
#endif

namespace ringbell::test {

/// Fails a test, in whichever process it is: throws.
inline void expect(bool holds, const char* what) {
  if (!holds) throw std::runtime_error(std::string("expected ") + what);
}

/// Nothing: an object is signalled, or is not.
inline constexpr short peer_hung_up = 0;

/// Whether the object is signalled within that time; an auto-reset event is reset then.
inline bool poll_for(sys::native_handle h, short, std::chrono::milliseconds limit) {
  return ::WaitForSingleObject(h, static_cast<DWORD>(limit.count())) == WAIT_OBJECT_0;
}

/// What waiting for a process gives that was killed.
inline constexpr int killed = 1009;

/// Whether a process may start later that does not now, because others have what it takes: memory,
/// handles, or the time of the server that starts it (Wine's).
inline bool is_passing(DWORD error) {
  switch (error) {
    case ERROR_NO_SYSTEM_RESOURCES:
    case ERROR_NOT_ENOUGH_MEMORY:
    case ERROR_OUTOFMEMORY:
    case ERROR_NOT_ENOUGH_QUOTA:
    case ERROR_COMMITMENT_LIMIT:
    case ERROR_PAGEFILE_QUOTA:
    case ERROR_TOO_MANY_OPEN_FILES:
    case ERROR_MAX_THRDS_REACHED:
    case ERROR_NO_PROC_SLOTS:
    case ERROR_BUSY:
    case ERROR_NOT_READY:
    case ERROR_RETRY:
    case ERROR_SHARING_VIOLATION:
    case ERROR_INTERNAL_ERROR:  // Wine: the new process ended before it had begun
    case ERROR_TIMEOUT:
    case ERROR_SEM_TIMEOUT:
    case WAIT_TIMEOUT:
    case RPC_S_SERVER_TOO_BUSY:
    case RPC_S_SERVER_UNAVAILABLE:
    case RPC_S_CALL_FAILED: return true;
    default: return false;
  }
}

/// Starts a process by `create`, which is CreateProcess; again and again for a while where the
/// system is short of something.
template <class F>
void start_process(const std::string& what, F create) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!create()) {
    const DWORD error = ::GetLastError();
    if (!is_passing(error) || std::chrono::steady_clock::now() > deadline)
      throw std::system_error(static_cast<int>(error), std::system_category(),
                              "CreateProcess failed: " + what);
    ::Sleep(100);
  }
}

/// All child processes, which end with this one.
inline HANDLE job_of_children() {
  static const HANDLE only = [] {
    const HANDLE made = ::CreateJobObjectW(nullptr, nullptr);
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits{};
    limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
    ::SetInformationJobObject(made, JobObjectExtendedLimitInformation, &limits, sizeof limits);
    return made;
  }();
  return only;
}

/// What a child process gets of its parent: plain values, strings, and handles that it inherits.
class package {
public:
  package() = default;
  explicit package(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}

  template <class T>
    requires std::is_trivially_copyable_v<T>
  void put(const T& value) {
    const auto* const first = reinterpret_cast<const std::byte*>(&value);
    bytes_.insert(bytes_.end(), first, first + sizeof value);
  }
  void put(const std::string& text) {
    put(text.size());
    const auto* const first = reinterpret_cast<const std::byte*>(text.data());
    bytes_.insert(bytes_.end(), first, first + text.size());
  }
  template <class T>
  T take() {
    if constexpr (std::is_same_v<T, std::string>) {
      std::string text(take<std::size_t>(), '\0');
      copy(text.data(), text.size());
      return text;
    } else {
      alignas(T) std::byte value[sizeof(T)];
      copy(value, sizeof(T));
      return *std::launder(reinterpret_cast<T*>(value));
    }
  }
  const std::vector<std::byte>& bytes() const noexcept { return bytes_; }

private:
  void copy(void* to, std::size_t size) {
    if (size > bytes_.size() - taken_) throw std::runtime_error("a package that is too small");
    std::memcpy(to, bytes_.data() + taken_, size);
    taken_ += size;
  }
  std::vector<std::byte> bytes_;
  std::size_t taken_ = 0;
};

/// A `T` that this process shares with its children, and that outlives them.
template <class T>
class shared_object {
public:
  shared_object() {
    SECURITY_ATTRIBUTES inherited{sizeof inherited, nullptr, TRUE};
    map(::CreateFileMappingW(INVALID_HANDLE_VALUE, &inherited, PAGE_READWRITE, 0, sizeof(T),
                             nullptr));
    new (object_) T();
  }
  /// In a child.
  explicit shared_object(sys::native_handle section) { map(section); }
  shared_object(const shared_object&) = delete;
  shared_object& operator=(const shared_object&) = delete;
  ~shared_object() { ::UnmapViewOfFile(object_); }
  T& operator*() const noexcept { return *object_; }
  T* operator->() const noexcept { return object_; }
  sys::native_handle native() const noexcept { return section_.get(); }

private:
  void map(sys::native_handle section) {
    section_ = sys::handle(section);
    object_ =
        static_cast<T*>(::MapViewOfFile(section, FILE_MAP_READ | FILE_MAP_WRITE, 0, 0, sizeof(T)));
    if (!object_) throw std::bad_alloc();
  }
  sys::handle section_;
  T* object_ = nullptr;
};

namespace child_detail {

inline std::uintptr_t base() noexcept {
  return reinterpret_cast<std::uintptr_t>(::GetModuleHandleW(nullptr));
}

// An argument on its way: as what it travels, and what the child makes of that.
template <class T>
struct travel {
  using as = T;
  static const T& pack(const T& value) { return value; }
  static const T& unpack(const T& value) { return value; }
};
template <class T>
struct travel<shared_object<T>> {
  using as = sys::native_handle;
  static as pack(const shared_object<T>& value) { return value.native(); }
  static shared_object<T> unpack(as inherited) { return shared_object<T>(inherited); }
};
template <>
struct travel<milestone> {
  using as = sys::native_handle;
  static as pack(const milestone& value) { return value.native(); }
  static milestone unpack(as inherited) { return milestone(inherited); }
};
// A function: by its distance from the program's beginning, which need not be at the same address.
template <class R, class... P>
struct travel<R (*)(P...)> {
  using as = std::uintptr_t;
  static as pack(R (*value)(P...)) { return reinterpret_cast<as>(value) - base(); }
  static R (*unpack(as distance))(P...) { return reinterpret_cast<R (*)(P...)>(base() + distance); }
};
template <class T>
using travel_of = travel<std::remove_cvref_t<T>>;

// Runs `role` with its arguments out of a package.
template <class... P>
int run_role(std::uintptr_t role, package& arguments) {
  const auto function = travel<int (*)(P...)>::unpack(role);
  // In braces: from left to right.
  const std::tuple<typename travel_of<P>::as...> came{
      arguments.take<typename travel_of<P>::as>()...};
  return [&]<std::size_t... I>(std::index_sequence<I...>) {
    return function(travel_of<P>::unpack(std::get<I>(came))...);
  }(std::index_sequence_for<P...>());
}

using runner = int (*)(std::uintptr_t, package&);

inline constexpr const wchar_t* flag = L"--ringbell-child=";

inline std::wstring hexadecimal(const std::vector<std::byte>& bytes) {
  constexpr const wchar_t* digits = L"0123456789abcdef";
  std::wstring text;
  for (const std::byte b : bytes) {
    text += digits[static_cast<unsigned>(b) >> 4];
    text += digits[static_cast<unsigned>(b) & 15];
  }
  return text;
}

inline std::vector<std::byte> from_hexadecimal(const wchar_t* text) {
  const auto digit = [](wchar_t c) {
    return static_cast<unsigned>(c <= L'9' ? c - L'0' : c - L'a' + 10);
  };
  std::vector<std::byte> bytes;
  for (; text[0] && text[1]; text += 2)
    bytes.push_back(static_cast<std::byte>(digit(text[0]) << 4 | digit(text[1])));
  return bytes;
}

/// What main() does when this process is a child: runs its role, and gives its exit status. An
/// exception is 90, with a message.
inline int run(const wchar_t* text) noexcept {
  ::SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX);
  try {
    package all(from_hexadecimal(text));
    const runner run = travel<runner>::unpack(all.take<std::uintptr_t>());
    const auto role = all.take<std::uintptr_t>();
    return run(role, all);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "process %lu: %s\n", ::GetCurrentProcessId(), e.what());
    return 90;
  }
}

}  // namespace child_detail

/// A process of this program that runs a function with these arguments: plain values, strings,
/// milestones and shared objects. The function's value is its exit status; an exception is 90, with
/// a message. Killed at the latest by the destructor, and by the system when this process dies.
class child_process {
public:
  template <class... P, class... A>
  explicit child_process(int (*role)(P...), const A&... arguments) {
    static_assert(sizeof...(P) == sizeof...(A));
    package all;
    all.put(child_detail::travel<child_detail::runner>::pack(&child_detail::run_role<P...>));
    all.put(child_detail::travel<int (*)(P...)>::pack(role));
    (put<std::remove_cvref_t<P>>(all, arguments), ...);
    start(child_detail::hexadecimal(all.bytes()));
  }
  /// What needs a fork is not run: such cases are left out by the build.
  template <class F>
    requires std::is_class_v<F>
  explicit child_process(F) {
    throw std::runtime_error("Windows has no fork");
  }
  child_process(const child_process&) = delete;
  child_process& operator=(const child_process&) = delete;
  ~child_process() { kill(); }

  DWORD id() const noexcept { return id_; }
  /// Signalled once the process has ended: after the system has closed all that it had open.
  sys::native_handle pid_handle() const noexcept { return process_.get(); }
  void kill() noexcept {
    ::TerminateProcess(process_.get(), killed);
    ::WaitForSingleObject(process_.get(), 10'000);
  }
  /// The exit status; 1009 when it was killed, as a process that takes longer than `limit` is.
  int wait(std::chrono::seconds limit = patience) noexcept {
    if (!poll_for(process_.get(), POLLIN, limit)) {
      std::fprintf(stderr, "process %lu takes too long, and is killed\n", id_);
      kill();
    }
    DWORD status = 0;
    ::GetExitCodeProcess(process_.get(), &status);
    return static_cast<int>(status);
  }

private:
  template <class P, class A>
  static void put(package& all, const A& argument) {
    if constexpr (std::is_same_v<P, A>) {
      all.put(child_detail::travel<P>::pack(argument));
    } else {
      all.put(P(argument));
    }
  }

  void start(const std::wstring& text) {
    std::fflush(nullptr);
    wchar_t program[MAX_PATH];
    ::GetModuleFileNameW(nullptr, program, MAX_PATH);
    std::wstring command = L'"' + std::wstring(program) + L"\" " + child_detail::flag + text;
    STARTUPINFOW startup{};
    startup.cb = sizeof startup;
    PROCESS_INFORMATION started{};
    start_process("a child", [&] {
      return ::CreateProcessW(program, command.data(), nullptr, nullptr, TRUE, CREATE_SUSPENDED,
                              nullptr, nullptr, &startup, &started);
    });
    process_ = sys::handle(started.hProcess);
    const sys::handle thread(started.hThread);
    id_ = started.dwProcessId;
    ::AssignProcessToJobObject(job_of_children(), process_.get());
    ::ResumeThread(thread.get());
  }

  DWORD id_ = 0;
  sys::handle process_;
};

/// This process is killed after that time, wherever it then is.
inline void be_killed_after(std::chrono::nanoseconds delay) {
  std::thread([due = std::chrono::steady_clock::now() + delay] {
    while (std::chrono::steady_clock::now() < due) ::Sleep(0);
    ::TerminateProcess(::GetCurrentProcess(), killed);
  }).detach();
}

/// Lets this process, and those that it starts, run on one processor only.
inline void stay_on_one_cpu() {
  DWORD_PTR allowed = 0, system = 0;
  expect(::GetProcessAffinityMask(::GetCurrentProcess(), &allowed, &system) != 0 && allowed != 0,
         "an affinity mask");
  expect(::SetProcessAffinityMask(::GetCurrentProcess(), allowed & (~allowed + 1)) != 0,
         "to be pinned to one processor");
}

}  // namespace ringbell::test
