// SPDX-License-Identifier: BSL-1.0
// What the kernel says about a process, or about the whole machine: a snapshot of figures whose
// differences say what something cost.
#pragma once

#include <sys/types.h>
#include <cstdint>

namespace ringbell::bench {

struct process_figures {
  std::int64_t threads = 0;
  std::int64_t descriptors = 0;
  std::int64_t proportional_kib =
      0;                         ///< memory: what is shared with others counts by its share (Pss)
  std::int64_t private_kib = 0;  ///< memory that it has for itself
  std::int64_t page_table_kib = 0;  ///< VmPTE

  /// Of a process that is there. A figure that the kernel does not tell is 0.
  static process_figures of(pid_t process);
};

/// Of all processes together: others that run meanwhile spoil it.
struct kernel_figures {
  std::int64_t slab_kib = 0;   ///< objects of the kernel: tasks, files, sockets, what they wait in
  std::int64_t stack_kib = 0;  ///< of threads, in the kernel

  static kernel_figures now();
};

/// The processor time that a process has used since it began, in seconds.
double cpu_seconds(pid_t process);

}  // namespace ringbell::bench
