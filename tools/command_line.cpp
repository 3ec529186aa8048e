// SPDX-License-Identifier: BSL-1.0
// All options of all subcommands, and their help: the only file that includes CLI11.
#include "command_line.hpp"

#include "commands.hpp"
#include "common/describe_options.hpp"
#include "nearest.hpp"
#include "system/calls.hpp"

#include <ringbell/channel/detail/handshake.hpp>
#include <ringbell/service/detail/frame.hpp>
#include <ringbell/service/method.hpp>
#include <ringbell/version.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ringbell::tool {

namespace {

/// What a subcommand leaves when it was chosen.
using action = std::function<int()>;

constexpr std::uint64_t largest_message = std::uint64_t{64} << 20;
// More than anybody means.
constexpr std::uint32_t largest_number = 1'000'000'000;

// -- kinds of options --

CLI::Option* add_size_option(CLI::App& app, const std::string& name, std::uint64_t& to,
                             std::uint64_t low, std::uint64_t high, const std::string& help) {
  return app
      .add_option_function<std::string>(
          name,
          [&to, name, low, high](const std::string& text) {
            const auto bytes = parse_bytes(text);
            if (!bytes || *bytes < low || *bytes > high)
              throw CLI::ValidationError(
                  name, "expected a number of bytes from " + exact_bytes(low) + " to " +
                            exact_bytes(high) + ", such as 4096, 64KiB or 1M; got '" + text + "'");
            to = *bytes;
          },
          help)
      ->type_name("SIZE");
}

CLI::Option* add_duration_option(CLI::App& app, const std::string& name,
                                 std::chrono::nanoseconds& to, const std::string& help,
                                 const std::string& least = "0") {
  return app
      .add_option_function<std::string>(
          name,
          [&to, name, least](const std::string& text) {
            const auto duration = parse_duration(text);
            if (!duration || *duration < *parse_duration(least))
              throw CLI::ValidationError(
                  name, "expected a time from " + least +
                            " to 290 years, such as 300ms, 1.5s or 2min; got '" + text + "'");
            to = *duration;
          },
          help)
      ->type_name("TIME");
}

template <std::unsigned_integral T>
CLI::Option* add_number_option(CLI::App& app, const std::string& name, T& to, T low, T high,
                               const std::string& help) {
  return app
      .add_option_function<std::string>(
          name,
          [&to, name, low, high](const std::string& text) {
            T number{};
            const auto [end, error] =
                std::from_chars(text.data(), text.data() + text.size(), number);
            if (error != std::errc() || end != text.data() + text.size() || number < low ||
                number > high)
              throw CLI::ValidationError(name, "expected a number from " + std::to_string(low) +
                                                   " to " + std::to_string(high) + "; got '" +
                                                   text + "'");
            to = number;
          },
          help)
      ->type_name("N")
      ->default_str(std::to_string(to));
}

/// One of a few words.
CLI::Option* add_choice_option(CLI::App& app, const std::string& name, std::string& to,
                               const std::vector<std::string>& words, const std::string& shown,
                               const std::string& help) {
  return app
      .add_option_function<std::string>(
          name,
          [&to, name, words, shown](const std::string& text) {
            if (std::find(words.begin(), words.end(), text) == words.end())
              throw CLI::ValidationError(name, "expected one of " + shown + "; got '" + text + "'");
            to = text;
          },
          help)
      ->type_name(shown)
      ->default_str(to);
}

void add_ring_options(CLI::App& app, common_options& options, const std::string& usual_ring) {
  add_choice_option(app, "--spin", options.spin, {"auto", "adaptive", "none", "always"},
                    "auto|adaptive|none|always",
                    "Whether to poll before sleeping; auto: $RINGBELL_SPIN, else adaptive");
  app.add_option_function<std::string>(
         "--ring-bytes",
         [&options](const std::string& text) {
           const auto bytes = parse_bytes(text);
           if (!bytes || !handshake::valid_ring_size(*bytes))
             throw CLI::ValidationError(
                 "--ring-bytes",
                 "expected a power of two from 4 KiB to 1 GiB, such as 65536, 64KiB or 1M; got '" +
                     text + "'");
           options.ring_bytes = *bytes;
         },
         "Size of the ring in each direction, a power of two from 4KiB to 1GiB (usually " +
             usual_ring + ")")
      ->type_name("SIZE");
}

void add_common_options(CLI::App& app, common_options& options, const std::string& usual_ring) {
  add_choice_option(app, "--loop", options.loop, {"auto", "io_uring", "epoll", "kqueue", "iocp"},
                    platform().loops, platform().loop_help);
  add_ring_options(app, options, usual_ring);
}

/// A subcommand whose --help ends with the exit codes.
CLI::App* add_subcommand(CLI::App& app, const std::string& name, const std::string& description,
                         const std::string& notes = {}) {
  CLI::App* const sub = app.add_subcommand(name, description);
  sub->footer(notes.empty() ? std::string(exit_codes_help) : notes + "\n\n" + exit_codes_help);
  return sub;
}

std::string name_help() {
  return "NAME is a service name (1 to 64 of letters, digits, '.', '_', '-'), which lives in the user's own folder, or the path of a " +
         std::string(platform().path_help) + '.';
}

/// A number as it is, everything else as the name of a method; nothing when the number is too
/// large.
std::optional<std::uint32_t> parse_method(std::string_view text) noexcept {
  const bool hexadecimal = text.starts_with("0x");
  const std::string_view digits = hexadecimal ? text.substr(2) : text;
  std::uint32_t number = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), number, hexadecimal ? 16 : 10);
  const bool all_digits = !digits.empty() && end == digits.data() + digits.size();
  if (!all_digits) return method_id(text);
  return error == std::errc() ? std::optional(number) : std::nullopt;
}

// -- the subcommands --

void add_demo(CLI::App& app, action& chosen) {
  CLI::App* const sub =
      add_subcommand(app, "demo",
                     std::string("Start two processes, and measure what they exchange, beside a ") +
                         platform().demo_socket,
                     "Takes about 8 seconds, with --quick about 2. Leaves nothing behind.");
  auto options = std::make_shared<demo_options>();
  sub->add_flag("--quick", options->quick, "Fewer and shorter rounds");
  sub->add_flag("--json", options->as_json, "Print one line of JSON (times in nanoseconds)");
  add_common_options(*sub, options->common, "4MiB");
  sub->callback([&chosen, options] { chosen = [options] { return run_demo(*options); }; });
}

void add_pipe(CLI::App& app, action& chosen) {
  CLI::App* const sub = add_subcommand(
      app, "pipe", "Connect standard input and output to those of a peer, in both directions",
      name_help() +
          " One side listens and takes one client, the other connects. The end of standard input is the end of the peer's"
          " standard output; the program ends when both directions have. When it ends otherwise, what was written may be"
          " incomplete.");
  auto options = std::make_shared<pipe_options>();
  CLI::Option_group* const side = sub->add_option_group("side");
  side->add_option("--listen", options->listen, "Wait for one client here")->type_name("NAME");
  side->add_option("--connect", options->connect, "Connect to who listens here")->type_name("NAME");
  side->require_option(1);
  add_duration_option(*sub, "--timeout", options->timeout, "How long --connect goes on trying")
      ->default_str("5s");
  add_common_options(*sub, options->common, "1MiB");
  sub->callback([&chosen, options] { chosen = [options] { return run_pipe(*options); }; });
}

void add_echo(CLI::App& app, action& chosen) {
  CLI::App* const sub = add_subcommand(
      app, "echo", "Send back every message, to any number of clients, until Ctrl-C or SIGTERM",
      name_help() + " A first line says where it listens.");
  auto options = std::make_shared<echo_options>();
  sub->add_option("name", options->name, "Where to listen")->required()->type_name("NAME");
  add_common_options(*sub, options->common, "64KiB");
  sub->callback([&chosen, options] { chosen = [options] { return run_echo(*options); }; });
}

void add_ping(CLI::App& app, action& chosen) {
  CLI::App* const sub =
      add_subcommand(app, "ping", "Measure round trips to an echo server ('ringbell echo')",
                     name_help() + " Statistics come at the end, also after Ctrl-C.");
  auto options = std::make_shared<ping_options>();
  sub->add_option("name", options->name, "Where the echo server listens")
      ->required()
      ->type_name("NAME");
  add_size_option(*sub, "--size", options->size, 0, largest_message, "Bytes in each message")
      ->default_str("64");
  add_number_option<std::uint64_t>(*sub, "--count", options->count, 0, largest_number,
                                   "How many messages; 0: until Ctrl-C");
  add_duration_option(*sub, "--interval", options->interval,
                      "From one message to the next; 0: at once after the reply")
      ->default_str("100ms");
  add_duration_option(*sub, "--timeout", options->timeout,
                      "How long to wait for a server, and for each reply")
      ->default_str("5s");
  sub->add_flag("--quiet,-q", options->quiet, "No line for each reply");
  sub->add_flag("--json", options->as_json,
                "Print the statistics as one line of JSON (times in nanoseconds)");
  add_common_options(*sub, options->common, "64KiB");
  sub->callback([&chosen, options] { chosen = [options] { return run_ping(*options); }; });
}

void add_serve(CLI::App& app, action& chosen) {
  CLI::App* const sub = add_subcommand(
      app, "serve",
      "Answer the calls of any number of clients, until Ctrl-C or SIGTERM: a service for trying things",
      name_help() +
          " A first line says where it listens.\n\nMethods: 'echo' sends back the request, and each part of a streaming one; 'time' tells the"
          " time; 'sleep' answers after the time in the request, such as 300ms; 'count' streams the numbers from 1 to the one in the request.\n\n"
          "A signal stops it in order: calls under way have the time of --grace to end. A second one ends them at once.");
  auto options = std::make_shared<serve_options>();
  sub->add_option("name", options->name, "Where to listen")->required()->type_name("NAME");
  add_number_option<std::size_t>(*sub, "--threads", options->threads, 0, 1024,
                                 "How many threads answer; 0: one for each processor");
  add_number_option<std::size_t>(*sub, "--max-clients", options->max_clients, 1, largest_number,
                                 "How many clients at the same time; further ones are refused");
  add_number_option<std::size_t>(
      *sub, "--max-in-flight", options->max_in_flight, 1, largest_number,
      "How many requests of one client at the same time; further ones are refused");
  add_duration_option(*sub, "--idle-timeout", options->idle_timeout,
                      "When a client that asks nothing is disconnected; 0: never")
      ->default_str("30s");
  add_duration_option(*sub, "--grace", options->grace,
                      "How long calls under way may take to end when it stops")
      ->default_str("5s");
  sub->add_flag("--all-users", options->all_users,
                "Let in other users too, as far as they reach the socket's folder");
  add_common_options(*sub, options->common, "64KiB");
  sub->callback([&chosen, options] { chosen = [options] { return run_serve(*options); }; });
}

void add_proxy_address_option(CLI::App& app, const std::string& name, proxy_address& to,
                              const std::string& help) {
  app.add_option_function<std::string>(
         name,
         [&to, name](const std::string& text) {
           const auto address = parse_proxy_address(text);
           if (!address)
             throw CLI::ValidationError(
                 name,
                 "expected tcp:HOST:PORT, unix:PATH or the name of a service; got '" + text + "'");
           to = *address;
         },
         help)
      ->required()
      ->type_name("ADDRESS");
}

void add_proxy(CLI::App& app, action& chosen) {
  CLI::App* const sub = add_subcommand(
      app, "proxy", "Connect sockets to a service of streams, or its clients to a socket server",
      "ADDRESS is tcp:HOST:PORT, unix:PATH or NAME. One of the two is a socket, the other a NAME."
      " An IPv6 HOST stands in brackets. With PORT 0 the system chooses the port. " +
          name_help() +
          "\n\nThe service must have streams of bytes, not messages. Ends and resets are carried"
          " over. Whoever reaches the socket acts with this user's rights.\n\nThe first line of"
          " output says where the proxy listens. A signal stops it in order: connections may end"
          " within the time of --grace. A second signal resets them at once.");
  auto options = std::make_shared<proxy_options>();
  add_proxy_address_option(*sub, "--listen", options->listen, "Where to take connections");
  add_proxy_address_option(*sub, "--to", options->to, "Where to connect for each of them");
  add_number_option<std::size_t>(
      *sub, "--max-connections", options->max_connections, 1, largest_number,
      "How many may be open; further clients of a socket wait, those of a NAME are refused");
  add_duration_option(*sub, "--connect-timeout", options->connect_timeout,
                      "How long it may take to connect to the address of --to")
      ->default_str("5s");
  add_duration_option(*sub, "--idle-timeout", options->idle_timeout,
                      "How long no byte may move before a connection is reset; 0: for ever")
      ->default_str("0");
  add_duration_option(*sub, "--grace", options->grace,
                      "How long connections may take to end when the proxy stops")
      ->default_str("5s");
  sub->add_flag("--all-users", options->all_users,
                "Let in other users too, as far as they reach the socket's folder");
  sub->add_flag("--verbose", options->verbose, "Write a line when a connection begins or ends");
  add_ring_options(*sub, options->common, "64KiB");
  sub->callback([&chosen, options] {
    if (options->listen.is_socket() == options->to.is_socket())
      throw CLI::ValidationError(
          "one of --listen and --to is a socket (tcp:HOST:PORT or unix:PATH), "
          "the other the name of a service");
    chosen = [options] { return run_proxy(*options); };
  });
}

void add_call(CLI::App& app, action& chosen) {
  CLI::App* const sub = add_subcommand(
      app, "call",
      "Call a method of a service: standard input is the request, standard output gets the reply",
      name_help() +
          "\n\nThe parts of a streaming reply are written as they come, the reply behind them; when the call fails, what was written is"
          " incomplete. When standard input is a terminal, the request is empty, unless --data or --stream is there.");
  auto command = std::make_shared<call_command>();
  sub->add_option("name", command->name, "Where the service listens")
      ->required()
      ->type_name("NAME");
  sub->add_option_function<std::string>(
         "method",
         [command](const std::string& text) {
           const auto method = parse_method(text);
           if (text.empty() || !method)
             throw CLI::ValidationError(
                 "METHOD", "expected a method's name, or its number from 0 to 4294967295; got '" +
                               text + "'");
           command->method_text = text;
           command->method = *method;
         },
         "The method's name, or its number (such as 42 or 0x2a)")
      ->required()
      ->type_name("METHOD");
  add_duration_option(
      *sub, "--timeout", command->timeout,
      "How long it may take altogether; 0: 5 s to connect, and then as long as the service likes")
      ->default_str("0");
  CLI::Option* const stream =
      sub->add_flag("--stream", command->stream, "Send standard input in parts, as it comes");
  sub->add_option_function<std::string>(
         "--data", [command](const std::string& text) { command->data = text; },
         "The request; standard input is not read")
      ->type_name("TEXT")
      ->excludes(stream);
  sub->add_option("--metadata", command->metadata,
                  "Metadata, beside the request; at most 4096 bytes")
      ->check([](const std::string& text) {
        return text.size() <= service_frame::max_metadata
                   ? std::string()
                   : "at most 4096 bytes, got " + std::to_string(text.size());
      })
      ->type_name("TEXT");
  add_common_options(*sub, command->common, "64KiB");
  sub->callback([&chosen, command] { chosen = [command] { return run_call(*command); }; });
}

void add_top(CLI::App& app, action& chosen) {
  CLI::App* const sub = add_subcommand(
      app, "top", "Show who uses a service, and how much, live in the terminal",
      name_help() +
          " Without NAME: the only service that runs in that folder, or a list of those that do.\n\nA service answers its own"
          " user and root. The connection of 'top' itself is left out.");
  auto options = std::make_shared<top_options>();
  sub->add_option("name", options->name, "Where the service listens")->type_name("NAME");
  add_duration_option(*sub, "--interval", options->interval,
                      "From one look to the next; at least 10ms", "10ms")
      ->default_str("1s");
  add_duration_option(*sub, "--timeout", options->timeout,
                      "How long to wait for the service, and for each answer")
      ->default_str("5s");
  CLI::Option* const once = sub->add_flag(
      "--once", options->once, "Look twice, an interval apart, print the figures, and end");
  sub->add_flag("--json", options->as_json, "With --once: print one line of JSON")->needs(once);
  add_common_options(*sub, options->common, "64KiB");
  sub->callback([&chosen, options] { chosen = [options] { return run_top(*options); }; });
}

void add_bench(CLI::App& app, action& chosen) {
  CLI::App* const sub = add_subcommand(
      app, "bench", "Measure ringbell beside hardware, kernel and peers (runs ringbell-bench)");
  // All that follows is the benchmark's to read, --help too.
  sub->set_help_flag();
  sub->prefix_command();
  sub->callback(
      [&chosen, sub] { chosen = [arguments = sub->remaining()] { return run_bench(arguments); }; });
}

void add_doctor(CLI::App& app, action& chosen) {
  CLI::App* const sub = add_subcommand(
      app, "doctor", "Look at what this machine offers, and try what ringbell needs",
      "Each line says ok, limited (it works, slower or smaller) or missing (it does not work).");
  auto as_json = std::make_shared<bool>(false);
  sub->add_flag("--json", *as_json, "Print one line of JSON");
  sub->callback([&chosen, as_json] { chosen = [as_json] { return run_doctor(*as_json); }; });
}

// -- what is wrong with a command line --

std::vector<std::string> commands_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* sub : app.get_subcommands(nullptr)) names.push_back(sub->get_name());
  return names;
}

std::vector<std::string> options_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

std::string not_known(const std::string& word, const std::string& what,
                      const std::vector<std::string>& known) {
  const std::string meant = nearest(word, known);
  return "'" + word + "' is no " + what + (meant.empty() ? "" : "; did you mean '" + meant + "'?");
}

/// A mistyped command or option, with the nearest one; else what CLI11 says.
std::string complaint(const CLI::App& app, const CLI::App* command, const CLI::ParseError& error,
                      int argc, char** argv) {
  const std::string of =
      command ? "option of 'ringbell " + command->get_name() + "'" : "option of 'ringbell'";
  if (!command && argc > 1) {
    const std::string first = argv[1];
    return first.starts_with('-') ? not_known(first.substr(0, first.find('=')), of, options_of(app))
                                  : not_known(first, "command of 'ringbell'", commands_of(app));
  }
  if (!command) return error.what();
  // A mistyped option may be what makes something else seem to be missing.
  const std::vector<std::string> rest = command->remaining();
  const auto option = std::find_if(rest.begin(), rest.end(), [](const std::string& word) {
    return word.size() > 1 && word.starts_with('-');
  });
  if (option != rest.end())
    return not_known(option->substr(0, option->find('=')), of, options_of(*command));
  const bool too_many = dynamic_cast<const CLI::ExtrasError*>(&error) && !rest.empty();
  return too_many ? "'" + rest.front() + "' is one argument too many" : std::string(error.what());
}

int parse(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
    return exit_ok;
  } catch (const CLI::Success& help_or_version) {
    return app.exit(help_or_version);
  } catch (const CLI::ParseError& error) {
    const std::vector<CLI::App*> chosen = app.get_subcommands();
    const CLI::App* const command = chosen.empty() ? nullptr : chosen.front();
    const std::string text = complaint(app, command, error, argc, argv);
    complain(text + (text.ends_with('?') ? " See" : "; see") + " 'ringbell " +
             (command ? command->get_name() + " " : "") + "--help'");
    return exit_usage;
  }
}

}  // namespace

chosen_command parse_command_line(int argc, char** argv) {
  CLI::App app(
      "Messages between processes through shared-memory rings: try it, use it in a shell, look at what a machine offers.",
      "ringbell");
  app.set_version_flag("--version", "ringbell " RINGBELL_VERSION);
  add_describe_flag(app);
  app.require_subcommand(1);
  app.footer(std::string("'ringbell COMMAND --help' tells more of each.\n\n") + exit_codes_help);
  chosen_command asked;
  add_demo(app, asked.action);
  add_pipe(app, asked.action);
  add_echo(app, asked.action);
  add_ping(app, asked.action);
  add_serve(app, asked.action);
  add_proxy(app, asked.action);
  add_call(app, asked.action);
  add_top(app, asked.action);
  add_bench(app, asked.action);
  add_doctor(app, asked.action);
  asked.exit_code = parse(app, argc, argv);
  if (asked.exit_code != exit_ok) asked.action = nullptr;
  return asked;
}

}  // namespace ringbell::tool
