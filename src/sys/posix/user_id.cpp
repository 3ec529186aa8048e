// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/user_id.hpp>

#include <unistd.h>

namespace ringbell::sys {

user_id current_user() noexcept { return ::geteuid(); }
bool is_current_user(const user_id& user) noexcept {
  return user == current_user() && names_one_user(user);
}
std::string text_of(const user_id& user) { return std::to_string(user); }
std::uint64_t number_of(const user_id& user) noexcept { return user; }
bool is_superuser(const user_id& user) noexcept { return user == 0; }

}  // namespace ringbell::sys
