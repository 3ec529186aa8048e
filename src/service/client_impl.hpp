// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/channel.hpp>
#include <ringbell/coro/scope.hpp>
#include <ringbell/coro/task.hpp>
#include <ringbell/service/client_options.hpp>
#include <ringbell/service/detail/client_call.hpp>
#include <ringbell/service/detail/outbox.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ringbell::detail {

/// The calls of a connection by their number. A number consists of a slot and of how often the slot
/// was used. The server ends each call that has reached it with one reply. Until that has come, the
/// number is not used again, even if nothing waits for the reply any more, so a late reply is not
/// taken for that of another call.
class client_calls {
public:
  std::uint32_t add(client_call& call);
  void remove(std::uint32_t number) noexcept;
  /// Removes a call that the server has not ended: the number stays in use until `answered`.
  void abandon(std::uint32_t number) noexcept;
  /// The server has ended an abandoned call.
  void answered(std::uint32_t number) noexcept;
  /// Returns null when there is no such call (any more).
  client_call* find(std::uint32_t number) const noexcept;
  std::size_t size() const noexcept { return size_; }
  template <class F>
  void for_each(F f) const {
    for (std::size_t i = 0; i < slots_.size(); ++i)
      if (slots_[i].call) f(*slots_[i].call);
  }

private:
  // 1,048,576 calls at a time; a number comes again after 4,096 uses of its slot.
  static constexpr unsigned slot_bits = 20;
  static constexpr std::uint32_t slot_mask = (1U << slot_bits) - 1;
  struct slot {
    client_call* call = nullptr;
    bool abandoned = false;
    std::uint32_t uses = 0;
  };
  std::vector<slot> slots_;
  std::vector<std::uint32_t> free_;
  std::size_t size_ = 0;
};

/// One connection of a client, and the calls on it.
class client_connection {
public:
  client_connection(client_impl& of, channel through);

  /// Removes a call. `owed` says that the server has still to end it.
  void forget(client_call& call, bool owed) noexcept;
  /// Handles a message. Any result but `errc{}` ends the connection.
  errc take(message m);
  void fail_all(std::error_code why) noexcept;
  /// The server has said goodbye: closes once the last call has ended.
  void close_when_done() noexcept;

  client_impl& impl;
  channel ch;
  outbox out;
  client_calls calls;

private:
  bool leaving_ = false;
};

/// What all copies of a `client` share: the connection, and what to do when it has ended. It is
/// deleted with the last reference. When an observer drops that within one of the client's own
/// tasks, it is deleted on the loop's next turn.
///
///   state        a call                                     goes on to
///   connected    is sent                                    lost, when the connection ends or the server says goodbye
///   connecting   waits                                      connected; lost
///   lost         fails with why_, or begins to connect      connecting (reconnect_policy::with_backoff, after the pause)
///   closed       fails with errc::closed
///
/// After a goodbye the old connection goes on until its last call has ended. Later calls use the
/// next connection.
class client_impl final : private resident {
public:
  client_impl(loop& lp, std::string name, const client_options& options);
  client_impl(const client_impl&) = delete;
  client_impl& operator=(const client_impl&) = delete;
  ~client_impl();

  /// Connects, the first time or again.
  /// Errors: throws what `connect` throws.
  task<void> connect();
  /// Returns the connection on which a call is to be sent. Null when the call has to wait for one
  /// (it then begins again by itself), and null with an `error` when there will be none.
  /// Errors: throws `std::bad_alloc`.
  client_connection* connection_for(client_call& call, std::error_code& error);
  /// The server of `which` takes no further calls.
  void said_goodbye(client_connection& which, errc why);
  void close() noexcept;

  loop& owner() const noexcept { return loop_; }
  byte_budget& kept() noexcept { return kept_; }
  const std::string& name() const noexcept { return name_; }
  const client_options& options() const noexcept { return options_; }
  bool closed() const noexcept { return closed_; }
  bool connected() const noexcept { return current_ != nullptr; }
  std::size_t calls() const noexcept;
  sys::peer_identity peer() const noexcept;
  std::size_t max_message() const noexcept;
  channel_statistics statistics() const noexcept;

  void add_reference() noexcept { ++references_; }
  void release_reference() noexcept {
    if (--references_ != 0) return;
    if (!in_own_task_) {
      delete this;
    } else {
      reaper_->due = true;
      loop_.spawn(std::move(reaping_));
    }
  }

private:
  void loop_gone() noexcept override;
  /// Exists while one of the client's own tasks calls what may call an observer. The object is not
  /// deleted meanwhile, even without a reference.
  class own_task {
  public:
    explicit own_task(client_impl& impl) noexcept : impl_(impl) { impl.in_own_task_ = true; }
    own_task(const own_task&) = delete;
    own_task& operator=(const own_task&) = delete;
    ~own_task() { impl_.in_own_task_ = false; }

  private:
    client_impl& impl_;
  };
  /// Deletes the object on the loop's next turn, or with the loop. It is made beforehand, because
  /// dropping a reference must not fail.
  struct reaper {
    explicit reaper(client_impl* impl) noexcept : of(impl) {}
    reaper(const reaper&) = delete;
    reaper& operator=(const reaper&) = delete;
    ~reaper() {
      if (due) delete of;
    }
    client_impl* of;
    bool due = false;
  };
  static task<void> reap(std::unique_ptr<reaper>) { co_return; }
  void use(channel ch);
  task<void> reconnect();
  task<void> receive(client_connection& from);
  std::error_code take(client_connection& from, result<std::optional<message>>& m) noexcept;
  void lost(client_connection& which, std::error_code why) noexcept;
  void begin_waiting(std::error_code failed) noexcept;

  loop& loop_;
  std::string name_;
  client_options options_;
  std::size_t references_ = 0;
  bool in_own_task_ = false;
  reaper* reaper_ = nullptr;
  task<void> reaping_;
  std::error_code why_;  // why there is no connection
  byte_budget kept_;     // what the service has sent and no coroutine has taken
  bool closed_ = false;
  bool connecting_ = false;
  std::chrono::nanoseconds pause_;
  loop::clock::time_point not_before_{};
  list<pending_frame> waiting_;  // calls that wait for a connection
  std::unique_ptr<client_connection> current_;
  // Connections whose servers have said goodbye, and that still have calls.
  std::vector<std::unique_ptr<client_connection>> leaving_;
  scope tasks_;
};

}  // namespace ringbell::detail
