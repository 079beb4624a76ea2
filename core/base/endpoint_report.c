/* endpoint_report.c - see endpoint_report.h. */
#include "core/base/endpoint_report.h"

#include <string.h>

static uint64_t later(uint64_t age, uint64_t ms) {
    return age > ENDPOINT_NEVER - 1 - ms ? ENDPOINT_NEVER - 1 : age + ms;
}

void endpoint_report_age(endpoint_report_t *r, uint64_t ms) {
    r->reopens_ms = r->reopens_ms > ms ? r->reopens_ms - ms : 0;
    if (r->oldest_ms) r->oldest_ms = later(r->oldest_ms, ms);
    if (r->answered_ms != ENDPOINT_NEVER) r->answered_ms = later(r->answered_ms, ms);
    if (r->trouble != LLM_CAUSE_NONE) r->trouble_ms = later(r->trouble_ms, ms);
}

bool endpoint_report_same(const endpoint_report_t *a, const endpoint_report_t *b) {
    return a->endpoint == b->endpoint && a->state == b->state && a->in_flight == b->in_flight &&
           a->waiting == b->waiting && a->refused == b->refused &&
           a->refused_in_a_row == b->refused_in_a_row && a->requests == b->requests &&
           a->answered == b->answered && a->faulted == b->faulted && a->trouble == b->trouble &&
           memcmp(a->retries, b->retries, sizeof a->retries) == 0 && strcmp(a->address, b->address) == 0 &&
           strcmp(a->trouble_text, b->trouble_text) == 0;
}

static uint64_t smaller(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* A sum opens when the first of its parts does. */
static void add_state(endpoint_report_t *sum, const endpoint_report_t *other) {
    if (other->state < sum->state) {
        sum->state = other->state;
        sum->reopens_ms = other->reopens_ms;
    } else if (other->state == sum->state) {
        sum->reopens_ms = smaller(sum->reopens_ms, other->reopens_ms);
    }
}

static void add_trouble(endpoint_report_t *sum, const endpoint_report_t *other) {
    if (other->trouble == LLM_CAUSE_NONE) return;
    if (sum->trouble != LLM_CAUSE_NONE && sum->trouble_ms <= other->trouble_ms) return;
    sum->trouble = other->trouble;
    sum->trouble_ms = other->trouble_ms;
    memcpy(sum->trouble_text, other->trouble_text, sizeof sum->trouble_text);
    memcpy(sum->address, other->address, sizeof sum->address);
}

void endpoint_report_count(endpoint_report_t *sum, const endpoint_report_t *other) {
    sum->requests += other->requests;
    sum->answered += other->answered;
    sum->faulted += other->faulted;
    for (int i = 0; i < LLM_CAUSES; i++) {
        sum->retries[i] += other->retries[i];
    }
}

void endpoint_report_add(endpoint_report_t *sum, const endpoint_report_t *other) {
    add_state(sum, other);
    add_trouble(sum, other);
    sum->in_flight += other->in_flight;
    sum->waiting += other->waiting;
    sum->refused += other->refused;
    sum->refused_in_a_row += other->refused_in_a_row;
    endpoint_report_count(sum, other);
    if (other->oldest_ms > sum->oldest_ms) sum->oldest_ms = other->oldest_ms;
    sum->answered_ms = smaller(sum->answered_ms, other->answered_ms);
}
