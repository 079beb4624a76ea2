/* series.h - time series of bounded size: rows of numbers with a time, for charts. Pure; one allocation,
 * whatever the length of the run.
 *
 * Two ways to stay bounded. A sliding series forgets its oldest point. A growing one always spans the whole
 * run: when it is full, neighbours are merged two by two and the step doubles, so that it holds between
 * points_max / 2 and points_max points of equal step.
 *
 * Values added within one step make one point: their mean or their maximum, as the column says. NAN stands
 * for a value that is not known; both skip it.
 */
#ifndef SDG_BASE_SERIES_H
#define SDG_BASE_SERIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct series series_t;
typedef enum series_merge { SERIES_MEAN, SERIES_MAX } series_merge_t;
typedef enum series_full { SERIES_SLIDES, SERIES_GROWS } series_full_t;

/* merge: one per column, copied. points_max: even, at least 2. */
series_t *series_new(const series_merge_t *merge, size_t columns, size_t points_max, uint64_t step_ns,
                     series_full_t full);
void series_destroy(series_t **series);

/* Times never go back. */
void series_add(series_t *s, uint64_t now_ns, const double *values);

size_t series_count(const series_t *s);
uint64_t series_step_ns(const series_t *s);
/* The values of point i and when it began; point 0 is the oldest. Borrowed until the next series_add. */
const double *series_point_peek(const series_t *s, size_t i, uint64_t *at_ns);

#endif
