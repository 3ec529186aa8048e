// SPDX-License-Identifier: BSL-1.0
#include "top/screen.hpp"

#include "common/json.hpp"
#include "common/units.hpp"

#include <algorithm>
#include <span>

namespace ringbell::tool::top {

namespace {

using look = screen_line::look;

// Two heads and the titles above the rows, the total below.
constexpr std::size_t other_lines = 4;
constexpr const char* help = "letter: sort  r: reverse  arrows, Pg: scroll  q: quit";

std::string cut(std::string text, int width) {
  if (text.size() > static_cast<std::size_t>(std::max(0, width)))
    text.resize(static_cast<std::size_t>(std::max(0, width)));
  return text;
}

std::string padded(const std::string& text, const column& c) {
  const auto width = static_cast<std::size_t>(c.width);
  const std::string fits = text.size() > width ? text.substr(0, width) : text;
  const std::string blanks(width - fits.size(), ' ');
  return c.text ? fits + blanks : blanks + fits;
}

void add(std::string& line, const std::string& cell) {
  if (!line.empty()) line += ' ';
  line += cell;
}

std::span<const column> columns_within(int width) noexcept {
  const auto all = columns();
  std::size_t n = 0;
  for (int used = -1; n < all.size(); ++n) {
    used += all[n].width + 1;
    if (used > width) break;
  }
  return all.first(n);
}

std::string line_of(const row& r, std::span<const column> shown) {
  std::string line;
  for (const column& c : shown) add(line, padded(harmless(c.show(r)), c));
  return line;
}

std::string total_line(const row& total, std::span<const column> shown) {
  std::string line;
  for (const column& c : shown) {
    const bool of_one_client = c.key == 'p' || c.key == 'u' || c.text;
    const std::string what = c.key == 'p' ? "total" : of_one_client ? "" : harmless(c.show(total));
    add(line, padded(what, c));
  }
  return line;
}

screen_line titles(std::span<const column> shown, char sorted_by) {
  screen_line line("", look::reverse);
  for (const column& c : shown) {
    if (!line.text.empty()) line.text += ' ';
    const std::string title = padded(std::string(1, c.key) + ':' + c.title, c);
    if (c.key == sorted_by) {
      line.marked_from = line.text.size() + std::min(title.find_first_not_of(' '), title.size());
      line.marked_to = line.text.size() + title.find_last_not_of(' ') + 1;
    }
    line.text += title;
  }
  return line;
}

std::string plural(std::size_t n, const char* what) {
  return std::to_string(n) + ' ' + what + (n == 1 ? "" : "s");
}

std::string head(const view& v) {
  const rates& all = v.clients.total.per_second;
  std::string line =
      "ringbell top: " + harmless(v.name) + "  " + plural(v.clients.rows.size(), "client");
  line += "  " + format_count(all.requests) + " req/s  in " + format_bytes(all.bytes_in) +
          "/s  out " + format_bytes(all.bytes_out) + "/s";
  line += "  process " + (v.process ? std::to_string(*v.process) : std::string("not visible here"));
  if (!v.command.empty()) line += " (" + harmless(v.command) + ")";
  line += "  this connection is left out";
  return line;
}

std::string second_head(const view& v, std::size_t first, std::size_t last,
                        std::size_t hidden_columns) {
  std::string line =
      v.clients.averages ? "averages so far" : "every " + format_duration(v.interval);
  const std::size_t n = v.clients.rows.size();
  if (last - first < n)
    line += "  rows " + std::to_string(first + 1) + "-" + std::to_string(last) + " of " +
            std::to_string(n);
  line += std::string("  ") + help;
  if (hidden_columns != 0) line += "  (" + plural(hidden_columns, "column") + " more if wider)";
  return line;
}

void add(json& out, const rates& r) {
  out.value("requests_per_second", r.requests).value("errors_per_second", r.errors);
  out.value("messages_in_per_second", r.messages_in).value("bytes_in_per_second", r.bytes_in);
  out.value("messages_out_per_second", r.messages_out).value("bytes_out_per_second", r.bytes_out);
  out.value("stalls_per_second", r.stalls)
      .value("bells_per_second", r.bells)
      .value("bells_suppressed_per_second", r.suppressed);
  out.value("parks_per_second", r.parks).value("spins_paid_per_second", r.spins);
}

void add_present(json& out, const client_statistics& s) {
  out.value("in_flight", s.in_flight).value("bytes_in_flight", s.bytes_in_flight);
  out.value("depth_to_server", s.depth_to_server).value("depth_to_client", s.depth_to_client);
}

void add_counters(json& out, const client_statistics& s) {
  out.begin_object("since_connected");
  out.value("requests", s.requests).value("failed", s.failed).value("refused", s.refused);
  out.value("messages_in", s.channel.messages_received).value("bytes_in", s.channel.bytes_received);
  out.value("messages_out", s.channel.messages_sent).value("bytes_out", s.channel.bytes_sent);
  out.value("stalls", s.channel.ring_full_stalls);
  out.value("bells", s.channel.bells_rung).value("bells_suppressed", s.channel.bells_suppressed);
  out.value("parks", s.channel.parks).value("spins_paid", s.channel.spins_paid);
  out.end_object();
}

}  // namespace

std::size_t rows_on(screen_size size) noexcept {
  return size.lines > static_cast<int>(other_lines)
             ? static_cast<std::size_t>(size.lines) - other_lines
             : 0;
}

std::vector<screen_line> draw(const view& v, screen_size size) {
  const auto shown = columns_within(size.columns);
  const std::size_t n = v.clients.rows.size();
  const std::size_t room = rows_on(size);
  const std::size_t first = std::min(v.first, n > room ? n - room : 0);
  const std::size_t last = std::min(n, first + room);

  std::vector<screen_line> lines;
  lines.emplace_back(cut(head(v), size.columns), look::bold);
  lines.emplace_back(
      cut(second_head(v, first, last, columns().size() - shown.size()), size.columns), look::plain);
  lines.push_back(titles(shown, v.sorted_by));
  for (std::size_t i = first; i < last; ++i)
    lines.emplace_back(line_of(v.clients.rows[i], shown), look::plain);
  if (lines.size() < other_lines - 1 + room) lines.resize(other_lines - 1 + room);
  lines.emplace_back(total_line(v.clients.total, shown), look::bold);
  const auto most = static_cast<std::size_t>(std::max(0, size.lines));
  if (lines.size() > most) lines.resize(most);
  return lines;
}

std::string frame(const std::vector<screen_line>& lines, bool highlights) {
  constexpr const char* looks[] = {"", "\x1b[1m", "\x1b[7m"};
  constexpr const char* marks[] = {"\x1b[1m", "\x1b[7m", "\x1b[0;1m"};
  std::string out = "\x1b[H";
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const screen_line& l = lines[i];
    const char* const usual = looks[static_cast<std::size_t>(l.how)];
    if (i != 0) out += "\r\n";
    // Cleared first: behind a full line the cursor is still on its last character.
    out += "\x1b[K";
    if (!highlights) {
      out += l.text;
      continue;
    }
    out += usual;
    if (l.marked_from < l.marked_to) {
      out += l.text.substr(0, l.marked_from) + marks[static_cast<std::size_t>(l.how)];
      out += l.text.substr(l.marked_from, l.marked_to - l.marked_from) + "\x1b[0m" + usual +
             l.text.substr(l.marked_to);
    } else {
      out += l.text;
    }
    out += "\x1b[0m";
  }
  return out;
}

std::string text(const view& v) {
  std::string out = head(v) + "  (over " + format_duration(v.interval) + ")\n";
  std::string line;
  for (const column& c : columns()) add(line, padded(c.title, c));
  out += line + '\n';
  for (const row& r : v.clients.rows) out += line_of(r, columns()) + '\n';
  return out + total_line(v.clients.total, columns()) + '\n';
}

std::string as_json(const view& v) {
  json out;
  out.begin_object()
      .value("name", v.name)
      .value("process", v.process)
      .value("command", harmless(v.command));
  out.value("interval_ns", v.interval.count());
  out.begin_array("clients");
  for (const row& r : v.clients.rows) {
    out.begin_object();
    out.value("process", r.process())
        .value("user", r.now.user)
        .value("command", harmless(r.command));
    out.value("connected_ns", r.now.connected_ns);
    add(out, r.per_second);
    add_present(out, r.now);
    out.value("ring_to_server", r.now.ring_to_server).value("ring_to_client", r.now.ring_to_client);
    add_counters(out, r.now);
    out.end_object();
  }
  out.end_array();
  out.begin_object("total").value("clients", v.clients.rows.size());
  add(out, v.clients.total.per_second);
  add_present(out, v.clients.total.now);
  out.end_object();
  out.end_object();
  return out.text() + '\n';
}

}  // namespace ringbell::tool::top
