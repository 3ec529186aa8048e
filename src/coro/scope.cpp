// SPDX-License-Identifier: BSL-1.0
#include <ringbell/coro/scope.hpp>

#include <cstdio>

namespace ringbell {

namespace {

bool is_cancelled(const std::exception_ptr& error) noexcept {
  try {
    std::rethrow_exception(error);
  } catch (const std::system_error& e) {
    return e.code() == errc::cancelled;
  } catch (...) {
    return false;
  }
}

void print(std::string_view scope, const char* what) noexcept {
  const int size = static_cast<int>(scope.size());
  const char* const name = scope.data();  // NOLINT(bugprone-suspicious-stringview-data-usage)
  std::fprintf(stderr,
               "ringbell: a task of the scope '%.*s' failed: %s (its further failures are counted, "
               "not printed; set scope::on_error to hear of each)\n",
               size, name, what);
}

void print(std::string_view scope, const std::exception_ptr& error) noexcept {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    print(scope, e.what());
  } catch (...) {
    print(scope, "it threw something that is no std::exception");
  }
}

}  // namespace

void scope::children::failed(std::exception_ptr error) noexcept {
  if (stop_requested() && is_cancelled(error)) return;
  const bool is_first = failures++ == 0;
  if (handler) return handler(std::move(error));
  if (is_first && !awaited()) print(name.empty() ? "(without a name)" : name, error);
  if (!first) first = std::move(error);
}

}  // namespace ringbell
