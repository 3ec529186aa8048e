// SPDX-License-Identifier: BSL-1.0
//
// The express slot beside a data ring: one stream from a sender to a receiver. README.md says what
// is modelled, what is left out, and what each negative control (-DNO_..., -DEXPRESS_...) takes
// away. Parking is the matter of park.pml: here both sides poll, that is, they block until there is
// something to do.
//
// Stores go into a buffer, and `memory_system` lets them arrive one by one, later, in any order but
// that of a release.

#ifndef RING
#define RING 2        // records that the data ring holds
#endif
#ifndef MESSAGES
#define MESSAGES 5
#endif

#define NONE 255      // ~0, a position that no stream reaches
// A record is one unit long, and the stream begins at 0, as a real one does.
#define message_at(index) ((index) + 1)

#define TAIL 0
#define EXPRESS_POSITION 1
#define EXPRESS 2     // payload of the slot
#define SLOT 3        // payload of the ring: one word per record
#define WORDS (SLOT + RING)
#define slot_of(index) (SLOT + (index) % RING)
#define STORES_BEFORE_TAIL (((1 << WORDS) - 1) & ~(1 << TAIL))

// The sender's region, and its stores on the way to it.
byte memory[WORDS];
byte buffer[WORDS];
byte pending;         // bit w: the store to word w has not arrived yet

// The receiver's only word that matters here.
byte head;
byte head_buffer;
bool head_pending;

bool unread[WORDS];   // ghost: this word's payload is of a message that is still being read

inline store(word, value) {
  !(pending & (1 << (word)));
  buffer[word] = value;
  pending = pending | (1 << (word))
}

// Payload may be overwritten from the moment of the store on: it may arrive at once.
inline store_payload(word) {
  assert(!unread[word]);
  unread[word] = true;
  store(word, message_at(tail))
}

#ifdef HEAD_NOT_CHECKED
#define peer_has_consumed_all true
#else
#define peer_has_consumed_all (peer_head == tail)
#endif

proctype sender() {
  byte tail;
  byte published;
  byte peer_head;     // the last head that was loaded
#ifdef EXPRESS_POSITION_LATE
  bool in_slot;
#endif

  do
  :: atomic { published == MESSAGES -> break }
  :: atomic { peer_head != head -> peer_head = head }
  :: atomic {         // a small record
       tail < MESSAGES && peer_has_consumed_all ->
       store_payload(EXPRESS);
#ifdef EXPRESS_POSITION_LATE
       in_slot = true;
#else
       store(EXPRESS_POSITION, tail);
#endif
       tail++
     }
  :: atomic {         // a large one, or a small one that found the slot taken
       tail < MESSAGES && tail - peer_head < RING ->
       store_payload(slot_of(tail));
       tail++
     }
  :: atomic { published != tail -> store(TAIL, tail) };   // one record, or a batch
#ifdef EXPRESS_POSITION_LATE
     if
     :: atomic { in_slot -> store(EXPRESS_POSITION, published); in_slot = false }
     :: else
     fi;
#endif
     published = tail
  od
}

proctype receiver() {
  byte at;            // the position of the next record
  byte told;          // the head that was published
  byte word;

  do
  :: atomic { at == MESSAGES -> break }
  :: memory[TAIL] != at ->
     atomic {
       if
       :: memory[EXPRESS_POSITION] == at ->
          // So a reader that holds its head back need not look at the slot.
          assert(told == at);
          word = EXPRESS
       :: else -> word = slot_of(at)
       fi
     };
     assert(memory[word] == message_at(at));
#ifdef HEAD_BEFORE_READ
     atomic { !head_pending -> head_buffer = at + 1; head_pending = true; told = at + 1 };
#endif
     // The program holds a lease: it may look as often as it likes, and finds the same bytes.
     atomic {
       assert(memory[word] == message_at(at));
       unread[word] = false;
       at++;
       word = 0
     };
  :: atomic {                                      // sooner or later
       told != at && !head_pending -> head_buffer = at; head_pending = true; told = at
     }
  od
}

inline arrive(word, ordered) {
  d_step {
    (pending & (1 << (word))) && (ordered) ->
    memory[word] = buffer[word];
    buffer[word] = 0;
    pending = pending - (1 << (word))
  }
}

#ifdef NO_RELEASE
#define AFTER_STORES true
#else
#define AFTER_STORES !(pending & STORES_BEFORE_TAIL)
#endif

active proctype memory_system() {
end:
  do
  :: arrive(TAIL, AFTER_STORES)
  :: arrive(EXPRESS_POSITION, true)
  :: arrive(EXPRESS, true)
  :: arrive(SLOT, true)
#if RING > 1
  :: arrive(SLOT + 1, true)
#endif
  :: d_step { head_pending -> head = head_buffer; head_buffer = 0; head_pending = false }
  od
}

init {
  atomic {
#ifndef EXPRESS_POSITION_FROM_ZERO
    memory[EXPRESS_POSITION] = NONE;
#endif
    run sender();
    run receiver()
  }
}
