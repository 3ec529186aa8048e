// SPDX-License-Identifier: BSL-1.0
//
// What a hostile peer can do with the memory that it owns, before and between any two calls of this
// side.
//
// Input: byte 0 chooses the rings' sizes and the longest message; the rest is a stream of
// operations with their arguments: calls of this side's endpoint, and changes of the peer's control
// page and ring, plausible ones (a record appended, a head moved on) as well as any. Aborts when a
// property does not hold. The peer's memory and this side's are blocks of their exact size, for the
// sanitizers.
#include <ringbell/ring/endpoint.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

namespace {

using namespace ringbell;

void require(bool holds, const char* property) {
  if (holds) return;
  std::fprintf(stderr, "property violated: %s\n", property);
  std::abort();
}

class input {
public:
  input(const std::uint8_t* data, std::size_t size) : rest_(data, size) {}
  bool empty() const { return rest_.empty(); }
  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const std::uint8_t first = rest_.front();
    rest_ = rest_.subspan(1);
    return first;
  }
  std::uint64_t number(unsigned bytes) {
    std::uint64_t n = 0;
    while (bytes-- > 0) n = n << 8 | byte();
    return n;
  }

private:
  std::span<const std::uint8_t> rest_;
};

constexpr std::byte untouched{0xa5};

// One region; `page` and `words` are separate blocks.
struct region {
  explicit region(std::uint64_t ring_bytes)
      : bytes(ring_bytes), words(new std::uint64_t[ring_bytes / 8]) {
    std::memset(words.get(), static_cast<int>(untouched), bytes);
  }
  std::uint64_t bytes;
  std::unique_ptr<ring::control_page> page = std::make_unique<ring::control_page>();
  std::unique_ptr<std::uint64_t[]> words;
  std::byte* data() { return reinterpret_cast<std::byte*>(words.get()); }
};

class world {
public:
  explicit world(std::uint8_t choice)
      : own_((choice & 1) != 0 ? 8192 : 4096),
        peer_((choice & 2) != 0 ? 65536 : 4096),
        max_receive_(std::size_t{1} << (4 + (choice >> 2) % 16)),
        ring_(memory(), max_receive_, max_send) {}

  void run(input& in) {
    while (!in.empty()) {
      step(in);
      check();
    }
    while (!leases_.empty()) release(0);
    ring_.close_send();
    ring_.close_receive();
    check();
  }

private:
  struct lease {
    ring::position begin;
    const std::byte* data;
    std::size_t size;
  };
  static constexpr std::size_t max_send = 20000;

  ring::endpoint_memory memory() {
    ring::endpoint_memory m;
    m.own = own_.page.get();
    m.own_data = own_.data();
    m.own_ring_bytes = own_.bytes;
    m.peer = peer_.page.get();
    m.peer_data = peer_.data();
    m.peer_ring_bytes = peer_.bytes;
    return m;
  }

  void step(input& in) {
    const std::uint8_t op = in.byte();
    switch (op % 26) {
      // What the peer does, as an honest one would ...
      case 0:
      case 1:
      case 2: append(in, 0); break;
      case 3: append(in, ring::record_header::more); break;
      case 4: append(in, ring::record_header::abandon); break;
      case 5: append_pad(); break;
      case 6: append_express(in); break;
      case 7: peer_.page->tx_tail.store(peer_tail_); break;
      case 8: peer_.page->rx_head.store(own_.page->tx_tail.load() & ring::position_mask); break;
      case 9: peer_.page->data_wake_at.store(own_.page->tx_tail.load()); break;
      // ... or as it likes.
      case 10: peer_.page->tx_tail.store(lie(in, peer_tail_)); break;
      case 11: peer_.page->rx_head.store(lie(in, own_.page->tx_tail.load())); break;
      case 12: peer_.page->express_position.store(lie(in, ring_.read_position())); break;
      case 13: {
        const std::uint64_t header = lie(in, 0);
        std::memcpy(peer_.page->express.data(), &header, sizeof header);
        break;
      }
      case 14: peer_.words[in.number(2) % (peer_.bytes / 8)] = lie(in, 0); break;
      case 15:
        peer_.page->data_wake_at.store(lie(in, own_.page->tx_tail.load()));
        peer_.page->space_wake_at.store(lie(in, own_.page->rx_head.load()));
        break;
      // What this side does.
      case 16:
      case 17: receive(in.byte() % 2 == 0 ? max_receive_ : in.number(2)); break;
      case 18:
        if (!leases_.empty()) release(in.byte() % leases_.size());
        break;
      case 19: look(); break;
      case 20: claim(in); break;
      case 21: send(in); break;
      case 22: send_long(in); break;
      case 23: park(in); break;
      case 24:
        if ((op & 1) != 0) ring_.publish();
        ring_.hold((op & 2) != 0);
        (void)ring_.take_due();
        break;
      case 25: end(in); break;
    }
  }

  std::uint64_t lie(input& in, std::uint64_t truth) {
    switch (in.byte() % 5) {
      case 0: return truth + 8 * in.byte();
      case 1: return truth - 8 * in.byte();
      case 2: return truth ^ std::uint64_t{1} << (in.byte() & 63);
      case 3: return in.number(2);
      default: return in.number(8);
    }
  }

  void put_header(std::uint64_t length, std::uint64_t flags) {
    peer_.words[peer_tail_ % peer_.bytes / 8] = flags << 32 | length;
    peer_tail_ += ring::record_bytes(length);
  }
  void append(input& in, std::uint32_t flags) {
    const std::uint64_t length =
        (flags & ring::record_header::abandon) != 0 ? 0 : in.number(1 + in.byte() % 2) % 2041;
    const std::uint64_t to_end = peer_.bytes - peer_tail_ % peer_.bytes;
    if (ring::record_bytes(length) > to_end)
      put_header(to_end - ring::header_bytes, ring::record_header::pad);
    if (length >= 8) peer_.words[(peer_tail_ + 8) % peer_.bytes / 8] = in.number(3);
    put_header(length, flags);
    peer_.page->tx_tail.store(peer_tail_);
  }
  void append_pad() {
    put_header(peer_.bytes - peer_tail_ % peer_.bytes - ring::header_bytes,
               ring::record_header::pad);
  }
  void append_express(input& in) {
    const std::uint64_t length = in.byte() % (ring::max_express + 1);
    const std::uint64_t flags =
        in.byte() & (ring::record_header::more | ring::record_header::abandon);
    const std::uint64_t word = flags << 32 | length;
    std::memcpy(peer_.page->express.data(), &word, sizeof word);
    peer_.page->express_position.store(peer_tail_);
    peer_tail_ += ring::record_bytes(length);
    peer_.page->tx_tail.store(peer_tail_);
  }

  void receive(std::size_t longest) {
    ring::message_view m;
    const errc e = ring_.receive(m, longest);
    require(!broken_ || e == errc::bad_peer, "a broken channel stays broken for a receiver");
    require(!aborted_ || e == errc::closed, "an aborted channel receives no more");
    if (e != errc{}) {
      require(e == errc::would_block || e == errc::end_of_stream || e == errc::closed ||
                  e == errc::peer_closed || e == errc::bad_peer || e == errc::message_too_large,
              "receive fails in the ways that it names");
      return;
    }
    require(m.size <= max_receive_ && m.size <= longest,
            "no message is longer than was agreed, or than wanted");
    touch(m.data, m.size);
    if (!m.joined) leases_.push_back({m.begin, m.data, m.size});
  }
  // Reads every byte, for the sanitizer's sake.
  void touch(const std::byte* from, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) sum_ = sum_ + static_cast<unsigned>(from[i]);
  }
  void release(std::size_t which) {
    touch(leases_[which].data, leases_[which].size);
    leases_.erase(leases_.begin() + static_cast<std::ptrdiff_t>(which));
    ring_.release(leases_.empty() ? ring_.read_position() : leases_.front().begin);
  }
  void look() {
    const ring::position before = ring_.read_position();
    const bool ready = ring_.can_receive();
    require(ring_.read_position() - before <= (std::size_t{1} << 20) + 2 * peer_.bytes,
            "a look is bounded");
    if (ring_.interrupted()) return;
    require(ring_.can_receive() == ready, "two looks agree");
  }

  void check_send(errc e) {
    require(!broken_ || e == errc::bad_peer || e == errc::message_too_large,
            "a broken channel stays broken for a sender");
    require(!aborted_ || e != errc{}, "an aborted channel sends no more");
    require(e == errc{} || e == errc::would_block || e == errc::busy || e == errc::closed ||
                e == errc::peer_closed || e == errc::bad_peer || e == errc::message_too_large,
            "sends fail in the ways that they name");
  }
  void claim(input& in) {
    std::byte* to = nullptr;
    const std::size_t size = in.number(2) % 2100;
    const errc e = ring_.claim(size, to);
    check_send(e);
    if (e != errc{}) return;
    require(inside(to, size), "a claim lies in this side's ring or express slot");
    if (size != 0) std::memset(to, 0x5a, size);
    if (in.byte() % 4 == 0)
      ring_.abandon();
    else
      ring_.commit(size - size / 3 * (in.byte() % 2));
  }
  bool inside(const std::byte* to, std::size_t size) {
    const auto within = [&](const std::byte* first, std::size_t n) {
      return to >= first && to + size <= first + n;
    };
    return within(own_.data(), own_.bytes) ||
           within(own_.page->express.data(), own_.page->express.size());
  }
  void send(input& in) {
    const std::size_t n = in.number(2);
    const std::span<const std::byte> piece{bytes_.data(), n % 2100};
    if (n / 2100 % 4 != 3) return check_send(ring_.try_send({&piece, 1}, piece.size()));
    std::size_t sent = 0;
    const errc e = ring_.send_some({&piece, 1}, piece.size(), sent);
    if (piece.empty())
      return require(e == errc{} && sent == 0, "no bytes of a stream need nothing");
    check_send(e);
    require(e == errc{} ? sent > 0 && sent <= piece.size() : sent == 0,
            "a stream sends some of the bytes, or fails");
  }
  // Goes on with the message begun, or begins one; sometimes gives it up.
  void send_long(input& in) {
    if (long_size_ != 0 && in.byte() % 4 == 0) {
      ring_.abandon_fragments();
      long_size_ = 0;
      return;
    }
    if (long_size_ == 0) {
      long_size_ = 1 + in.number(2) % bytes_.size();
      long_sent_ = 0;
    }
    const std::span<const std::byte> piece{bytes_.data(), long_size_};
    const errc e = ring_.send_fragments({&piece, 1}, long_size_, long_sent_);
    check_send(e);
    require(long_sent_ <= long_size_, "no more is sent than there is");
    if (e == errc{} || (e == errc::message_too_large && long_sent_ == 0)) long_size_ = 0;
  }
  void park(input& in) {
    const std::uint8_t how = in.byte();
    const std::size_t size = in.number(2) % 2041;
    ring_.announce((how & 1) != 0, (how & 2) != 0, size);
    detail::park_fence();
    ring_.after_fence();
    look();
    (void)ring_.can_send(size);
    require(!ring_.release_pending() ||
                (own_.page->rx_head.load() & ring::position_mask) <= ring_.read_position(),
            "the head never runs ahead");
  }
  void end(input& in) {
    switch (in.byte() % 8) {
      case 0: ring_.close_send(); break;
      case 1: ring_.close_receive(); break;
      case 2: ring_.peer_gone(); break;
      case 3: peer_.page->tx_tail.store(peer_tail_ | ring::closed_bit); break;
      case 4: peer_.page->rx_head.fetch_or(ring::closed_bit); break;
      case 5:
        ended_ = own_.page->tx_tail.load() & ring::closed_bit;
        ring_.abort();
        aborted_ = ring_.failure() == errc::closed;
        break;
      default: break;
    }
  }

  void check() {
    if (ring_.failure() == errc::bad_peer) broken_ = true;
    require(!broken_ || ring_.failure() == errc::bad_peer, "a broken channel stays broken");
    require(!aborted_ || (own_.page->tx_tail.load() & ring::closed_bit) == ended_,
            "an aborted channel does not end in order");
    const ring::position tail = own_.page->tx_tail.load() & ring::position_mask;
    const ring::position head = own_.page->rx_head.load() & ring::position_mask;
    require(tail >= tail_seen_ && head >= head_seen_, "what this side publishes only grows");
    require(tail - ring_.known_head() <= own_.bytes,
            "this side never writes over what the peer has not released");
    require(head <= (leases_.empty() ? ring_.read_position() : leases_.front().begin),
            "the head does not pass a lease");
    require(own_.page->magic == ring::region_magic && own_.page->ring_bytes == 0,
            "the constant part of this side's page stays");
    require((ring_.take_due() & ~(ring::wake_receiver | ring::wake_sender)) == 0,
            "only two can be woken");
    check_sent_records();
    tail_seen_ = tail;
    head_seen_ = head;
    std::memcpy(sent_.data(), own_.data(), own_.bytes);
    slot_ = own_.page->express;
    slot_position_ = own_.page->express_position.load();
  }
  // Records that were published by the last step and that the peer has not released are still what
  // they were.
  void check_sent_records() {
    ring::position p = ring_.known_head();
    while (p < tail_seen_) {
      const std::uint64_t offset = p % own_.bytes;
      const std::uint64_t part = std::min(tail_seen_ - p, own_.bytes - offset);
      require(std::memcmp(own_.data() + offset, sent_.data() + offset, part) == 0,
              "records stay until the peer has released them");
      p += part;
    }
    if (slot_position_ >= ring_.known_head() && slot_position_ < tail_seen_)
      require(slot_ == own_.page->express && slot_position_ == own_.page->express_position.load(),
              "the record in the express slot stays until the peer has released it");
  }

  region own_;
  region peer_;
  std::size_t max_receive_;
  ring::endpoint ring_;
  std::vector<lease> leases_;
  std::vector<std::byte> bytes_ = std::vector<std::byte>(max_send + 100);
  std::vector<std::byte> sent_ = std::vector<std::byte>(own_.bytes);
  decltype(ring::control_page::express) slot_{};
  ring::position slot_position_ = ring::never;
  ring::position peer_tail_ = 0;
  ring::position tail_seen_ = 0;
  ring::position head_seen_ = 0;
  std::size_t long_size_ = 0;
  std::size_t long_sent_ = 0;
  volatile unsigned sum_ = 0;
  bool broken_ = false;
  bool aborted_ = false;
  ring::position ended_ = 0;  // the mark of the end, when it was aborted
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  world w(data[0]);
  input in(data + 1, size - 1);
  w.run(in);
  return 0;
}
