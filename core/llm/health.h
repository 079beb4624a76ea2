/* health.h - how one replica of an endpoint fares, and when a request may be sent to it. Pure: the caller
 * brings the time.
 *
 * Three states. OPEN: requests go there. CLOSED: it takes nothing for now; it opens by itself. FINAL: it
 * refuses whatever it is asked.
 *
 * What each reply does:
 *  - Answered: everything is well again, as far as the request was sent after the trouble.
 *  - Rejected (429): the replica is open, and its requests are spread in time a little above the rate at
 * which it takes them, as long as it takes any. It closes when it says when to come back and that is more
 * than HEALTH_HOLD_MS_MAX away; or when it has taken nothing for HEALTH_CLOSE_FIRST_MS: then for that long,
 *    doubling up to HEALTH_CLOSE_MAX_MS. When it opens again, HEALTH_PROBES requests try first.
 *  - Overloaded (503, a full queue): likewise, but what is limited is how many requests it has at a time.
 *  - Refused: LLM_REFUSALS_MAX in a row make it final. While other requests of that time may still be
 *    answered, judgement waits for them, and nothing is sent.
 *  - Failed (5xx, time-out, no connection): it is passed over for a while, longer each time, if another one
 *    will do.
 *
 * To use it: ask health_opens_ns; when that has come, health_sent with a ticket, and one of health_answered,
 * _rejected, _refused, _failed, _told with that ticket when the request has ended, or _dropped.
 */
#ifndef SDG_LLM_HEALTH_H
#define SDG_LLM_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#define HEALTH_NEVER UINT64_MAX

typedef enum health_state { HEALTH_OPEN, HEALTH_CLOSED, HEALTH_FINAL } health_state_t;

/* What a request keeps from its start to its end. */
typedef struct health_ticket {
    uint64_t sent_ns;
    uint32_t window; /* in which it was sent */
} health_ticket_t;

/* What became of the requests that were sent in a stretch of time. */
typedef struct health_window {
    uint32_t id;
    uint64_t since_ns, until_ns; /* until 0: it goes on */
    uint32_t sent, open;         /* requests; those without an end yet */
    uint32_t rejected, answered;
    bool pressed; /* requests had to wait for their turn */
} health_window_t;

typedef struct health {
    health_state_t state;
    uint64_t reopens_ns; /* CLOSED: then */
    uint32_t closures;   /* in a row, of those for which it did not say how long */
    uint64_t told_ns;    /* the latest time at which it wants to be asked again, as it said; 0: it did not */
    bool probing;        /* it has opened again, and nothing has been taken since */
    uint32_t in_flight;
    uint64_t answered_ns; /* the last good answer; 0: none yet */
    uint64_t taken_ns;    /* when it last took a request, as far as one knows; 0: nothing was sent yet */

    /* Refusals in a row, and when the first request of them was sent. */
    uint32_t refused;
    uint64_t refused_sent_ns, refused_ns;

    /* Requests in time. */
    bool paced, ramping;      /* ramping: the rate is a guess from below, and doubles */
    double rate;              /* requests a second, while paced */
    uint64_t next_ns;         /* the next request may be sent then */
    uint64_t rejected_ns;     /* the last rejection */
    double ramp_rate;         /* what was taken before the rate doubled */
    double fine_rate;         /* the last rate with few rejections; 0: none yet */
    double bad_share;         /* of rejections in the window that led to a slower rate; 0: none did */
    double step;              /* by which the rate grows */
    uint32_t tries, patience; /* growths that failed; windows until the next one */
    double taken_rate;        /* requests a second that the last judged window took; 0: none was judged */
    health_window_t window, before; /* the present one, and the one that is to be judged */

    /* Requests at a time. */
    double limit; /* 0: none */
    uint64_t limited_ns;

    /* Failures. */
    uint32_t failures, rests;
    uint64_t avoid_until_ns;
} health_t; /* all zero: open, and nothing is known */

/* When a request may be sent: at once if it is not after now_ns; HEALTH_NEVER: when something else has
 * happened (a request has ended), or never (FINAL). The caller has a request that it wants to send. */
uint64_t health_opens_ns(health_t *health, uint64_t now_ns);
health_ticket_t health_sent(health_t *health, uint64_t now_ns);

void health_answered(health_t *health, health_ticket_t ticket, uint64_t now_ns);
/* 429. `after_ms`: what it says, -1: nothing. */
void health_rejected(health_t *health, health_ticket_t ticket, int64_t after_ms, uint64_t now_ns);
void health_overloaded(health_t *health, health_ticket_t ticket, int64_t after_ms, uint64_t now_ns);
void health_refused(health_t *health, health_ticket_t ticket, uint64_t now_ns);
/* It could not be reached although it has answered before: DNS or TLS. It closes; when that goes on for
 * HEALTH_UNREACHED_MS_MAX it is refused. */
void health_unreached(health_t *health, health_ticket_t ticket, uint64_t now_ns);
void health_failed(health_t *health, health_ticket_t ticket, uint64_t now_ns);
/* It said something about the request alone (400). */
void health_told(health_t *health, health_ticket_t ticket, uint64_t now_ns);
/* The request was given up, or never left. */
void health_dropped(health_t *health, health_ticket_t ticket);

/* Are there so many refusals that it may be final? Then health_judge decides: `pending` is the number of
 * requests in flight that were sent no earlier than health->refused_sent_ns. */
bool health_suspect(const health_t *health);
void health_judge(health_t *health, uint32_t pending);
/* Whoever asks next is to find out anew. */
void health_forget_refusals(health_t *health);

/* Is it passed over for a while, if another one will do? */
bool health_avoided(const health_t *health, uint64_t now_ns);

#endif
