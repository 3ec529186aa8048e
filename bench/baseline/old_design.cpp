// SPDX-License-Identifier: BSL-1.0
#include "old_design.hpp"

#include <ringbell/errors.hpp>

#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <algorithm>
#include <array>
#include <cstring>
#include <exception>
#include <system_error>
#include <thread>
#include <utility>

namespace ringbell::bench::old_design {

namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

constexpr auto connect_limit = 10s;

/// What the server says when it passes the memory, the server's bell and the client's.
struct hello {
  std::array<char, 8> magic{'o', 'l', 'd', 'r', 'i', 'n', 'g', '1'};
};
constexpr std::size_t handles_passed = 3;

/// Whether the other side has hung up, or ours has been shut down.
bool hung_up(const sys::local_socket& socket) noexcept {
  pollfd look{socket.native(), POLLRDHUP, 0};
  return ::poll(&look, 1, 0) > 0;
}

sys::local_socket connect_within_limit(const std::string& path) {
  const auto deadline = steady_clock::now() + connect_limit;
  for (;;) {
    std::error_code error;
    sys::local_socket made = sys::local_socket::connect(path, error);
    if (!error) return made;
    // A full backlog: the server is busy accepting others.
    if (error != errc::would_block) throw std::system_error(error);
    if (steady_clock::now() > deadline) throw std::system_error(errc::timed_out);
    std::this_thread::sleep_for(1ms);
  }
}

}  // namespace

// -- client --

struct client::invitation {
  explicit invitation(const std::string& path) : socket(connect_within_limit(path)) {
    pollfd waiting{socket.native(), POLLIN, 0};
    if (::poll(&waiting, 1, static_cast<int>(std::chrono::milliseconds(connect_limit).count())) <=
        0)
      throw std::system_error(errc::timed_out);
    hello said;
    sys::received_handles handles;
    const std::size_t got =
        socket.receive(std::as_writable_bytes(std::span(&said, 1)), handles).value();
    if (got == 0) throw std::system_error(errc::peer_closed);
    if (got != sizeof said || said.magic != hello().magic || handles.count != handles_passed)
      throw std::system_error(errc::bad_peer);
    memory = handles.items[0].trusted();
    servers = handles.items[1].trusted();
    clients = handles.items[2].trusted();
  }

  sys::local_socket socket;
  sys::handle memory;
  sys::handle servers;
  sys::handle clients;
};

client::client(const std::string& path) : client(invitation(path)) {}

client::client(invitation&& from)
    : socket_(std::move(from.socket)),
      ours_(std::move(from.clients)),
      servers_(std::move(from.servers)),
      area_(from.memory.get()),
      requests_(area_->requests),
      replies_(area_->replies) {}

client::~client() {
  socket_ = sys::local_socket();
  servers_.ring();
}

void client::send(std::span<const std::byte> request) {
  // With one request at a time the ring is empty.
  if (!requests_.write(request)) throw std::system_error(errc::message_too_large);
  servers_.ring();
}

std::span<const std::byte> client::receive() {
  for (;;) {
    ours_.wait();
    if (replies_.read(reply_)) return reply_;
    if (hung_up(socket_)) throw std::system_error(errc::peer_closed);
  }
}

// -- server --

/// A client and its thread.
class server::session {
public:
  session(server& owner, sys::local_socket socket, const sys::handle& memory)
      : owner_(owner),
        socket_(std::move(socket)),
        ours_(bell::create()),
        clients_(bell::create()),
        area_(memory.get()),
        requests_(area_->requests),
        replies_(area_->replies) {}

  void start() {
    pthread_attr_t attributes;
    ::pthread_attr_init(&attributes);
    ::pthread_attr_setstacksize(&attributes, stack_bytes);
    const int error = ::pthread_create(&thread_, &attributes, &session::main, this);
    ::pthread_attr_destroy(&attributes);
    if (error != 0) throw std::system_error(error, std::generic_category(), "pthread_create");
  }
  /// Lets the client begin. False when it has gone already.
  bool greet(const sys::handle& memory) {
    const hello said;
    const sys::native_handle handles[] = {memory.get(), ours_.native(), clients_.native()};
    static_assert(std::size(handles) == handles_passed);
    return socket_.send(std::as_bytes(std::span(&said, 1)), handles).has_value();
  }
  /// Makes both sides see a hang-up. From any thread.
  void hang_up() noexcept {
    ::shutdown(socket_.native(), SHUT_RDWR);
    ours_.ring();
    clients_.ring();
  }
  void join() const noexcept { ::pthread_join(thread_, nullptr); }

private:
  static void* main(void* self) {
    static_cast<session*>(self)->live();
    return nullptr;
  }
  void live() noexcept {
    try {
      serve();
    } catch (const std::exception&) {
      // A request that is none, or one that could not be answered: the end of this client, and of
      // no other.
    }
    hang_up();
    const std::lock_guard lock(owner_.mutex_);
    owner_.ended_.push_back(this);
    owner_.attention_.ring();
  }
  void serve() {
    auto idle = 0ms;
    for (;;) {
      const bool rung = ours_.wait(owner_.timeouts_.wait);
      if (answer_all()) {
        idle = 0ms;
        continue;
      }
      if (hung_up(socket_)) return;
      if (!rung && (idle += owner_.timeouts_.wait) >= owner_.timeouts_.idle) return;
    }
  }
  /// False when there was nothing to answer.
  bool answer_all() {
    bool any = false;
    while (requests_.read(request_)) {
      any = true;
      if (!replies_.write(owner_.answer_(request_)))
        throw std::system_error(errc::message_too_large);
      clients_.ring();
    }
    return any;
  }

  server& owner_;
  sys::local_socket socket_;
  bell ours_;
  bell clients_;
  mapping area_;
  ring_reader requests_;
  ring_writer replies_;
  std::vector<std::byte> request_;
  pthread_t thread_{};
};

server::server(const std::string& path, handler answer, const session_timeouts& timeouts)
    : answer_(std::move(answer)), timeouts_(timeouts), attention_(bell::create()) {
  std::error_code error;
  listener_ = sys::local_listener::bind(path, false, error);
  if (error) throw std::system_error(error, path);
}

server::~server() = default;

void server::run() {
  for (;;) {
    pollfd waiting[] = {{listener_.native(), POLLIN, 0}, {attention_.native(), POLLIN, 0}};
    if (::poll(waiting, 2, -1) < 0) continue;  // a signal
    if (waiting[1].revents != 0) {
      attention_.wait(0ms);
      join_ended();
      const std::lock_guard lock(mutex_);
      if (stopping_) break;
    }
    if (waiting[0].revents != 0) accept_all();
  }
  end_all();
}

void server::stop() noexcept {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  attention_.ring();
}

std::size_t server::sessions() const {
  const std::lock_guard lock(mutex_);
  return sessions_.size();
}

bool server::wait_for_sessions(std::size_t wanted, std::chrono::milliseconds most) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, most, [&] { return sessions_.size() == wanted; });
}

void server::accept_all() {
  for (;;) {
    std::error_code error;
    sys::local_socket from = listener_.accept(error);
    if (error == errc::would_block) return;
    if (error) {
      std::this_thread::sleep_for(10ms);  // out of descriptors, say: not at full speed then
      return;
    }
    try {
      start(std::move(from));
    } catch (const std::exception&) {
      // No memory, descriptor or thread for it: the socket is closed without a hello, which tells
      // the client.
    }
  }
}

void server::start(sys::local_socket from) {
  const sys::handle memory = mapping::create_memory();
  auto made = std::make_unique<session>(*this, std::move(from), memory);
  session& s = *made;
  {
    const std::lock_guard lock(mutex_);  // before its thread can end
    sessions_.push_back(std::move(made));
  }
  try {
    s.start();
  } catch (...) {
    const std::lock_guard lock(mutex_);
    sessions_.pop_back();
    throw;
  }
  if (!s.greet(memory)) s.hang_up();
  changed_.notify_all();
}

void server::join_ended() {
  std::vector<session*> ended;
  {
    const std::lock_guard lock(mutex_);
    ended.swap(ended_);
  }
  for (session* s : ended) {
    s->join();
    const std::lock_guard lock(mutex_);
    std::erase_if(sessions_, [&](const std::unique_ptr<session>& one) { return one.get() == s; });
  }
  if (!ended.empty()) changed_.notify_all();
}

void server::end_all() {
  listener_ = sys::local_listener();
  {
    const std::lock_guard lock(mutex_);
    for (const auto& s : sessions_) s->hang_up();
  }
  while (sessions() != 0) {
    attention_.wait(1s);
    join_ended();
  }
}

}  // namespace ringbell::bench::old_design
