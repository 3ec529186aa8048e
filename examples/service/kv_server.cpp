// SPDX-License-Identifier: BSL-1.0
// A key-value service, in memory, for any number of clients, until Ctrl-C or SIGTERM: kv_server
// [NAME]
#include <ringbell/ringbell.hpp>

#include <csignal>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "kv.hpp"

namespace {

using table = std::map<std::string, std::string, std::less<>>;

constexpr std::size_t max_rows = 1'000'000;

ringbell::call_error no_such_key(std::string_view key) {
  return {kv::not_found, "no such key: " + std::string(key)};
}

/// Sends each row that begins with `r.text()` as a part of the reply. `write_value` waits while the
/// client is slow; meanwhile other requests may change the table, so the scan keeps its place as a
/// key, not as an iterator.
ringbell::task<ringbell::reply> scan(const table& rows, ringbell::request r) {
  for (auto at = rows.lower_bound(r.text()); at != rows.end() && at->first.starts_with(r.text());) {
    const kv::row row{at->first, at->second};
    co_await r.write_value(row);
    at = rows.upper_bound(row.key);
  }
  co_return ringbell::reply();  // ends the parts
}

/// All handlers of a server run on its loop, and give way only where they wait: no lock is needed.
ringbell::task<ringbell::reply> answer(table& rows, ringbell::request r) {
  switch (r.method()) {
    case kv::get: {
      const auto found = rows.find(r.text());
      if (found == rows.end()) throw no_such_key(r.text());
      co_return ringbell::reply(std::string_view(found->second));
    }
    case kv::put: {
      kv::row row = r.as<kv::row>();  // throws when it is none, which answers the call
      if (rows.size() >= max_rows && !rows.contains(row.key))
        throw ringbell::call_error(kv::too_many_rows, "the table is full");
      rows.insert_or_assign(std::move(row.key), std::move(row.value));
      co_return ringbell::reply();
    }
    case kv::remove: {
      const auto found = rows.find(r.text());
      if (found == rows.end()) throw no_such_key(r.text());
      rows.erase(found);
      co_return ringbell::reply();
    }
    case kv::scan: co_return co_await scan(rows, std::move(r));
  }
  throw std::system_error(ringbell::errc::no_such_method);
}

ringbell::task<> serve(ringbell::loop& lp, std::string name) {
  table rows;
  ringbell::server service(lp, name,
                           [&rows](ringbell::request r) { return answer(rows, std::move(r)); });
  co_await ringbell::signalled(SIGINT, SIGTERM);
  co_await service.stop();  // takes no more requests; those under way have 5 seconds to end
}

}  // namespace

int main(int argc, char** argv) try {
  ringbell::loop lp;
  lp.run(serve(lp, argc > 1 ? argv[1] : "kv"));
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
