// SPDX-License-Identifier: BSL-1.0
// All options of all subcommands, and their help: the only file that includes CLI11.
#include "command_line.hpp"

#include "commands.hpp"

#include <ringbell/handshake.hpp>
#include <ringbell/method.hpp>
#include <ringbell/service_frame.hpp>

#include <CLI/CLI.hpp>

#include <charconv>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace ringbell::tool {

namespace {

/// What a subcommand leaves when it was chosen.
using action = std::function<int()>;

constexpr std::chrono::milliseconds shortest_interval{10};
constexpr std::uint64_t largest_message = std::uint64_t{64} << 20;

// -- kinds of options --

CLI::Option* add_size_option(CLI::App& app, const std::string& name, std::uint64_t& to, std::uint64_t low, std::uint64_t high,
                             const std::string& help) {
  return app
      .add_option_function<std::string>(
          name,
          [&to, name, low, high](const std::string& text) {
            const auto bytes = parse_bytes(text);
            if (!bytes || *bytes < low || *bytes > high)
              throw CLI::ValidationError(name, "expected a number of bytes from " + format_bytes(static_cast<double>(low)) + " to " +
                                                   format_bytes(static_cast<double>(high)) + ", such as 4096, 64KiB or 1M; got '" + text +
                                                   "'");
            to = *bytes;
          },
          help)
      ->type_name("SIZE");
}

CLI::Option* add_duration_option(CLI::App& app, const std::string& name, std::chrono::nanoseconds& to, const std::string& help) {
  return app
      .add_option_function<std::string>(
          name,
          [&to, name](const std::string& text) {
            const auto duration = parse_duration(text);
            if (!duration) throw CLI::ValidationError(name, "expected a time such as 300ms, 1.5s or 20us; got '" + text + "'");
            to = *duration;
          },
          help)
      ->type_name("TIME");
}

void add_common_options(CLI::App& app, common_options& options, const std::string& usual_ring) {
  app.add_option(
         "--loop", options.loop,
         "What to sleep in; auto: $RINGBELL_LOOP, else io_uring where it works, else epoll; kqueue on macOS and BSD, iocp on Windows")
      ->check(CLI::IsMember({"auto", "io_uring", "epoll", "kqueue", "iocp"}))
      ->capture_default_str();
  app.add_option("--spin", options.spin, "Whether to poll before sleeping; auto: $RINGBELL_SPIN, else adaptive")
      ->check(CLI::IsMember({"auto", "adaptive", "none", "always"}))
      ->capture_default_str();
  app.add_option_function<std::string>(
         "--ring-bytes",
         [&options](const std::string& text) {
           const auto bytes = parse_bytes(text);
           if (!bytes || !handshake::valid_ring_size(*bytes))
             throw CLI::ValidationError("--ring-bytes",
                                        "expected a power of two from 4 KiB to 1 GiB, such as 65536, 64KiB or 1M; got '" + text + "'");
           options.ring_bytes = *bytes;
         },
         "Size of the ring in each direction, a power of two from 4KiB to 1GiB (usually " + usual_ring + ")")
      ->type_name("SIZE");
}

/// A subcommand whose --help ends with the exit codes.
CLI::App* add_subcommand(CLI::App& app, const std::string& name, const std::string& description, const std::string& notes = {}) {
  CLI::App* const sub = app.add_subcommand(name, description);
  sub->footer(notes.empty() ? std::string(exit_codes_help) : notes + "\n\n" + exit_codes_help);
  return sub;
}

constexpr const char* name_help =
    "NAME is a service name (1 to 64 of letters, digits, '.', '_', '-'), which lives in the user's own folder, or the path of a socket"
    " when it contains a slash; on Windows that of a pipe, which begins with '\\\\.\\pipe\\'.";

/// A number as it is, everything else as the name of a method; nothing when the number is too large.
std::optional<std::uint32_t> parse_method(std::string_view text) noexcept {
  const bool hexadecimal = text.starts_with("0x");
  const std::string_view digits = hexadecimal ? text.substr(2) : text;
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number, hexadecimal ? 16 : 10);
  const bool all_digits = !digits.empty() && end == digits.data() + digits.size();
  if (!all_digits) return method_id(text);
  return error == std::errc() ? std::optional(number) : std::nullopt;
}

// -- the subcommands --

void add_demo(CLI::App& app, action& chosen) {
  CLI::App* const sub =
      add_subcommand(app, "demo", "Start two processes, and measure what they exchange, beside a Unix socket (on Windows a named pipe)",
                     "Takes about 8 seconds, with --quick about 2. Leaves nothing behind.");
  auto options = std::make_shared<demo_options>();
  sub->add_flag("--quick", options->quick, "Fewer and shorter rounds");
  sub->add_flag("--json", options->as_json, "Print one line of JSON (times in nanoseconds)");
  add_common_options(*sub, options->common, "4MiB");
  sub->callback([&chosen, options] { chosen = [options] { return run_demo(*options); }; });
}

void add_pipe(CLI::App& app, action& chosen) {
  CLI::App* const sub =
      add_subcommand(app, "pipe", "Connect standard input and output to those of a peer, in both directions",
                     std::string(name_help) +
                         " One side listens and takes one client, the other connects. The end of standard input is the end of the peer's"
                         " standard output; the program ends when both directions have. When it ends otherwise, what was written may be"
                         " incomplete.");
  auto options = std::make_shared<pipe_options>();
  CLI::Option_group* const side = sub->add_option_group("side");
  side->add_option("--listen", options->listen, "Wait for one client here")->type_name("NAME");
  side->add_option("--connect", options->connect, "Connect to who listens here")->type_name("NAME");
  side->require_option(1);
  add_duration_option(*sub, "--timeout", options->timeout, "How long --connect goes on trying")->default_str("5s");
  add_common_options(*sub, options->common, "1MiB");
  sub->callback([&chosen, options] { chosen = [options] { return run_pipe(*options); }; });
}

void add_echo(CLI::App& app, action& chosen) {
  CLI::App* const sub = add_subcommand(app, "echo", "Send back every message, to any number of clients, until Ctrl-C or SIGTERM",
                                       std::string(name_help) + " A first line says where it listens.");
  auto options = std::make_shared<echo_options>();
  sub->add_option("name", options->name, "Where to listen")->required()->type_name("NAME");
  add_common_options(*sub, options->common, "64KiB");
  sub->callback([&chosen, options] { chosen = [options] { return run_echo(*options); }; });
}

void add_ping(CLI::App& app, action& chosen) {
  CLI::App* const sub = add_subcommand(app, "ping", "Measure round trips to an echo server ('ringbell echo')",
                                       std::string(name_help) + " Statistics come at the end, also after Ctrl-C.");
  auto options = std::make_shared<ping_options>();
  sub->add_option("name", options->name, "Where the echo server listens")->required()->type_name("NAME");
  add_size_option(*sub, "--size", options->size, 0, largest_message, "Bytes in each message")->default_str("64");
  sub->add_option("--count", options->count, "How many messages; 0: until Ctrl-C")
      ->check(CLI::NonNegativeNumber)
      ->type_name("N")
      ->capture_default_str();
  add_duration_option(*sub, "--interval", options->interval, "From one message to the next; 0: at once after the reply")
      ->default_str("100ms");
  add_duration_option(*sub, "--timeout", options->timeout, "How long to wait for a server, and for each reply")->default_str("5s");
  sub->add_flag("--quiet,-q", options->quiet, "No line for each reply");
  sub->add_flag("--json", options->as_json, "Print the statistics as one line of JSON (times in nanoseconds)");
  add_common_options(*sub, options->common, "64KiB");
  sub->callback([&chosen, options] { chosen = [options] { return run_ping(*options); }; });
}

void add_serve(CLI::App& app, action& chosen) {
  CLI::App* const sub = add_subcommand(
      app, "serve", "Answer the calls of any number of clients, until Ctrl-C or SIGTERM: a service for trying things",
      std::string(name_help) +
          " A first line says where it listens.\n\nMethods: 'echo' sends back the request, and each part of a streaming one; 'time' tells the"
          " time; 'sleep' answers after the time in the request, such as 300ms; 'count' streams the numbers from 1 to the one in the request.\n\n"
          "A signal stops it in order: calls under way have the time of --grace to end. A second one ends them at once.");
  auto options = std::make_shared<serve_options>();
  sub->add_option("name", options->name, "Where to listen")->required()->type_name("NAME");
  sub->add_option("--threads", options->threads, "How many threads answer; 0: one for each processor")
      ->check(CLI::Range(0, 1024))
      ->type_name("N")
      ->capture_default_str();
  sub->add_option("--max-clients", options->max_clients, "How many clients at the same time; further ones are refused")
      ->check(CLI::PositiveNumber)
      ->type_name("N")
      ->capture_default_str();
  sub->add_option("--max-in-flight", options->max_in_flight, "How many requests of one client at the same time; further ones are refused")
      ->check(CLI::PositiveNumber)
      ->type_name("N")
      ->capture_default_str();
  add_duration_option(*sub, "--idle-timeout", options->idle_timeout, "When a client that asks nothing is disconnected; 0: never")
      ->default_str("30s");
  add_duration_option(*sub, "--grace", options->grace, "How long calls under way may take to end when it stops")->default_str("5s");
  sub->add_flag("--all-users", options->all_users, "Let in other users too, as far as they reach the socket's folder");
  add_common_options(*sub, options->common, "64KiB");
  sub->callback([&chosen, options] { chosen = [options] { return run_serve(*options); }; });
}

void add_call(CLI::App& app, action& chosen) {
  CLI::App* const sub = add_subcommand(
      app, "call", "Call a method of a service: standard input is the request, standard output gets the reply",
      std::string(name_help) +
          "\n\nThe parts of a streaming reply are written as they come, the reply behind them; when the call fails, what was written is"
          " incomplete. When standard input is a terminal, the request is empty, unless --data or --stream is there.");
  auto command = std::make_shared<call_command>();
  sub->add_option("name", command->name, "Where the service listens")->required()->type_name("NAME");
  sub->add_option_function<std::string>(
         "method",
         [command](const std::string& text) {
           const auto method = parse_method(text);
           if (text.empty() || !method)
             throw CLI::ValidationError("METHOD", "expected a method's name, or its number below 4294967296; got '" + text + "'");
           command->method_text = text;
           command->method = *method;
         },
         "The method's name, or its number (such as 42 or 0x2a)")
      ->required()
      ->type_name("METHOD");
  add_duration_option(*sub, "--timeout", command->timeout,
                      "How long it may take altogether; 0: 5 s to connect, and then as long as the service likes")
      ->default_str("0");
  CLI::Option* const stream = sub->add_flag("--stream", command->stream, "Send standard input in parts, as it comes");
  sub->add_option_function<std::string>(
         "--data", [command](const std::string& text) { command->data = text; }, "The request; standard input is not read")
      ->type_name("TEXT")
      ->excludes(stream);
  sub->add_option("--metadata", command->metadata, "Metadata, beside the request; at most 4096 bytes")
      ->check([](const std::string& text) {
        return text.size() <= service_frame::max_metadata ? std::string() : "at most 4096 bytes, got " + std::to_string(text.size());
      })
      ->type_name("TEXT");
  add_common_options(*sub, command->common, "64KiB");
  sub->callback([&chosen, command] { chosen = [command] { return run_call(*command); }; });
}

void add_top(CLI::App& app, action& chosen) {
  CLI::App* const sub = add_subcommand(
      app, "top", "Show who uses a service, and how much, live in the terminal",
      std::string(name_help) +
          " Without NAME: the only service that runs in that folder, or a list of those that do.\n\nA service answers its own"
          " user and root. The connection of 'top' itself is left out.");
  auto options = std::make_shared<top_options>();
  sub->add_option("name", options->name, "Where the service listens")->type_name("NAME");
  add_duration_option(*sub, "--interval", options->interval, "From one look to the next; at least 10ms")->default_str("1s");
  add_duration_option(*sub, "--timeout", options->timeout, "How long to wait for the service, and for each answer")->default_str("5s");
  CLI::Option* const once = sub->add_flag("--once", options->once, "Look twice, an interval apart, print the figures, and end");
  sub->add_flag("--json", options->as_json, "With --once: print one line of JSON")->needs(once);
  add_common_options(*sub, options->common, "64KiB");
  sub->callback([&chosen, options] {
    if (options->interval < shortest_interval) throw CLI::ValidationError("--interval", "expected at least 10ms");
    chosen = [options] { return run_top(*options); };
  });
}

void add_bench(CLI::App& app, action& chosen) {
  CLI::App* const sub = add_subcommand(app, "bench", "Measure ringbell beside hardware, kernel and peers (runs ringbell-bench)");
  // All that follows is the benchmark's to read, --help too.
  sub->set_help_flag();
  sub->prefix_command();
  sub->callback([&chosen, sub] { chosen = [arguments = sub->remaining()] { return run_bench(arguments); }; });
}

void add_doctor(CLI::App& app, action& chosen) {
  CLI::App* const sub = add_subcommand(app, "doctor", "Look at what this machine offers, and try what ringbell needs",
                                       "Each line says ok, limited (it works, slower or smaller) or missing (it does not work).");
  auto as_json = std::make_shared<bool>(false);
  sub->add_flag("--json", *as_json, "Print one line of JSON");
  sub->callback([&chosen, as_json] { chosen = [as_json] { return run_doctor(*as_json); }; });
}

int parse(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
    return exit_ok;
  } catch (const CLI::Success& help_or_version) {
    return app.exit(help_or_version);
  } catch (const CLI::ParseError& error) {
    complain(std::string(error.what()) + "; see 'ringbell --help'");
    return exit_usage;
  }
}

}  // namespace

chosen_command parse_command_line(int argc, char** argv) {
  CLI::App app("Messages between processes through shared-memory rings: try it, use it in a shell, look at what a machine offers.",
               "ringbell");
  app.set_version_flag("--version", "ringbell " RINGBELL_VERSION);
  app.require_subcommand(1);
  app.footer(std::string("'ringbell COMMAND --help' tells more of each.\n\n") + exit_codes_help);
  chosen_command asked;
  add_demo(app, asked.action);
  add_pipe(app, asked.action);
  add_echo(app, asked.action);
  add_ping(app, asked.action);
  add_serve(app, asked.action);
  add_call(app, asked.action);
  add_top(app, asked.action);
  add_bench(app, asked.action);
  add_doctor(app, asked.action);
  asked.exit_code = parse(app, argc, argv);
  if (asked.exit_code != exit_ok) asked.action = nullptr;
  return asked;
}

}  // namespace ringbell::tool
