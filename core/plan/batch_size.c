/* batch_size.c - see batch_size.h. */
#include "core/plan/batch_size.h"

enum {
    FAILED_PERCENT_MAX = 5, /* more failed requests than this are too many */
    ROOM_PERCENT = 70,      /* a latency below this share of the target leaves room to grow */
    STEP_DOWN_FAILED = 2,   /* rows fewer after failures */
    STEP = 1,               /* rows fewer or more for the latency */
};

void batch_size_init(batch_size_t *b, uint64_t min, uint64_t max, uint64_t target_ms) {
    *b = (batch_size_t){.max = max ? max : 1, .target_us = target_ms * 1000};
    b->min = min == 0 ? 1 : min < b->max ? min : b->max;
    b->current = b->max;
}

static void fewer(batch_size_t *b, uint64_t step) {
    b->current = b->current - b->min > step ? b->current - step : b->min;
}

static void decide(batch_size_t *b) {
    uint64_t answered = b->requests - b->failures, mean_us = answered ? b->latency_us / answered : 0;
    if (b->failures * 100 > b->requests * FAILED_PERCENT_MAX)
        fewer(b, STEP_DOWN_FAILED);
    else if (mean_us > b->target_us)
        fewer(b, STEP);
    else if (mean_us * 100 < b->target_us * ROOM_PERCENT && b->current < b->max)
        b->current += STEP;
}

void batch_size_add(batch_size_t *b, uint64_t requests, uint64_t failures, uint64_t latency_us) {
    b->requests += requests;
    b->failures += failures < requests ? failures : requests;
    b->latency_us += latency_us;
    if (b->requests < b->current) return;
    decide(b);
    b->requests = b->failures = b->latency_us = 0;
}
