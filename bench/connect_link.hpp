// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "blocking_link.hpp"
#include "contenders.hpp"

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

namespace ringbell::bench {

/// What connects and closes, as a link of which each round trip is a whole cycle. `Way` has
/// listen(), prepare(), cycle(payload&) and serve(n, payload&).
template <class Way>
class connect_link final : public link {
public:
  template <class... Arguments>
  explicit connect_link(const Arguments&... arguments) : way_(arguments...) {}
  void listen() override { way_.listen(); }
  void connect() override { way_.prepare(); }
  void ping(const slice& s, times& t) override {
    payload bytes(s.size);
    with_stopwatch(s, t, [&](auto& watch) {
      for (std::uint64_t i = 0; i < s.all(); ++i) {
        if (i == s.lead_in) watch.start();
        watch.pace();
        way_.cycle(bytes);
        if (i >= s.lead_in) watch.lap();
      }
      watch.stop();
    });
  }
  void answer(const slice& s) override {
    payload bytes(s.size);
    way_.serve(s.all(), bytes);
  }
  void send(const slice&, times&) override {
    throw std::logic_error("connections are no messages");
  }
  void receive(const slice&) override { throw std::logic_error("connections are no messages"); }

private:
  Way way_;
};

/// `how` is handed to the `Way`, before the link's options.
template <class Way, class... How>
contender connect_contender(const std::string& id, std::string title, contender::role what,
                            How... how) {
  contender c;
  c.id = "connect/" + id;
  c.title = std::move(title);
  c.what = what;
  c.links = 1;
  c.needs_name = true;
  c.make = [how...](const link_options& options) {
    return std::make_unique<connect_link<Way>>(how..., options);
  };
  return c;
}

}  // namespace ringbell::bench
