/* sim.h - the frame of a simulation: which seeds it runs, and that a failed assert says in which seed.
 *
 *     sim_seeds_t seeds = SIM_SEEDS;
 *     for (int at = 1; at < argc;) {
 *         if (!sim_seeds_read(&seeds, argc, argv, &at)) return usage();
 *     }
 *     sim_begin(NULL);
 *     for (uint64_t seed = seeds.first; seed < seeds.first + seeds.count; seed++) {
 *         sim_set_seed(seed);
 *         ...
 *     }
 */
#ifndef SDG_TESTS_SIM_SIM_H
#define SDG_TESTS_SIM_SIM_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/rng.h"

typedef struct sim_seeds {
    uint64_t first, count;
    bool verbose; /* each step is a line */
} sim_seeds_t;
#define SIM_SEEDS ((sim_seeds_t){.first = 1, .count = 10000})

/* Takes --seeds N, --seed S (this one alone) or -v from the command line and moves *at behind it. False:
 * argv[*at] is none of these. */
bool sim_seeds_read(sim_seeds_t *seeds, int argc, char **argv, int *at);

/* Lines appear when they are printed. A failed assert says the seed and then calls `clean` (may be NULL). */
void sim_begin(void (*clean)(void));
void sim_set_seed(uint64_t seed); /* the one that runs from now on */

void sim_print(const char *fmt, va_list args); /* one line */
/* A line of what happens at this step. */
void sim_trace(uint64_t step, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The seed that runs has failed at this step: sets *failed, and says why unless it is set already. */
void sim_fail(bool *failed, uint64_t step, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
bool sim_chance(rng_t *rng, double p);

#endif
