// SPDX-License-Identifier: BSL-1.0
// Runs a program with io_uring refused, as Docker's and containerd's default profiles do:
// refuse_io_uring PROGRAM [ARGUMENT...] Exits with 77 (skipped) when this machine does not let a
// process filter its own system calls.

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>

namespace {

// The numbers of io_uring's calls follow one another, and are the same on every architecture: no
// need to look at which one it is.
static_assert(__NR_io_uring_enter == __NR_io_uring_setup + 1 &&
              __NR_io_uring_register == __NR_io_uring_setup + 2);

bool refuse_io_uring() {
  std::array<sock_filter, 5> filter{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, __NR_io_uring_setup, 0, 2),
      BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, __NR_io_uring_register, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  sock_fprog program{filter.size(), filter.data()};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: refuse_io_uring PROGRAM [ARGUMENT...]\n");
    return 2;
  }
  if (!refuse_io_uring()) {
    std::printf("skipped: no seccomp filters here: %s\n", std::strerror(errno));
    return 77;
  }
  execvp(argv[1], argv + 1);
  std::fprintf(stderr, "refuse_io_uring: cannot run %s: %s\n", argv[1], std::strerror(errno));
  return 2;
}
