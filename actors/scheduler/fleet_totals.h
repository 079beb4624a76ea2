/* fleet_totals.h - what all workers of a scheduler have done since it started: their absolute totals added
 * up, also of workers that have left.
 *
 * A worker says its totals since its own start, so a lost message is healed by the next and a reconnect
 * counts nothing twice. At most WORKERS_MAX workers are remembered; beyond that the one that was silent for
 * the longest time is forgotten; when it comes back, all it has done since its own start is counted again. */
#ifndef SDG_ACTORS_SCHEDULER_FLEET_TOTALS_H
#define SDG_ACTORS_SCHEDULER_FLEET_TOTALS_H

#include "proto/parts/tally.h"

typedef struct fleet_totals fleet_totals_t;

fleet_totals_t *fleet_totals_new(void);
void fleet_totals_destroy(fleet_totals_t **totals);
/* Takes STATS of the worker with this instance. */
void fleet_totals_take(fleet_totals_t *f, uint64_t instance, const MSG_STATS *stats, uint64_t now);
const tally_t *fleet_totals_sum_peek(const fleet_totals_t *f);

#endif
