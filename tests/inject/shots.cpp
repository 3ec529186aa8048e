// SPDX-License-Identifier: BSL-1.0
#include "inject/shots.hpp"

#include <doctest/doctest.h>

#include <signal.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <new>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <ringbell/errors.hpp>

#include "support/child_process.hpp"
#include "support/turns.hpp"

namespace ringbell::test {

namespace {

/// One call that fails.
struct shot {
  const injected_call* call;
  std::uint64_t nth;
  int error;
  std::uint64_t times = 1;
};

/// What a child process says, in memory that both have.
struct verdict {
  char text[400];
  std::uint64_t made[64];
};

class shared_verdict {
public:
  shared_verdict()
      : memory_(::mmap(nullptr, sizeof(verdict), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                       -1, 0)) {
    REQUIRE(memory_ != MAP_FAILED);
    new (memory_) verdict{};
  }
  shared_verdict(const shared_verdict&) = delete;
  shared_verdict& operator=(const shared_verdict&) = delete;
  ~shared_verdict() { ::munmap(memory_, sizeof(verdict)); }
  verdict& operator*() const { return *static_cast<verdict*>(memory_); }
  verdict* operator->() const { return static_cast<verdict*>(memory_); }

private:
  void* memory_;
};

int shared_mappings() {
  std::ifstream maps("/proc/self/maps");
  int count = 0;
  for (std::string line; std::getline(maps, line);)
    count += line.find("memfd:ringbell") != line.npos;
  return count;
}

/// Runs the scenario, after which nothing fails any more. "ok", or the error; what is no proper
/// error begins with "BAD".
std::string outcome_of(const scenario& run, const temporary_folder& folder) {
  try {
    try {
      run(folder.path());
    } catch (...) {
      injector::off();
      throw;
    }
    injector::off();
    return "ok";
  } catch (const std::system_error& e) {
    // Nothing has a time limit but the whole.
    if (e.code() == errc::timed_out) return std::string("BAD: it hangs: ") + e.what();
    return std::string_view(e.what()).empty() ? "BAD: an error without a text"
                                              : std::string("error: ") + e.what();
  } catch (const std::bad_alloc&) {
    return "error: no memory";
  } catch (const std::exception& e) {
    return std::string("BAD: ") + e.what();
  }
}

/// In the child. Its exit status.
int run_shot(const scenario& run, const shot& s, verdict& out) {
  const temporary_folder folder;
  const auto say = [&](const std::string& text) {
    std::snprintf(out.text, sizeof out.text, "%s", text.c_str());
    return 1;
  };
  (void)outcome_of(run, folder);  // what is made once for a process is there
  const int descriptors = open_descriptors();
  const int mappings = shared_mappings();
  if (s.call)
    injector::fail(*s.call, s.nth, s.error, s.times);
  else
    injector::count();
  const std::string outcome = outcome_of(run, folder);
  for (std::size_t i = 0; const injected_call* call : injector::calls())
    out.made[i++] = call->made.load();
  if (outcome.starts_with("BAD")) return say(outcome);
  if (!s.call && outcome != "ok") return say("BAD: though nothing failed: " + outcome);
  // Some are closed by a thread of their own.
  if (!eventually([&] { return open_descriptors() == descriptors; }))
    return say("BAD: descriptors left, after " + outcome);
  if (shared_mappings() != mappings) return say("BAD: mappings left, after " + outcome);
  if (const std::string again = outcome_of(run, folder); again != "ok")
    return say("BAD: afterwards " + again + ", after " + outcome);
  say(outcome);
  return 0;
}

std::string name_of(const shot& s) {
  return std::string(s.call->name) + ':' + std::to_string(s.nth) + ':' + std::to_string(s.error) +
         (s.times > 1 ? ':' + std::to_string(s.times) : "");
}

void try_shot(const scenario& run, const shot& s, const shared_verdict& out) {
  out->text[0] = 0;
  child_process child([&] { return run_shot(run, s, *out); });
  const int status = child.wait();
  const std::string all =
      name_of(s) + ": status " + std::to_string(status) + ' ' + std::string(out->text);
  CHECK_MESSAGE(status == 0, all);
  if (std::getenv("RINGBELL_TEST_INJECT")) MESSAGE(all);
}

/// What the environment asks for.
std::vector<shot> wanted_shots(std::string_view text) {
  std::vector<shot> all;
  char name[64] = {};
  unsigned long long nth = 0, times = 1;
  int error = 0;
  if (std::sscanf(std::string(text).c_str(), "%63[^:]:%llu:%d:%llu", name, &nth, &error, &times) >=
      3)
    for (const injected_call* call : injector::calls())
      if (call->name == std::string_view(name)) all.push_back({call, nth, error, times});
  REQUIRE_MESSAGE(!all.empty(), "RINGBELL_TEST_INJECT is NAME:NUMBER:ERRNO[:TIMES]");
  return all;
}

/// The first call of each kind, five in a row from its middle, and of all calls a sample that is
/// spread evenly.
std::vector<shot> sample(const std::vector<shot>& all, const std::vector<shot>& ends,
                         std::uint64_t wanted) {
  std::vector<shot> chosen = ends;
  wanted = std::min<std::uint64_t>(wanted, all.size());
  for (std::uint64_t i = 0; i < wanted; ++i) chosen.push_back(all[i * all.size() / wanted]);
  return chosen;
}

}  // namespace

void let_each_call_fail(const scenario& run, std::uint64_t usual, bool first_of_each) {
  const shared_verdict out;
  std::vector<shot> shots;
  if (const char* const wanted = std::getenv("RINGBELL_TEST_INJECT")) {
    shots = wanted_shots(wanted);
  } else {
    child_process child([&] { return run_shot(run, shot{}, *out); });
    REQUIRE_MESSAGE(child.wait() == 0, std::string(out->text));
    std::vector<shot> all, ends;
    for (std::size_t i = 0; const injected_call* call : injector::calls()) {
      const std::uint64_t made = out->made[i++];
      for (std::uint64_t nth = 1; nth <= made; ++nth)
        for (const int error : call->errors) all.push_back({call, nth, error});
      if (made == 0 || !first_of_each) continue;
      ends.push_back({call, 1, call->errors.back()});
      ends.push_back({call, (made + 1) / 2, call->errors.front(), 5});
    }
    shots = sample(all, ends, turns(usual));
    MESSAGE(shots.size() << " failures; there are " << all.size() << " calls and errors");
  }
  for (const shot& s : shots) try_shot(run, s, out);
}

}  // namespace ringbell::test
