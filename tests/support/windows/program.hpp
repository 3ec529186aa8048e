// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "support/child_process.hpp"
#include "support/streams.hpp"

#include <windows.h>
// After it:
#include <tlhelp32.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <vector>

// A program as a child process.
namespace ringbell::test {

inline constexpr int timed_out = -1;

/// By which programs that serve are asked to end: Ctrl-C. Ctrl-Break would do as well, but not
/// under Wine.
inline constexpr std::initializer_list<int> polite_signals{SIGINT};
inline constexpr int polite_signal = SIGINT;

/// Whether a killed server's name is still there, with nobody behind it.
inline constexpr bool names_outlive_servers = false;

/// What `ringbell doctor` looks at, among others.
inline constexpr std::initializer_list<const char*> seen_by_doctor{
    "kernel", "waits", "loop", "shared memory", "exchange", "CPUs", "parking"};

/// A running program without a console; killed when this goes before it, and when this process
/// does.
class program {
public:
  /// Its standard streams are these; closed where that is null. Its temporary folder is its own.
  program(const std::string& path, const std::vector<std::string>& arguments, HANDLE in, HANDLE out,
          HANDLE err) {
    ::SetEnvironmentVariableA("TMP", temporary_.path().c_str());
    const sys::handle streams[] = {inherited(in), inherited(out), inherited(err)};
    STARTUPINFOA startup{};
    startup.cb = sizeof startup;
    startup.dwFlags = STARTF_USESTDHANDLES;
    startup.hStdInput = streams[0].get();
    startup.hStdOutput = streams[1].get();
    startup.hStdError = streams[2].get();
    std::string command = quoted(path);
    for (const std::string& a : arguments) command += ' ' + quoted(a);
    PROCESS_INFORMATION started{};
    start_process(path, [&] {
      return ::CreateProcessA(path.c_str(), command.data(), nullptr, nullptr, TRUE,
                              DETACHED_PROCESS | CREATE_SUSPENDED, nullptr, nullptr, &startup,
                              &started);
    });
    process_ = sys::handle(started.hProcess);
    const sys::handle thread(started.hThread);
    id_ = started.dwProcessId;
    ::AssignProcessToJobObject(job_of_children(), process_.get());
    ::ResumeThread(thread.get());
  }
  program(const program&) = delete;
  program& operator=(const program&) = delete;
  ~program() {
    kill();
    ::WaitForSingleObject(process_.get(), 10'000);
  }

  /// As a console does it when somebody presses Ctrl-C there. None is needed, and the process that
  /// a console is in Wine would hold what the program has inherited, also once it has closed that.
  void send(int signal) const {
    expect(signal == SIGINT, "a signal that can be sent here");
    static const auto routine = reinterpret_cast<LPTHREAD_START_ROUTINE>(reinterpret_cast<void*>(
        ::GetProcAddress(::GetModuleHandleW(L"kernelbase.dll"), "CtrlRoutine")));
    expect(routine != nullptr, "the system's routine for Ctrl-C");
    const sys::handle thread(::CreateRemoteThread(process_.get(), nullptr, 0, routine, nullptr, 0,
                                                  nullptr));  // null: CTRL_C_EVENT
    expect(static_cast<bool>(thread), "to press Ctrl-C");
  }
  void kill() const { ::TerminateProcess(process_.get(), killed); }
  /// From now on it does nothing.
  void stop() const {
    static const auto suspend = reinterpret_cast<LONG(NTAPI*)(HANDLE)>(reinterpret_cast<void*>(
        ::GetProcAddress(::GetModuleHandleW(L"ntdll.dll"), "NtSuspendProcess")));
    expect(suspend(process_.get()) == 0, "to suspend a process");
  }
  /// Its exit status, `killed`, or `timed_out`.
  int wait(std::chrono::milliseconds limit) {
    if (::WaitForSingleObject(process_.get(), static_cast<DWORD>(limit.count())) != WAIT_OBJECT_0)
      return timed_out;
    DWORD status = 0;
    ::GetExitCodeProcess(process_.get(), &status);
    return static_cast<int>(status);
  }
  /// Whether a demo runs in both of its processes: it has a child.
  bool has_company() const {
    const sys::handle all(::CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0));
    PROCESSENTRY32 each{};
    each.dwSize = sizeof each;
    for (BOOL more = ::Process32First(all.get(), &each); more;
         more = ::Process32Next(all.get(), &each))
      if (each.th32ParentProcessID == id_ && std::wstring(each.szExeFile).starts_with(L"ringbell"))
        return true;
    return false;
  }
  /// What is in its temporary folder.
  std::vector<std::string> left_behind() const { return left_in(temporary_); }

private:
  // A copy that children inherit; it is closed once there is one.
  static sys::handle inherited(HANDLE stream) {
    HANDLE copy = nullptr;
    if (stream && !::DuplicateHandle(::GetCurrentProcess(), stream, ::GetCurrentProcess(), &copy, 0,
                                     TRUE, DUPLICATE_SAME_ACCESS))
      throw std::runtime_error("DuplicateHandle failed");
    return sys::handle(copy);
  }

  // So that the C library finds the same argument again.
  static std::string quoted(const std::string& argument) {
    std::string text = "\"";
    std::size_t backslashes = 0;
    for (const char c : argument) {
      if (c == '"') text.append(backslashes + 1, '\\');
      backslashes = c == '\\' ? backslashes + 1 : 0;
      text += c;
    }
    return text.append(backslashes, '\\') + '"';
  }

  file_folder temporary_;
  DWORD id_ = 0;
  sys::handle process_;
};

/// Whether a program that knows nothing of signals was ended by this one. Wine gives 0 where
/// Windows gives STATUS_CONTROL_C_EXIT.
inline bool is_end_by(int signal, int status) {
  return signal == SIGINT && (status == 0 || static_cast<DWORD>(status) == STATUS_CONTROL_C_EXIT);
}

}  // namespace ringbell::test
