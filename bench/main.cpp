// SPDX-License-Identifier: BSL-1.0
#include "bars.hpp"
#include "cases.hpp"
#include "common/describe_options.hpp"
#include "common/units.hpp"
#include "environment.hpp"
#include "report.hpp"
#include "running_link.hpp"
#include "user_case.hpp"
#include "watchdog.hpp"

#include <ringbell/version.hpp>

#include <CLI/CLI.hpp>

#include <unistd.h>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace ringbell::bench;
namespace tool = ringbell::tool;

struct command_options {
  std::vector<std::string> scenarios;
  std::vector<std::string> only;
  std::vector<std::string> contenders;
  std::vector<std::uint64_t> sizes;
  int rounds = 0;
  bool quick = false;
  bool list = false;
  std::string json_file;
  std::string payload;  ///< a file, whose bytes are measured, and nothing else
  std::uint64_t record = 0;
  std::uint64_t rate = 0;
};

bool contains_one(const std::string& text, const std::vector<std::string>& parts) {
  return parts.empty() || std::any_of(parts.begin(), parts.end(), [&](const std::string& p) {
           return text.find(p) != std::string::npos;
         });
}

bool wants(const command_options& o, const char* scenario) {
  return o.scenarios.empty() ||
         std::find(o.scenarios.begin(), o.scenarios.end(), scenario) != o.scenarios.end();
}

/// Those that were asked for; of each the reference, and the contenders that were asked for.
std::vector<bench_case> chosen_cases(const command_options& o, const contender_list& contenders) {
  const bool bars_alone = !o.scenarios.empty() && wants(o, "bars");
  case_choice choice;
  choice.sizes = o.sizes;
  choice.quick = o.quick && !bars_alone;
  std::vector<bench_case> all = all_cases(choice);
  if (bars_alone) all = cases_of_bars(std::move(all));
  std::vector<bench_case> chosen;
  for (bench_case& c : all) {
    if ((!bars_alone && !wants(o, c.scenario.c_str())) || !contains_one(c.id, o.only)) continue;
    if (c.where == placement::two && processors::allowed().second < 0) continue;
    const std::string reference = c.contenders.front();
    std::erase_if(c.contenders, [&](const std::string& id) {
      return !contenders.find(id) || (id != reference && !contains_one(id, o.contenders));
    });
    chosen.push_back(std::move(c));
  }
  return chosen;
}

void list(const std::vector<bench_case>& cases, const contender_list& contenders) {
  std::printf("Cases:\n");
  for (const bench_case& c : cases) std::printf("  %-28s %s\n", c.id.c_str(), c.title.c_str());
  std::printf("Contenders:\n");
  for (const contender& c : contenders.there)
    std::printf("  %-34s %s\n", c.id.c_str(), c.title.c_str());
  for (const absentee& a : contenders.absent)
    std::printf("  %s: %s\n", a.name.c_str(), a.reason.c_str());
}

/// Shows on a terminal how far it is; elsewhere says nothing.
class progress_line {
public:
  explicit progress_line(std::size_t cases) : cases_(cases), shown_(::isatty(STDERR_FILENO) != 0) {}
  progress_line(const progress_line&) = delete;
  progress_line& operator=(const progress_line&) = delete;
  ~progress_line() { clear(); }
  void show(std::size_t number, const std::string& id, int round) const {
    if (!shown_) return;
    std::fprintf(stderr, "\r\033[K[%zu of %zu] %s, round %d", number + 1, cases_, id.c_str(),
                 round + 1);
    std::fflush(stderr);
  }
  void clear() const {
    if (shown_) std::fputs("\r\033[K", stderr);
  }

private:
  std::size_t cases_;
  bool shown_;
};

void write_document(const std::string& file, const std::string& text) {
  if (file == "-") {
    std::printf("%s\n", text.c_str());
    return;
  }
  std::ofstream out(file);
  out << text << '\n';
  out.close();
  if (!out) throw std::runtime_error("cannot write '" + file + "'");
}

int run(const command_options& o) {
  watch_for_signals();
  user_messages messages;
  if (!o.payload.empty()) messages = read_user_messages(o.payload, o.record);
  const contender_list contenders =
      o.payload.empty() ? all_contenders() : user_contenders(messages);
  const std::vector<bench_case> cases =
      o.payload.empty() ? chosen_cases(o, contenders) : std::vector{user_case(messages, o.rate)};
  if (cases.empty()) throw std::runtime_error("no case is called so; see --list");
  if (o.list) return list(cases, contenders), 0;
  // Beside a document on standard output the tables go to standard error.
  std::FILE* const tables = o.json_file == "-" ? stderr : stdout;

  effort how;
  how.quick = o.quick;
  if (o.quick) {
    how.rounds = 2;
    how.slice_time = std::chrono::milliseconds(1);
    how.links = 1;
  }
  if (o.rounds != 0) how.rounds = o.rounds;
  tool::json document;
  document.begin_object()
      .value("format", 1)
      .value("quick", o.quick)
      .value("rounds", how.rounds)
      .begin_object("environment");
  for (const auto& [name, text] : describe_environment(contenders)) {
    std::fprintf(tables, "%-14s %s\n", name.c_str(), text.c_str());
    document.value(name, text);
  }
  document.end_object().begin_object("absent");
  for (const absentee& a : contenders.absent) {
    std::fprintf(tables, "%s: %s\n", a.name.c_str(), a.reason.c_str());
    document.value(a.name, a.reason);
  }
  document.end_object().begin_array("cases");
  std::vector<case_result> results;
  const progress_line line(cases.size());
  for (std::size_t i = 0; i < cases.size(); ++i) {
    results.push_back(
        run_case(cases[i], contenders, how, [&](int round) { line.show(i, cases[i].id, round); }));
    line.clear();
    std::fputs(table_of(results.back()).c_str(), tables);
    std::fflush(tables);
    write_json(document, results.back());
  }
  document.end_array();
  if (!o.payload.empty()) {
    const verdict said = judge(results.front().figures.at(1), results.front().figures.at(0));
    std::fprintf(tables, "\n%s\n", said.sentence.c_str());
    document.begin_object("verdict")
        .value("outcome", name_of(said.what))
        .value("sentence", said.sentence)
        .end_object();
  } else if (wants(o, "bars")) {
    std::vector<bar_outcome> bars = evaluate_bars(results);
    if (o.scenarios.empty()) std::erase_if(bars, [](const bar_outcome& b) { return !b.measured; });
    std::fputs(table_of(bars).c_str(), tables);
    write_json(document, bars);
  }
  document.end_object();
  if (!o.json_file.empty()) write_document(o.json_file, document.text());
  return 0;
}

std::vector<std::string> scenario_names() {
  std::vector<std::string> names(std::begin(scenarios), std::end(scenarios));
  names.emplace_back("bars");
  return names;
}

/// A user's own case.
void add_payload_options(CLI::App& app, command_options& o, CLI::Option& list) {
  CLI::Option* const payload =
      app.add_option("--payload", o.payload,
                     "Measure round trips of the bytes of this file (at most 64 MiB) through"
                     " ringbell and through a Unix socket, and say in a sentence whether it pays")
          ->type_name("FILE")
          ->excludes(&list);
  for (const char* other : {"scenario", "--only", "--contender", "--sizes"})
    payload->excludes(app.get_option(other));
  CLI::Option* const rate =
      app.add_option("--rate", o.rate, "With --payload: how many messages a second")
          ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1'000'000}))
          ->type_name("N")
          ->needs(payload);
  payload->needs(rate);
  app.add_option_function<std::string>(
         "--record",
         [&o](const std::string& text) {
           const auto bytes = tool::parse_bytes(text);
           if (!bytes || *bytes == 0)
             throw CLI::ValidationError(
                 "--record", "expected a size from 1 B, such as 64 or 4KiB; got '" + text + "'");
           o.record = *bytes;
         },
         "With --payload: cut the file into messages of this size. It is one message unless given")
      ->type_name("SIZE")
      ->needs(payload);
}

void add_options(CLI::App& app, command_options& o) {
  app.add_option(
         "scenario", o.scenarios,
         "Which scenarios to run. All, unless given; 'bars' is what its table needs of the others")
      ->check(CLI::IsMember(scenario_names()));
  app.add_option("--only", o.only,
                 "Only cases whose name has one of these in it, such as 'two/hot' (see --list)")
      ->type_name("TEXT");
  app.add_option("--contender", o.contenders,
                 "Beside each case's reference only contenders whose name has one of these in it")
      ->type_name("TEXT");
  app.add_option_function<std::vector<std::string>>(
         "--sizes",
         [&o](const std::vector<std::string>& texts) {
           for (const std::string& text : texts) {
             const auto bytes = tool::parse_bytes(text);
             if (!bytes || *bytes < 8 || *bytes > (16U << 20))
               throw CLI::ValidationError(
                   "--sizes",
                   "expected sizes from 8 B to 16 MiB, such as 64, 4KiB or 1M; got '" + text + "'");
             o.sizes.push_back(*bytes);
           }
         },
         "Sizes of the messages, instead of those that each scenario has")
      ->delimiter(',')
      ->type_name("SIZE,...");
  app.add_option("--rounds", o.rounds,
                 "How many times each contender has its turn (20 unless given)")
      ->check(CLI::Range(1, 10000))
      ->type_name("N");
  app.add_flag("--quick", o.quick,
               "Everything once, with few and short slices: says that it works, and little more");
  app.add_option(
         "--json", o.json_file,
         "Write a document with all figures too; '-': to standard output, and the tables to standard error")
      ->type_name("FILE");
  CLI::Option* const list = app.add_flag(
      "--list", o.list, "Print the names of the cases and contenders, and run nothing");
  add_payload_options(app, o, *list);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 + answer_arguments && std::string_view(argv[1]) == answer_argument)
    answer_in_new_program(argv + 2);
  CLI::App app(
      "Measures ringbell beside what hardware and kernel can do, and beside its peers. In each case all contenders take turns in slices of some milliseconds; "
      "the first one is the reference, to which the others are compared round by round.",
      "ringbell-bench");
  app.set_version_flag("--version", "ringbell-bench " RINGBELL_VERSION);
  app.footer(
      "Columns: median of the rounds (paced: from when a message was sent); ratio to the reference, its median and between which values four fifths of the rounds lie; percentiles of all messages "
      "(paced: from the time at which a message was meant to be sent); and of both processes together, a message: processor time, context switches, "
      "system calls, bells rung and sleeps. late: sent after its time, since the one before had not come back.\n"
      "Times of one machine say little; the ratios say more. docs/performance.md has the method.\n\n"
      "Exit codes: 0 success; 1 failure; 2 usage; 128+N ended by signal N.");
  tool::add_describe_flag(app);
  command_options o;
  add_options(app, o);
  try {
    app.parse(argc, argv);
    return run(o);
  } catch (const CLI::Success& help_or_version) {
    return app.exit(help_or_version);
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "ringbell-bench: %s; see 'ringbell-bench --help'\n", error.what());
    return 2;
  } catch (const interrupted& by) {
    return 128 + by.signal;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "ringbell-bench: %s\n", error.what());
    return 1;
  }
}
