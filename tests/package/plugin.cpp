// SPDX-License-Identifier: BSL-1.0
// A plug-in with a copy of the library of its own: fails in the ways that a program has to tell
// apart.
#include <ringbell/ringbell.hpp>

#include <system_error>

extern "C" void plugin_code(std::error_code& code) { code = ringbell::errc::end_of_stream; }

namespace {

ringbell::task<> send_to_nobody(ringbell::channel& none) { co_await none.send("hello"); }

}  // namespace

extern "C" void plugin_throws() {
  ringbell::loop lp;
  ringbell::channel none;
  lp.run(send_to_nobody(none));
}
