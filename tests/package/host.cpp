// SPDX-License-Identifier: BSL-1.0
// Loads the plug-in, and knows its errors although each has the library linked into itself: host
// PLUGIN
#include <ringbell/ringbell.hpp>

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <system_error>

int main(int, char** argv) {
  void* const plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (!plugin) return std::puts(dlerror()), EXIT_FAILURE;
  const auto code_of = reinterpret_cast<void (*)(std::error_code&)>(dlsym(plugin, "plugin_code"));
  const auto throws = reinterpret_cast<void (*)()>(dlsym(plugin, "plugin_throws"));
  std::error_code code;
  code_of(code);
  bool right = code == ringbell::errc::end_of_stream && code != ringbell::errc::closed;
  if (&code.category() == &ringbell::category())
    return std::puts("the plug-in has no copy of its own"), EXIT_FAILURE;
  try {
    throws();
    right = false;
  } catch (const std::system_error& e) {
    right = right && e.code() == ringbell::errc::closed && e.code() == std::errc::broken_pipe;
  }
  return right ? EXIT_SUCCESS : EXIT_FAILURE;
}
