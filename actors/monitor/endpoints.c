/* endpoints.c - see endpoints.h. */
#include "actors/monitor/endpoints.h"

#include <stdio.h>
#include <string.h>

static endpoint_report_t *find(endpoint_report_t *list, size_t count, uint64_t endpoint) {
    for (size_t i = 0; i < count; i++) {
        if (list[i].endpoint == endpoint) return &list[i];
    }
    return NULL;
}

static void add_to(endpoint_report_t *list, size_t *count, const endpoint_report_t *report) {
    endpoint_report_t *same = find(list, *count, report->endpoint);
    if (same)
        endpoint_report_add(same, report);
    else if (*count < ENDPOINT_REPORTS_MAX)
        list[(*count)++] = *report;
}

/* What is left of a report when its job is over: counters, and what went wrong last. */
static void make_past(endpoint_report_t *r) {
    r->state = r->state == ENDPOINT_CLOSED ? ENDPOINT_OPEN : r->state;
    r->reopens_ms = r->in_flight = r->waiting = r->refused = r->refused_in_a_row = r->oldest_ms = 0;
}

static void put_away(endpoints_t *e, uint64_t now) {
    uint64_t ms = (now - e->heard_ns) / 1000000;
    for (size_t i = 0; i < e->past_count; i++) {
        endpoint_report_age(&e->past[i], ms);
    }
    for (size_t i = 0; i < e->told_count; i++) {
        endpoint_report_age(&e->told[i], ms);
        make_past(&e->told[i]);
        add_to(e->past, &e->past_count, &e->told[i]);
    }
    e->told_count = 0;
}

void endpoints_take(endpoints_t *e, uint64_t job, const endpoint_report_t *reports, size_t count,
                    uint64_t now) {
    if (e->job != job) put_away(e, now);
    for (size_t i = 0; i < e->past_count && e->job == job; i++) {
        endpoint_report_age(&e->past[i], (now - e->heard_ns) / 1000000);
    }
    e->job = job;
    e->heard_ns = now;
    e->told_count = count < ENDPOINT_REPORTS_MAX ? count : ENDPOINT_REPORTS_MAX;
    if (count) memcpy(e->told, reports, e->told_count * sizeof *reports);
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
        endpoint_report_t *same = find(e->now, e->now_count, e->past[i].endpoint), past = e->past[i];
        if (same) past.state = same->state, past.reopens_ms = same->reopens_ms;
        add_to(e->now, &e->now_count, &past);
    }
    for (size_t i = 0; i < e->now_count; i++) {
        endpoint_report_age(&e->now[i], (now - e->heard_ns) / 1000000);
        give_name(e, &e->now[i]);
    }
}

void endpoints_end(endpoints_t *e, uint64_t now) {
    put_away(e, now);
    e->heard_ns = now;
    endpoints_refresh(e, now);
}

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
