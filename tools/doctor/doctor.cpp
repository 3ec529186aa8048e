// SPDX-License-Identifier: BSL-1.0
#include "doctor/doctor.hpp"

#include "commands.hpp"
#include "common/json.hpp"
#include "common/system_facts.hpp"
#include "demo/asio.hpp"
#include "system/calls.hpp"
#include "system/services.hpp"

#include <ringbell/channel/connect.hpp>
#include <ringbell/channel/listener.hpp>
#include <ringbell/coro/when_all.hpp>
#include <ringbell/sys/bell.hpp>
#include <ringbell/sys/cpu.hpp>
#include <ringbell/sys/service_path.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace ringbell::tool {

namespace {

const char* text_of(verdict v) {
  return v == verdict::ok ? "ok" : v == verdict::limited ? "limited" : "missing";
}

finding look_at_loop() {
  try {
    const loop lp;
    return {"loop", verdict::ok,
            std::string(lp.backend_reason()) + "; spin: " + name_of(lp.spinning()) +
                (lp.spinning() != spin_policy::none && sys::usable_cpus() == 1
                     ? " (but not while both sides are confined to one CPU)"
                     : "")};
  } catch (const std::system_error& error) {
    return {"loop", verdict::missing, error.what()};
  }
}

// -- an exchange --

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

finding look_at_exchange(const own_names& names) {
  try {
    loop lp;
    const std::string bell = lp.run(exchange(lp, names / "doctor"));
    return {"exchange", verdict::ok,
            "a message went there and back over " + own_names::place() + "; bell: " + bell +
                (bell == "eventfd" ? " (a byte on the socket between different users)" : "")};
  } catch (const std::exception& error) {
    return {"exchange", verdict::missing, error.what()};
  }
}

finding look_at_names() {
  constexpr const char* what = "service names";
  const auto path = sys::service_path("name");
  const std::error_code error = path ? sys::prepare_service_folder("name") : path.error();
  if (error)
    return {what, verdict::limited, sys::describe_service("name") + ": " + error.message()};
  return {what, verdict::ok, "sockets are in " + sys::describe_service_folder()};
}

finding look_at_cpus() {
  const unsigned cpus = sys::usable_cpus();
  return {
      "CPUs", cpus > 1 ? verdict::ok : verdict::limited,
      std::to_string(cpus) + " usable (" + cpu_model() + ")" +
          (cpus > 1 ? ""
                    : ": with the peer on the same one nothing spins, each wait costs a wake-up")};
}

finding look_at_asio() {
  const std::string asio = asio_built_with();
  return {"Asio", verdict::ok,
          asio.empty() ? "this program was built without it: 'demo' does not measure it"
                       : "this program was built with " + asio};
}

// -- what may end the process that tries it --

std::string bytes_of(const finding& f) {
  return std::string(1, static_cast<char>(f.how)) + f.what + '\0' + f.detail;
}

finding try_apart(const trial& t) {
  int signal = 0;
  const auto bytes = run_apart([&] { return bytes_of(t.look()); }, signal);
  if (bytes && !bytes->empty()) {
    const std::size_t end = bytes->find('\0', 1);
    return {bytes->substr(1, end - 1), static_cast<verdict>(bytes->front()),
            bytes->substr(end + 1)};
  }
  return {t.what, t.when_killed,
          bytes ? "could not be tried: the process that did so ended without a word"
                : "signal " + std::to_string(signal) +
                      " ended the process that tried it: a system call filter kills for it"};
}

finding try_loop() {
  finding f = try_apart({"loop", verdict::missing, look_at_loop});
  if (f.detail.starts_with("signal "))
    f.detail += "; set RINGBELL_LOOP=epoll, or let the filter refuse io_uring by an error";
  return f;
}

finding try_exchange() {
  try {
    const own_names names;  // removed here, whatever becomes of the process that uses them
    return try_apart({"exchange", verdict::missing, [&] { return look_at_exchange(names); }});
  } catch (const std::exception& error) {
    return {"exchange", verdict::missing, error.what()};
  }
}

/// 0 when it cannot be measured.
std::chrono::nanoseconds park_cost_apart() {
  int signal = 0;
  const auto text = run_apart([] { return std::to_string(sys::park_cost().count()); }, signal);
  return std::chrono::nanoseconds(text ? std::strtoll(text->c_str(), nullptr, 10) : 0);
}

finding look_at_parking(std::chrono::nanoseconds cost) {
  if (cost.count() == 0)
    return {"parking", verdict::limited,
            "what it costs to sleep and be woken cannot be measured here"};
  return {"parking", verdict::ok,
          "to sleep and be woken costs " + format_duration(cost) +
              "; adaptive spinning stays below that"};
}

findings examine(std::chrono::nanoseconds park_cost) {
  findings all;
  all.push_back({"kernel", verdict::ok, kernel_release()});
  all.push_back({"platform", verdict::ok, platform_word()});
  all.push_back(look_at_cpus());
  all.push_back(try_loop());
  for (const trial& t : trials_of_system()) all.push_back(try_apart(t));
  all.push_back(try_apart({"shared memory", verdict::missing, look_at_memory}));
  all.push_back(try_exchange());
  all.push_back(look_at_names());
  all.push_back(look_at_asio());
  for (finding& f : look_at_limits()) all.push_back(std::move(f));
  all.push_back(look_at_parking(park_cost));
  return all;
}

}  // namespace

int run_doctor(bool as_json) {
  const std::chrono::nanoseconds park_cost = park_cost_apart();
  const findings all = examine(park_cost);
  bool complete = true;
  json out;
  out.begin_object().begin_array("findings");
  for (const finding& f : all) {
    complete &= f.how != verdict::missing;
    out.begin_object()
        .value("what", f.what)
        .value("verdict", text_of(f.how))
        .value("detail", f.detail)
        .end_object();
    if (!as_json) std::printf("%-8s %-14s %s\n", text_of(f.how), f.what.c_str(), f.detail.c_str());
  }
  out.end_array()
      .value("usable", complete)
      .value("park_ns", park_cost.count())
      .value("usable_cpus", sys::usable_cpus());
  out.end_object();
  if (as_json) std::printf("%s\n", out.text().c_str());
  if (complete) return exit_ok;
  std::fflush(stdout);
  complain("something essential is missing here: see the lines that say 'missing'");
  return exit_missing;
}

}  // namespace ringbell::tool
