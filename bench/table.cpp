// SPDX-License-Identifier: BSL-1.0
#include "common/units.hpp"
#include "report.hpp"

#include <cstdio>

namespace ringbell::bench {

namespace {

constexpr std::size_t title_width = 42;

void put(std::string& line, int width, const std::string& text) {
  const int padding = width - static_cast<int>(text.size());
  line.append(static_cast<std::size_t>(padding > 1 ? padding : 1), ' ');
  line += text;
}

std::string number(const char* format, double value) {
  char text[32];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

/// Of something counted, a message: 0.000012, 0.5, 2.
std::string count(double value) {
  return value < 0 ? "-" : value < 1e-6 ? "0" : number("%.2g", value);
}

std::string title_line(bool one_way, bool paced) {
  std::string line(title_width, ' ');
  if (one_way) {
    put(line, 10, "a message"), put(line, 20, "ratio (10..90 %)"), put(line, 10, "messages/s"),
        put(line, 11, "bytes/s");
  } else {
    put(line, 10, "median"), put(line, 20, "ratio (10..90 %)");
    for (const percentile& p : percentiles) put(line, 9, p.name);
    put(line, 9, "max");
  }
  put(line, 9, "cpu"), put(line, 9, "switches"), put(line, 8, "calls"), put(line, 8, "bells"),
      put(line, 8, "parks");
  if (paced) put(line, 7, "late");
  return line + '\n';
}

std::string line_of(const case_result& result, const contender_figures& f) {
  std::string line = "  " + f.title;
  line.resize(title_width, ' ');
  if (f.each.empty()) return line + "  failed: " + f.error + '\n';
  const double each = median(f.each);
  put(line, 10, tool::format_duration(each));
  const spread r = spread_of(ratios(f.each, result.reference()->each));
  put(line, 20,
      number("%.3g", r.median) + " (" + number("%.3g", r.low) + ".." + number("%.3g", r.high) +
          ')');
  if (result.what.kind == traffic::one_way) {
    put(line, 10, tool::format_count(1e9 / each));
    put(line, 11, tool::format_bytes(1e9 / each * static_cast<double>(result.what.size)));
  } else {
    for (const percentile& p : percentiles) {
      const bool enough = static_cast<double>(f.from_intended.count()) * (1 - p.q) >= 1;
      put(line, 9,
          enough ? tool::format_duration(static_cast<double>(f.from_intended.quantile(p.q))) : "-");
    }
    put(line, 9, tool::format_duration(static_cast<double>(f.from_intended.max())));
  }
  put(line, 9, tool::format_duration(median(f.cpu)));
  put(line, 9, count(median(f.switches)));
  put(line, 8, count(f.calls)), put(line, 8, count(f.bells)), put(line, 8, count(f.parks));
  if (result.what.gap != 0)
    put(line, 7,
        number("%.0f%%", 100 * static_cast<double>(f.late) / static_cast<double>(f.messages)));
  if (!f.error.empty()) line += "  then failed: " + f.error;
  return line + '\n';
}

}  // namespace

std::string table_of(const case_result& result) {
  std::string text = '\n' + result.what.title + "  [" + result.what.id + "]\n";
  if (!result.reference()) return text + "  nobody ran\n";
  text += title_line(result.what.kind == traffic::one_way, result.what.gap != 0);
  for (const contender_figures& f : result.figures) text += line_of(result, f);
  return text;
}

}  // namespace ringbell::bench
