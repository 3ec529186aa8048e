# SPDX-License-Identifier: BSL-1.0
@0xd5b2f4a1c3e69708;

interface Calculator {
  add @0 (left :Int64, right :Int64) -> (value :Int64);

  # Calls the client's function for each of the values in turn, with its last result (at first 0)
  # and the value.
  fold @1 (values :List(Int64), function :Function) -> (value :Int64);

  interface Function {
    call @0 (left :Int64, right :Int64) -> (value :Int64);
  }
}
