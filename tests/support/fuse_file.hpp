// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <optional>
#include <string>

#include "support/child_process.hpp"

namespace ringbell::test {

/// A file of a file system that answers when the file is opened, and to nothing else from then on:
/// whoever asks for its size, or closes it, waits for good. It lives until this object goes; then
/// the file system ends, and so do these waits.
class fuse_file {
public:
  fuse_file() {
    device_ = sys::handle(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
    if (!device_) return;
    const std::string options =
        "fd=" + std::to_string(device_.get()) + ",rootmode=40000,user_id=0,group_id=0,allow_other";
    if (::mount("ringbell-test", folder_.path().c_str(), "fuse", MS_NOSUID | MS_NODEV,
                options.c_str()) != 0)
      return;
    server_.emplace([this] { return serve(); });
    mounted_ = true;
  }
  fuse_file(const fuse_file&) = delete;
  fuse_file& operator=(const fuse_file&) = delete;
  ~fuse_file() {
    end();
    if (mounted_) ::umount2(folder_.path().c_str(), MNT_DETACH);
  }

  explicit operator bool() const noexcept { return mounted_; }
  sys::native_handle open() const { return ::open((folder_ / "file").c_str(), O_RDWR | O_CLOEXEC); }
  /// In a child that was forked: has no part in the file system's life any more.
  void leave() noexcept { device_.reset(); }
  /// Ends the file system, and with it all waits.
  void end() noexcept {
    server_.reset();
    device_.reset();
  }

private:
  int serve() {
    alignas(fuse_in_header) std::array<std::byte, 1 << 17> request;
    for (;;) {
      const auto n = ::read(device_.get(), request.data(), request.size());
      if (n < 0) {
        if (errno == EINTR || errno == ENOENT) continue;
        return 0;
      }
      fuse_in_header header;
      std::memcpy(&header, request.data(), sizeof header);
      switch (header.opcode) {
        case FUSE_INIT: {
          fuse_init_in in{};
          std::memcpy(&in, request.data() + sizeof header, sizeof in);
          fuse_init_out out{};
          out.major = FUSE_KERNEL_VERSION;
          out.minor = in.minor < FUSE_KERNEL_MINOR_VERSION ? in.minor : FUSE_KERNEL_MINOR_VERSION;
          out.max_write = 4096;
          reply(header, out);
          break;
        }
        case FUSE_LOOKUP: {
          fuse_entry_out out{};
          out.nodeid = 2;
          out.entry_valid = 3600;
          out.attr.ino = 2;
          out.attr.mode = S_IFREG | 0666;
          out.attr.nlink = 1;
          reply(header, out);
          break;
        }
        case FUSE_OPEN: reply(header, fuse_open_out{}); break;
        default: break;  // never
      }
    }
  }
  template <class T>
  void reply(const fuse_in_header& to, const T& body) {
    struct {
      fuse_out_header header;
      T body;
    } out{};
    out.header.len = sizeof out;
    out.header.unique = to.unique;
    out.body = body;
    (void)!::write(device_.get(), &out, sizeof out);
  }

  temporary_folder folder_;
  sys::handle device_;
  std::optional<child_process> server_;
  bool mounted_ = false;
};

}  // namespace ringbell::test
