// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

/// The constants that were chosen by measurement, in one place: how long to spin, how often to
/// look, and how much may run before other work has its turn. docs/performance.md has the
/// measurements.
///
///     what                          unit             too small                      too large
///     completions_per_resume        completions      the turns cost                 others wait
///     turns_per_clock_read          turns            clock reads cost               timers are late
///     completions_per_clock_read    completions      clock reads cost               a flood hides what else comes
///     longest_blindness             time             looks at everything cost       the same
///     resumes_per_look              coroutines       the same                       thousands of coroutines hide the rest
///     looks_worth_a_park            looks at a ring  parks cost both sides 10 us    looks in vain cost as much
///     few_sources                   rings            parks for nothing              looks at silent rings
///     many_sources                  rings            the same                       the same
///     turns_per_run_ready           turns            a foreign loop calls often     a foreign loop's others wait
///     spins_per_cpu_look            spins            a system call costs            a change of affinity is seen late
///     rounds_per_clock_read         looks            clock reads cost               the kernel's events are late
///     rounds_before_pause           looks            a pause delays a message       the other hyperthread is slowed
///     spin_slice                    time             the executor's turns cost      the executor's others wait
///     lone_spin_slice               time             the same                       the same
///     few_objects                   objects          the same                       other channels wait
///     longest_spin                  time             a park follows too early       a bad measurement makes spins long
///     most_in_favour                waits            history is short               a change is learned late
///     first_interval                waits            tries in vain cost             fast traffic is found late
///     last_interval                 waits            the same                       the same
///     short_wait_counts             waits            the same                       the same
///     wake_ups_of_both_sides        wake-ups         short waits look long          long waits look short
///     first_waits                   waits            short connections are polled   new channels learn late
namespace ringbell::detail::tuning {

// -- what runs before other work has its turn --

/// How often a coroutine may go on without suspending. An immediate completion takes tens of
/// nanoseconds, and a turn about as much. So the turn costs less than one percent, and other work
/// waits for some microseconds at most.
inline constexpr int completions_per_resume = 128;
/// How many turns `run_ready` and `drive` may keep a foreign loop waiting.
inline constexpr int turns_per_run_ready = 64;
/// How long a coroutine may spin on a thread that other work uses as well, before that has its
/// turn. An exchange between two active peers takes some 0.3 us, so most waits end within one
/// slice.
inline constexpr std::chrono::microseconds spin_slice{2};
/// The same on a context of Asio's that has no more than `few_objects` of ringbell's: channels,
/// listeners, loops. To ask for another slice takes nearly as long as a slice there, and a peer
/// needs some microseconds for a reply of a protocol such as HTTP.
inline constexpr std::chrono::microseconds lone_spin_slice{6};
inline constexpr unsigned few_objects = 2;

// -- when a busy loop looks at clock, rings and kernel --

/// A busy loop reads the clock (20 to 50 ns) only once in so many turns. So a timer is late by a
/// few turns at most, which is microseconds.
inline constexpr std::uint64_t turns_per_clock_read = 16;
/// A turn in which so many operations completed immediately may have taken long; an example is a
/// client that floods its server. So it is worth reading the clock, and looking at everything when
/// `longest_blindness` has passed since the last look.
inline constexpr int completions_per_clock_read = 16;
inline constexpr std::chrono::microseconds longest_blindness{5};
/// With thousands of coroutines a single turn takes milliseconds. After so many resumptions, in one
/// turn or several, the loop looks at the clock, the rings and the kernel, whatever that costs: it
/// is little for each resumption.
inline constexpr unsigned resumes_per_look = 256;

// -- which rings a busy loop polls --

/// A look at a ring that finds nothing takes some 10 ns. To park the ring and to be woken by its
/// bell takes some 10 us for both sides. So a ring is parked when it was silent for as many looks
/// as a park is worth: that is never worse than twice the best choice known afterwards.
inline constexpr unsigned looks_worth_a_park = 1000;
/// So few rings are polled without parking any: parking would not pay.
inline constexpr std::size_t few_sources = 64;
/// When there are more rings than this, those that were silent for the longest time are parked at
/// once, because the others would have to wait for the looks at them.
inline constexpr std::size_t many_sources = 1024;

// -- spinning --

/// So many looks at the rings (1 to 10 ns each) come before each look at the clock and the kernel's
/// events. A reply that is on its way arrives within the first of these periods, so an exchange
/// between two active peers never reads the clock.
inline constexpr unsigned rounds_per_clock_read = 64;
/// PAUSE takes 40 to 140 cycles on current x86, as long as a cache line takes to arrive. So there
/// is no pause until the wait is a long one anyway.
inline constexpr unsigned rounds_before_pause = 2000;
/// An upper limit of a spin: a park that was measured while the machine was busy must not make
/// every spin long.
inline constexpr std::chrono::nanoseconds longest_spin = std::chrono::microseconds(200);
/// How many spins come before each look at the affinity mask. It seldom changes, and reading it is
/// a system call.
inline constexpr unsigned spins_per_cpu_look = 100'000;

// -- what a history learns --

/// The largest balance in favour of polling. So a change of the traffic is learned within some ten
/// waits.
inline constexpr std::uint8_t most_in_favour = 8;
/// The number of waits between two tries while the balance is against polling: at first, and at
/// most.
inline constexpr std::uint16_t first_interval = 16;
inline constexpr std::uint16_t last_interval = 1024;
/// How many waits a short one counts for on the way to the next try. So when traffic becomes fast,
/// polling starts after 32 waits at the latest. Where polling never pays although waits are short,
/// one wait in 32 is polled for.
inline constexpr std::uint16_t short_wait_counts = 32;
/// A wait that slept includes the time that it took to wake both sides. So a quick exchange between
/// two sleeping sides looks as slow as two parks and a little more.
inline constexpr int wake_ups_of_both_sides = 3;
/// So many first waits of a new source use the history that all new sources share. Otherwise a
/// server with short connections would poll in vain for each of them.
inline constexpr std::uint8_t first_waits = 8;

}  // namespace ringbell::detail::tuning
