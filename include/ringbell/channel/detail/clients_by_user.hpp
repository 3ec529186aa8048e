// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/detail/client_slot.hpp>
#include <ringbell/sys/user_id.hpp>

#include <atomic>
#include <cstddef>
#include <map>
#include <memory>

namespace ringbell::detail {

/// A count for each user that has clients, or is about to have one. Thread-safety: one thread,
/// whatever the slots do in others.
class clients_by_user {
public:
  /// The count of `user`, which stays the same as long as somebody holds it; a count of its own
  /// each time for an id that may stand for several users (`sys::names_one_user`). Throws
  /// `std::bad_alloc`.
  client_count of(const sys::user_id& user) {
    if (!sys::names_one_user(user)) return std::make_shared<std::atomic<std::size_t>>(0);
    if (const auto known = counts_.find(user); known != counts_.end())
      if (client_count count = known->second.lock()) return count;
    // Somebody new: those who have gone make room, so that there are never more entries than users
    // have been there at the same time.
    std::erase_if(counts_, [](const auto& entry) { return entry.second.expired(); });
    auto count = std::make_shared<std::atomic<std::size_t>>(0);
    counts_[user] = count;
    return count;
  }
  std::size_t size() const noexcept { return counts_.size(); }

private:
  std::map<sys::user_id, std::weak_ptr<std::atomic<std::size_t>>> counts_;
};

}  // namespace ringbell::detail
