// SPDX-License-Identifier: BSL-1.0
#include "commands.hpp"
#include "common/json.hpp"
#include "system/calls.hpp"
#include "system/services.hpp"
#include "system/standard_streams.hpp"
#include "system/terminal.hpp"
#include "top/keys.hpp"
#include "top/screen.hpp"

#include <ringbell/coro/sleep.hpp>
#include <ringbell/coro/when_any.hpp>
#include <ringbell/loop/signals.hpp>
#include <ringbell/service/call_error.hpp>
#include <ringbell/service/client.hpp>
#include <ringbell/service/detail/frame.hpp>
#include <ringbell/service/statistics.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace ringbell::tool {

namespace {

using clock = loop::clock;

std::string_view variable(const char* name) noexcept {
  const char* const value = std::getenv(name);
  return value ? value : std::string_view();
}
bool is_set(const char* name) noexcept { return !variable(name).empty(); }

/// Asks a service for its statistics, and keeps what the last ones were.
class watched_service {
public:
  watched_service(loop& lp, const top_options& options, const std::string& name)
      : loop_(lp), options_(options) {
    view_.name = name;
    view_.interval = options.interval;
  }

  task<> connect() {
    client_options how;
    if (options_.common.ring_bytes)
      how.connection.ring_bytes = how.connection.peer_ring_bytes = options_.common.ring_bytes;
    how.connection.timeout = options_.timeout;
    task<client> connecting = client::connect(loop_, view_.name, how);
    client_ = co_await std::move(connecting);
    const auto process = static_cast<std::uint64_t>(client_.peer().process);
    view_.process = process == 0 ? std::nullopt : std::optional(process);
    view_.command = process == 0 ? std::string() : command_of(process);
    numbers_ = numbers_known_to(process);
  }

  /// Brings the view up to date.
  task<> look() {
    task<top::snapshot> asking = ask();
    top::snapshot now = co_await std::move(asking);
    view_.clients = top::compare(last_ ? &*last_ : nullptr, now);
    last_ = std::move(now);
    name_commands();
    sort();
  }

  void sort() { top::sort(view_.clients, *top::column_of(view_.sorted_by), view_.reversed); }
  top::view& view() noexcept { return view_; }

private:
  task<top::snapshot> ask() {
    for (bool again = false;; again = true) {
      try {
        task<top::snapshot> asking = ask_once();
        co_return co_await std::move(asking);
      } catch (const std::system_error& error) {
        // An interval longer than the service's patience is none of its business.
        if (again || error.code() != errc::dropped_idle) throw;
      }
      task<> connecting = connect();
      co_await std::move(connecting);
    }
  }

  task<top::snapshot> ask_once() {
    call_options options;
    options.timeout = options_.timeout;
    const payload p =
        co_await client_.call(service_frame::method_statistics, std::string_view(), options);
    top::snapshot s;
    s.taken = clock::now();
    if (p.size() % sizeof(client_statistics) != 0)
      throw std::system_error(errc::bad_peer, "'" + view_.name + "' sent statistics of " +
                                                  std::to_string(p.size()) + " bytes");
    s.rows.resize(p.size() / sizeof(client_statistics));
    if (!s.rows.empty()) std::memcpy(s.rows.data(), p.bytes().data(), p.size());
    co_return s;
  }

  /// Those of new processes are asked for, those of old ones known. The numbers are the service's:
  /// in a container they stand for other processes than here. The service itself may have clients
  /// that have no number there.
  void name_commands() {
    std::map<std::uint64_t, std::string> now;
    for (top::row& r : view_.clients.rows) {
      r.elsewhere = numbers_ == process_numbers::others ||
                    (numbers_ == process_numbers::same && r.now.process == 0);
      if (numbers_ != process_numbers::same || r.elsewhere) continue;
      auto known = now.find(r.now.process);
      if (known == now.end()) {
        const auto earlier = commands_.find(r.now.process);
        known = now.emplace(r.now.process, earlier != commands_.end() ? earlier->second
                                                                      : command_of(r.now.process))
                    .first;
      }
      r.command = known->second;
    }
    commands_ = std::move(now);
  }

  loop& loop_;
  const top_options& options_;
  client client_;
  top::view view_;
  process_numbers numbers_ = process_numbers::unknown;
  std::optional<top::snapshot> last_;
  std::map<std::uint64_t, std::string> commands_;
};

/// The screen, until somebody has enough of it.
class live_top {
public:
  live_top(watched_service& service, std::chrono::nanoseconds interval)
      : service_(service), interval_(interval) {}

  /// Gives the exit code.
  task<int> run() {
    auto first = co_await when_any(follow_keys(), follow_signals(), look_for_ever());
    co_return first.index() == 1 ? first.get<1>() : int{exit_ok};
  }

private:
  task<> look_for_ever() {
    for (clock::time_point next = clock::now();; next = std::max(next + interval_, clock::now())) {
      co_await sleep_until(next);
      task<> looking = service_.look();
      co_await std::move(looking);
      looked_ = true;
      draw();
    }
  }

  task<> follow_keys() {
    for (;;) {
      co_await input_.ready();
      char bytes[256];
      const auto n = input_.read(std::as_writable_bytes(std::span(bytes)));
      if (!n) co_return;
      for (const top::key k : keys_.take(std::string_view(bytes, *n))) {
        if (k == top::character('q')) co_return;
        pressed(k);
      }
      draw();
    }
  }

  task<int> follow_signals() {
    for (;;) {
      const int signal = co_await signals_.next();
      switch (terminal::meaning_of(signal)) {
        case terminal::meaning::leave: co_return exit_ok;
        case terminal::meaning::end: co_return exit_signal + signal;
        case terminal::meaning::suspend: terminal_.suspend(); break;
        case terminal::meaning::draw_again: break;
      }
      draw();
    }
  }

  void pressed(top::key k) {
    top::view& v = service_.view();
    const std::size_t room = top::rows_on(terminal_.size());
    const std::size_t n = v.clients.rows.size();
    const std::size_t last = n > room ? n - room : 0;
    const auto move_up = [&](std::size_t by) { v.first -= std::min(by, v.first); };
    const auto move_down = [&](std::size_t by) { v.first = std::min(last, v.first + by); };
    v.first = std::min(v.first, last);
    if (k == top::character('k')) k = top::key::up;
    if (k == top::character('j')) k = top::key::down;
    switch (k) {
      case top::key::up: return move_up(1);
      case top::key::down: return move_down(1);
      case top::key::page_up: return move_up(room);
      case top::key::page_down: return move_down(room);
      case top::key::home: v.first = 0; return;
      case top::key::end: v.first = last; return;
      default: break;
    }
    if (k == top::character('r'))
      v.reversed = !v.reversed;
    else if (k <= top::character('~') && top::column_of(static_cast<char>(k)))
      v.sorted_by = static_cast<char>(k);
    service_.sort();
  }

  void draw() const {
    if (looked_)
      terminal_.write(top::frame(top::draw(service_.view(), terminal_.size()), highlights_));
  }

  watched_service& service_;
  std::chrono::nanoseconds interval_;
  // Before the terminal: from then on none of them ends this without bringing it back.
  signal_set signals_{terminal::signals()};
  terminal terminal_;
  standard_input input_;  // after the terminal has been set up: who reads ahead reads keys
  top::key_reader keys_;
  bool looked_ = false;
  bool highlights_ = !is_set("NO_COLOR");
};

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

/// On a terminal that cannot move its cursor: one look below the other.
task<> print_for_ever(watched_service& service, std::chrono::nanoseconds interval) {
  for (;;) {
    print(top::text(service.view()));
    co_await sleep_for(interval);
    task<> looking = service.look();
    co_await std::move(looking);
  }
}

task<int> show_on_dumb_terminal(watched_service& service, std::chrono::nanoseconds interval) {
  auto first =
      co_await when_any(print_for_ever(service, interval), signalled(signal_set(ending_signals())));
  const int signal = first.index() == 1 ? first.get<1>() : 0;
  co_return terminal::meaning_of(signal) == terminal::meaning::leave ? int{exit_ok}
                                                                     : exit_signal + signal;
}

task<int> show_once(watched_service& service, const top_options& options) {
  task<> first = service.look();
  co_await std::move(first);
  co_await sleep_for(options.interval);
  task<> second = service.look();
  co_await std::move(second);
  const std::string out =
      options.as_json ? top::as_json(service.view()) : top::text(service.view());
  std::fwrite(out.data(), 1, out.size(), stdout);
  co_return exit_ok;
}

task<int> watch(loop& lp, const top_options& options, const std::string& name) {
  watched_service service(lp, options, name);
  task<> connecting = service.connect();
  co_await std::move(connecting);
  if (options.once) {
    task<int> showing = show_once(service, options);
    co_return co_await std::move(showing);
  }
  // One look first: who may not look is told so on his own screen.
  task<> first = service.look();
  co_await std::move(first);
  if (variable("TERM") == "dumb") {
    task<int> printing = show_on_dumb_terminal(service, options.interval);
    co_return co_await std::move(printing);
  }
  live_top screen(service, options.interval);
  task<int> running = screen.run();
  co_return co_await std::move(running);
}

int run_watch(const top_options& options, const std::string& name) {
  try {
    loop lp(options.common.for_loop());
    return lp.run(watch(lp, options, name));
  } catch (const std::system_error& error) {
    const std::string who = "'" + name + "'";
    if (error.code() == errc::refused_stopping) {
      complain(who + " has stopped");
      return exit_no_service;
    }
    if (error.code() == errc::peer_closed) {
      complain(who + " has gone: its process ended, or it dropped the connection");
      return exit_peer_died;
    }
    if (error.code() == errc::bad_peer) {
      complain(
          who +
          " did not answer as a service does ('ringbell echo' and 'ringbell pipe' are none); is it a ringbell::server?");
      return exit_peer_died;
    }
    throw;
  }
}

void print_list(const std::vector<running_service>& all, bool as_json) {
  if (!as_json) {
    if (all.empty()) std::printf("no service runs in %s\n", service_folder().c_str());
    for (const running_service& s : all) {
      const std::string process = s.owner.process > 0 ? std::to_string(s.owner.process) + " (" +
                                                            top::harmless(s.command) + ')'
                                                      : std::string("not visible here");
      std::printf("%-24s process %s\n", top::harmless(s.name).c_str(), process.c_str());
    }
    return;
  }
  json out;
  out.begin_object().begin_array("services");
  for (const running_service& s : all)
    out.begin_object()
        .value("name", s.name)
        .value("path", s.path)
        .value("process", s.owner.process > 0 ? std::optional(s.owner.process) : std::nullopt)
        .value("user", sys::number_of(s.owner.user))
        .value("command", top::harmless(s.command))
        .end_object();
  out.end_array().end_object();
  std::printf("%s\n", out.text().c_str());
}

}  // namespace

int run_top(const top_options& options) {
  if (!options.once && !terminal::there()) {
    complain(
        "'ringbell top' needs a terminal on standard input and output; 'ringbell top NAME --once' prints one look at it");
    return exit_usage;
  }
  if (!options.name.empty()) return run_watch(options, options.name);
  const std::vector<running_service> all = running_services();
  if (options.once) {
    print_list(all, options.as_json);
    return exit_ok;
  }
  if (all.size() == 1) return run_watch(options, all.front().name);
  if (all.empty()) {
    complain("no service runs in " + service_folder() +
             "; give the name, or the path of its socket");
    return exit_no_service;
  }
  print_list(all, false);
  complain("several services run; choose one: ringbell top NAME");
  return exit_usage;
}

}  // namespace ringbell::tool
