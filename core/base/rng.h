/* rng.h - repeatable random numbers: the same seed gives the same sequence on every machine. Not for secrets.
 * The algorithm is xoshiro256** (Blackman and Vigna, public domain), seeded by splitmix64. */
#ifndef SDG_BASE_RNG_H
#define SDG_BASE_RNG_H

#include <stdint.h>

typedef struct rng {
    uint64_t s[4];
} rng_t;

/* Each pair of seed and stream has its own sequence: a row takes its index as the stream. */
void rng_seed(rng_t *r, uint64_t seed, uint64_t stream);
uint64_t rng_next(rng_t *r);
double rng_real(rng_t *r);                             /* [0, 1) */
int64_t rng_between(rng_t *r, int64_t lo, int64_t hi); /* lo..hi inclusive, unbiased; lo <= hi asserted */
uint64_t rng_entropy(void); /* 64 bits from the system, for unseeded runs and ids */

#endif
