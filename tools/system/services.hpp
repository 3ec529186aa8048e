// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/local_socket.hpp>

#include <string>
#include <vector>

namespace ringbell::tool {

/// Somebody who listens in the folder of service names.
struct running_service {
  running_service() noexcept {}
  std::string name;
  std::string path;
  std::string command;  ///< "" when the system does not tell
  sys::peer_identity owner;
};

/// The folder in which the names of services live.
std::string service_folder();
/// The services that listen there, by name. Each sees a client come and go. Throws the system's
/// error, and `errc::unsafe_directory`; a folder that is not there is an empty one.
std::vector<running_service> running_services();

/// What the process calls itself; "" when the system does not tell.
std::string command_of(std::uint64_t process);
/// By which numbers a process knows the others.
enum class process_numbers {
  same,     ///< as this process does
  others,   ///< it is in another pid namespace, where numbers stand for other processes
  unknown,  ///< the system does not tell
};
/// `process` is 0 where the system gave no number for it.
process_numbers numbers_known_to(std::uint64_t process);

}  // namespace ringbell::tool
