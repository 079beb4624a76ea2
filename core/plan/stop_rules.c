/* stop_rules.c - see stop_rules.h. */
#include "core/plan/stop_rules.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/grow.h"
#include "core/base/words.h"
#include "core/plan/limits.h"

bool stop_for_failures(const stop_limits_t *limits, uint64_t ok, uint64_t failed, err_t *why) {
    uint64_t finished = ok + failed;
    if (limits->failures > 0 && failed >= limits->failures) {
        err_set(why, SDG_ELIMIT, "%llu rows have failed (--max-failures %llu)", (unsigned long long)failed,
                (unsigned long long)limits->failures);
        return true;
    }
    if (limits->failure_rate < 0 || finished < FAILURE_RATE_ROWS ||
        (double)failed <= limits->failure_rate * (double)finished)
        return false;
    err_set(why, SDG_ELIMIT, "%llu of %llu rows have failed (--max-failure-rate %g)",
            (unsigned long long)failed, (unsigned long long)finished, limits->failure_rate);
    return true;
}

typedef struct closed_time {
    uint64_t endpoint, answered;
    uint64_t since_ns; /* first seen to be closed after the last good answer; 0: not closed since */
} closed_time_t;

struct closed_times {
    closed_time_t *items; /* owned */
    size_t count, cap;
};

closed_times_t *closed_times_new(void) { return xcalloc(1, sizeof(closed_times_t)); }

void closed_times_destroy(closed_times_t **times) {
    if (!*times) return;
    free((*times)->items);
    free(*times);
    *times = NULL;
}

static closed_time_t *time_of(closed_times_t *times, uint64_t endpoint) {
    for (size_t i = 0; i < times->count; i++) {
        if (times->items[i].endpoint == endpoint) return &times->items[i];
    }
    GROW(times->items, times->cap, times->count + 1);
    times->items[times->count] = (closed_time_t){.endpoint = endpoint};
    return &times->items[times->count++];
}

/* For how long it has been closed. One that opens to try again, and answers nobody, counts on. */
static uint64_t closed_ms(closed_time_t *t, const endpoint_report_t *r, uint64_t now) {
    if (r->answered != t->answered) t->since_ns = 0;
    t->answered = r->answered;
    if (r->state != ENDPOINT_CLOSED) return 0;
    if (t->since_ns == 0) t->since_ns = now;
    return (now - t->since_ns) / MILLISECOND;
}

/* "14:32:10", with the day when it is not today's. */
static void time_of_day(char *out, size_t size, int64_t unix_ms, int64_t today_ms) {
    time_t then = (time_t)(unix_ms / 1000), today = (time_t)(today_ms / 1000);
    struct tm at, now;
    localtime_r(&then, &at);
    localtime_r(&today, &now);
    bool same_day = at.tm_yday == now.tm_yday && at.tm_year == now.tm_year;
    strftime(out, size, same_day ? "%H:%M:%S" : "%Y-%m-%d %H:%M:%S", &at);
}

static void say_why(const endpoint_report_t *r, uint64_t closed, uint64_t limit, int64_t unix_ms,
                    err_t *why) {
    char when[32];
    buf_t text;
    buf_init(&text, ERR_TEXT_MAX - 1);
    buf_addf(&text, "%s takes no requests", r->address);
    if (closed >= 1000) {
        buf_adds(&text, " for ");
        words_duration(&text, closed * MILLISECOND);
    }
    time_of_day(when, sizeof when, unix_ms + (int64_t)r->reopens_ms, unix_ms);
    buf_addf(&text, ", the next try is at %s (in ", when);
    words_duration(&text, r->reopens_ms * MILLISECOND);
    buf_adds(&text, "), and --give-up-after is ");
    words_duration(&text, limit * MILLISECOND);
    if (r->trouble_text[0]) buf_addf(&text, ": %s", r->trouble_text);
    err_set(why, SDG_ELIMIT, "%s", text.data);
    buf_free(&text);
}

bool closed_times_give_up(closed_times_t *times, const stop_limits_t *limits,
                          const endpoint_report_t *reports, size_t count, uint64_t now, int64_t unix_ms,
                          err_t *why) {
    for (size_t i = 0; i < count; i++) {
        const endpoint_report_t *r = &reports[i];
        uint64_t closed = closed_ms(time_of(times, r->endpoint), r, now);
        if (r->state != ENDPOINT_CLOSED || closed + r->reopens_ms <= limits->give_up_ms) continue;
        say_why(r, closed, limits->give_up_ms, unix_ms, why);
        return true;
    }
    return false;
}
