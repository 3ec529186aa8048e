// SPDX-License-Identifier: BSL-1.0
#include "user_case.hpp"

#include "common/units.hpp"
#include "processors.hpp"

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <system_error>

namespace ringbell::bench {

namespace {

constexpr std::uint64_t largest_file = std::uint64_t{64} << 20;
/// A ratio within this is no difference.
constexpr double noise = 1.1;
/// So many messages that could not go at their time mean that the rate was not kept.
constexpr double too_many_late = 0.1;

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2g", value);
  return text;
}

double late_share(const contender_figures& f) {
  return f.messages == 0 ? 0 : static_cast<double>(f.late) / static_cast<double>(f.messages);
}

enum class change : std::uint8_t { better, same, worse };

/// What ringbell's figures are, where the socket's are the ratio times as much.
change change_of(const spread& ratio) {
  if (ratio.rounds != 0 && ratio.low > noise) return change::better;
  if (ratio.rounds != 0 && ratio.high < 1 / noise) return change::worse;
  return change::same;
}

std::string in_figures(const contender_figures& ringbell, const contender_figures& socket,
                       const spread& time, const spread& cpu) {
  const auto duration = [](double ns) { return tool::format_duration(ns); };
  const auto range = [](const spread& s) {
    return number(s.median) + " times (" + number(s.low) + " to " + number(s.high) + ')';
  };
  return "a round trip takes " + duration(median(ringbell.each)) + " (p99 " +
         duration(static_cast<double>(ringbell.from_sent.quantile(0.99))) +
         ") through ringbell and " + duration(median(socket.each)) + " (p99 " +
         duration(static_cast<double>(socket.from_sent.quantile(0.99))) +
         ") through a Unix socket, which is " + range(time) +
         " as long, and the processor time of both processes is " + duration(median(ringbell.cpu)) +
         " and " + duration(median(socket.cpu)) + " a message, " + range(cpu);
}

}  // namespace

user_messages read_user_messages(const std::string& file, std::uint64_t record) {
  std::error_code error;
  const auto status = std::filesystem::status(file, error);
  if (!error && !std::filesystem::is_regular_file(status))
    throw std::runtime_error("--payload: '" + file + "' is no regular file");
  const std::uint64_t size = error ? 0 : std::filesystem::file_size(file, error);
  if (error) throw std::system_error(error, "--payload: reading '" + file + "'");
  if (size == 0) throw std::runtime_error("--payload: '" + file + "' is empty; give it one byte");
  if (size > largest_file)
    throw std::runtime_error("--payload: '" + file + "' has " + std::to_string(size) +
                             " bytes, and at most 64 MiB can be sent; take a part of it");
  if (record > size)
    throw std::runtime_error("--record: " + std::to_string(record) + " bytes are more than the " +
                             std::to_string(size) + " that '" + file + "' has");
  user_messages all;
  all.record = static_cast<std::size_t>(record != 0 ? record : size);
  all.bytes.resize(static_cast<std::size_t>(size));
  std::ifstream in(file, std::ios::binary);
  if (!in.read(reinterpret_cast<char*>(all.bytes.data()), static_cast<std::streamsize>(size)))
    throw std::system_error(errno, std::generic_category(), "--payload: reading '" + file + "'");
  return all;
}

bench_case user_case(const user_messages& messages, std::uint64_t rate) {
  bench_case c;
  c.where = processors::allowed().second < 0 ? placement::one : placement::two;
  c.scenario = "payload";
  c.id = "payload/" + std::to_string(messages.record) + '/' + std::to_string(rate);
  c.title = "round trips of your " + tool::format_bytes(static_cast<double>(messages.record)) +
            ", " + std::to_string(rate) + " a second" +
            (c.where == placement::two ? ", a processor each" : ", both on one processor");
  c.size = messages.record;
  c.gap = static_cast<std::int64_t>(1'000'000'000 / rate);
  c.contenders = {user_socket, user_ringbell};
  return c;
}

const char* name_of(verdict::outcome what) noexcept {
  switch (what) {
    case verdict::outcome::pays: return "pays";
    case verdict::outcome::does_not_pay: return "does not pay";
    case verdict::outcome::no_difference: return "no difference";
    case verdict::outcome::trade: return "trade";
    case verdict::outcome::cannot_tell: break;
  }
  return "cannot tell";
}

verdict judge(const contender_figures& ringbell, const contender_figures& socket) {
  using outcome = verdict::outcome;
  for (const contender_figures* f : {&ringbell, &socket})
    if (!f->error.empty() || f->each.empty())
      return {outcome::cannot_tell, "This run cannot tell whether ringbell pays, because " + f->id +
                                        " failed: " + f->error + '.'};
  const double late = late_share(ringbell);
  const double socket_late = late_share(socket);
  const auto percent = [](double share) {
    return std::to_string(static_cast<int>(100 * share)) + " %";
  };
  if (late > too_many_late && socket_late > too_many_late)
    return {outcome::cannot_tell,
            "This run cannot tell whether ringbell pays, because neither keeps this rate (" +
                percent(late) + " of the messages of ringbell and " + percent(socket_late) +
                " of those of the Unix socket went late); take a lower one."};
  if (socket_late > too_many_late)
    return {outcome::pays, "ringbell pays: it keeps this rate, and a Unix socket does not (" +
                               percent(socket_late) + " of its messages went late)."};
  if (late > too_many_late)
    return {outcome::does_not_pay,
            "ringbell does not pay: a Unix socket keeps this rate, and ringbell does not (" +
                percent(late) + " of its messages went late)."};
  const spread time = spread_of(ratios(socket.each, ringbell.each));
  const spread cpu = spread_of(ratios(socket.cpu, ringbell.cpu));
  const change faster = change_of(time);
  const change cheaper = change_of(cpu);
  const std::string figures = in_figures(ringbell, socket, time, cpu) + '.';
  if (faster == change::same && cheaper == change::same)
    return {outcome::no_difference, "ringbell makes no difference beyond noise: " + figures};
  if (faster != change::worse && cheaper != change::worse)
    return {outcome::pays, "ringbell pays: " + figures};
  if (faster != change::better && cheaper != change::better)
    return {outcome::does_not_pay, "ringbell does not pay: " + figures};
  return {outcome::trade, std::string("ringbell pays in ") +
                              (faster == change::better ? "time, and costs processor time: "
                                                        : "processor time, and costs time: ") +
                              figures};
}

}  // namespace ringbell::bench
