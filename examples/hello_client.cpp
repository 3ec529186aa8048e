// SPDX-License-Identifier: BSL-1.0
// Says hello to the echo server, and prints the answer:
//
//     hello_client [NAME]
#include <ringbell/ringbell.hpp>

#include <cstdio>
#include <exception>
#include <string>

namespace {

ringbell::task<> greet(ringbell::loop& lp, std::string name) {
  auto ch = co_await ringbell::connect(lp, name);  // tries for 5 seconds while the server starts
  co_await ch.send("hello");
  if (auto reply = co_await ch.recv())
    std::printf("%.*s\n", static_cast<int>(reply->size()), reply->text().data());
}

}  // namespace

int main(int argc, char** argv) try {
  ringbell::loop lp;
  lp.run(greet(lp, argc > 1 ? argv[1] : "echo"));
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
