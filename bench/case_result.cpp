// SPDX-License-Identifier: BSL-1.0
#include "contest.hpp"

namespace ringbell::bench {

const contender_figures* case_result::find(std::string_view id) const noexcept {
  for (const contender_figures& f : figures)
    if (f.id == id && !f.each.empty()) return &f;
  return nullptr;
}

const contender_figures* case_result::reference() const noexcept {
  for (const contender_figures& f : figures)
    if (!f.each.empty()) return &f;
  return nullptr;
}

}  // namespace ringbell::bench
