// SPDX-License-Identifier: BSL-1.0
#include "system/terminal.hpp"

#include "system/standard_streams.hpp"

#include <windows.h>

#include <csignal>
#include <system_error>

namespace ringbell::tool {

namespace {

// Another screen, no cursor; and back (xterm's control sequences, which the console knows since
// Windows 10).
constexpr std::string_view begin_screen = "\x1b[?1049h\x1b[?25l\x1b[2J";
constexpr std::string_view end_screen = "\x1b[0m\x1b[?25h\x1b[?1049l";

DWORD input_before = 0;
DWORD output_before = 0;
bool entered = false;

HANDLE input() noexcept { return ::GetStdHandle(STD_INPUT_HANDLE); }
HANDLE output() noexcept { return ::GetStdHandle(STD_OUTPUT_HANDLE); }

[[noreturn]] void fail(const char* doing) {
  throw std::system_error(static_cast<int>(::GetLastError()), std::system_category(), doing);
}

void restore() noexcept {
  if (!entered) return;
  entered = false;
  DWORD written;
  ::WriteFile(output(), end_screen.data(), static_cast<DWORD>(end_screen.size()), &written,
              nullptr);
  ::SetConsoleMode(input(), input_before);
  ::SetConsoleMode(output(), output_before);
}

LONG WINAPI crashed(EXCEPTION_POINTERS*) {
  restore();
  return EXCEPTION_CONTINUE_SEARCH;
}

}  // namespace

bool terminal::there() noexcept {
  return is_terminal(standard_stream::input) && is_terminal(standard_stream::output);
}

std::initializer_list<int> terminal::signals() noexcept {
  static constexpr std::initializer_list<int> all{SIGINT, SIGTERM, SIGBREAK};
  return all;
}

terminal::meaning terminal::meaning_of(int signal) noexcept {
  return signal == SIGINT ? meaning::leave : meaning::end;
}

terminal::terminal() {
  ::SetUnhandledExceptionFilter(&crashed);
  enter();
}

terminal::~terminal() {
  restore();
  ::SetUnhandledExceptionFilter(nullptr);
}

void terminal::enter() {
  if (!::GetConsoleMode(input(), &input_before) || !::GetConsoleMode(output(), &output_before))
    fail("asking for the terminal's settings");
  // Ctrl-C stays what it is.
  const DWORD keys = (input_before & ~static_cast<DWORD>(ENABLE_LINE_INPUT | ENABLE_ECHO_INPUT)) |
                     ENABLE_PROCESSED_INPUT | ENABLE_VIRTUAL_TERMINAL_INPUT;
  const DWORD screen = output_before | ENABLE_PROCESSED_OUTPUT | ENABLE_VIRTUAL_TERMINAL_PROCESSING;
  if (!::SetConsoleMode(input(), keys) || !::SetConsoleMode(output(), screen))
    fail("setting up the terminal");
  entered = true;
  write(begin_screen);
}

void terminal::suspend() {}  // no process is stopped here

top::screen_size terminal::size() const noexcept {
  CONSOLE_SCREEN_BUFFER_INFO info{};
  top::screen_size s;
  if (::GetConsoleScreenBufferInfo(output(), &info)) {
    s.columns = static_cast<decltype(s.columns)>(info.srWindow.Right - info.srWindow.Left + 1);
    s.lines = static_cast<decltype(s.lines)>(info.srWindow.Bottom - info.srWindow.Top + 1);
  }
  return s;
}

void terminal::write(std::string_view text) const {
  while (!text.empty()) {
    DWORD written = 0;
    if (!::WriteFile(output(), text.data(), static_cast<DWORD>(text.size()), &written, nullptr))
      fail("writing to the terminal");
    text.remove_prefix(written);
  }
}

}  // namespace ringbell::tool
