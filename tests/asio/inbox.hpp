// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio.hpp>

#include <string>
#include <utility>

// docs/asio.md prints this class as a program has it that uses the standalone Asio;
// tests/asio/recipes_in_docs compares.
namespace ringbell::test::in_docs {

#ifdef RINGBELL_BOOST_ASIO
namespace asio {
using namespace boost::asio;
using boost::system::error_code;
}  // namespace asio
#endif

#if RINGBELL_ASIO_VERSION >= 102800

class inbox {
public:
  explicit inbox(ringbell::asio_channel from) : channel_(std::move(from)) {}

  /// Waits for the next line. Completion signature: `void(error_code, string)`.
  template <class Token>
  auto async_next(Token&& token) {
    return asio::async_initiate<Token, void(asio::error_code, std::string)>(begin{this}, token);
  }

private:
  using handler = asio::any_completion_handler<void(asio::error_code, std::string)>;

  struct begin {  // an initiation: cancel_after(1s, token) asks it for the executor of its timer
    inbox* self;
    using executor_type = asio::any_io_executor;
    executor_type get_executor() const noexcept { return self->channel_.get_executor(); }
    void operator()(handler done) const { self->begin_next(std::move(done)); }
  };
  void begin_next(handler done);  // compiled once, in a source file, for all tokens

  ringbell::asio_channel channel_;
};

inline void inbox::begin_next(handler done) {
  channel_.async_recv(asio::deferred([](asio::error_code error, ringbell::message m) {
    return asio::deferred.values(error, std::string(m.text()));
  }))(std::move(done));
}

#endif

}  // namespace ringbell::test::in_docs
