// SPDX-License-Identifier: BSL-1.0

// Pipes and consoles can be neither waited for nor read without blocking, by whoever has not opened
// them himself. So a thread reads ahead and tells by an event that there is something; another one
// writes, and tells when it is done. Both may block for good, and are left alone then: they hold
// what they use. Files are read and written here.

#include "system/standard_streams.hpp"

#include "exit_codes.hpp"

#include <ringbell/coro/sleep.hpp>
#include <ringbell/loop/readiness.hpp>
#include <ringbell/sys/handle.hpp>

#include <windows.h>
// After it:
#include <fcntl.h>
#include <io.h>

#include <algorithm>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace ringbell::tool {

namespace {

constexpr std::size_t read_ahead = 256 << 10;
constexpr std::size_t largest_write = 1 << 20;

[[noreturn]] void fail(DWORD error, const char* doing) {
  throw std::system_error(static_cast<int>(error), std::system_category(), doing);
}

constexpr DWORD handle_names[] = {STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE};

HANDLE handle_of(standard_stream which) noexcept {
  return ::GetStdHandle(handle_names[static_cast<int>(which)]);
}

// Neither blocks for long nor, where it is a device such as NUL, at all.
bool needs_a_thread(standard_stream which) noexcept {
  return ::GetFileType(handle_of(which)) == FILE_TYPE_PIPE || is_terminal(which);
}

sys::handle make_event(bool auto_reset, bool set) {
  sys::handle made(::CreateEventW(nullptr, !auto_reset, set, nullptr));
  if (!made) fail(::GetLastError(), "an event for standard input or output");
  return made;
}

bool is_end(DWORD error) noexcept {
  return error == ERROR_BROKEN_PIPE || error == ERROR_HANDLE_EOF ||
         error == ERROR_PIPE_NOT_CONNECTED;
}

}  // namespace

bool is_terminal(standard_stream which) noexcept {
  DWORD mode;
  return ::GetConsoleMode(handle_of(which), &mode) != 0;
}

void prepare_standard_streams() noexcept {
  constexpr int flags[] = {_O_RDONLY, _O_RDONLY, _O_WRONLY};
  for (int fd = 0; fd < 3; ++fd) {
    if (::_get_osfhandle(fd) < 0) {
      // The number may be taken all the same, and the system's own idea of the stream is not the C
      // library's.
      const int nothing = ::_open("NUL", flags[fd] | _O_BINARY);
      if (nothing != fd && ::_dup2(nothing, fd) == 0) ::_close(nothing);
      ::SetStdHandle(handle_names[fd], reinterpret_cast<HANDLE>(::_get_osfhandle(fd)));
    }
    (void)::_setmode(fd, _O_BINARY);
  }
}

// -- input --

struct standard_input::state {
  sys::handle ready;   // stays set while there are bytes, or the end
  sys::handle wanted;  // set when all bytes have been taken
  std::mutex mutex;
  std::vector<std::byte> bytes;  // those that have come are behind `begin`
  std::size_t begin = 0;
  bool ended = false;
  DWORD error = ERROR_SUCCESS;

  void read_for_ever() noexcept {
    std::vector<std::byte> next(read_ahead);
    for (bool more = true; more;) {
      DWORD count = 0;
      const BOOL done = ::ReadFile(handle_of(standard_stream::input), next.data(),
                                   static_cast<DWORD>(next.size()), &count, nullptr);
      const DWORD failed = done ? DWORD{ERROR_SUCCESS} : ::GetLastError();
      {
        const std::lock_guard lock(mutex);
        bytes.assign(next.begin(), next.begin() + count);
        begin = 0;
        more =
            count !=
            // nothing at all is the end, as to the C library; and so it is with Wine and a pipe of
            // Linux
            0;
        ended = !more;
        error = failed != ERROR_SUCCESS && !is_end(failed) ? failed : DWORD{ERROR_SUCCESS};
        ::SetEvent(ready.get());
      }
      if (more) ::WaitForSingleObject(wanted.get(), INFINITE);
    }
  }
};

standard_input::standard_input() {
  if (!needs_a_thread(standard_stream::input)) return;
  state_ = std::make_shared<state>();
  state_->ready = make_event(false, false);
  state_->wanted = make_event(true, false);
  std::thread([s = state_] { s->read_for_ever(); }).detach();
}

task<> standard_input::ready() {
  if (state_)
    co_await readable(state_->ready.get());
  else
    co_await yield();
}

bool standard_input::read(claim space) {
  const auto n = read(space.bytes());
  if (n && *n != 0) space.commit(*n);
  return n.has_value();
}

std::optional<std::size_t> standard_input::read(std::span<std::byte> into) {
  if (!state_) {
    DWORD count = 0;
    if (!::ReadFile(handle_of(standard_stream::input), into.data(),
                    static_cast<DWORD>(std::min(into.size(), largest_write)), &count, nullptr) &&
        !is_end(::GetLastError()))
      fail(::GetLastError(), "reading standard input");
    if (count == 0) return std::nullopt;
    return count;
  }
  const std::lock_guard lock(state_->mutex);
  const std::size_t count = std::min(into.size(), state_->bytes.size() - state_->begin);
  if (count == 0) {
    if (state_->error != ERROR_SUCCESS) fail(state_->error, "reading standard input");
    if (state_->ended) return std::nullopt;
    return 0;
  }
  std::copy_n(state_->bytes.begin() + static_cast<std::ptrdiff_t>(state_->begin), count,
              into.begin());
  state_->begin += count;
  if (state_->begin == state_->bytes.size()) {
    ::ResetEvent(state_->ready.get());
    ::SetEvent(state_->wanted.get());
  }
  return count;
}

// -- output --

struct standard_output::state {
  sys::handle work;  // set when there is something to write
  sys::handle idle;  // stays set when all has been written
  std::vector<std::byte> bytes;
  DWORD error = ERROR_SUCCESS;

  void write_for_ever() noexcept {
    for (;;) {
      ::WaitForSingleObject(work.get(), INFINITE);
      const std::byte* at = bytes.data();
      std::size_t left = bytes.size();
      while (left != 0 && error == ERROR_SUCCESS) {
        DWORD count = 0;
        if (!::WriteFile(handle_of(standard_stream::output), at, static_cast<DWORD>(left), &count,
                         nullptr))
          error = ::GetLastError();
        at += count;
        left -= count;
      }
      ::SetEvent(idle.get());
    }
  }
};

standard_output::standard_output() {
  if (!needs_a_thread(standard_stream::output)) return;
  state_ = std::make_shared<state>();
  state_->work = make_event(true, false);
  state_->idle = make_event(false, true);
  std::thread([s = state_] { s->write_for_ever(); }).detach();
}

task<> standard_output::write(std::span<const std::byte> bytes) {
  DWORD error = ERROR_SUCCESS;
  while (!bytes.empty() && error == ERROR_SUCCESS) {
    const std::span<const std::byte> piece = bytes.first(std::min(bytes.size(), largest_write));
    if (state_) {
      // A copy: who waits may be cancelled while the thread writes.
      state_->bytes.assign(piece.begin(), piece.end());
      ::ResetEvent(state_->idle.get());
      ::SetEvent(state_->work.get());
      co_await readable(state_->idle.get());
      error = state_->error;
    } else {
      DWORD count = 0;
      if (!::WriteFile(handle_of(standard_stream::output), piece.data(),
                       static_cast<DWORD>(piece.size()), &count, nullptr))
        error = ::GetLastError();
      co_await yield();
    }
    bytes = bytes.subspan(piece.size());
  }
  if (error == ERROR_NO_DATA || error == ERROR_BROKEN_PIPE)
    throw_errno(EPIPE, "writing standard output: nobody reads it any more");
  if (error == ERROR_ACCESS_DENIED)
    throw_errno(
        EBADF,
        "writing standard output");  // it was opened for something else; nobody refused anything
  if (error != ERROR_SUCCESS) fail(error, "writing standard output");
}

void standard_output::close() {
  if (::_close(1) != 0) throw_errno(errno, "writing standard output");
  // The number must not go to whatever is opened next.
  (void)::_open("NUL", _O_WRONLY | _O_BINARY);
}

}  // namespace ringbell::tool
