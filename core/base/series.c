/* series.c - a ring of points. The newest point is open: values that fall into its step are merged into it.
 * `merged` counts them per column, so that a mean stays a mean. */
#include "core/base/series.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/error.h"

struct series {
    size_t columns, points_max;
    size_t first, count; /* of the ring */
    uint64_t step_ns;
    series_full_t full;
    series_merge_t *merge; /* columns */
    uint64_t *at_ns;       /* points_max: when each began */
    double *values;        /* points_max x columns */
    uint32_t *merged;      /* columns: values in the open point */
};

series_t *series_new(const series_merge_t *merge, size_t columns, size_t points_max, uint64_t step_ns,
                     series_full_t full) {
    series_t *s = xcalloc(1, sizeof *s);
    assert(columns > 0 && points_max >= 2 && points_max % 2 == 0 && step_ns > 0);
    *s = (series_t){.columns = columns, .points_max = points_max, .step_ns = step_ns, .full = full};
    s->merge = xcalloc(columns, sizeof *s->merge);
    s->at_ns = xcalloc(points_max, sizeof *s->at_ns);
    s->values = xcalloc(points_max * columns, sizeof *s->values);
    s->merged = xcalloc(columns, sizeof *s->merged);
    memcpy(s->merge, merge, columns * sizeof *merge);
    return s;
}

void series_destroy(series_t **series) {
    series_t *s = *series;
    if (!s) return;
    free(s->merge);
    free(s->at_ns);
    free(s->values);
    free(s->merged);
    free(s);
    *series = NULL;
}

static size_t place(const series_t *s, size_t i) { return (s->first + i) % s->points_max; }
static double *values_at(const series_t *s, size_t i) { return s->values + place(s, i) * s->columns; }

/* `into` merged with one more value; it is made of `weight` values so far. */
static double merge_two(series_merge_t how, double into, uint32_t weight, double value) {
    if (isnan(value)) return into;
    if (isnan(into)) return value;
    return how == SERIES_MAX ? fmax(into, value) : into + (value - into) / (weight + 1.0);
}

/* Merges each pair of neighbours. Only a growing series is halved, and such a series never slides: first is
 * 0. */
static void halve(series_t *s) {
    assert(s->first == 0 && s->count == s->points_max);
    for (size_t i = 0; i < s->count / 2; i++) {
        const double *a = values_at(s, 2 * i), *b = values_at(s, 2 * i + 1);
        double *to = values_at(s, i);
        for (size_t c = 0; c < s->columns; c++) {
            to[c] = merge_two(s->merge[c], a[c], 1, b[c]);
        }
        s->at_ns[i] = s->at_ns[2 * i];
    }
    s->count /= 2;
    s->step_ns *= 2;
}

static void open_point(series_t *s, uint64_t now) {
    if (s->count == s->points_max && s->full == SERIES_GROWS) halve(s);
    if (s->count == s->points_max)
        s->first = (s->first + 1) % s->points_max;
    else
        s->count++;
    s->at_ns[place(s, s->count - 1)] = now;
    double *values = values_at(s, s->count - 1);
    for (size_t c = 0; c < s->columns; c++) {
        values[c] = NAN;
        s->merged[c] = 0;
    }
}

void series_add(series_t *s, uint64_t now_ns, const double *values) {
    if (s->count == 0 || now_ns - s->at_ns[place(s, s->count - 1)] >= s->step_ns) open_point(s, now_ns);
    double *to = values_at(s, s->count - 1);
    for (size_t c = 0; c < s->columns; c++) {
        to[c] = merge_two(s->merge[c], to[c], s->merged[c], values[c]);
        if (!isnan(values[c])) s->merged[c]++;
    }
}

size_t series_count(const series_t *s) { return s->count; }
uint64_t series_step_ns(const series_t *s) { return s->step_ns; }

const double *series_point_peek(const series_t *s, size_t i, uint64_t *at_ns) {
    assert(i < s->count);
    *at_ns = s->at_ns[place(s, i)];
    return values_at(s, i);
}
