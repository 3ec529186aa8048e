// SPDX-License-Identifier: BSL-1.0
#include "doctor/doctor.hpp"

#include "common/system_facts.hpp"
#include "doctor/container.hpp"
#include "doctor/refusal.hpp"

#include <ringbell/sys/futex.hpp>
#include <ringbell/sys/handle.hpp>
#include <ringbell/sys/limit.hpp>
#include <ringbell/sys/region.hpp>

#include <fcntl.h>
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace ringbell::tool {

namespace {

/// Closes itself; negative when the kernel refused, with the reason in `error`.
struct trial_ring {
  explicit trial_ring(unsigned flags) noexcept
      : fd(static_cast<int>(::syscall(__NR_io_uring_setup, 8, prepare(flags)))), error(errno) {}
  io_uring_params params;
  sys::handle fd;
  int error;

private:
  io_uring_params* prepare(unsigned flags) noexcept {
    std::memset(&params, 0, sizeof params);
    params.flags = flags;
    return &params;
  }
};

// Newer than some kernel headers that this is built with.
constexpr unsigned feature_no_iowait = 1u << 17;  // 6.15
constexpr unsigned operation_futex_wait = 51;     // 6.7
constexpr long futex_waitv_number = 449;          // 5.16

bool has_operation(int ring, unsigned operation) noexcept {
  constexpr unsigned all = 256;
  std::vector<std::byte> memory(sizeof(io_uring_probe) + all * sizeof(io_uring_probe_op));
  auto* const probe = reinterpret_cast<io_uring_probe*>(memory.data());
  if (::syscall(__NR_io_uring_register, ring, IORING_REGISTER_PROBE, probe, all) != 0) return false;
  return operation <= probe->last_op && (probe->ops[operation].flags & IO_URING_OP_SUPPORTED) != 0;
}

call_rules rules_here() {
  utsname name{};
  ::uname(&name);
  return {name.release, is_filtered(), first_line("/proc/sys/kernel/io_uring_disabled")};
}

finding look_at_io_uring() {
  // Another loop may have been chosen because a filter kills for this one.
  const char* const chosen = std::getenv("RINGBELL_LOOP");
  if (chosen && *chosen && std::strcmp(chosen, "io_uring") != 0)
    return {"io_uring", verdict::limited,
            std::string("not tried, because $RINGBELL_LOOP is ") + chosen};
  const trial_ring plain(0);
  if (!plain.fd)
    return {"io_uring", verdict::limited,
            why_io_uring_is_refused(plain.error, rules_here()) + "; the loop is epoll then"};
  std::string detail;
  const auto add = [&](const char* name, bool there) {
    detail += std::string(detail.empty() ? "" : ", ") + (there ? "" : "no ") + name;
  };
  add("deferred completions (6.1)",
      static_cast<bool>(trial_ring(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN).fd));
  add("cooperative completions (5.19)",
      static_cast<bool>(trial_ring(IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG).fd));
  add("multishot poll (5.13)", has_operation(plain.fd.get(), IORING_OP_POLL_ADD) &&
                                   (plain.params.features & IORING_FEAT_RSRC_TAGS) != 0);
  add("futex waits (6.7)", has_operation(plain.fd.get(), operation_futex_wait));
  add("idle time not counted as I/O wait (6.15)", (plain.params.features & feature_no_iowait) != 0);
  return {"io_uring", verdict::ok, detail};
}

/// What a peer could try with the descriptor of a region; each must fail. The name of the first
/// that does not, or null.
const char* broken_seal(int fd, std::size_t size) noexcept {
  void* const writable = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (writable != MAP_FAILED) {
    ::munmap(writable, size);
    return "it can be mapped for writing";
  }
  if (::pwrite(fd, "", 1, 0) >= 0) return "it can be written to";
  if (::ftruncate(fd, 0) == 0) return "it can be made shorter";
  if (::ftruncate(fd, static_cast<off_t>(2 * size)) == 0) return "it can be made longer";
  if (::fcntl(fd, F_ADD_SEALS, 0) == 0) return "its seals can be changed";
  return nullptr;
}

finding look_at_futexes() {
  if (sys::has_futex_wait_any()) return {"futexes", verdict::ok, "with futex_waitv (5.16)"};
  // Without words it always fails.
  ::syscall(futex_waitv_number, nullptr, 0, 0, nullptr, CLOCK_MONOTONIC);
  return {
      "futexes", verdict::limited,
      "no wait for several at a time; futex_waitv: " + why_refused(errno, {5, 16}, rules_here())};
}

// Below this a service with some hundred clients, whose rings fill up, may be killed for want of
// memory.
constexpr std::uint64_t little_memory = 64 << 20;

}  // namespace

std::string platform_word() { return "Linux: run on the real system, by all tests"; }

std::vector<trial> trials_of_system() {
  return {{"io_uring", verdict::limited, look_at_io_uring},
          {"futexes", verdict::limited, look_at_futexes}};
}

finding look_at_memory() {
  constexpr const char* what = "sealed memory";
  std::error_code error;
  const sys::region own = sys::region::create(sys::page_size(), error);
  if (error) return {what, verdict::missing, error.message()};
  sys::handle passed(::fcntl(own.shared_handle(), F_DUPFD_CLOEXEC, 0));
  if (const char* broken = broken_seal(passed.get(), own.size()))
    return {what, verdict::missing, std::string("a sealed memfd is not protected here: ") + broken};
  const sys::peer_region seen = sys::peer_region::map(std::move(passed), own.size(), error);
  if (error) return {what, verdict::missing, error.message()};
  return {what, verdict::ok,
          "a peer can map it for reading; writing, resizing and unsealing are refused (tried)"};
}

findings look_at_limits() {
  findings all = look_at_process_limits("a channel takes up to 4, one in Asio 5");
  const std::string maps = first_line("/proc/sys/vm/max_map_count");
  all.push_back(
      {"memory maps", verdict::ok, (maps.empty() ? "unknown" : maps) + "; a channel takes 2"});
  rlimit locked{};
  ::getrlimit(RLIMIT_MEMLOCK, &locked);
  all.push_back({"locked memory", verdict::ok,
                 (locked.rlim_cur == RLIM_INFINITY ? "unlimited"
                                                   : std::to_string(locked.rlim_cur) + " bytes") +
                     " (ulimit -l); nothing is locked (io_uring before 5.12 counts its rings)"});
  const auto memory = sys::control_group_memory();
  all.push_back(
      {"memory", memory && *memory < little_memory ? verdict::limited : verdict::ok,
       memory
           ? "the control group allows " + std::to_string(*memory) +
                 " bytes, and the kernel kills a process that needs more: rings count once they are used"
           : std::string("no limit by a control group")});
  for (finding& f : look_at_container()) all.push_back(std::move(f));
  return all;
}

}  // namespace ringbell::tool
