/* test_health.c - how a replica fares (core/llm/health): single replies, and whole runs against simulated
 * servers in virtual time. */
#include <criterion/criterion.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/rng.h"
#include "core/llm/health.h"
#include "core/llm/limits.h"

Test(health, a_replica_that_answers_takes_requests_at_any_time) {
    health_t h = {0};
    for (uint64_t now = SECOND; now < 2 * SECOND; now += MILLISECOND) {
        cr_assert_leq(health_opens_ns(&h, now), now);
        health_answered(&h, health_sent(&h, now), now);
    }
    cr_expect_eq(h.in_flight, 0);
    cr_expect_eq(h.state, HEALTH_OPEN);
}

/* --- refusals --- */

static void refuse(health_t *h, uint32_t times, uint64_t now) {
    for (uint32_t i = 0; i < times; i++)
        health_refused(h, health_sent(h, now), now + MILLISECOND);
    health_judge(h, 0);
}

Test(health, sixteen_refusals_in_a_row_are_final) {
    health_t h = {0};
    refuse(&h, LLM_REFUSALS_MAX - 1, SECOND);
    cr_expect_eq(h.state, HEALTH_OPEN);
    refuse(&h, 1, 2 * SECOND);
    cr_expect_eq(h.state, HEALTH_FINAL);
    cr_expect_eq(health_opens_ns(&h, 3 * SECOND), HEALTH_NEVER);
    health_forget_refusals(&h);
    cr_expect_eq(health_opens_ns(&h, 3 * SECOND), 3 * SECOND);
}

Test(health, an_answer_to_a_later_request_begins_the_row_anew) {
    health_t h = {0};
    health_ticket_t early = health_sent(&h, SECOND);
    refuse(&h, LLM_REFUSALS_MAX - 1, 2 * SECOND);
    health_answered(&h, health_sent(&h, 3 * SECOND), 4 * SECOND);
    cr_expect_eq(h.refused, 0);
    refuse(&h, LLM_REFUSALS_MAX - 1, 5 * SECOND);
    health_answered(&h, early, 6 * SECOND);
    cr_expect_eq(h.refused, LLM_REFUSALS_MAX - 1, "it was sent before the key was revoked");
    refuse(&h, 1, 7 * SECOND);
    cr_expect_eq(h.state, HEALTH_FINAL);
}

/* At the start a third of the rows is refused at once (a filter), and answers need longer. */
Test(health, judgement_waits_for_requests_that_may_still_be_answered) {
    health_t h = {0};
    health_ticket_t slow = health_sent(&h, SECOND);
    refuse(&h, LLM_REFUSALS_MAX - 1, SECOND);
    health_refused(&h, health_sent(&h, SECOND), SECOND);
    health_judge(&h, 30);
    cr_expect_eq(h.state, HEALTH_OPEN);
    cr_expect_eq(health_opens_ns(&h, 2 * SECOND), HEALTH_NEVER, "nothing is asked in vain meanwhile");
    health_answered(&h, slow, 3 * SECOND);
    cr_expect_eq(health_opens_ns(&h, 3 * SECOND), 3 * SECOND);
}

Test(health, a_name_server_that_restarts_is_waited_for) {
    health_t h = {0};
    uint64_t now = SECOND;
    health_answered(&h, health_sent(&h, now), now);
    for (int i = 0; i < 64; i++)
        health_unreached(&h, health_sent(&h, now), now + MILLISECOND);
    health_judge(&h, 0);
    cr_expect_eq(h.state, HEALTH_CLOSED);
    uint64_t until = now + (HEALTH_UNREACHED_MS_MAX + 30000) * MILLISECOND;
    for (; now < until && h.state != HEALTH_FINAL; now += SECOND) {
        if (health_opens_ns(&h, now) > now) continue;
        health_unreached(&h, health_sent(&h, now), now + MILLISECOND);
        health_judge(&h, 0);
    }
    cr_expect_eq(h.state, HEALTH_FINAL, "but not for ever");
    cr_expect_geq(now, (HEALTH_UNREACHED_MS_MAX - 1000) * MILLISECOND);
}

/* --- closing --- */

Test(health, a_long_retry_after_closes) {
    health_t h = {0};
    health_ticket_t a = health_sent(&h, SECOND), b = health_sent(&h, SECOND);
    health_rejected(&h, a, 300000, SECOND);
    cr_expect_eq(h.state, HEALTH_CLOSED);
    cr_expect_eq(health_opens_ns(&h, 2 * SECOND), 301 * SECOND);
    health_rejected(&h, b, 20000, 2 * SECOND);
    cr_expect_eq(health_opens_ns(&h, 2 * SECOND), 301 * SECOND, "the later one of two");
    cr_expect_eq(health_opens_ns(&h, 301 * SECOND), 301 * SECOND);
}

Test(health, a_short_retry_after_does_not_close) {
    health_t h = {0};
    health_rejected(&h, health_sent(&h, SECOND), HEALTH_HOLD_MS_MAX, SECOND);
    cr_expect_eq(h.state, HEALTH_OPEN);
    cr_expect_leq(health_opens_ns(&h, 2 * SECOND), 2 * SECOND);
}

/* A server that rejects everything, from the start: how often is it asked, and when is it closed? */
Test(health, nobody_is_answered) {
    health_t h = {0};
    uint64_t now = SECOND, longest = 0, closed_at = 0;
    uint32_t sent = 0;
    for (; now < 600 * SECOND; now += 5 * MILLISECOND) {
        health_ticket_t flight[64];
        uint32_t n = 0;
        while (n < 64 && health_opens_ns(&h, now) <= now)
            flight[n++] = health_sent(&h, now);
        for (uint32_t i = 0; i < n; i++)
            health_rejected(&h, flight[i], -1, now);
        sent += n;
        if (h.state != HEALTH_CLOSED) continue;
        if (!closed_at) closed_at = now;
        if (h.reopens_ns - now > longest) longest = h.reopens_ns - now;
    }
    cr_expect_leq(closed_at, 8 * SECOND);
    cr_expect_leq(longest, HEALTH_CLOSE_MAX_MS * MILLISECOND);
    cr_expect_geq(longest, (HEALTH_CLOSE_MAX_MS - 100) * MILLISECOND);
    cr_expect_leq(sent, 64 + 200, "%u requests in 10 minutes", sent);
}

Test(health, an_overloaded_server_is_asked_less_at_a_time) {
    health_t h = {0};
    health_ticket_t t[10];
    for (int i = 0; i < 10; i++)
        t[i] = health_sent(&h, SECOND);
    for (int i = 6; i < 10; i++)
        health_overloaded(&h, t[i], -1, SECOND);
    cr_expect_eq(h.state, HEALTH_OPEN);
    cr_expect_eq(health_opens_ns(&h, 2 * SECOND), HEALTH_NEVER, "six are there, and that is all it takes");
    health_answered(&h, t[0], 2 * SECOND);
    cr_expect_leq(health_opens_ns(&h, 2 * SECOND), 2 * SECOND);
    for (int i = 1; i < 6; i++)
        health_overloaded(&h, t[i], -1, 3 * SECOND);
    cr_expect_eq(h.state, HEALTH_CLOSED, "nothing is left there");
    cr_expect_eq(h.reopens_ns, 3 * SECOND + HEALTH_CLOSE_FIRST_MS * MILLISECOND);
}

Test(health, a_replica_that_fails_is_avoided_longer_each_time) {
    health_t h = {0};
    health_failed(&h, health_sent(&h, SECOND), SECOND);
    cr_expect(health_avoided(&h, SECOND + 249 * MILLISECOND));
    cr_expect_not(health_avoided(&h, SECOND + 250 * MILLISECOND));
    health_failed(&h, health_sent(&h, 2 * SECOND), 2 * SECOND);
    cr_expect(health_avoided(&h, 2 * SECOND + 499 * MILLISECOND));
    cr_expect_leq(health_opens_ns(&h, 2 * SECOND), 2 * SECOND, "but it may be asked");
    health_answered(&h, health_sent(&h, 2 * SECOND), 2 * SECOND);
    cr_expect_not(health_avoided(&h, 2 * SECOND));
}

/* Whatever happens, a replica that is not final takes a request again: at once, or at a time it names. */
Test(health, it_never_waits_for_what_does_not_come) {
    for (uint64_t seed = 1; seed <= 200; seed++) {
        health_t h = {0};
        health_ticket_t open[32];
        uint32_t count = 0;
        uint64_t now = SECOND;
        rng_t rng;
        rng_seed(&rng, seed, 0);
        for (int step = 0; step < 2000 && h.state != HEALTH_FINAL; step++) {
            now += (uint64_t)rng_between(&rng, 0, 300) * MILLISECOND;
            uint64_t opens = health_opens_ns(&h, now);
            if (count == 0) cr_assert_leq(opens, now + 61 * SECOND, "seed %lu", (unsigned long)seed);
            if (count == 0 && opens > now) now = opens;
            if (count < 32 && health_opens_ns(&h, now) <= now) open[count++] = health_sent(&h, now);
            if (count == 0 || rng_real(&rng) < 0.4) continue;
            size_t i = (size_t)rng_between(&rng, 0, count - 1);
            health_ticket_t ticket = open[i];
            open[i] = open[--count];
            int64_t after = rng_real(&rng) < 0.3 ? rng_between(&rng, 0, 60000) : -1;
            switch (rng_between(&rng, 0, 7)) {
            case 0:
            case 1: health_answered(&h, ticket, now); break;
            case 2: health_rejected(&h, ticket, after, now); break;
            case 3: health_overloaded(&h, ticket, after, now); break;
            case 4: health_failed(&h, ticket, now); break;
            case 5: health_told(&h, ticket, now); break;
            case 6: (rng_real(&rng) < 0.5 ? health_refused : health_unreached)(&h, ticket, now); break;
            default: health_dropped(&h, ticket); break;
            }
            health_judge(&h, count);
            cr_assert_eq(h.in_flight, count);
        }
    }
}

/* --- whole runs --- */

typedef struct world {
    double rate, burst; /* of its bucket; rate 0: it has none */
    uint32_t slots;     /* requests at a time; 0: any number. More are answered 503 */
    double random;      /* share of requests that is rejected whatever the rate is */
    double latency_s, spread;
    double round_trip_s;
    int64_t retry_after_ms; /* of its rejections; -1: none; -2: when a token will be there */
    double empty_until_s;   /* it rejects everything until then */
    uint32_t rows, at_a_time;
} world_t;

typedef struct flight {
    health_ticket_t ticket;
    uint64_t end_ns;
    int outcome; /* 0 answered, 1 rejected, 2 overloaded */
    int64_t after_ms;
} flight_t;

typedef struct outcome {
    double took_s;
    uint32_t requests, rejections, closures;
} outcome_t;

/* A client that sends as soon as it may, at_a_time at once, and holds calls that are told so. */
static outcome_t run(const world_t *world, uint64_t seed) {
    static flight_t flights[4096];
    static uint64_t holds[4096];
    health_t h = {0};
    rng_t rng;
    outcome_t out = {0};
    rng_seed(&rng, seed, 0);
    uint64_t now = SECOND, filled = now;
    double tokens = world->burst;
    uint32_t flying = 0, held = 0, waiting = world->rows, done = 0, served = 0;
    health_state_t state = HEALTH_OPEN;
    while (done < world->rows) {
        cr_assert_lt(now, 20000 * SECOND, "it never ends");
        uint64_t next = UINT64_MAX;
        for (uint32_t i = 0; i < held;) {
            if (holds[i] <= now) {
                holds[i] = holds[--held];
                waiting++;
            } else {
                next = holds[i] < next ? holds[i] : next;
                i++;
            }
        }
        while (waiting > 0 && flying < world->at_a_time) {
            uint64_t opens = health_opens_ns(&h, now);
            if (opens > now) {
                next = opens < next ? opens : next;
                break;
            }
            tokens = fmin(world->burst, tokens + (double)(now - filled) / 1e9 * world->rate);
            filled = now;
            bool early = (double)(now - SECOND) / 1e9 < world->empty_until_s;
            bool full = world->slots && served >= world->slots;
            bool rejected = early || rng_real(&rng) < world->random || (world->rate > 0 && tokens < 1);
            double s = world->round_trip_s;
            int64_t after = world->retry_after_ms;
            if (after == -2) after = (int64_t)ceil((1 - tokens) / world->rate) * 1000;
            if (!rejected && !full) {
                tokens -= world->rate > 0;
                served++;
                s += world->latency_s * exp(world->spread * (rng_real(&rng) + rng_real(&rng) - 1));
            }
            flights[flying++] = (flight_t){.ticket = health_sent(&h, now),
                                           .end_ns = now + (uint64_t)(s * 1e9),
                                           .outcome = rejected ? 1
                                                      : full   ? 2
                                                               : 0,
                                           .after_ms = after};
            waiting--;
            out.requests++;
        }
        for (uint32_t i = 0; i < flying; i++)
            next = flights[i].end_ns < next ? flights[i].end_ns : next;
        cr_assert_neq(next, UINT64_MAX, "it hangs");
        now = next > now ? next : now;
        for (uint32_t i = 0; i < flying;) {
            flight_t f = flights[i];
            if (f.end_ns > now) {
                i++;
                continue;
            }
            flights[i] = flights[--flying];
            if (f.outcome == 0) {
                health_answered(&h, f.ticket, now);
                served--;
                done++;
                continue;
            }
            out.rejections++;
            (f.outcome == 1 ? health_rejected : health_overloaded)(&h, f.ticket, f.after_ms, now);
            if (f.after_ms > 0)
                holds[held++] = now + (uint64_t)f.after_ms * MILLISECOND;
            else if (!h.paced)
                holds[held++] = now + 50 * MILLISECOND;
            else
                waiting++;
        }
        if (h.state == HEALTH_CLOSED && state != HEALTH_CLOSED) out.closures++;
        state = h.state;
    }
    out.took_s = (double)(now - SECOND) / 1e9;
    return out;
}

/* The whole takes no longer than `factor` times what the server can do. */
static void expect_time(const char *name, const world_t *world, double best_s, double factor) {
    for (uint64_t seed = 1; seed <= 3; seed++) {
        outcome_t out = run(world, seed);
        if (getenv("HEALTH_SHOW"))
            printf(
                "%-28s %3u at a time: %7.1f s, best %7.1f (%.3f), %5u requests, %5u rejected, %u closures\n",
                name, world->at_a_time, out.took_s, best_s, out.took_s / best_s, out.requests, out.rejections,
                out.closures);
        cr_expect_leq(out.took_s, best_s * factor, "%s at %u: %.1f s instead of %.1f", name, world->at_a_time,
                      out.took_s, best_s);
        cr_expect_leq(out.rejections, world->rows + 2 * world->at_a_time + 200 + 30 * out.closures,
                      "%s: %u rejections", name, out.rejections);
    }
}

static const uint32_t at_a_time[] = {1, 8, 64, 256};

Test(health, a_bucket_is_used_up_whatever_the_number_of_requests_at_a_time) {
    static const int64_t after[] = {-1, -2};
    static const double latency[] = {0.001, 0.3, 5};
    for (size_t a = 0; a < 2; a++)
        for (size_t l = 0; l < 3; l++)
            for (size_t i = 0; i < 4; i++) {
                world_t world = {.rate = 20,
                                 .burst = 4,
                                 .round_trip_s = 0.001,
                                 .latency_s = latency[l],
                                 .retry_after_ms = after[a],
                                 .rows = 500,
                                 .at_a_time = at_a_time[i]};
                double flow = at_a_time[i] / (latency[l] + 0.001), rate = flow < 20 ? flow : 20;
                expect_time(a ? "bucket, Retry-After" : "bucket", &world, 500 / rate + latency[l], 1.15);
            }
}

Test(health, buckets_of_other_rates) {
    static const struct {
        double rate, burst;
        uint32_t rows;
    } kinds[] = {{0.4, 4, 60},    {0.05, 1, 12},       {3, 100, 400},
                 {200, 20, 6000}, {2000, 2000, 60000}, {20, 1, 400}};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (size_t i = 1; i < 4; i++) {
            world_t world = {.rate = kinds[k].rate,
                             .burst = kinds[k].burst,
                             .round_trip_s = 0.02,
                             .latency_s = 0.05,
                             .retry_after_ms = -1,
                             .rows = kinds[k].rows,
                             .at_a_time = at_a_time[i]};
            double rate = fmin(kinds[k].rate, at_a_time[i] / 0.07);
            expect_time("bucket of another rate", &world,
                        (kinds[k].rows - fmin(kinds[k].burst, kinds[k].rows * .5)) / rate + 1,
                        kinds[k].rate < 0.1 ? 2 : 1.2);
        }
}

Test(health, rejections_by_chance_do_not_slow_it_down) {
    static const double share[] = {0.02, 0.1, 0.3, 0.5};
    for (size_t s = 0; s < 4; s++) {
        world_t world = {.random = share[s],
                         .round_trip_s = 0.01,
                         .latency_s = 0.05,
                         .retry_after_ms = -1,
                         .rows = 20000,
                         .at_a_time = 64};
        double best = 20000 * (0.06 + share[s] / (1 - share[s]) * (0.01 + 0.05)) / 64;
        expect_time("by chance", &world, best, 1.5);
    }
}

Test(health, a_queue_that_is_full) {
    static const uint32_t slots[] = {1, 8, 48};
    for (size_t s = 0; s < 3; s++) {
        world_t world = {.slots = slots[s],
                         .round_trip_s = 0.001,
                         .latency_s = 1,
                         .spread = 0.5,
                         .retry_after_ms = -1,
                         .rows = 60 * slots[s],
                         .at_a_time = 256};
        expect_time("full queue", &world, 60 * 1.05, 1.35);
    }
}

Test(health, a_server_that_comes_back_is_found_soon) {
    static const double away[] = {2, 20, 100};
    for (size_t i = 0; i < 3; i++) {
        world_t world = {.round_trip_s = 0.01,
                         .latency_s = 0.1,
                         .retry_after_ms = -1,
                         .empty_until_s = away[i],
                         .rows = 2000,
                         .at_a_time = 64};
        expect_time("away", &world, away[i] * 1.7 + 6 + 2000 * 0.11 / 64, 1.15);
    }
}
