// SPDX-License-Identifier: BSL-1.0
//
// A thousand clients, ten in each process, call a service; ten times a second one of the processes
// is killed and replaced, whatever it is doing. The others get right replies only, and in the end
// the server holds what it held in the beginning. How long it stalled meanwhile is printed.
//
//   killed_clients [SECONDS]     60 unless given
#include "service_under_stress.hpp"

#include <ringbell/coro/sleep.hpp>

#include <deque>
#include <memory>
#include <random>
#include <thread>
#include <utility>

#include "support/child_process.hpp"
#include "support/pattern.hpp"

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t processes = 100;
constexpr std::size_t clients_each = 10;
// More at first than later: tables that have grown for them need not grow when new clients come
// before the dead ones are noticed.
constexpr std::size_t processes_at_first = processes + 10;
constexpr std::chrono::milliseconds between_kills{100};
constexpr std::uint64_t warm_up_calls = 4;  // of each client

constexpr std::chrono::milliseconds mean_pause{
    500};  // of a client between two calls: 2,000 calls a second in all
constexpr std::size_t longest_echo = 8192;
constexpr unsigned calls_per_stream = 8;

constexpr std::chrono::milliseconds tick{5};

constexpr std::int64_t resident_tolerance_kib = 512;
constexpr std::uint64_t heap_tolerance = 4096;

/// What all the processes write, and this one reads.
struct board {
  std::atomic<std::uint64_t> clients{0};  // that the server has, when it looked for the last time
  std::atomic<std::uint64_t> looks{0};
  std::atomic<std::uint64_t> connected{0};
  std::atomic<std::uint64_t> calls{0};
  std::atomic<std::uint64_t> streams{0};
  std::atomic<std::uint64_t> wrong{0};
  std::atomic<std::uint64_t> failed{0};
  std::atomic<std::uint64_t> over_10_ms{0};
  std::atomic<std::uint64_t> over_100_ms{0};
  std::atomic<std::uint64_t> slowest_ns{0};
  std::atomic<std::uint64_t> late_ns{0};
  std::atomic<std::uint64_t> stall_ns{0};
  std::atomic<std::uint64_t> ran_ns{0};  // of the longest stall, on the processor
};

std::uint64_t ran() noexcept {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(t.tv_nsec);
}

/// How long this thread, ready to run, has waited for a processor since it began.
class waited_for_processor {
public:
  std::uint64_t operator()() const noexcept {
    char text[96] = {};
    unsigned long long ran = 0, waited = 0;
    if (::pread(file_.get(), text, sizeof text - 1, 0) <= 0 ||
        std::sscanf(text, "%llu %llu", &ran, &waited) != 2)
      return 0;
    return waited;
  }

private:
  sys::handle file_{::open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC)};
};

std::uint64_t nanoseconds_since(loop::clock::time_point begun) {
  return static_cast<std::uint64_t>(std::chrono::nanoseconds(loop::clock::now() - begun).count());
}

// How late a timer of this loop is; and how late it would have been had the processors been free.
// That is what the server is to blame for: what it did, and what it slept, before it came to its
// timers. A thousand clients in a hundred processes make it wait for a processor as well.
task<void> note_stalls(const server& s, board& b) {
  const waited_for_processor waited;
  for (auto due = loop::clock::now();;) {
    due = std::max(due + tick, loop::clock::now());
    const std::uint64_t waited_before = waited(), ran_before = ran();
    co_await sleep_until(due);
    const std::uint64_t late = nanoseconds_since(due);
    raise_to(b.late_ns, late);
    const std::uint64_t stalled = late - std::min(late, waited() - waited_before);
    if (stalled > b.stall_ns) b.ran_ns = ran() - ran_before;
    raise_to(b.stall_ns, stalled);
    b.clients = s.clients();
    ++b.looks;
  }
}

task<bool> echoed(client& c, std::uint64_t seed) {
  const std::size_t size = pick(seed, longest_echo);
  const std::vector<std::byte> request = patterned(size, seed);
  const payload p = co_await c.call(echo_method, std::span<const std::byte>(request));
  co_return p.size() == size&& matches(p.bytes(), seed);
}

task<bool> mirrored(client& c, std::uint64_t seed) {
  call_stream s = c.open(mirror_method);
  const std::uint64_t parts = 1 + pick(seed, 8);
  for (std::uint64_t i = 0; i < parts; ++i) {
    const std::vector<std::byte> part = patterned(pick(seed + i, longest_echo), seed + i);
    co_await s.write(part);
    const std::optional<payload> back = co_await s.read();
    if (!back || back->size() != part.size() || !matches(back->bytes(), seed + i)) co_return false;
  }
  s.finish();
  const std::optional<payload> rest = co_await s.read();
  const payload count = co_await s.reply();
  co_return !rest && count.text() == std::to_string(parts);
}

task<void> live(loop& lp, const std::string& path, std::uint64_t seed, board& b) {
  std::minstd_rand random(static_cast<unsigned>(seed));
  const auto up_to = [&](auto most) {
    return std::chrono::microseconds(
        random() % static_cast<unsigned>(std::chrono::microseconds(most).count()));
  };
  try {
    client_options options;
    options.connection.timeout = patience;
    task<client> connecting = client::connect(lp, path, options);
    client c = co_await std::move(connecting);
    ++b.connected;
    for (std::uint64_t n = 1;; ++n) {
      co_await sleep_for(up_to(2 * mean_pause));
      const bool stream = n % calls_per_stream == 0;
      const auto begun = loop::clock::now();
      task<bool> calling = stream ? mirrored(c, seed * 100'000 + n) : echoed(c, seed * 100'000 + n);
      if (!co_await std::move(calling)) ++b.wrong;
      const std::uint64_t took = nanoseconds_since(begun);
      ++(stream ? b.streams : b.calls);
      if (took > 10'000'000) ++b.over_10_ms;
      if (took > 100'000'000) ++b.over_100_ms;
      raise_to(b.slowest_ns, took);
    }
  } catch (const std::exception& e) {
    ++b.failed;
    std::fprintf(stderr, "a client: %s\n", e.what());
  }
}

void be_clients(const std::string& path, std::uint64_t seed, board& b) {
  // A hundred and more processes that want two processors: it is the server that is measured, not
  // who gets its turn when.
  if (::nice(10) == -1) std::fprintf(stderr, "a client cannot be nice\n");
  loop lp;
  for (std::size_t i = 0; i < clients_each; ++i)
    lp.spawn(live(lp, path, seed * clients_each + i, b));
  lp.run();
}

class crowd {
public:
  crowd(std::string path, board& b) : path_(std::move(path)), board_(b) {}
  void fill(std::size_t wanted) {
    all_.resize(wanted);
    for (auto& one : all_)
      if (!one) one = start();
  }
  void kill_one() { all_[random_() % all_.size()].reset(); }
  void kill_all() {
    for (auto& one : all_) one.reset();
  }

private:
  std::unique_ptr<bench::worker_process> start() {
    const std::uint64_t seed = ++started_;
    return std::make_unique<bench::worker_process>(
        "clients", [this, seed](bench::pipe_end&) { be_clients(path_, seed, board_); });
  }
  std::string path_;
  board& board_;
  std::vector<std::unique_ptr<bench::worker_process>> all_;
  std::uint64_t started_ = 0;
  std::minstd_rand random_;
};

// Asks the server what it holds, whenever it is told to; in a process of its own, since the one
// that forks is to have no loop.
task<held> look(loop& lp, const std::string& path) {
  task<client> connecting = client::connect(lp, path);
  const client c = co_await std::move(connecting);
  for (const auto until = loop::clock::now() + patience; loop::clock::now() < until;) {
    task<held> asking = held_by_server(c);
    const held server = co_await std::move(asking);
    if (server.clients == 1) co_return server;
    co_await sleep_for(1ms);
  }
  throw std::runtime_error("the server does not see that clients have gone");
}

void watch(const bench::pipe_end& end, const std::string& path) {
  loop lp;
  for (bool command = false; end.get(command);) end.put(lp.run(look(lp, path)));
}

/// Waits for `condition`, for as long as anything at all goes on: on a busy machine this takes its
/// time.
void wait_for(const bench::worker_process& server, const board& b,
              const std::function<bool()>& condition) {
  const auto progress = [&b] { return b.connected + b.calls + b.streams; };
  std::uint64_t seen = progress();
  for (auto until = loop::clock::now() + patience; !condition(); std::this_thread::sleep_for(1ms)) {
    if (std::exchange(seen, progress()) != seen) until = loop::clock::now() + patience;
    if (loop::clock::now() > until)
      throw std::runtime_error("clients do not connect, or do not call");
    if (::kill(server.process(), 0) != 0) throw std::runtime_error("the server has died");
  }
}

void print(const board& b, std::uint64_t kills) {
  std::printf(
      "%llu clients killed; %llu connected, %llu calls and %llu streams answered, %llu wrong, %llu failed\n",
      static_cast<unsigned long long>(kills), static_cast<unsigned long long>(b.connected),
      static_cast<unsigned long long>(b.calls), static_cast<unsigned long long>(b.streams),
      static_cast<unsigned long long>(b.wrong), static_cast<unsigned long long>(b.failed));
  std::printf(
      "largest delay of a timer in the server: %.1f ms, without its waiting for a processor: %.1f ms (%.1f of them at work)\n",
      static_cast<double>(b.late_ns) / 1e6, static_cast<double>(b.stall_ns) / 1e6,
      static_cast<double>(b.ran_ns) / 1e6);
  std::printf("slowest call of a survivor: %.1f ms; %llu over 10 ms, %llu over 100 ms\n",
              static_cast<double>(b.slowest_ns) / 1e6,
              static_cast<unsigned long long>(b.over_10_ms),
              static_cast<unsigned long long>(b.over_100_ms));
}

}  // namespace

int main(int argc, char** argv) try {
  const std::chrono::seconds duration(argument(argc, argv, 1, 60));
  const temporary_folder folder;
  const std::string path = folder / "service";
  const shared_object<board> b;
  server_options options;
  options.listening.max_half_open = 1024;
  bench::worker_process server("server", [&](bench::pipe_end& end) {
    serve_stress(end, path, options, [&](const ringbell::server& s) { return note_stalls(s, *b); });
  });
  server.get<bool>();
  const bench::worker_process watcher("watcher", [&](bench::pipe_end& end) { watch(end, path); });
  const auto held_now = [&] {
    watcher.put(true);
    return watcher.get<held>();
  };

  // The server once has as many clients as later, so that what it keeps for reuse is there.
  crowd all(path, *b);
  all.fill(processes_at_first);
  wait_for(server, *b, [&] {
    return b->calls >= warm_up_calls * processes_at_first * clients_each && b->streams != 0;
  });
  all.kill_all();
  const held before = held_now();

  all.fill(processes);
  wait_for(server, *b,
           [&] { return b->connected >= (processes_at_first + processes) * clients_each; });
  b->late_ns = b->stall_ns = b->slowest_ns = b->over_10_ms = b->over_100_ms = 0;
  std::uint64_t kills = 0;
  auto next = loop::clock::now();
  for (const auto until = next + duration; next < until;) {
    std::this_thread::sleep_until(next += between_kills);
    all.kill_one();
    all.fill(processes);
    kills += clients_each;
    // On a busy machine the server may be behind: it is never to have more clients than it had at
    // first.
    const std::uint64_t looks = b->looks;
    wait_for(server, *b, [&] {
      return b->looks > looks && b->clients < (processes_at_first - 2) * clients_each;
    });
    next = std::max(next, loop::clock::now() - between_kills);
  }
  print(*b, kills);
  all.kill_all();
  const held after = held_now();
  before.print("server before");
  after.print("server after ");

  verdict v;
  v.require(b->calls != 0 && b->streams != 0, "nobody called");
  v.require(b->wrong == 0, "a reply was wrong");
  v.require(b->failed == 0, "a survivor's call failed");
  v.require(after.system.descriptors == before.system.descriptors, "descriptors are left");
  v.require(after.system.regions == before.system.regions, "regions are left mapped");
  if (!memory_is_kept) {
    v.require(after.system.mappings <= before.system.mappings + 2, "mappings are left");
    v.require(after.system.resident_kib <= before.system.resident_kib + resident_tolerance_kib,
              "resident memory has grown");
    v.require(after.heap_bytes <= before.heap_bytes + heap_tolerance, "the heap has grown");
  }
  server.put(true);
  v.require(server.wait() == 0, "the server does not end well");
  return v.exit_status();
} catch (const std::exception& error) {
  std::fprintf(stderr, "killed_clients: %s\n", error.what());
  return 1;
}
