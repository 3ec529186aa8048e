// SPDX-License-Identifier: BSL-1.0
#include "contenders.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace ringbell::bench {

const contender* contender_list::find(std::string_view id) const noexcept {
  const auto found = std::find_if(there.begin(), there.end(), [id](const contender& c) { return c.id == id; });
  return found == there.end() ? nullptr : &*found;
}

contender_list all_contenders() {
  contender_list all;
  const auto add = [&all](std::vector<contender> some) { std::move(some.begin(), some.end(), std::back_inserter(all.there)); };
  add(reference_contenders());
  add(native_contenders());
  if (!all.find("native/io_uring/none")) all.absent.push_back({"ringbell on io_uring", "does not work here; see 'ringbell doctor'"});
#ifdef RINGBELL_WITH_ASIO
  add(asio_contenders());
#else
  all.absent.push_back({"ringbell in Asio, and Asio's Unix socket", "not built in: libasio-dev missing"});
#endif
  return all;
}

}  // namespace ringbell::bench
