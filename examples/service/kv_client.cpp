// SPDX-License-Identifier: BSL-1.0
// Asks the key-value service: kv_client NAME put KEY VALUE | get KEY | delete KEY | scan PREFIX
// Ends with 0; with 1 when there is no such key; with 2 when the service cannot be asked.
#include <ringbell/ringbell.hpp>

#include <chrono>
#include <cstdio>
#include <exception>
#include <span>
#include <string>
#include <string_view>

#include "kv.hpp"

namespace {

using namespace std::chrono_literals;

void print(std::string_view line) {
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fputc('\n', stdout);
}

ringbell::task<> ask(ringbell::loop& lp, std::span<char*> words) {
  const std::string name = words[0];
  const std::string_view verb = words[1];
  const std::string key = words[2];
  ringbell::client service =
      co_await ringbell::client::connect(lp, name);  // tries for 5 seconds while the server starts
  ringbell::call_options limit;
  limit.timeout = 10s;

  if (verb == "put") {
    const kv::row row{key, words[3]};
    co_await service.call_with(kv::put, row, limit);
  } else if (verb == "get") {
    const ringbell::payload value = co_await service.call(kv::get, key, limit);
    print(value.text());
  } else if (verb == "delete") {
    co_await service.call(kv::remove, key, limit);
  } else {
    ringbell::call_stream rows = service.open(kv::scan, key);
    rows.finish();  // the request has no further parts
    while (auto part = co_await rows.read()) {
      const kv::row row = part->as<kv::row>();
      print(row.key + " = " + row.value);
    }
    co_await rows.reply();  // throws if it was not the end, but an error that ended the rows
  }
}

bool understood(std::span<char*> words) {
  if (words.size() < 3) return false;
  const std::string_view verb = words[1];
  return verb == "put" ? words.size() == 4
                       : words.size() == 3 && (verb == "get" || verb == "delete" || verb == "scan");
}

}  // namespace

int main(int argc, char** argv) try {
  const auto words = std::span(argv, static_cast<std::size_t>(argc)).subspan(1);
  if (!understood(words)) {
    std::fprintf(stderr,
                 "usage: kv_client NAME put KEY VALUE | get KEY | delete KEY | scan PREFIX\n");
    return 2;
  }
  ringbell::loop lp;
  lp.run(ask(lp, words));
} catch (const ringbell::call_error& error) {  // the service's own words
  std::fprintf(stderr, "%s\n", error.what());
  return error.code() == std::error_code(kv::not_found, ringbell::handler_category()) ? 1 : 2;
} catch (const std::exception& error) {  // nobody listens, the server has gone, no reply in time
  std::fprintf(stderr, "%s\n", error.what());
  return 2;
}
