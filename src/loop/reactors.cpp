// SPDX-License-Identifier: BSL-1.0
#include "reactors.hpp"

#include "variable.hpp"

#include <ringbell/errors.hpp>
#include <ringbell/sys/limit.hpp>

#include <algorithm>

namespace ringbell::detail {

namespace {

// For example "io_uring or epoll".
std::string known_names() {
  const auto kinds = reactor_kinds();
  std::string names;
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    if (i > 0) names += i + 1 == kinds.size() ? " or " : ", ";
    names += kinds[i].name;
  }
  return names;
}

const reactor_kind* kind_named(std::string_view name) noexcept {
  const auto kinds = reactor_kinds();
  const auto found = std::find_if(kinds.begin(), kinds.end(),
                                  [&](const reactor_kind& kind) { return kind.name == name; });
  return found == kinds.end() ? nullptr : &*found;
}

const reactor_kind* kind_of(loop_backend wanted) noexcept {
  const auto kinds = reactor_kinds();
  const auto found = std::find_if(kinds.begin(), kinds.end(),
                                  [&](const reactor_kind& kind) { return kind.backend == wanted; });
  return found == kinds.end() ? nullptr : &*found;
}

std::string cannot_work(const reactor_kind& kind, const std::string& why_not) {
  return std::string(kind.name) + " cannot work here" + (why_not.empty() ? "" : ": ") + why_not;
}

std::unique_ptr<reactor> make_one(const reactor_kind& kind) {
  std::error_code error;
  std::string why_not;
  std::unique_ptr<reactor> made = kind.make(error, why_not);
  if (!made) throw sys::failure(error, "ringbell: " + cannot_work(kind, why_not));
  return made;
}

std::unique_ptr<reactor> make_first(std::string& because) {
  const auto kinds = reactor_kinds();
  for (const reactor_kind& kind : kinds.first(kinds.size() - 1)) {
    std::error_code error;
    std::string why_not;
    if (auto made = kind.make(error, why_not)) return made;
    because = " (" + cannot_work(kind, why_not) + ")";
  }
  return make_one(kinds.back());
}

}  // namespace

loop_backend backend_named(std::string_view name) noexcept {
  const reactor_kind* const kind = kind_named(name);
  return kind ? kind->backend : loop_backend::automatic;
}

std::unique_ptr<reactor> choose_reactor(loop_backend wanted, std::string& reason) {
  const reactor_kind* kind = kind_of(wanted);
  if (!kind && wanted != loop_backend::automatic)
    throw std::system_error(
        errc::not_supported,
        "ringbell: this system does not have the wanted loop; it has " + known_names());
  std::string because;
  const std::string_view value =
      wanted == loop_backend::automatic ? variable("RINGBELL_LOOP") : std::string_view();
  if (!value.empty()) {
    kind = kind_named(value);
    if (!kind) bad_variable("RINGBELL_LOOP", value, known_names().c_str());
    because = " (chosen by RINGBELL_LOOP)";
  }
  std::unique_ptr<reactor> made = kind ? make_one(*kind) : make_first(because);
  reason = std::string(made->reason()) + because;
  return made;
}

}  // namespace ringbell::detail
