// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <doctest/doctest.h>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

#include <array>
#include <cstddef>

#include "support/process.hpp"

/// What a sandbox does to a process.
namespace ringbell::test {

/// From here on this process gets `error` from one system call.
inline bool refuse_call(unsigned number, unsigned error) {
  std::array<sock_filter, 4> filter{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  sock_fprog program{filter.size(), filter.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

inline constexpr int no_filters = 77;

/// Runs `f` in a process from which one system call is kept; 0 when all went well.
template <class F>
int run_without(unsigned number, unsigned error, F f) {
  const int status = run_in_child([&] { return refuse_call(number, error) ? f() : no_filters; });
  if (status == no_filters) MESSAGE("skipped: no seccomp filters here");
  return status == no_filters ? 0 : status;
}

}  // namespace ringbell::test
