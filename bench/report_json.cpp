// SPDX-License-Identifier: BSL-1.0
#include "report.hpp"

namespace ringbell::bench {

namespace {

void write_spread(tool::json& out, const char* name, const spread& s) {
  out.begin_object(name)
      .value("median", s.median)
      .value("low", s.low)
      .value("high", s.high)
      .end_object();
}

void write_histogram(tool::json& out, const char* name, const tool::histogram& h) {
  if (h.count() == 0) return;
  out.begin_object(name).value("count", h.count());
  for (const percentile& p : percentiles) out.value(p.name, h.quantile(p.q));
  out.value("max", h.max());
  // The curve, at steps that are even on a scale of nines.
  out.begin_array("curve");
  for (double rest = 1; rest * static_cast<double>(h.count()) >= 1; rest /= 1.2589254)
    out.begin_array().value({}, 1 - rest).value({}, h.quantile(1 - rest)).end_array();
  out.end_array().end_object();
}

}  // namespace

void write_json(tool::json& out, const case_result& result) {
  const bench_case& what = result.what;
  out.begin_object()
      .value("id", what.id)
      .value("scenario", what.scenario)
      .value("title", what.title);
  out.value("size", what.size)
      .value("gap_ns", what.gap)
      .value("processors", what.where == placement::two ? 2 : 1);
  const contender_figures* const reference = result.reference();
  if (reference) out.value("reference", reference->id);
  out.begin_array("contenders");
  for (const contender_figures& f : result.figures) {
    out.begin_object().value("id", f.id).value("title", f.title);
    if (!f.error.empty()) out.value("error", f.error);
    if (!f.each.empty()) {
      out.value("rounds", f.each.size()).value("messages", f.messages);
      write_spread(out, "ns", spread_of(f.each));
      write_spread(out, "ratio", spread_of(ratios(f.each, reference->each)));
      if (!f.p99.empty()) write_spread(out, "p99_of_rounds_ns", spread_of(f.p99));
      write_spread(out, "cpu_ns", spread_of(f.cpu));
      write_spread(out, "switches", spread_of(f.switches));
      if (f.calls >= 0) out.value("system_calls", f.calls);
      if (f.bells >= 0) out.value("bells", f.bells);
      if (f.parks >= 0) out.value("parks", f.parks);
      if (what.gap != 0) out.value("late", f.late);
      write_histogram(out, "latency_ns", f.from_intended);
      write_histogram(out, "from_sent_ns", f.from_sent);
    }
    out.end_object();
  }
  out.end_array().end_object();
}

}  // namespace ringbell::bench
