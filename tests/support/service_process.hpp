// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "support/tool_process.hpp"

#include <string>
#include <utility>
#include <vector>

// `ringbell serve` as a child process, and what `ringbell top` says of it.
namespace ringbell::test {

/// A service that listens already.
class service {
public:
  explicit service(const std::string& name, std::vector<std::string> more = {})
      : tool_(arguments(name, std::move(more)), stream::usual, line_.in) {
    line_.in.reset();
    greeting_ = read_line(line_.out);
  }
  const std::string& greeting() const { return greeting_; }
  tool& process() { return tool_; }

private:
  static std::vector<std::string> arguments(const std::string& name,
                                            std::vector<std::string> more) {
    std::vector<std::string> all{"serve", name};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  plumbing line_;
  tool tool_;
  std::string greeting_;
};

/// What `top` says in JSON of the service.
inline std::string statistics(const std::string& name) {
  tool t({"top", name, "--once", "--json", "--interval", "10ms"});
  return t.wait() == 0 ? t.out() : std::string();
}
inline std::size_t count_of(const std::string& text, const std::string& what) {
  std::size_t n = 0;
  for (std::size_t at = text.find(what); at != text.npos; at = text.find(what, at + what.size()))
    ++n;
  return n;
}
/// Waits until so many calls are under way there.
inline bool under_way(const std::string& name, int calls) {
  return eventually([&] {
    const std::string all = statistics(name);
    const std::size_t total = all.find("\"total\":");
    return total != all.npos &&
           all.find("\"in_flight\":" + std::to_string(calls) + ",", total) != all.npos;
  });
}

}  // namespace ringbell::test
