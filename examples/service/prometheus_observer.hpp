// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/service/method.hpp>
#include <ringbell/service/observer.hpp>

#include <array>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <mutex>
#include <new>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

/// Counts what a server does, and says so in Prometheus' text format
/// (https://prometheus.io/docs/instrumenting/exposition_formats/, version 0.0.4).
///
/// Clients choose the numbers of methods, and handlers the codes of errors; each new one would be a
/// new time series. So only the methods that are named at the construction, and the first 50 codes
/// of each, have series of their own. What is left goes to `other`.
///
/// Thread-safety: any thread; with a `loop_pool` the observer is called on several.
class prometheus_observer final : public ringbell::server_observer {
public:
  explicit prometheus_observer(std::initializer_list<std::string_view> methods) {
    for (const std::string_view name : methods) methods_.emplace_back(name);
    methods_.emplace_back("other");
  }

  /// The page.
  std::string text() const {
    const std::lock_guard lock(mutex_);
    std::string page;
    family(page, "ringbell_connections_total", "counter", "Clients that have connected.");
    line(page, "ringbell_connections_total", "", std::to_string(connections_));
    family(page, "ringbell_clients", "gauge", "Clients that are connected.");
    line(page, "ringbell_clients", "", std::to_string(connections_ - disconnections_));
    family(page, "ringbell_calls_in_flight", "gauge", "Calls whose handlers have not ended.");
    line(page, "ringbell_calls_in_flight", "", std::to_string(in_flight_));

    family(page, "ringbell_refused_total", "counter",
           "Requests that were refused before a handler saw them, by the reason.");
    results(page, "ringbell_refused_total", "", refused_);
    family(page, "ringbell_calls_total", "counter",
           "Calls that have ended, by method and by the code of the error.");
    for (const method& m : methods_)
      results(page, "ringbell_calls_total", label("method", m.name) + ",", m.ended);

    family(page, "ringbell_call_duration_seconds", "histogram",
           "From a call's request to its reply.");
    for (const method& m : methods_) durations(page, m);
    return page;
  }

  void connected(const ringbell::sys::peer_identity&) noexcept override {
    const std::lock_guard lock(mutex_);
    ++connections_;
  }
  void disconnected(const ringbell::sys::peer_identity&, std::error_code) noexcept override {
    const std::lock_guard lock(mutex_);
    ++disconnections_;
  }
  void call_began(const ringbell::sys::peer_identity&,
                  const ringbell::observed_call&) noexcept override {
    const std::lock_guard lock(mutex_);
    ++in_flight_;
  }
  void call_ended(const ringbell::sys::peer_identity&,
                  const ringbell::observed_call& call) noexcept override {
    const std::lock_guard lock(mutex_);
    --in_flight_;
    method& m = find(call.method);
    m.ended.add(call.error);
    std::size_t bucket = 0;
    while (bucket < limits.size() && call.duration > limits[bucket].most) ++bucket;
    ++m.buckets[bucket];
    m.sum += call.duration;
  }
  void refused(const ringbell::sys::peer_identity&, std::error_code why) noexcept override {
    const std::lock_guard lock(mutex_);
    refused_.add(why);
  }

private:
  struct limit {
    const char* seconds;  // as Prometheus is to read it
    std::chrono::nanoseconds most;
  };
  static constexpr std::array<limit, 7> limits{{{"0.00001", std::chrono::microseconds(10)},
                                                {"0.0001", std::chrono::microseconds(100)},
                                                {"0.001", std::chrono::milliseconds(1)},
                                                {"0.01", std::chrono::milliseconds(10)},
                                                {"0.1", std::chrono::milliseconds(100)},
                                                {"1", std::chrono::seconds(1)},
                                                {"10", std::chrono::seconds(10)}}};

  struct counts_by_code {
    static constexpr std::size_t most = 50;
    std::map<std::error_code, std::uint64_t> counts;
    std::uint64_t other = 0;
    void add(std::error_code code) noexcept {
      try {
        const auto found = counts.find(code);
        if (found != counts.end())
          ++found->second;
        else if (counts.size() < most)
          counts.emplace(code, 1);
        else
          ++other;
      } catch (const std::bad_alloc&) {  // an observer must not throw
        ++other;
      }
    }
  };
  struct method {
    explicit method(std::string_view n) : name(n), number(ringbell::method_id(n)) {}
    std::string name;
    std::uint32_t number;
    counts_by_code ended;
    std::array<std::uint64_t, limits.size() + 1> buckets{};
    std::chrono::nanoseconds sum{0};
  };

  method& find(std::uint32_t number) noexcept {
    for (method& m : methods_)
      if (m.number == number) return m;
    return methods_.back();
  }

  static void family(std::string& page, std::string_view name, std::string_view type,
                     std::string_view help) {
    page.append("# HELP ").append(name).append(" ").append(help).append("\n");
    page.append("# TYPE ").append(name).append(" ").append(type).append("\n");
  }
  static void line(std::string& page, std::string_view name, std::string_view labels,
                   std::string_view value) {
    page.append(name);
    if (!labels.empty()) page.append("{").append(labels).append("}");
    page.append(" ").append(value).append("\n");
  }
  static std::string label(std::string_view name, std::string_view value) {
    std::string text = std::string(name) + "=\"";
    for (const char c : value) {
      if (c == '\\' || c == '"') text += '\\';
      if (c == '\n')
        text += "\\n";
      else
        text += c;
    }
    return text + '"';
  }
  /// Short, and the same tomorrow: `message()` is for people.
  static std::string name_of(std::error_code code) {
    return code ? std::string(code.category().name()) + ":" + std::to_string(code.value()) : "ok";
  }
  static void results(std::string& page, std::string_view name, const std::string& labels,
                      const counts_by_code& of) {
    for (const auto& [code, count] : of.counts)
      line(page, name, labels + label("code", name_of(code)), std::to_string(count));
    if (of.other != 0) line(page, name, labels + label("code", "other"), std::to_string(of.other));
  }
  /// Each bucket counts all calls that took no longer than its limit.
  static void durations(std::string& page, const method& m) {
    const std::string labels = label("method", m.name);
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < m.buckets.size(); ++i) {
      total += m.buckets[i];
      line(page, "ringbell_call_duration_seconds_bucket",
           labels + "," + label("le", i < limits.size() ? limits[i].seconds : "+Inf"),
           std::to_string(total));
    }
    std::array<char, 32> seconds{};  // to_chars, since to_string writes what the locale says
    const auto end = std::to_chars(seconds.data(), seconds.data() + seconds.size(),
                                   std::chrono::duration<double>(m.sum).count());
    line(page, "ringbell_call_duration_seconds_sum", labels,
         std::string_view(seconds.data(), end.ptr));
    line(page, "ringbell_call_duration_seconds_count", labels, std::to_string(total));
  }

  mutable std::mutex mutex_;
  std::uint64_t connections_ = 0;
  std::uint64_t disconnections_ = 0;
  std::uint64_t in_flight_ = 0;
  counts_by_code refused_;
  std::vector<method> methods_;
};
