// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/local_socket.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <stdexcept>
#include <string>

#include "support/child_process.hpp"
#include "support/variable.hpp"

// What another user does to be taken for one of this user's services. Root alone can play both.
namespace ringbell::test {

inline constexpr uid_t another_user = 65533;

/// Makes a folder of this test's the runtime directory, for as long as it lives.
class runtime_folder {
public:
  runtime_folder() { set_variable("XDG_RUNTIME_DIR", folder_.path().c_str()); }
  runtime_folder(const runtime_folder&) = delete;
  runtime_folder& operator=(const runtime_folder&) = delete;
  ~runtime_folder() {
    before_.empty() ? unset_variable("XDG_RUNTIME_DIR")
                    : set_variable("XDG_RUNTIME_DIR", before_.c_str());
  }
  std::string operator/(const std::string& name) const { return folder_ / name; }

private:
  std::string before_ = ::getenv("XDG_RUNTIME_DIR") ? ::getenv("XDG_RUNTIME_DIR") : "";
  temporary_folder folder_;
};

/// A server of another user, of which the socket stands under the name "echo" in this user's own
/// folder, where all is as it should be.
class foreign_server {
public:
  foreign_server() {
    expect(::chmod((folder_ / "").c_str(), 0755) == 0 &&
               ::mkdir((folder_ / "theirs").c_str(), 0755) == 0 &&
               ::chown((folder_ / "theirs").c_str(), another_user, another_user) == 0 &&
               ::mkdir((folder_ / "ringbell").c_str(), 0700) == 0,
           "the folders");
    listens_.wait();
    expect(std::rename((folder_ / "theirs/echo").c_str(), (folder_ / "ringbell/echo").c_str()) == 0,
           "the socket to be moved");
  }

  /// How many bytes its clients have sent. Ends it, once they have all gone.
  int bytes_received() {
    done_.reach();
    return server_.wait();
  }

private:
  int serve() const {
    if (::setgid(another_user) != 0 || ::setuid(another_user) != 0) return 101;
    for (struct stat s{};
         ::stat((folder_ / "theirs").c_str(), &s) != 0 || s.st_uid != another_user;)
      ::usleep(1000);
    std::error_code error;
    sys::local_listener listener = sys::local_listener::bind(folder_ / "theirs/echo", true, error);
    if (error) return 102;
    listens_.reach();
    done_.wait();
    int bytes = 0;
    for (;;) {
      sys::local_socket client = listener.accept(error);
      if (error) return bytes;
      std::byte got[256];
      sys::received_handles handles;
      while (poll_for(client.native(), POLLIN, patience)) {
        const auto n = client.receive(got, handles);
        if (!n || *n == 0) break;
        bytes += static_cast<int>(*n);
      }
    }
  }

  runtime_folder folder_;
  milestone listens_;
  milestone done_;
  child_process server_{[this] { return serve(); }};
};

/// The folder of this user's names was made first by another user, as anybody may in a temporary
/// directory, for everybody to come in; a server of that user is inside.
class squatted_folder {
public:
  squatted_folder() {
    expect(::mkdir((folder_ / "ringbell").c_str(), 0777) == 0 &&
               ::chmod((folder_ / "ringbell").c_str(), 0777) == 0 &&
               ::chown((folder_ / "ringbell").c_str(), another_user, another_user) == 0,
           "the folder");
  }

private:
  runtime_folder folder_;
};

}  // namespace ringbell::test
