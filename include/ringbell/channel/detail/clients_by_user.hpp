// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/detail/client_slot.hpp>
#include <ringbell/sys/user_id.hpp>

#include <atomic>
#include <cstddef>
#include <map>
#include <memory>

namespace ringbell::detail {

/// Keeps a count of clients for each user that has clients or is about to have one.
///
/// Thread-safety: one thread. The slots that share the counts may live in other threads.
class clients_by_user {
public:
  /// Returns the count of `user`. The count stays the same as long as something holds it. An id
  /// that may stand for several users (`sys::names_one_user` is false) gets a new count each time.
  /// Errors: throws `std::bad_alloc`.
  client_count of(const sys::user_id& user) {
    if (!sys::names_one_user(user)) return std::make_shared<std::atomic<std::size_t>>(0);
    if (const auto known = counts_.find(user); known != counts_.end())
      if (client_count count = known->second.lock()) return count;
    // Entries of users that have gone are removed before a new one is added, so there are never
    // more entries than there were users at the same time.
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
