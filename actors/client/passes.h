/* passes.h - the passes of a run. Pure: it knows which pass runs and which rows have finished it.
 *
 * A run is one pass over its rows. With --batch-mode it is several: all rows through the first block that
 * calls somebody, then all through the next such block, and so on; each pass but the last stops rows before a
 * block. A row that has stopped is put into the context store by its worker and reported as parked; the rows
 * of the next pass are those parked in this one. The last pass stops nowhere: its results are written, in
 * input order. Rows that are finished early (an end block, a failure, an input line that is no row) wait in
 * the store like the others, so nothing here grows with the dataset.
 *
 * Each pass is a job of its own: the same pipeline, told before which block rows stop
 * (row_options_t.stop_before). A job id per pass also keeps the passes apart: whatever a worker says late of
 * the pass before is of a job that is not known any more.
 *
 * Stopped in the middle, a run writes nothing that it had not written before; the calls it has paid for are
 * in the call journal.
 */
#ifndef SDG_ACTORS_CLIENT_PASSES_H
#define SDG_ACTORS_CLIENT_PASSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/rangeset.h"

typedef struct passes passes_t;

/* stops: numbers of the blocks before which rows stop, ascending, one for each pass but the last; copied.
 * Count 0: one pass. */
passes_t *passes_new(const uint32_t *stops, size_t stop_count);
void passes_destroy(passes_t **p);

uint64_t passes_count(const passes_t *p);
uint64_t passes_number(const passes_t *p); /* of the pass that runs, from 1 */
bool passes_is_last(const passes_t *p);
uint32_t passes_stop(const passes_t *p); /* the block before which rows of this pass stop; 0: nowhere */

/* The row has finished this pass and is in the store (it is parked). False: that was known, or this is the
 * last pass. */
bool passes_take(passes_t *p, uint64_t row);
bool passes_has(const passes_t *p, uint64_t row); /* it has finished this pass by being parked */
uint64_t passes_parked(const passes_t *p);        /* rows that have finished this pass */

/* The next pass begins, which there must be. Returns its rows; they are the caller's. */
rangeset_t *passes_next(passes_t *p);

#endif
