/* endpoints.c - see endpoints.h. */
#include "actors/monitor/endpoints.h"

#include <stdio.h>
#include <string.h>

/* The place of an endpoint in a list; `count`: it is not there. */
static size_t find(const endpoint_report_t *list, size_t count, uint64_t endpoint) {
    size_t i = 0;
    while (i < count && list[i].endpoint != endpoint) {
        i++;
    }
    return i;
}

static void add_to(endpoint_report_t *list, size_t *count, const endpoint_report_t *report) {
    size_t same = find(list, *count, report->endpoint);
    if (same < *count)
        endpoint_report_add(&list[same], report);
    else if (*count < ENDPOINT_REPORTS_MAX)
        list[(*count)++] = *report;
}

/* What is left of a report when its job is over: counters, and what went wrong last. */
static void make_past(endpoint_report_t *r) {
    r->state = r->state == ENDPOINT_CLOSED ? ENDPOINT_OPEN : r->state;
    r->reopens_ms = r->in_flight = r->waiting = r->refused = r->refused_in_a_row = r->oldest_ms = 0;
}

static void age_past(endpoints_t *e, uint64_t now) {
    for (size_t i = 0; i < e->past_count; i++) {
        endpoint_report_age(&e->past[i], (now - e->heard_ns) / 1000000);
    }
}

static void put_away(endpoints_t *e, endpoint_report_t *told, uint64_t now) {
    endpoint_report_age(told, (now - e->heard_ns) / 1000000);
    make_past(told);
    add_to(e->past, &e->past_count, told);
}

/* Reports of another job, and reports of all jobs of a server that leave an endpoint out or count it from the
 * beginning, say nothing of what it did before. */
static bool begins_again(const endpoints_t *e, const endpoint_report_t *told, uint64_t job,
                         const endpoint_report_t *reports, size_t count) {
    size_t next = find(reports, count, told->endpoint);
    return e->job != job || next == count || reports[next].requests < told->requests;
}

void endpoints_take(endpoints_t *e, uint64_t job, const endpoint_report_t *reports, size_t count,
                    uint64_t now) {
    if (count > ENDPOINT_REPORTS_MAX) count = ENDPOINT_REPORTS_MAX;
    age_past(e, now);
    for (size_t i = 0; i < e->told_count; i++) {
        if (begins_again(e, &e->told[i], job, reports, count)) put_away(e, &e->told[i], now);
    }
    e->job = job;
    e->heard_ns = now;
    e->told_count = count;
    if (count) memcpy(e->told, reports, count * sizeof *reports);
    endpoints_refresh(e, now);
}

static bool is_taken(const endpoints_t *e, const char *name) {
    for (size_t i = 0; i < e->name_count; i++) {
        if (strcmp(e->name[i].text, name) == 0) return true;
    }
    return false;
}

static void give_name(endpoints_t *e, const endpoint_report_t *r) {
    if (endpoints_name(e, r->endpoint) || e->name_count == ENDPOINT_REPORTS_MAX) return;
    char *text = e->name[e->name_count].text;
    snprintf(text, sizeof e->name->text, "%s", r->address);
    for (unsigned number = 2; is_taken(e, text); number++) {
        snprintf(text, sizeof e->name->text, "%s #%u", r->address, number % 1000);
    }
    e->name[e->name_count++].endpoint = r->endpoint;
}

const char *endpoints_name(const endpoints_t *e, uint64_t endpoint) {
    for (size_t i = 0; i < e->name_count; i++) {
        if (e->name[i].endpoint == endpoint) return e->name[i].text;
    }
    return NULL;
}

/* An endpoint of the running job has the state and the words of that job. */
void endpoints_refresh(endpoints_t *e, uint64_t now) {
    memcpy(e->now, e->told, e->told_count * sizeof *e->now);
    e->now_count = e->told_count;
    for (size_t i = 0; i < e->past_count; i++) {
        endpoint_report_t past = e->past[i];
        size_t same = find(e->now, e->now_count, past.endpoint);
        if (same < e->now_count) past.state = e->now[same].state, past.reopens_ms = e->now[same].reopens_ms;
        add_to(e->now, &e->now_count, &past);
    }
    for (size_t i = 0; i < e->now_count; i++) {
        endpoint_report_age(&e->now[i], (now - e->heard_ns) / 1000000);
        give_name(e, &e->now[i]);
    }
}

void endpoints_end(endpoints_t *e, uint64_t now) { endpoints_take(e, e->job, NULL, 0, now); }

uint64_t endpoints_requests(const endpoints_t *e) {
    uint64_t n = 0;
    for (size_t i = 0; i < e->now_count; i++) {
        n += e->now[i].requests;
    }
    return n;
}

uint64_t endpoints_retries(const endpoints_t *e, llm_cause_t cause) {
    uint64_t n = 0;
    for (size_t i = 0; i < e->now_count; i++) {
        n += e->now[i].retries[cause];
    }
    return n;
}
