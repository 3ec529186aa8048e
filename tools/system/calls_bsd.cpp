// SPDX-License-Identifier: BSL-1.0
#include "system/calls.hpp"
#include "system/posix_calls.hpp"

#include <sys/socket.h>

#include <thread>

namespace ringbell::tool {

// macOS binds nobody to a processor; the other BSDs do so by calls of their own.
const platform_words& platform() noexcept {
  static constexpr platform_words words{"auto|kqueue",
                                        "What to sleep in; auto: $RINGBELL_LOOP, else kqueue",
                                        "socket when it contains a slash", "Unix socket"};
  return words;
}

std::vector<int> usable_processors() { return {}; }
void bind_to_processor(int) noexcept {}
std::string impl_of(int) { return {}; }

void end_with_parent() noexcept {}
void ask_for_exact_sleeps() noexcept {}
void sleep_until_blocking(std::chrono::steady_clock::time_point due) noexcept {
  std::this_thread::sleep_until(due);
}

long send_quietly(int socket, std::span<const std::byte> bytes, int flags) noexcept {
  const int on = 1;
  (void)::setsockopt(socket, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
  return ::send(socket, bytes.data(), bytes.size(), flags);
}

int message_socket_type() noexcept { return SOCK_STREAM; }

}  // namespace ringbell::tool
