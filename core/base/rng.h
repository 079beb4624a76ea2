/* rng.h - repeatable random numbers (xoshiro256**, seeded by splitmix64; Blackman & Vigna, public domain
 * algorithm). Same seed, same sequence, on every machine. Not for secrets. */
#ifndef SDG_BASE_RNG_H
#define SDG_BASE_RNG_H

#include <stdint.h>

typedef struct rng {
    uint64_t s[4];
} rng_t;

void rng_seed(rng_t *r, uint64_t seed,
              uint64_t stream); /* (seed, row index) gives each row its own sequence */
uint64_t rng_next(rng_t *r);
double rng_real(rng_t *r);                             /* [0, 1) */
int64_t rng_between(rng_t *r, int64_t lo, int64_t hi); /* lo..hi inclusive, unbiased; lo <= hi asserted */
uint64_t rng_entropy(void); /* 64 bits from the system, for unseeded runs and ids */

#endif
