/* health.c - see health.h.
 *
 * The one idea: what counts is when a request was *sent*. A server decides about a request when it comes, and
 * says so at once when it rejects it, but only minutes later when it takes it. So requests are looked at in
 * windows of the time in which they were sent. A window is judged when all its requests have ended, or
 * SETTLE_MS later: what has not been rejected by then was taken. A bucket that gets more requests than it
 * passes takes them at exactly its own rate, and that is what the next window is to be sent at, and a little
 * more, to notice when the bucket grows.
 *
 * Rejections that do not depend on the rate exist, too: when a slower rate has brought no smaller share of
 * rejections, the rate is doubled as long as that brings more.
 */
#include "core/llm/health.h"

#include <assert.h>
#include <stddef.h>

#include "core/base/clock.h"
#include "core/llm/limits.h"

enum {
    WINDOW_MS_MIN = 250,
    WINDOW_MS_MAX = 60000, /* at the least rate a window has a dozen requests by then */
    WINDOW_SENDS = 16,     /* long enough that one rejection more or less is no news */
    RAMP_SENDS = 8,
    SETTLE_MS = 500,  /* a rejection takes a round trip, not more */
    CATCH_UP_MS = 20, /* a timer that fires late: so much of the time may be made good */
    CLEAN_MS = 30000, /* after so long without a rejection requests that are not pressed are free again */
    SUDDEN = 8,       /* rejections of a window that are enough to judge it before its end */
    LIMIT_GROWTH = 4, /* of requests at a time, per that many answers: a few try whether there is more room */
    TRIES_MAX = 5,    /* a growth that failed is tried again after 2, 4, .. 32 windows */
    PENDING_DIVISOR = 4, /* refusals are judged when no more than a fourth as many requests are undecided */
};
static const double RATE_FIRST = 8, RATE_MIN = 0.2;
static const double ABOVE = 1.05;           /* how much faster than it takes them requests are sent */
static const double SHARE_FINE = 0.10;      /* of rejections: the rate fits */
static const double SHARE_BAD = 0.25;       /* more are a waste */
static const double SHARE_PACED = 0.5;      /* more than half: requests are to be spread in time */
static const double SHARE_HOPELESS = 0.7;   /* so many are due to the rate */
static const double SHARE_UNCHANGED = 0.75; /* of the share before: slowing down has not helped */
static const double RAMP_GAIN = 1.3;        /* doubling the rate must bring so much more */
static const double STEP_FIRST = 0.1, STEP_MIN = 0.02, STEP_MAX = 0.5; /* by which the rate grows */

static double seconds(uint64_t ns) { return (double)ns / 1e9; }

/* --- states --- */

static void close_for(health_t *h, uint64_t ns, uint64_t now_ns) {
    uint64_t until_ns = now_ns + ns;
    if (h->state == HEALTH_FINAL || (h->state == HEALTH_CLOSED && h->reopens_ns >= until_ns)) return;
    h->state = HEALTH_CLOSED;
    h->reopens_ns = until_ns;
}

/* Closes for as long as the server said, else for twice as long as the last time. Requests that were sent
 * before it closed change nothing. */
static void close_longer(health_t *h, uint64_t now_ns) {
    if (h->state != HEALTH_OPEN) return;
    if (h->told_ns > now_ns) {
        close_for(h, h->told_ns - now_ns, now_ns);
        return;
    }
    uint64_t ms = HEALTH_CLOSE_FIRST_MS;
    for (uint32_t i = 0; i < h->closures && ms < HEALTH_CLOSE_MAX_MS; i++)
        ms *= 2;
    h->closures++;
    close_for(h, (ms < HEALTH_CLOSE_MAX_MS ? ms : HEALTH_CLOSE_MAX_MS) * MILLISECOND, now_ns);
}

/* The windows begin anew: what was sent before says nothing about requests from now on. */
static void windows_forget(health_t *h) {
    h->window = (health_window_t){.id = h->window.id + 1};
    h->before = (health_window_t){0};
}

static void open_again(health_t *h) {
    h->state = HEALTH_OPEN;
    h->probing = true;
    h->paced = false;
    h->limit = 0;
    windows_forget(h);
}

/* --- the rate --- */

static void pace(health_t *h, double rate, bool ramping, uint64_t now_ns) {
    h->rate = rate > RATE_MIN ? rate : RATE_MIN;
    if (!h->paced) {
        h->next_ns = now_ns + (uint64_t)(1e9 / h->rate);
        h->step = STEP_FIRST;
        h->fine_rate = h->ramp_rate = h->bad_share = 0;
        h->patience = h->tries = 0;
    }
    h->paced = true;
    h->ramping = ramping;
    windows_forget(h);
}

static uint64_t window_ns(const health_t *h) {
    if (!h->paced) return WINDOW_MS_MIN * MILLISECOND;
    double ms = (h->ramping ? RAMP_SENDS : WINDOW_SENDS) / h->rate * 1000;
    if (ms < WINDOW_MS_MIN) return WINDOW_MS_MIN * MILLISECOND;
    return (uint64_t)(ms < WINDOW_MS_MAX ? ms : WINDOW_MS_MAX) * MILLISECOND;
}

/* Has it taken nothing for a while? Requests that it still works on were taken. */
static bool takes_nothing(const health_t *h, uint64_t now_ns) {
    bool works = h->in_flight > h->window.open;
    return !works && (h->probing || now_ns - h->taken_ns >= HEALTH_CLOSE_FIRST_MS * MILLISECOND);
}

/* Nothing of a window was taken. */
static void judge_nothing_taken(health_t *h, const health_window_t *w, uint64_t now_ns) {
    if (takes_nothing(h, now_ns)) {
        close_longer(h, now_ns);
        return;
    }
    double rate = (h->paced ? h->rate : w->sent / seconds(w->until_ns - w->since_ns)) / 2;
    h->ramp_rate = 0;
    pace(h, rate < RATE_FIRST || h->paced ? rate : RATE_FIRST, true, now_ns);
}

/* The rate doubles as long as that brings more; then it is a little above what was taken. Rejections by
 * chance do not keep it down. */
static void ramp(health_t *h, double share, double taken_rate, uint64_t now_ns) {
    bool gains = share <= SHARE_HOPELESS && taken_rate > h->ramp_rate * RAMP_GAIN;
    if (share <= SHARE_FINE || gains) {
        if (share <= SHARE_FINE) h->fine_rate = h->rate;
        h->ramp_rate = taken_rate;
        pace(h, h->rate * 2, true, now_ns);
        return;
    }
    pace(h, (taken_rate > h->ramp_rate ? taken_rate : h->ramp_rate) * ABOVE, false, now_ns);
}

/* Few rejections: the rate may be higher, unless that was tried in vain a short while ago. */
static void speed_up(health_t *h, const health_window_t *w) {
    h->fine_rate = h->rate;
    h->bad_share = 0;
    if (w->rejected > 0) return;
    if (!w->pressed) {
        if (w->until_ns - h->rejected_ns > CLEAN_MS * MILLISECOND) h->paced = false;
        return;
    }
    if (h->patience > 0) {
        h->patience--;
        return;
    }
    h->rate *= 1 + h->step;
    h->step = h->step * 1.5 < STEP_MAX ? h->step * 1.5 : STEP_MAX;
}

/* The rate has grown too far: back to the one before, and the next step is smaller and later. */
static void step_back(health_t *h, uint64_t now_ns) {
    h->step = h->step / 3 > STEP_MIN ? h->step / 3 : STEP_MIN;
    h->tries = h->tries < TRIES_MAX ? h->tries + 1 : TRIES_MAX;
    h->patience = 1u << h->tries;
    pace(h, h->fine_rate, false, now_ns);
}

/* Many rejections. When the rate before was fine, that is the better one, also where the server takes less
 * the more it gets (a bucket without room for two). When a slower rate has brought no smaller share of
 * rejections, they do not come from the rate: one looks anew how much there is. */
static void slow_down(health_t *h, double share, double taken_rate, uint64_t now_ns) {
    bool helped = h->bad_share == 0 || share < h->bad_share * SHARE_UNCHANGED;
    h->bad_share = helped ? share : 0;
    if (!helped) {
        h->ramp_rate = taken_rate;
        h->fine_rate = 0;
        pace(h, h->rate * 2, true, now_ns);
        return;
    }
    if (h->fine_rate < h->rate && h->fine_rate > taken_rate * ABOVE)
        step_back(h, now_ns);
    else
        pace(h, taken_rate * ABOVE, false, now_ns);
}

static void judge_taken(health_t *h, const health_window_t *w, double taken_rate, uint64_t now_ns) {
    double share = (double)w->rejected / w->sent;
    if (!h->paced) {
        if (share > SHARE_PACED && w->sent >= RAMP_SENDS) pace(h, taken_rate * ABOVE, false, now_ns);
    } else if (h->ramping && w->pressed) {
        ramp(h, share, taken_rate, now_ns);
    } else if (share <= SHARE_FINE) {
        speed_up(h, w);
    } else if (share > SHARE_BAD) {
        slow_down(h, share, taken_rate, now_ns);
    } else if (h->fine_rate > 0 && h->fine_rate < h->rate) {
        step_back(h, now_ns);
    }
}

/* Draws the conclusions from the window `before`. */
static void judge(health_t *h, uint64_t now_ns) {
    health_window_t w = h->before;
    h->before = (health_window_t){0};
    if (w.sent == 0) return;
    uint32_t taken = w.sent - w.rejected;
    if (taken == 0) {
        judge_nothing_taken(h, &w, now_ns);
        return;
    }
    h->taken_rate = taken / seconds(w.until_ns - w.since_ns);
    h->taken_ns = w.until_ns;
    h->closures = 0;
    h->probing = false;
    judge_taken(h, &w, h->taken_rate, now_ns);
}

static void judge_if_settled(health_t *h, uint64_t now_ns) {
    if (h->before.until_ns == 0) return;
    if (h->before.open == 0 || now_ns >= h->before.until_ns + SETTLE_MS * MILLISECOND) judge(h, now_ns);
}

/* The window ends when it has lasted long enough; a window always begins and ends with a request. */
static void window_turn(health_t *h, uint64_t now_ns) {
    health_window_t *w = &h->window;
    if (w->sent == 0 || now_ns - w->since_ns < window_ns(h)) return;
    if (h->before.until_ns != 0) judge(h, now_ns);
    if (h->state != HEALTH_OPEN || w->sent == 0) return;
    w->until_ns = now_ns;
    h->before = *w;
    *w = (health_window_t){.id = w->id + 1};
    judge_if_settled(h, now_ns);
}

static health_window_t *window_of(health_t *h, health_ticket_t ticket) {
    if (ticket.window == h->window.id) return &h->window;
    return h->before.until_ns != 0 && ticket.window == h->before.id ? &h->before : NULL;
}

/* Three in four of the requests that were just sent are rejected: the rest of the window would be, too. The
 * guess is what it has taken lately. Fewer may be chance. */
static void slow_down_at_once(health_t *h, uint64_t now_ns) {
    health_window_t *w = &h->window;
    if (h->paced || h->probing) return;
    if (w->rejected < SUDDEN || w->rejected * 4 < w->sent * 3) return;
    uint64_t age_ns = now_ns - w->since_ns, least_ns = WINDOW_MS_MIN * MILLISECOND;
    double rate = w->answered / seconds(age_ns > least_ns ? age_ns : least_ns);
    if (rate < h->taken_rate) rate = h->taken_rate;
    if (w->answered > 0) h->taken_ns = now_ns;
    pace(h, rate > RATE_FIRST ? rate : RATE_FIRST, true, now_ns);
}

/* --- sending --- */

/* A replica that has opened again takes requests. */
static void probes_succeed(health_t *h, uint64_t now_ns) {
    h->probing = false;
    h->closures = 0;
    h->taken_ns = now_ns;
    pace(h, RATE_FIRST, true, now_ns);
}

bool health_suspect(const health_t *h) { return h->state != HEALTH_FINAL && h->refused >= LLM_REFUSALS_MAX; }

uint64_t health_opens_ns(health_t *h, uint64_t now_ns) {
    if (h->state == HEALTH_CLOSED && now_ns >= h->reopens_ns) open_again(h);
    if (h->state == HEALTH_CLOSED) return h->reopens_ns;
    if (h->state == HEALTH_FINAL || health_suspect(h)) return HEALTH_NEVER;
    judge_if_settled(h, now_ns);
    if (h->state == HEALTH_CLOSED) return h->reopens_ns;
    if (h->probing && h->window.sent >= HEALTH_PROBES) {
        uint64_t settled_ns = h->window.since_ns + SETTLE_MS * MILLISECOND;
        if (now_ns < settled_ns) return settled_ns;
        probes_succeed(h, now_ns); /* what was not rejected for so long was taken */
    }
    if (h->limit > 0 && h->in_flight >= (uint32_t)h->limit) return HEALTH_NEVER;
    if (!h->paced || h->next_ns <= now_ns) return now_ns;
    h->window.pressed = true;
    return h->next_ns;
}

health_ticket_t health_sent(health_t *h, uint64_t now_ns) {
    if (h->taken_ns == 0) h->taken_ns = now_ns; /* there is no news from before the first request */
    window_turn(h, now_ns);
    if (h->window.sent == 0) h->window.since_ns = now_ns;
    h->window.sent++;
    h->window.open++;
    h->in_flight++;
    if (h->paced) {
        uint64_t late_ns = CATCH_UP_MS * MILLISECOND;
        if (h->next_ns + late_ns < now_ns) h->next_ns = now_ns - late_ns;
        h->next_ns += (uint64_t)(1e9 / h->rate);
    }
    return (health_ticket_t){.sent_ns = now_ns, .window = h->window.id};
}

/* --- ends of requests --- */

static health_window_t *ended(health_t *h, health_ticket_t ticket) {
    assert(h->in_flight > 0);
    h->in_flight--;
    health_window_t *w = window_of(h, ticket);
    if (w) w->open--;
    return w;
}

/* The server has taken the request: it is not closed to others. */
static void taken(health_t *h, health_ticket_t ticket, uint64_t now_ns) {
    health_window_t *w = ended(h, ticket);
    if (w) {
        w->answered++;
        h->taken_ns = now_ns;
        h->closures = 0;
        if (h->probing) probes_succeed(h, now_ns);
    }
    if (h->limit > 0) h->limit += LIMIT_GROWTH / h->limit;
    judge_if_settled(h, now_ns);
}

static void works_again(health_t *h) {
    h->failures = h->rests = 0;
    h->avoid_until_ns = 0;
}

void health_answered(health_t *h, health_ticket_t ticket, uint64_t now_ns) {
    h->answered_ns = now_ns;
    if (ticket.sent_ns >= h->refused_sent_ns && h->state != HEALTH_FINAL) h->refused = 0;
    works_again(h);
    taken(h, ticket, now_ns);
}

void health_told(health_t *h, health_ticket_t ticket, uint64_t now_ns) {
    works_again(h);
    taken(h, ticket, now_ns);
}

/* Notes when the server wants to see us again. */
static void told(health_t *h, int64_t after_ms, uint64_t now_ns) {
    uint64_t told_ns = after_ms > 0 ? now_ns + (uint64_t)after_ms * MILLISECOND : 0;
    if (told_ns > h->told_ns) h->told_ns = told_ns;
}

void health_rejected(health_t *h, health_ticket_t ticket, int64_t after_ms, uint64_t now_ns) {
    health_window_t *w = ended(h, ticket);
    works_again(h);
    h->rejected_ns = now_ns;
    told(h, after_ms, now_ns);
    if (w) w->rejected++;
    if (after_ms > HEALTH_HOLD_MS_MAX) {
        close_for(h, (uint64_t)after_ms * MILLISECOND, now_ns);
        return;
    }
    if (w == &h->window && w->rejected == w->sent && takes_nothing(h, now_ns)) {
        close_longer(h, now_ns);
        return;
    }
    if (w == &h->window) slow_down_at_once(h, now_ns);
    judge_if_settled(h, now_ns);
}

/* One cut per flight: a request that was sent before the last cut says nothing about what is left since. */
void health_overloaded(health_t *h, health_ticket_t ticket, int64_t after_ms, uint64_t now_ns) {
    health_window_t *w = ended(h, ticket);
    if (w) w->sent--;
    told(h, after_ms, now_ns);
    if (after_ms > HEALTH_HOLD_MS_MAX)
        close_for(h, (uint64_t)after_ms * MILLISECOND, now_ns);
    else if (h->in_flight == 0)
        close_longer(h, now_ns);
    else if (h->limit == 0 || ticket.sent_ns >= h->limited_ns || h->in_flight < h->limit) {
        h->limit = h->in_flight;
        h->limited_ns = now_ns;
    }
}

void health_refused(health_t *h, health_ticket_t ticket, uint64_t now_ns) {
    ended(h, ticket);
    if (h->refused == 0 || ticket.sent_ns < h->refused_sent_ns) h->refused_sent_ns = ticket.sent_ns;
    if (h->refused == 0) h->refused_ns = now_ns;
    if (h->refused < UINT32_MAX) h->refused++;
    works_again(h);
}

void health_unreached(health_t *h, health_ticket_t ticket, uint64_t now_ns) {
    health_refused(h, ticket, now_ns);
    if (now_ns - h->refused_ns >= HEALTH_UNREACHED_MS_MAX * MILLISECOND) return;
    if (h->refused >= LLM_REFUSALS_MAX) h->refused = LLM_REFUSALS_MAX - 1; /* not before the time is over */
    close_longer(h, now_ns);
}

void health_failed(health_t *h, health_ticket_t ticket, uint64_t now_ns) {
    health_window_t *w = ended(h, ticket);
    if (w) w->sent--;
    h->failures++;
    if (h->avoid_until_ns > now_ns) return; /* this request says nothing about the time after that */
    uint32_t doublings = h->rests < HEALTH_AVOID_DOUBLINGS ? h->rests : HEALTH_AVOID_DOUBLINGS;
    h->rests++;
    h->avoid_until_ns = now_ns + ((uint64_t)HEALTH_AVOID_FIRST_MS << doublings) * MILLISECOND;
}

void health_dropped(health_t *h, health_ticket_t ticket) {
    health_window_t *w = ended(h, ticket);
    if (w) w->sent--;
}

/* --- refusals --- */

void health_judge(health_t *h, uint32_t pending) {
    if (health_suspect(h) && pending <= h->refused / PENDING_DIVISOR) h->state = HEALTH_FINAL;
}

void health_forget_refusals(health_t *h) {
    if (h->state == HEALTH_FINAL) h->state = HEALTH_OPEN;
    h->refused = 0;
}

bool health_avoided(const health_t *h, uint64_t now_ns) { return h->avoid_until_ns > now_ns; }
