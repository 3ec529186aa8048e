// SPDX-License-Identifier: BSL-1.0
#include <ringbell/channel/detail/handshake_listener.hpp>

#include "channel/end_handshake.hpp"

#include <ringbell/channel/connect.hpp>
#include <ringbell/channel/detail/handshake.hpp>
#include <ringbell/coro/sleep.hpp>
#include <ringbell/sys/limit.hpp>
#include <ringbell/sys/service_path.hpp>

#include <algorithm>
#include <atomic>
#include <new>
#include <system_error>
#include <utility>

namespace ringbell {

namespace {

// How long to wait when accept fails, as it does without descriptors or memory. The connection
// stays in the backlog meanwhile.
constexpr std::chrono::milliseconds accept_again{50};

// Another thread closes the handles that clients have sent. This is how long to wait before looking
// again when it has too many of them to close.
constexpr std::chrono::milliseconds closed_by_then{10};

// A handshake takes some hundred microseconds. With this limit, many clients that connect at once
// do not delay the clients that are connected.
constexpr int accepted_per_turn = 8;

// A connection whose handshake is done at once takes no place. Each other connection takes one
// place, and one more for each handle that it has sent, which is the number of descriptors that it
// holds. There are at most descriptor_limit() / part_of_descriptors places, and the connections of
// one user may take 1 / part_of_user of them.
constexpr std::size_t part_of_descriptors = 4;
constexpr std::size_t part_of_user = 4;
constexpr std::size_t most_of_one = 1 + sys::received_handles::capacity;

bool is_out_of_descriptors(const std::error_code& error) noexcept {
  return error == std::errc::too_many_files_open ||
         error == std::errc::too_many_files_open_in_system;
}

// Whether so many handles wait to be closed that no client may be accepted. Closing needs some
// descriptors itself: looking into a socket takes some.
bool too_much_is_to_be_closed() noexcept {
  constexpr std::size_t part = 8;
  return sys::closing_elsewhere() >=
         std::min(sys::most_closing_elsewhere,
                  std::max<std::size_t>(1, sys::descriptor_limit() / part));
}

[[noreturn]] void fail_to_listen(std::string_view name, const listener_options& options,
                                 std::error_code error, const std::string& more = {}) {
  const bool passed = options.socket != sys::invalid_handle;
  throw sys::failure(error, "ringbell: listening on " +
                                (passed ? "the socket that was passed to this process"
                                        : sys::describe_service(name)) +
                                more);
}

sys::local_listener listen_under(std::string_view name, const listener_options& options) {
  const auto path = sys::service_path(name);
  if (!path) fail_to_listen(name, options, path.error());
  std::error_code error = sys::prepare_service_folder(name);
  if (error) fail_to_listen(name, options, error);
  sys::local_listener socket = sys::local_listener::bind(*path, options.for_all_users, error);
  if (error) fail_to_listen(name, options, error, sys::local_listener::obstacles(*path));
  return socket;
}

sys::local_listener listen_on(sys::handle passed, std::string_view name,
                              const listener_options& options) {
  std::string why_not;
  std::error_code error;
  sys::local_listener socket = sys::local_listener::adopt(std::move(passed), why_not, error);
  if (!why_not.empty())
    why_not = " (" + why_not + "; expected a Unix stream socket that listens on a path)";
  if (error) fail_to_listen(name, options, error, why_not);
  if (name.empty()) return socket;
  const auto path = sys::service_path(name);
  if (!path) fail_to_listen(name, options, path.error());
  if (*path != socket.path())
    fail_to_listen(name, options, errc::bad_name,
                   " (it is bound to " + socket.path() + ", and the name is for " + *path + ')');
  return socket;
}

void send_refusal(sys::local_socket& socket, const handshake::refused& no) noexcept {
  (void)socket.send(handshake::encode(no).bytes());  // a client that has gone need not be told
}

}  // namespace

namespace detail {

/// A connection of a client that may connect, and whose handshake has not ended.
class half_open final : public event_sink, public timer, public list_node<half_open> {
public:
  half_open(handshake_listener& owner, sys::local_socket socket, const sys::peer_identity& who,
            client_count of_user) noexcept
      : timer(&expired),
        owner_(owner),
        socket_(std::move(socket)),
        who_(who),
        of_user_(std::move(of_user)) {}
  ~half_open();
  bool start();

  const sys::user_id& user() const noexcept { return who_.user; }
  std::size_t places() const noexcept { return 1 + handles_.count; }

private:
  static void expired(timer& t) noexcept { delete static_cast<half_open*>(&t); }
  void on_event(std::uint32_t) noexcept override;
  bool read() noexcept;
  void greeted(const handshake::hello& hello) noexcept;
  std::error_code welcome(const handshake::hello& hello, const handshake::welcome& answer) noexcept;
  template <class F>
  auto with_reserve(F make, std::error_code& error) noexcept;
  void refuse(errc reason, std::uint64_t low = 0, std::uint64_t high = 0) noexcept;
  void refuse_for_lack(const std::error_code& of) noexcept;

  handshake_listener& owner_;
  sys::local_socket socket_;
  sys::peer_identity who_;
  client_count of_user_;
  handshake::frame_reader reader_{handshake::max_frame};  // a HELLO has this length
  sys::received_handles handles_;
  watch_key key_;
};

// -- accepting connections --

std::unique_ptr<handshake_listener> handshake_listener::bind(loop& lp, std::string_view name,
                                                             listener_options options,
                                                             handshake::record_kind kind) {
  sys::handle passed(options.socket);
  handshake::server_terms terms;
  terms.min_ring_bytes = options.min_ring_bytes;
  terms.max_ring_bytes = options.max_ring_bytes;
  terms.default_ring_bytes = options.default_ring_bytes;
  if (const std::error_code error = handshake::check(terms)) fail_to_listen(name, options, error);
  // With such options no client could get a ring, so it is better to fail here than for each
  // client.
  if (!sys::fits_file_limit(ring::control_bytes + options.default_ring_bytes))
    fail_to_listen(name, options, std::make_error_code(std::errc::file_too_large),
                   " with rings of " + std::to_string(options.default_ring_bytes) + " bytes");
  sys::local_listener socket =
      passed ? listen_on(std::move(passed), name, options) : listen_under(name, options);
  return std::unique_ptr<handshake_listener>(
      new handshake_listener(lp, std::move(socket), std::move(options), kind));
}

handshake_listener::handshake_listener(loop& lp, sys::local_listener socket,
                                       listener_options options, handshake::record_kind kind)
    : timer(&again),
      loop_(lp),
      socket_(std::move(socket)),
      options_(std::move(options)),
      kind_(kind),
      places_(
          std::max(std::min(options_.max_half_open, sys::descriptor_limit() / part_of_descriptors),
                   most_of_one)),
      clients_(std::make_shared<std::atomic<std::size_t>>(0)) {
  const std::error_code error =
      loop_access::watch(loop_, socket_.native(), event_read, watch_mode::edge, *this, key_);
  if (error) throw sys::failure(error, "ringbell: listening on " + socket_.path());
  reserve_.fill();
}

handshake_listener::~handshake_listener() {
  loop_access::unwatch(loop_, key_);
  closing_ = true;
  handshakes_.for_each([](half_open& unfinished) { delete &unfinished; });
  for (accepted_connection& not_taken : ready_) end_connection(std::move(not_taken.parts));
}

std::optional<accepted_connection> handshake_listener::take() noexcept {
  std::optional<accepted_connection> first;
  if (ready_.empty()) return first;
  first.emplace(std::move(ready_.front()));
  ready_.pop_front();
  // Not accept_all(): a handshake that ends at once calls on_ready, and its function may be the one
  // that is taking this client.
  if (more_) accept_soon();
  return first;
}

void handshake_listener::accepted(connection_parts parts, client_count of_user) noexcept {
  try {
    ready_.push_back({std::move(parts), client_slot(clients_, std::move(of_user))});
  } catch (const std::bad_alloc&) {
    return;  // too late for a refusal; the client sees a hang-up
  }
  if (on_ready_) on_ready_();
}

void handshake_listener::ended() noexcept {
  if (!closing_) accept_all();
}

void handshake_listener::accept_soon() noexcept { accept_at(loop::clock::now()); }

void handshake_listener::accept_at(loop::clock::time_point when) noexcept {
  try {
    loop_access::add_timer(loop_, *this, when);
  } catch (const std::bad_alloc&) {
    // The next client that connects, or the next handshake that ends, makes accepting go on.
  }
}

void handshake_listener::accept_all() noexcept {
  // A handshake that fails at its first step ends within begin(), and calls this function again.
  if (std::exchange(accepting_, true)) return;
  // While handles are still to be closed, the descriptors are left for looking at them.
  if (sys::closing_elsewhere() == 0) reserve_.fill();
  for (int left = accepted_per_turn; more_ && ready_.size() < options_.max_half_open; --left) {
    if (left == 0) {
      accept_soon();
      break;
    }
    if (too_much_is_to_be_closed()) {
      accept_at(loop::clock::now() + closed_by_then);
      break;
    }
    std::error_code error;
    sys::local_socket socket = socket_.accept(error);
    if (is_out_of_descriptors(error) && reserve_.give_one()) socket = socket_.accept(error);
    if (!error) {
      begin(std::move(socket));
      continue;
    }
    more_ = false;
    if (error != errc::would_block) accept_at(loop::clock::now() + accept_again);
  }
  accepting_ = false;
}

bool handshake_listener::allowed(const sys::peer_identity& who) noexcept {
  try {
    return !options_.authorize || options_.authorize(who);
  } catch (...) {
    return false;
  }
}

void handshake_listener::begin(sys::local_socket socket) noexcept {
  const auto who = socket.peer();
  if (!who) return;  // the client has gone already
  // A client that may not connect is told so at once, whatever it sends. It takes no place, and
  // nothing that it sent is received.
  if (!allowed(*who)) return send_refusal(socket, {errc::refused_unauthorized, 0, 0});
  try {
    auto connection =
        std::make_unique<half_open>(*this, std::move(socket), *who, users_.of(who->user));
    handshakes_.push_back(*connection);
    if (connection->start()) return;
    // From now on the object owns itself. It is deleted when its handshake ends, when its time is
    // up, or when others need its place.
    (void)connection.release();
    make_room_for(who->user);
  } catch (const std::bad_alloc&) {
    if (socket) send_refusal(socket, {errc::refused_no_resources, 0, 0});
  }
}

/// Closes connections until the limits are kept: the oldest connection of `user` while the user has
/// more than its share of the places, and the oldest of all while all together have too many.
void handshake_listener::make_room_for(const sys::user_id& user) noexcept {
  const std::size_t share = std::max(places_ / part_of_user, most_of_one);
  for (;;) {
    std::size_t all = 0;
    std::size_t of_user = 0;
    half_open* oldest_of_user = nullptr;
    handshakes_.for_each([&](half_open& one) {
      all += one.places();
      if (one.user() != user) return;
      of_user += one.places();
      if (!oldest_of_user) oldest_of_user = &one;
    });
    if (of_user > share)
      delete oldest_of_user;
    else if (all > places_)
      delete &handshakes_.front();
    else
      return;
  }
}

// Returns true when the handshake is over already. Most greetings have arrived by the time that
// their connection is accepted, and need not be waited for.
bool half_open::start() {
  if (read()) return true;
  try {
    loop_access::add_timer(owner_.owner(), *this, from_now(owner_.options_.handshake_timeout));
  } catch (const std::bad_alloc&) {
    return refuse_for_lack(std::make_error_code(std::errc::not_enough_memory)), true;
  }
  const std::error_code error = loop_access::watch(owner_.owner(), socket_.native(), event_read,
                                                   watch_mode::edge, *this, key_);
  if (error) refuse_for_lack(error);
  return static_cast<bool>(error);
}

half_open::~half_open() {
  loop_access::unwatch(owner_.owner(), key_);
  unlink();
  owner_.ended();
}

void half_open::on_event(std::uint32_t) noexcept {
  if (read()) {
    delete this;
    return;
  }
  // The client may have sent handles, which take places. This connection itself may be the one that
  // is closed.
  owner_.make_room_for(who_.user);
}

/// Reads what has arrived. Returns true when the handshake is over, whatever its outcome.
bool half_open::read() noexcept {
  for (;;) {
    const auto got = socket_.receive(reader_.want(), handles_);
    if (!got) {
      if (got.error() == errc::would_block) return false;
      if (is_out_of_descriptors(got.error()) && owner_.reserve_.give_one()) continue;
      refuse_for_lack(got.error());
      return true;
    }
    if (*got == 0) return true;
    const auto frame = reader_.received(*got);
    if (!frame && frame.error() == errc::would_block) continue;
    const auto* hello = frame ? std::get_if<handshake::hello>(&*frame) : nullptr;
    if (hello)
      greeted(*hello);
    else
      refuse(errc::refused_malformed);
    return true;
  }
}

void half_open::greeted(const handshake::hello& hello) noexcept {
  const listener_options& options = owner_.options_;
  if (owner_.clients() >= options.max_clients)
    return refuse(errc::refused_too_many, 0, options.max_clients);
  if (of_user_->load(std::memory_order_relaxed) >= options.max_clients_per_user)
    return refuse(errc::refused_too_many_of_user, 0, options.max_clients_per_user);

  handshake::server_terms terms;
  terms.min_ring_bytes = options.min_ring_bytes;
  terms.max_ring_bytes = options.max_ring_bytes;
  terms.default_ring_bytes = options.default_ring_bytes;
  terms.max_message = options.max_message;
  terms.can_wait_on = usable_bells(options.bells, owner_.owner());
  terms.can_ring = sys::system_bells();
  terms.kind = owner_.kind_;
  terms.same_user = sys::is_current_user(who_.user);
  const auto answer = handshake::answer(hello, terms);
  if (const auto* no = std::get_if<handshake::refused>(&answer))
    return refuse(no->reason, no->limit_low, no->limit_high);
  const std::error_code error = welcome(hello, std::get<handshake::welcome>(answer));
  // The handles are not what the client said.
  if (error == errc::bad_region || error == errc::bad_peer) return refuse(errc::refused_malformed);
  if (error) refuse_for_lack(error);
}

/// Makes something that takes a descriptor. If there is none, it uses one of the reserve.
template <class F>
auto half_open::with_reserve(F make, std::error_code& error) noexcept {
  auto made = make(error);
  if (is_out_of_descriptors(error) && owner_.reserve_.give_one()) made = make(error);
  return made;
}

std::error_code half_open::welcome(const handshake::hello& hello,
                                   const handshake::welcome& answer) noexcept {
  connection_parts parts;
  std::error_code error =
      end_handshake(handshake_side::server, hello, answer, socket_, handles_, parts);
  if (!error)
    parts.own = with_reserve(
        [&](std::error_code& e) { return create_ring_region(answer.ring_bytes, e); }, error);
  if (!error && answer.wakes_server == sys::bell_kind::eventfd)
    parts.own_bell =
        with_reserve([](std::error_code& e) { return sys::event_bell::create(e); }, error);
  if (error) return error;
  parts.who = who_;

  const sys::native_handle handles[] = {parts.own.shared_handle(), parts.own_bell.native()};
  const handshake::encoded_frame frame = handshake::encode(answer);
  const auto sent =
      socket_.send(frame.bytes(), std::span(handles).first(handshake::expected_handles(answer)));
  if (!sent) return sent.error();
  if (*sent != frame.size) return errc::peer_closed;
  parts.own.close_handle();
  loop_access::unwatch(owner_.owner(), key_);
  parts.control = std::move(socket_);
  owner_.accepted(std::move(parts), std::move(of_user_));
  return {};
}

void half_open::refuse(errc reason, std::uint64_t low, std::uint64_t high) noexcept {
  handshake::refused no;
  no.reason = reason;
  no.limit_low = low;
  no.limit_high = high;
  send_refusal(socket_, no);
}

/// Refuses the client when this process lacks descriptors or memory. Other errors are the client's
/// fault or a hang-up, and need no answer.
void half_open::refuse_for_lack(const std::error_code& of) noexcept {
  if (is_out_of_descriptors(of))
    refuse(errc::refused_no_resources, 0, sys::descriptor_limit());
  else if (of == std::errc::not_enough_memory || of == std::errc::no_space_on_device)
    refuse(errc::refused_no_resources);
}

}  // namespace detail

}  // namespace ringbell
