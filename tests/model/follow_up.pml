// SPDX-License-Identifier: BSL-1.0
//
// How an operation follows up on a handler (include/ringbell/asio/detail/follow_up.hpp): the frame
// puts operations into a place, and the frame or a queued turn takes them. README.md says what is
// modelled, and what each negative control takes away. All words are sequentially consistent, so
// each step is visible at once.

#ifndef OPERATIONS
#define OPERATIONS 3
#endif
#define NONE 0

byte place = NONE;    // operation_
bool queued = false;  // queued_
byte turns = 0;       // in the executor's queue
bool done[OPERATIONS + 1];
byte ended = 0;

inline call(o) {
  d_step {
    if
    :: o != NONE ->
      assert(!done[o]);
      done[o] = true;
      ended++
    :: else
    fi;
    o = NONE
  }
}

inline take(o) {
#ifdef TAKEN_TWICE
  o = place;
  place = NONE;
#else
  d_step { o = place; place = NONE; }
#endif
}

inline queue_turn() {
  d_step { was_queued = queued; queued = true; }
  if
  :: !was_queued -> turns++
  :: else
  fi
}

// A handler begins an operation, then returns, or waits until the operation has ended.
active proctype frame() {
  byte next, taken;
  bool was_queued;
  for (next : 1 .. OPERATIONS) {
#ifdef QUEUED_BEFORE_PUT
    queue_turn();
    d_step { assert(place == NONE); place = next; }
#else
    d_step { assert(place == NONE); place = next; }
    queue_turn();
#endif
    if
    :: true -> take(taken); call(taken)
    :: true -> done[next]
    fi;
    // What another thread has taken ends before the next handler of this chain begins.
    done[next]
  }
}

// The threads that run the executor.
active [2] proctype executor() {
  byte taken;
end:
  do
  :: d_step { turns > 0 -> turns--; }
#ifdef TAKEN_BEFORE_CLEARED
    take(taken);
    queued = false;
#else
    queued = false;
    take(taken);
#endif
    call(taken)
  od
}
