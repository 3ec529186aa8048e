// SPDX-License-Identifier: BSL-1.0
#include "running_link.hpp"

#include "contenders.hpp"
#include "processors.hpp"
#include "usage_meter.hpp"
#include "watchdog.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

namespace ringbell::bench {

namespace {

// After a signal: the kernel also interrupts a wait for io_uring's sake, and who wants the program
// to end can wait for the end of a slice.
constexpr bool waiting_on = true;
constexpr std::size_t memory_bytes = 4096;

sys::handle make_memory() {
  sys::handle memory(::memfd_create("ringbell-bench", MFD_CLOEXEC));
  if (!memory || ::ftruncate(memory.get(), memory_bytes) != 0)
    throw std::system_error(errno, std::generic_category(), "making shared memory");
  return memory;
}

/// The life of an answering process.
void serve(link& of, placement where, const pipe_end& end, std::atomic<std::uint64_t>& begun) {
  ::signal(SIGINT, SIG_IGN);  // the terminal sends it to all; the parent decides
  ::prctl(PR_SET_TIMERSLACK, 1);
  pin_child(where);
  of.listen();
  end.put(true);
  of.accept();
  slice s;
  for (std::uint64_t n = 1; end.get(s, waiting_on); ++n) {
    const usage_meter meter(s, of);
    begun.store(n, std::memory_order_release);
    if (s.kind == traffic::ping_pong)
      of.answer(s);
    else
      of.receive(s);
    end.put(meter.used());
  }
}

/// Starts this program anew, with the same descriptors.
void become_new_program(const contender& kind, const link_options& options, int control,
                        int memory) {
  std::vector<std::string> words = {"ringbell-bench",
                                    answer_argument,
                                    kind.id,
                                    options.path,
                                    std::to_string(options.size),
                                    options.where == placement::two ? "two" : "one",
                                    std::to_string(control),
                                    std::to_string(memory)};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  for (const int fd : {control, memory}) ::fcntl(fd, F_SETFD, 0);
  ::execv("/proc/self/exe", argv.data());
  throw std::system_error(errno, std::generic_category(), "starting this program anew");
}

}  // namespace

running_link::running_link(const contender& kind, const link_options& options)
    : kind_(kind),
      memory_handle_(make_memory()),
      memory_(memory_bytes, memory_handle_.get()),
      begun_(memory_.make<std::atomic<std::uint64_t>>()),
      link_(kind.make(options)) {
  const auto body = [&](const pipe_end& end) {
    if (kind.answers_in_new_program)
      become_new_program(kind, options, end.fd(), memory_handle_.get());
    serve(*link_, options.where, end, begun_);
  };
  std::vector<int> keep = link_->descriptors();
  keep.push_back(memory_handle_.get());
  peer_ = std::make_unique<worker_process>(kind.id, body, keep);
}

running_link::~running_link() {
  if (kind_.answers_in_new_program) peer_->hang_up(std::chrono::seconds(3));
}

void running_link::connect() {
  const watchdog limit(kind_.id);
  peer_->get<bool>(waiting_on);
  link_->connect();
}

usage running_link::run(const slice& s, times& t) {
  const watchdog limit(kind_.id);
  peer_->put(s);
  ++slices_;
  // Only then: the time that the other process needs to wake up is none of the link's.
  while (begun_.load(std::memory_order_acquire) != slices_) {
    if (!peer_->alive()) throw std::runtime_error(kind_.id + " has died");
    ::sched_yield();
  }
  const usage_meter meter(s, *link_);
  if (s.kind == traffic::ping_pong)
    link_->ping(s, t);
  else
    link_->send(s, t);
  usage both = meter.used();
  both += peer_->get<usage>(waiting_on);
  // The clock's part.
  both.cpu -= t.pacing_cpu;
  both.switches -= t.pacing_sleeps;
  if (both.calls >= 0) both.calls -= t.pacing_sleeps * calls_of_a_pacing_sleep;
  return both;
}

void answer_in_new_program(char** arguments) {
  int code = 1;
  try {
    link_options options;
    options.answering = true;
    options.path = arguments[1];
    options.size = std::stoull(arguments[2]);
    options.where = std::string(arguments[3]) == "two" ? placement::two : placement::one;
    const pipe_end end(std::stoi(arguments[4]));
    const shared_memory memory(memory_bytes, std::stoi(arguments[5]));
    const contender_list all = all_contenders();
    const contender* const kind = all.find(arguments[0]);
    if (!kind) throw std::runtime_error("there is no such contender");
    const std::unique_ptr<link> of = kind->make(options);
    serve(*of, options.where, end, *reinterpret_cast<std::atomic<std::uint64_t>*>(memory.data()));
    code = 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", arguments[0], error.what());
  }
  std::exit(code);  // libraries say goodbye
}

}  // namespace ringbell::bench
