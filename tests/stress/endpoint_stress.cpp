// SPDX-License-Identifier: BSL-1.0
//
// Two threads exchange millions of messages through small rings and park after random spins; every
// byte is checked, and a wake-up that was lost ends the program with a message and the seed.
//
//   endpoint_stress [MESSAGES [ROUNDS [SEED]]]
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "support/endpoint_traffic.hpp"

int main(int argc, char** argv) {
  if (!traffic::can_sleep()) {
    std::puts("skipped: no futexes here");
    return 77;
  }
  const auto number = [&](int i, std::uint64_t otherwise) {
    return argc > i ? std::strtoull(argv[i], nullptr, 10) : otherwise;
  };
  const std::uint64_t messages = number(1, 2'500'000);
  const std::uint64_t rounds = number(2, 1);
  std::uint64_t seed = number(3, std::random_device{}());

  constexpr std::uint64_t sizes[][2] = {{4096, 4096}, {4096, 65536}, {65536, 65536}};
  for (std::uint64_t round = 0; round < rounds; ++round) {
    for (const auto& [a_ring, b_ring] : sizes) {
      seed += 2;
      const traffic::outcome both = traffic::exchange({messages, a_ring, b_ring, seed});
      std::printf("rings %llu and %llu, seed %llu: %llu messages, %llu sleeps, %llu bells\n",
                  static_cast<unsigned long long>(a_ring), static_cast<unsigned long long>(b_ring),
                  static_cast<unsigned long long>(seed),
                  static_cast<unsigned long long>(both.received),
                  static_cast<unsigned long long>(both.sleeps),
                  static_cast<unsigned long long>(both.bells));
      if (both.received != 2 * messages) return 1;
    }
  }
}
