/* rng.c - xoshiro256** (Blackman and Vigna), seeded by splitmix64.
 *
 * Seed and stream are mixed one after the other, so that neighbouring rows of one seed, and one row under
 * neighbouring seeds, start in unrelated states. The sequences are part of what users see (`--seed`): do not
 * change them.
 */
#include "core/base/rng.h"

#include "core/base/clock.h"

#include <assert.h>
#include <sys/random.h>

static uint64_t splitmix(uint64_t *state) {
    uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

void rng_seed(rng_t *r, uint64_t seed, uint64_t stream) {
    uint64_t state = splitmix(&seed) ^ stream;
    state = splitmix(&state);
    for (int i = 0; i < 4; i++)
        r->s[i] = splitmix(&state);
}

static uint64_t rotate_left(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

uint64_t rng_next(rng_t *r) {
    uint64_t *s = r->s;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

double rng_real(rng_t *r) { return (double)(rng_next(r) >> 11) * 0x1p-53; }

int64_t rng_between(rng_t *r, int64_t lo, int64_t hi) {
    assert(lo <= hi);
    uint64_t span = (uint64_t)hi - (uint64_t)lo + 1; /* 0 stands for 2^64 */
    if (span == 0) return (int64_t)rng_next(r);
    uint64_t unfair = (0 - span) % span; /* 2^64 mod span: that many draws are thrown away */
    uint64_t draw;
    do
        draw = rng_next(r);
    while (draw < unfair);
    return (int64_t)((uint64_t)lo + draw % span);
}

uint64_t rng_entropy(void) {
    uint64_t bits;
    if (getrandom(&bits, sizeof bits, 0) == (ssize_t)sizeof bits) return bits;
    uint64_t state = clock_now_ns() ^ (uint64_t)(uintptr_t)&bits; /* only on kernels without getrandom */
    return splitmix(&state);
}
