// SPDX-License-Identifier: BSL-1.0
//
// The park protocol: two sides, one ring each way, one bell each. README.md says what is modelled,
// what is left out, and what each negative control (-DNO_..., -DCLOSE_..., ...) takes away.
//
// An atomic step makes at most one access whose time matters: a load of a word that the other side
// may be writing, a ring of a bell, a sleep, or the arrival of one buffered store. The stores of a
// side go into its buffer, and `memory_system` lets them arrive one by one, later, in any order but
// that of a release. So a step may load and then store, but a load that follows a store is a step
// of its own. Payload is read in the step that loads the tail: `unread` catches a side that
// overwrites it too early.

#ifndef RING
#define RING 2        // records that a ring holds: 1 or 2
#endif
#ifndef MESSAGES_A
#define MESSAGES_A 3  // sent by side 0
#endif
#ifndef MESSAGES_B
#define MESSAGES_B 0  // sent by side 1; with 0 its direction is closed from the start
#endif
#ifndef CANCELS
#define CANCELS 0     // waits that may be cancelled, over both sides
#endif
#ifndef BATCH
#define BATCH 1       // records that a receiver waits for before it wants to be woken
#endif

// Indices are free-running and unsigned. A record is two units long, so that "wake me at" can fall
// inside a record, and the run starts just short of the wrap.
#define UNIT 2
#define CAPACITY (RING * UNIT)
#define MASK 63
// In the tail word: the stream ends at this position. In the head word: nothing more is read.
#define CLOSED 64
#define START 60
#define plus(a, b) (((a) + (b)) & MASK)
#define minus(a, b) (((a) - (b)) & MASK)
#define position(word) ((word) & MASK)
#define slot_of(index) (SLOT + ((index) / UNIT) % RING)
#define message_at(index) (minus(index, START) / UNIT + 1)
#define end_of(count) plus(START, (count) * UNIT)

// The words of a region; only its owner stores to them.
#define TAIL 0
#define HEAD 1
#define DATA_WAKE_AT 2
#define SPACE_WAKE_AT 3
#define SLOT 4        // one word of payload per record
#define WORDS 6

byte memory[2 * WORDS];
byte buffer[2 * WORDS];
byte pending[2];      // bit w: the store to word w has not arrived yet

bool bell[2];         // sticky, as an eventfd's counter
bool hung_up[2];      // the peer's end of the control socket is closed
byte killed;          // 1 + the side that is to die at its next step, 0: none
byte cancels;

bool unread[2 * 2];   // ghost: this place holds a record that its reader has not finished with
#define my_record(index) (me * 2 + slot_of(index) - SLOT)
#define peers_record(index) ((1 - me) * 2 + slot_of(index) - SLOT)

#define own(word) (me * WORDS + (word))
#define peer(word) ((1 - me) * WORDS + (word))

inline store(word, value) {
  // Between two stores to one word there is always a fence, so a buffer with one place for each
  // word is exact.
  !(pending[me] & (1 << (word)));
  buffer[own(word)] = value;
  pending[me] = pending[me] | (1 << (word))
}

#define drained(s) (pending[s] == 0)

// Rings the other side's bell. The system call orders what came before it, because the kernel takes
// and gives up a lock.
inline ring() { atomic { drained(me) -> bell[1 - me] = true } }

#define passed(wake_at, old, new) (minus(minus(new, wake_at), 1) < minus(new, old))
#ifdef ROOM_MISCOUNTED
#define room(peer_head) (minus(tail, position(peer_head)) <= CAPACITY)
#else
#define room(peer_head) (minus(tail, position(peer_head)) + UNIT <= CAPACITY)
#endif
#define must_tell_tail (told_tail != tail)
#define must_tell_head (told_head != head)

// The index at which a sender without room wants to be woken: once the head has passed it, a record
// fits.
#ifdef WAKE_INDEX_LATE
#define space_wake_index minus(plus(tail, UNIT), CAPACITY)
#else
#define space_wake_index minus(plus(tail, UNIT), CAPACITY + 1)
#endif

// Which operations the program has outstanding. Normally both are: one thread waits for data or
// space, whichever comes first.
// ECHO: side 1 receives, then sends what it got, then receives; side 0 sends everything before it
// receives. Each waits for one thing at a time, and owes the other nothing but a published head.
#ifdef ECHO
#define wants_recv (!rx_done && (tx_done || (me == 1 && tail == head)))
#define wants_send (!tx_done && (me == 0 || tail != head || rx_done))
#else
#define wants_recv (!rx_done)
#define wants_send (!tx_done)
#endif

// After a fence: finds out whether what was published since the last look has passed the index at
// which the peer wants to be woken.
inline look(told, index, wake_word) {
  if
  :: atomic {
       told != index && passed(memory[peer(wake_word)], told, index) -> told = index; due = true
     }
  :: atomic { else -> told = index }
  fi
}

inline ring_if_due() {
  if
  :: due -> ring(); due = false
  :: else
  fi
}

inline publish_tail() {
  store(TAIL, tail);
#ifndef NO_F2
  drained(me);                                     // F2, against F1
#endif
  look(told_tail, tail, DATA_WAKE_AT);
  ring_if_due()
}

inline publish_head() {
  store(HEAD, head);
#ifndef NO_F4
  drained(me);                                     // F4, against F3
#endif
  look(told_head, head, SPACE_WAKE_AT);
  ring_if_due()
}

// The head is in the same cache line as the tail, so a message publishes both with one fence.
inline publish_both() {
  atomic { store(HEAD, head); store(TAIL, tail) };
#if !defined(NO_F2) || !defined(NO_F4)
  drained(me);
#endif
  look(told_tail, tail, DATA_WAKE_AT);
  look(told_head, head, SPACE_WAKE_AT);
  ring_if_due()
}

inline send() {
  if
  :: atomic { gone || (memory[peer(HEAD)] & CLOSED) -> tx_done = true; tx_idle = true }
  :: !gone && tail == end_of(count) ->
     atomic {
       if
       :: must_tell_head -> store(HEAD, head)
       :: else
       fi;
       store(TAIL, tail | CLOSED);
       tx_done = true;
       tx_idle = true
     };
#if !defined(NO_F2) || !defined(NO_F4)
     drained(me);
#endif
     look(told_tail, tail, DATA_WAKE_AT);
     look(told_head, head, SPACE_WAKE_AT);
#ifndef CLOSE_WITHOUT_BELL
     due = true;                                   // closing moves no index: no wake index asks
#endif
     ring_if_due()
  :: atomic {
       !gone && tail != end_of(count) && room(memory[peer(HEAD)]) ->
       assert(!unread[my_record(tail)]);
       unread[my_record(tail)] = true;
       store(slot_of(tail), message_at(tail));
       tail = plus(tail, UNIT)
     };
     if
     :: publish_tail()
     :: must_tell_head -> publish_both()
#ifdef HOLD_TAIL
     :: skip                                       // a batch: several records, published at once
#endif
     fi
  :: atomic { else -> tx_idle = true }
  fi
}

// The peer died: what it had published must have been received.
inline end_by_death() {
  assert(end_of(got) == position(memory[peer(TAIL)]));
  rx_done = true
}

inline receive() {
  if
  :: atomic {
       position(memory[peer(TAIL)]) != head ->
       assert(memory[peer(slot_of(head))] == got + 1);
       got++;
       unread[peers_record(head)] = false;
       head = plus(head, UNIT)
     };
     if
     :: publish_head()
     :: skip                                       // lazily: hold it back
     fi
  :: atomic {
       memory[peer(TAIL)] == (head | CLOSED) ->
       assert(got == peer_count);
       rx_done = true; rx_idle = true
     }
  :: atomic {
       memory[peer(TAIL)] == head ->
       if
       :: gone -> end_by_death()
       :: else
       fi;
       rx_idle = true
     }
#ifdef STOP_RECEIVING
  :: atomic { store(HEAD, head | CLOSED); told_head = head; rx_done = true; rx_idle = true };
#ifndef STOP_WITHOUT_BELL
     ring()
#endif
#endif
  fi
}

inline sleep_until_hint() {
  if
#if defined(BELL_DRAINED_LATE) || defined(BELL_NOT_DRAINED)
  :: bell[me] -> skip
#else
  :: atomic { bell[me] -> bell[me] = false }       // drained before the look that follows
#endif
#ifndef DEATH_WITHOUT_WAKE
  :: atomic {
       hung_up[me] && !gone ->
       gone = true;
#ifdef HANGUP_WITHOUT_LOOK
       end_by_death()                              // trusts the look from before it slept
#endif
     }
#endif
  :: atomic {
       cancels > 0 ->                              // the wake index stays behind, stale
       cancels--;
#ifdef CANCEL_CONSUMES
       if
       :: wants_recv && position(memory[peer(TAIL)]) != head ->
          unread[peers_record(head)] = false; head = plus(head, UNIT)
       :: else
       fi
#endif
     }
  fi
}

#ifdef HEAD_TOLD_ONLY_FOR_DATA
#define must_tell_head_in_park (must_tell_head && wants_recv)
#else
#define must_tell_head_in_park must_tell_head
#endif

// The four words leave together, and one fence orders them all before the four loads.
inline park() {
  atomic {
#ifndef TAIL_HELD_IN_PARK
    if
    :: must_tell_tail -> store(TAIL, tail)
    :: else
    fi;
#endif
#ifndef HEAD_HELD_IN_PARK
    if
    :: must_tell_head_in_park -> store(HEAD, head)
    :: else
    fi;
#endif
    if
    :: wants_recv -> store(DATA_WAKE_AT, plus(head, (BATCH - 1) * UNIT))
    :: else
    fi;
    if
    :: wants_send -> store(SPACE_WAKE_AT, space_wake_index)
    :: else
    fi
  };

  if
#ifndef NO_F1
  :: wants_recv -> drained(me)
#endif
#ifndef NO_F2
  :: must_tell_tail -> drained(me)
#endif
#ifndef NO_F3
  :: wants_send -> drained(me)
#endif
#ifndef NO_F4
  :: must_tell_head_in_park -> drained(me)
#endif
  :: else
  fi;

#ifndef TAIL_HELD_IN_PARK
  look(told_tail, tail, DATA_WAKE_AT);
#endif
#ifndef HEAD_HELD_IN_PARK
  if
  :: must_tell_head_in_park -> look(told_head, head, SPACE_WAKE_AT)
  :: else
  fi;
#endif
  ring_if_due();

  if
#ifndef NO_RECHECK_DATA
  :: wants_recv && (minus(position(memory[peer(TAIL)]), head) >= BATCH * UNIT ||
                    (memory[peer(TAIL)] & CLOSED)) -> skip
#endif
  :: else ->
     if
#ifndef NO_RECHECK_SPACE
     :: wants_send && (room(memory[peer(HEAD)]) || (memory[peer(HEAD)] & CLOSED)) -> skip
#endif
     :: else ->
#ifdef BELL_DRAINED_LATE
        bell[me] = false;
#endif
        sleep_until_hint()
     fi
  fi;
  atomic { tx_idle = !wants_send; rx_idle = !wants_recv }
}

proctype side(bit me; byte count; byte peer_count) {
  byte tail = START;
  byte head = START;
  byte got;                                        // ghost: messages given to the program
  byte told_tail = START;                          // the tail that `look` saw last
  byte told_head = START;                          // the head that `look` saw last
  bool due;                                        // the peer's bell
  bool tx_done = (count == 0);
  bool rx_done;
  bool tx_idle = (count == 0);                     // found nothing to do since the last wake-up
  bool rx_idle;
  bool gone;                                       // has learned that the peer hung up

  {
    do
    :: tx_done && rx_done -> break
    :: !tx_idle && wants_send -> send()
    :: !rx_idle && wants_recv -> receive()
    :: !(tx_done && rx_done) && (tx_idle || !wants_send) && (rx_idle || !wants_recv) -> park()
    od
  } unless {
    killed == 1 + me
  };

  // Buffered stores of a dead process still arrive. A process that closed in good order may also
  // live on, with its socket open.
  if
  :: atomic { drained(me) -> hung_up[1 - me] = true }
  :: killed != 1 + me -> skip
  fi;
}

inline arrive(side_, word, ordered) {
  d_step {
    (pending[side_] & (1 << (word))) && (ordered) ->
    memory[side_ * WORDS + (word)] = buffer[side_ * WORDS + (word)];
    buffer[side_ * WORDS + (word)] = 0;
    pending[side_] = pending[side_] - (1 << (word))
  }
}

#ifdef NO_RELEASE
#define AFTER_PAYLOAD(side_) true
#else
#define AFTER_PAYLOAD(side_) !(pending[side_] & ((1 << SLOT) | (1 << (SLOT + 1))))
#endif

active proctype memory_system() {
end:
  do
  :: arrive(0, TAIL, AFTER_PAYLOAD(0))             // the release store
  :: arrive(0, HEAD, true)
  :: arrive(0, DATA_WAKE_AT, true)
  :: arrive(0, SPACE_WAKE_AT, true)
  :: arrive(0, SLOT, true)
  :: arrive(0, SLOT + 1, true)
  :: arrive(1, TAIL, AFTER_PAYLOAD(1))
  :: arrive(1, HEAD, true)
  :: arrive(1, DATA_WAKE_AT, true)
  :: arrive(1, SPACE_WAKE_AT, true)
  :: arrive(1, SLOT, true)
  :: arrive(1, SLOT + 1, true)
  od
}

#ifdef DEATH
// At most one side dies, because with both gone no side is left for which the model holds anything.
active proctype killer() {
  if
  :: killed = 1
  :: killed = 2
  :: skip
  fi
}
#endif

init {
  atomic {
    byte i;
    for (i : 0 .. 1) {
      memory[i * WORDS + TAIL] = START;
      memory[i * WORDS + HEAD] = START;
      memory[i * WORDS + DATA_WAKE_AT] = minus(START, 1);   // never
      memory[i * WORDS + SPACE_WAKE_AT] = minus(START, 1)
    }
    i = 0;
    if
    :: MESSAGES_B == 0 -> memory[WORDS + TAIL] = START | CLOSED
    :: else
    fi;
    // How many waits are cancelled is chosen here, so that a cancellation that is left over cannot
    // wake a side that should never have slept.
    do
    :: cancels < CANCELS -> cancels++
    :: break
    od;
    run side(0, MESSAGES_A, MESSAGES_B);
    run side(1, MESSAGES_B, MESSAGES_A)
  }
}
