// SPDX-License-Identifier: BSL-1.0
#include "system/terminal.hpp"

#include "exit_codes.hpp"

#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>

namespace ringbell::tool {

namespace {

// Another screen, no cursor; and back (xterm's control sequences).
constexpr std::string_view begin_screen = "\x1b[?1049h\x1b[?25l\x1b[2J";
constexpr std::string_view end_screen = "\x1b[0m\x1b[?25h\x1b[?1049l";
constexpr int crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

termios before;
volatile sig_atomic_t entered = 0;

/// Safe in a signal handler.
void restore() noexcept {
  if (!entered) return;
  entered = 0;
  (void)!::write(STDOUT_FILENO, end_screen.data(), end_screen.size());
  ::tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
}

void crashed(int signal) {
  restore();
  ::raise(signal);  // which now does what it always does
}

}  // namespace

bool terminal::there() noexcept { return ::isatty(STDIN_FILENO) && ::isatty(STDOUT_FILENO); }

std::initializer_list<int> terminal::signals() noexcept {
  static constexpr std::initializer_list<int> all{SIGINT,  SIGTERM,  SIGHUP,
                                                  SIGQUIT, SIGWINCH, SIGTSTP};
  return all;
}

terminal::meaning terminal::meaning_of(int signal) noexcept {
  switch (signal) {
    case SIGINT: return meaning::leave;
    case SIGTSTP: return meaning::suspend;
    case SIGWINCH: return meaning::draw_again;
    default: return meaning::end;
  }
}

terminal::terminal() {
  struct sigaction action{};
  action.sa_handler = crashed;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  for (const int signal : crashes) ::sigaction(signal, &action, nullptr);
  enter();
}

terminal::~terminal() {
  restore();
  for (const int signal : crashes) ::signal(signal, SIG_DFL);
}

void terminal::enter() {
  if (::tcgetattr(STDIN_FILENO, &before) != 0)
    throw_errno(errno, "asking for the terminal's settings");
  termios wanted = before;
  wanted.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);  // Ctrl-C and Ctrl-Z stay what they are
  wanted.c_iflag &= ~static_cast<tcflag_t>(IXON);  // Ctrl-S would make a write last for ever
  wanted.c_cc[VMIN] = 1;
  wanted.c_cc[VTIME] = 0;
  if (::tcsetattr(STDIN_FILENO, TCSADRAIN, &wanted) != 0)
    throw_errno(errno, "setting up the terminal");
  entered = 1;
  write(begin_screen);
}

void terminal::suspend() {
  restore();
  ::raise(SIGSTOP);
  enter();
}

top::screen_size terminal::size() const noexcept {
  winsize w{};
  top::screen_size s;
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col != 0 && w.ws_row != 0) {
    s.columns = w.ws_col;
    s.lines = w.ws_row;
  }
  return s;
}

void terminal::write(std::string_view text) const {
  while (!text.empty()) {
    const ssize_t n = ::write(STDOUT_FILENO, text.data(), text.size());
    if (n >= 0)
      text.remove_prefix(static_cast<std::size_t>(n));
    else if (errno != EINTR && errno != EAGAIN)
      throw_errno(errno, "writing to the terminal");
  }
}

}  // namespace ringbell::tool
