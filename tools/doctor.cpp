// SPDX-License-Identifier: BSL-1.0
#include "commands.hpp"
#include "demo_asio.hpp"
#include "json.hpp"
#include "system_facts.hpp"

#include <ringbell/connect.hpp>
#include <ringbell/listener.hpp>
#include <ringbell/sys/bell.hpp>
#include <ringbell/sys/cpu.hpp>
#include <ringbell/sys/futex.hpp>
#include <ringbell/sys/region.hpp>
#include <ringbell/sys/service_path.hpp>
#include <ringbell/when_all.hpp>

#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

namespace ringbell::tool {

namespace {

/// `missing` makes ringbell unusable here; `limited` makes it slower, or smaller.
enum class verdict { ok, limited, missing };

struct finding {
  std::string what;
  verdict how;
  std::string detail;
};

using findings = std::vector<finding>;

const char* text_of(verdict v) { return v == verdict::ok ? "ok" : v == verdict::limited ? "limited" : "missing"; }

std::string text_of(const std::error_code& error) { return error.message(); }

// -- io_uring --

/// Closes itself; negative when the kernel refused, with the reason in `error`.
struct trial_ring {
  explicit trial_ring(unsigned flags) noexcept : fd(static_cast<int>(::syscall(__NR_io_uring_setup, 8, prepare(flags)))), error(errno) {}
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

bool has_operation(int ring, unsigned operation) noexcept {
  constexpr unsigned all = 256;
  std::vector<std::byte> memory(sizeof(io_uring_probe) + all * sizeof(io_uring_probe_op));
  auto* const probe = reinterpret_cast<io_uring_probe*>(memory.data());
  if (::syscall(__NR_io_uring_register, ring, IORING_REGISTER_PROBE, probe, all) != 0) return false;
  return operation <= probe->last_op && (probe->ops[operation].flags & IO_URING_OP_SUPPORTED) != 0;
}

finding look_at_io_uring() {
  const trial_ring plain(0);
  if (!plain.fd) return {"io_uring", verdict::limited, std::string(std::strerror(plain.error)) + "; the loop is epoll then"};
  std::string detail;
  const auto add = [&](const char* name, bool there) { detail += std::string(detail.empty() ? "" : ", ") + (there ? "" : "no ") + name; };
  add("deferred completions (6.1)", static_cast<bool>(trial_ring(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN).fd));
  add("cooperative completions (5.19)", static_cast<bool>(trial_ring(IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG).fd));
  add("multishot poll (5.13)", has_operation(plain.fd.get(), IORING_OP_POLL_ADD) && (plain.params.features & IORING_FEAT_RSRC_TAGS) != 0);
  add("futex waits (6.7)", has_operation(plain.fd.get(), operation_futex_wait));
  add("idle time not counted as I/O wait (6.15)", (plain.params.features & feature_no_iowait) != 0);
  return {"io_uring", verdict::ok, detail};
}

finding look_at_loop() {
  try {
    const loop lp;
    return {
        "loop", verdict::ok,
        std::string(lp.backend_reason()) + "; spin: " + name_of(lp.spinning()) +
            (lp.spinning() != spin_policy::none && sys::usable_cpus() == 1 ? " (but not while both sides are confined to one CPU)" : "")};
  } catch (const std::system_error& error) {
    return {"loop", verdict::missing, error.what()};
  }
}

// -- shared memory --

/// What a peer could try with the descriptor of a region; each must fail. The name of the first that does not, or null.
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

finding look_at_seals() {
  constexpr const char* what = "sealed memory";
  std::error_code error;
  const sys::region own = sys::region::create(sys::page_size(), error);
  if (error) return {what, verdict::missing, text_of(error)};
  sys::handle passed(::fcntl(own.shared_handle(), F_DUPFD_CLOEXEC, 0));
  if (const char* broken = broken_seal(passed.get(), own.size()))
    return {what, verdict::missing, std::string("a sealed memfd is not protected here: ") + broken};
  const sys::peer_region seen = sys::peer_region::map(std::move(passed), own.size(), error);
  if (error) return {what, verdict::missing, text_of(error)};
  return {what, verdict::ok, "a peer can map it for reading; writing, resizing and unsealing are refused (tried)"};
}

// -- an exchange --

class folder_of_own {
public:
  folder_of_own() : path_((std::filesystem::temp_directory_path() / "ringbell-doctor-XXXXXX").string()) {
    if (!::mkdtemp(path_.data())) throw_errno(errno, "a folder in " + std::filesystem::temp_directory_path().string());
  }
  folder_of_own(const folder_of_own&) = delete;
  folder_of_own& operator=(const folder_of_own&) = delete;
  ~folder_of_own() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string operator/(const char* name) const { return path_ + '/' + name; }

private:
  std::string path_;
};

task<> reply_once(listener& from) {
  channel ch = co_await from.accept();
  auto m = co_await ch.recv();
  co_await ch.send(m->bytes());
  co_await ch.recv();  // the end
}

task<std::string> ask_once(loop& lp, std::string name) {
  channel ch = co_await connect(lp, std::move(name));
  co_await ch.send(std::string_view("ping"));
  co_await ch.recv();
  co_return sys::name_of(ch.woken_by());
}

task<std::string> exchange(loop& lp, std::string name) {
  listener from = listener::bind(lp, name);
  auto both = co_await when_all(ask_once(lp, name), reply_once(from));
  co_return std::get<0>(both);
}

finding look_at_exchange() {
  try {
    const folder_of_own folder;
    loop lp;
    const std::string bell = lp.run(exchange(lp, folder / "doctor"));
    return {"exchange", verdict::ok,
            "a message went there and back over a socket in " + std::filesystem::temp_directory_path().string() + "; bell: " + bell +
                (bell == "eventfd" ? " (a byte on the socket between different users)" : "")};
  } catch (const std::exception& error) {
    return {"exchange", verdict::missing, error.what()};
  }
}

finding look_at_names() {
  constexpr const char* what = "service names";
  const auto path = sys::service_path("name");
  if (!path) return {what, verdict::limited, text_of(path.error())};
  const std::error_code error = sys::prepare_service_folder("name");
  if (error) return {what, verdict::limited, *path + ": " + text_of(error)};
  return {what, verdict::ok, "sockets are in " + std::filesystem::path(*path).parent_path().string()};
}

// -- limits --

std::string text_of(rlim_t limit) { return limit == RLIM_INFINITY ? "unlimited" : std::to_string(limit); }

// The control socket, the own region and two eventfds are open in each channel: this is enough for some 250.
constexpr rlim_t few_descriptors = 1024;

findings look_at_limits() {
  findings all;
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  all.push_back({"open files", files.rlim_cur < few_descriptors ? verdict::limited : verdict::ok,
                 text_of(files.rlim_cur) + " (at most " + text_of(files.rlim_max) + "); a channel takes up to 4, one in Asio 5"});
  const std::string maps = first_line("/proc/sys/vm/max_map_count");
  all.push_back({"memory maps", verdict::ok, (maps.empty() ? "unknown" : maps) + "; a channel takes 2"});
  rlimit locked{};
  ::getrlimit(RLIMIT_MEMLOCK, &locked);
  all.push_back(
      {"locked memory", verdict::ok, text_of(locked.rlim_cur) + " bytes; nothing is locked (io_uring before 5.12 counts its rings)"});
  return all;
}

finding look_at_cpus() {
  const unsigned cpus = sys::usable_cpus();
  return {"CPUs", cpus > 1 ? verdict::ok : verdict::limited,
          std::to_string(cpus) + " usable (" + cpu_model() + ")" +
              (cpus > 1 ? "" : ": with the peer on the same one nothing spins, each wait costs a wake-up")};
}

finding look_at_futexes() {
  return {"futexes", verdict::ok, sys::has_futex_wait_any() ? "with futex_waitv (5.16)" : "no futex_waitv (before 5.16)"};
}

finding look_at_asio() {
  const std::string asio = asio_built_with();
  return {"Asio", verdict::ok,
          asio.empty() ? "this program was built without it: 'demo' does not measure it" : "this program was built with " + asio};
}

findings examine() {
  findings all;
  all.push_back({"kernel", verdict::ok, kernel_release()});
  all.push_back(look_at_cpus());
  all.push_back(look_at_io_uring());
  all.push_back(look_at_loop());
  all.push_back(look_at_futexes());
  all.push_back(look_at_seals());
  all.push_back(look_at_exchange());
  all.push_back(look_at_names());
  all.push_back(look_at_asio());
  for (finding& f : look_at_limits()) all.push_back(std::move(f));
  all.push_back({"parking", verdict::ok,
                 "to sleep and be woken costs " + format_duration(sys::park_cost()) + "; adaptive spinning stays below that"});
  return all;
}

}  // namespace

int run_doctor(bool as_json) {
  const findings all = examine();
  bool complete = true;
  json out;
  out.begin_object().begin_array("findings");
  for (const finding& f : all) {
    complete &= f.how != verdict::missing;
    out.begin_object().value("what", f.what).value("verdict", text_of(f.how)).value("detail", f.detail).end_object();
    if (!as_json) std::printf("%-8s %-14s %s\n", text_of(f.how), f.what.c_str(), f.detail.c_str());
  }
  out.end_array().value("usable", complete).value("park_ns", sys::park_cost().count()).value("usable_cpus", sys::usable_cpus());
  out.end_object();
  if (as_json) std::printf("%s\n", out.text().c_str());
  if (complete) return exit_ok;
  std::fflush(stdout);
  complain("something essential is missing here: see the lines that say 'missing'");
  return exit_missing;
}

}  // namespace ringbell::tool
