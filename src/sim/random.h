// random.h - the simulator's only source of chance: splitmix64. A stream for each thing
// that decides (a page, the server, the network of a page), all from the one seed, so that
// leaving out a step of a run changes little of the rest.
//
// Knows nobody.
#ifndef TM_SIM_RANDOM_H
#define TM_SIM_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct tm_sim_random {
    uint64_t state;
} tm_sim_random;

static inline uint64_t tm_sim_mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline uint64_t tm_sim_next(tm_sim_random *random) {
    return tm_sim_mix(random->state += 0x9e3779b97f4a7c15u);
}

// tm_sim_stream - a stream of its own for the thing `name` of a run.
static inline tm_sim_random tm_sim_stream(uint64_t seed, uint64_t name) {
    return (tm_sim_random){
        tm_sim_mix(seed ^ tm_sim_mix(name + 0x5851f42d4c957f2du))};
}

// tm_sim_below - 0 .. n-1; n at least 1.
static inline uint64_t tm_sim_below(tm_sim_random *random, uint64_t n) {
    return tm_sim_next(random) % n;
}

// tm_sim_chance - true `ppm` times in a million. Draws nothing when it cannot be true.
static inline bool tm_sim_chance(tm_sim_random *random, uint32_t ppm) {
    return ppm != 0 && tm_sim_below(random, 1000000) < ppm;
}

// tm_sim_tail - mostly small, rarely up to `max`: each next power of two half as often.
static inline uint64_t tm_sim_tail(tm_sim_random *random, uint64_t small,
                                   uint64_t max) {
    uint64_t bound = small;
    while (bound < max && (tm_sim_next(random) & 1) != 0) {
        bound *= 2;
    }
    if (bound > max) bound = max;
    return tm_sim_below(random, bound + 1);
}

static inline void tm_sim_fill(tm_sim_random *random, uint8_t *bytes, size_t len) {
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)(tm_sim_next(random) >> 32);
    }
}

#endif
