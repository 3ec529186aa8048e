// SPDX-License-Identifier: BSL-1.0
// nng over ipc://: pair1, and req/rep for round trips; messages are handed over, not copied, as its
// manual advises for speed.
#include "blocking_link.hpp"
#include "contenders.hpp"

#include <nng/nng.h>
#include <nng/protocol/pair1/pair.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>

#include <stdexcept>
#include <string>

namespace ringbell::bench {

namespace {

void check_call(int error, const char* what) {
  if (error != 0) throw std::runtime_error(std::string(what) + ": " + ::nng_strerror(error));
}

template <bool RequestReply>
class nng_end {
public:
  explicit nng_end(const link_options& options)
      : name_("ipc://" + options.path), where_(options.where) {}
  ~nng_end() { ::nng_close(socket_); }
  nng_end(const nng_end&) = delete;
  nng_end& operator=(const nng_end&) = delete;
  void listen() {
    const threads_unbound meanwhile(where_, true);
    check_call(RequestReply ? ::nng_rep0_open(&socket_) : ::nng_pair1_open(&socket_),
               "opening an nng socket");
    check_call(::nng_listen(socket_, name_.c_str(), nullptr, 0), "nng_listen");
  }
  void become(side which) {
    if (which == side::child) return;
    const threads_unbound meanwhile(where_, false);
    check_call(RequestReply ? ::nng_req0_open(&socket_) : ::nng_pair1_open(&socket_),
               "opening an nng socket");
    check_call(::nng_dial(socket_, name_.c_str(), nullptr, 0), "nng_dial");
  }
  void send(const std::byte* bytes, std::size_t size) const {
    nng_msg* message = nullptr;
    check_call(::nng_msg_alloc(&message, size), "nng_msg_alloc");
    std::memcpy(::nng_msg_body(message), bytes, size);
    const int error = ::nng_sendmsg(socket_, message, 0);
    if (error != 0) ::nng_msg_free(message);
    check_call(error, "nng_sendmsg");
  }
  void receive(std::byte* bytes, std::size_t size) const {
    nng_msg* message = nullptr;
    check_call(::nng_recvmsg(socket_, &message, 0), "nng_recvmsg");
    const bool expected = ::nng_msg_len(message) == size;
    if (expected) std::memcpy(bytes, ::nng_msg_body(message), size);
    ::nng_msg_free(message);
    if (!expected) throw std::runtime_error("nng: a message of another size");
  }
  void flush() const noexcept {}

private:
  std::string name_;
  placement where_;
  nng_socket socket_ = NNG_SOCKET_INITIALIZER;
};

template <class End>
contender in_new_program(const char* id, const char* title) {
  contender c = blocking_contender<End>(id, title, contender::role::peer, false);
  c.answers_in_new_program = true;
  return c;
}

}  // namespace

std::vector<contender> nng_contenders(std::string& version) {
  version = ::nng_version();
  return {in_new_program<nng_end<false>>("nng-pair", "nng, pair1, ipc"),
          in_new_program<nng_end<true>>("nng-req", "nng, req/rep, ipc")};
}

}  // namespace ringbell::bench
