// SPDX-License-Identifier: BSL-1.0
// Runs a program when the kernel lets this process use io_uring, else exits with 77 (skipped):
// require_io_uring PROGRAM [ARGUMENT...] Asks the kernel, not the library: a library that fails to
// use an io_uring which is there must fail its tests, not skip them.

#include <linux/io_uring.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: require_io_uring PROGRAM [ARGUMENT...]\n");
    return 2;
  }
  io_uring_params parameters{};
  const long ring = syscall(__NR_io_uring_setup, 4, &parameters);
  // A profile may refuse a part of the calls only, so try the other one too.
  const long entered = ring < 0 ? -1 : syscall(__NR_io_uring_enter, ring, 0, 0, 0, nullptr, 0);
  if (entered < 0) {
    std::printf("skipped: no io_uring here: %s\n", std::strerror(errno));
    return 77;
  }
  close(static_cast<int>(ring));
  execvp(argv[1], argv + 1);
  std::fprintf(stderr, "require_io_uring: cannot run %s: %s\n", argv[1], std::strerror(errno));
  return 2;
}
