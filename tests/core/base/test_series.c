/* Time series: sliding, growing, merging. */
#include "core/base/series.h"

#include <criterion/criterion.h>
#include <math.h>

static const series_merge_t MEAN_MAX[] = {SERIES_MEAN, SERIES_MAX};

Test(series, keeps_points_in_order) {
    series_t *s = series_new(MEAN_MAX, 2, 4, 10, SERIES_SLIDES);
    uint64_t at;
    cr_assert_eq(series_count(s), 0);
    series_add(s, 100, (double[]){1, 2});
    series_add(s, 110, (double[]){3, 4});
    cr_assert_eq(series_count(s), 2);
    cr_assert_eq(series_point_peek(s, 1, &at)[0], 3);
    cr_assert_eq(at, 110);
    series_destroy(&s);
    cr_assert_null(s);
}

Test(series, values_of_one_step_are_merged_as_their_column_says) {
    series_t *s = series_new(MEAN_MAX, 2, 4, 10, SERIES_SLIDES);
    uint64_t at;
    series_add(s, 0, (double[]){1, 5});
    series_add(s, 3, (double[]){NAN, 2});
    series_add(s, 5, (double[]){2, NAN});
    series_add(s, 9, (double[]){6, 3});
    cr_assert_eq(series_count(s), 1);
    cr_assert_float_eq(series_point_peek(s, 0, &at)[0], 3, 1e-9);
    cr_assert_eq(series_point_peek(s, 0, &at)[1], 5);
    series_destroy(&s);
}

Test(series, a_sliding_one_forgets_the_oldest) {
    series_t *s = series_new(MEAN_MAX, 2, 4, 1, SERIES_SLIDES);
    uint64_t at;
    for (uint64_t i = 0; i < 11; i++) {
        series_add(s, i, (double[]){(double)i, 0});
    }
    cr_assert_eq(series_count(s), 4);
    for (size_t i = 0; i < 4; i++) {
        cr_assert_eq(series_point_peek(s, i, &at)[0], 7 + (double)i);
        cr_assert_eq(at, 7 + i);
    }
    series_destroy(&s);
}

Test(series, a_growing_one_spans_the_whole_run_with_equal_steps) {
    series_t *s = series_new(MEAN_MAX, 2, 8, 1, SERIES_GROWS);
    uint64_t at;
    for (uint64_t i = 0; i < 1000; i++) {
        series_add(s, i, (double[]){(double)i, (double)i});
        cr_assert_leq(series_count(s), 8);
    }
    uint64_t step = series_step_ns(s);
    cr_assert_eq(step, 128);
    for (size_t i = 0; i + 1 < series_count(s); i++) {
        const double *v = series_point_peek(s, i, &at);
        cr_assert_eq(at, i * step);
        cr_assert_float_eq(v[0], (double)(i * step) + (double)(step - 1) / 2, 1e-6, "the mean of its step");
        cr_assert_eq(v[1], (double)(i * step + step - 1), "the maximum of its step");
    }
    series_destroy(&s);
}

Test(series, what_is_not_known_stays_so) {
    series_t *s = series_new(MEAN_MAX, 2, 2, 1, SERIES_GROWS);
    uint64_t at;
    for (uint64_t i = 0; i < 5; i++) {
        series_add(s, i, (double[]){NAN, i == 1 ? 4 : NAN});
    }
    cr_assert(isnan(series_point_peek(s, 0, &at)[0]));
    cr_assert_eq(series_point_peek(s, 0, &at)[1], 4);
    series_destroy(&s);
}
