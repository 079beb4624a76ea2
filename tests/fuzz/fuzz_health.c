/* fuzz_health - any sequence of requests and their ends at one replica, and of time that passes: what is
 * known of it stays consistent, and it never closes for ever without having been judged final. */
#include "tests/fuzz/input.h"

#include <math.h>

#include "core/base/clock.h"
#include "core/llm/health.h"
#include "core/llm/limits.h"

enum { OPEN_MAX = 64 };

typedef struct world {
    health_t health;
    health_ticket_t open[OPEN_MAX];
    uint32_t open_count;
    uint64_t now_ns;
} world_t;

/* A request leaves, if it may. */
static void send_one(world_t *w) {
    if (w->open_count == OPEN_MAX || health_opens_ns(&w->health, w->now_ns) > w->now_ns) return;
    w->open[w->open_count++] = health_sent(&w->health, w->now_ns);
}

static void end_one(world_t *w, uint8_t how, uint8_t which, int64_t after_ms) {
    if (w->open_count == 0) return;
    health_ticket_t ticket = w->open[which % w->open_count];
    w->open[which % w->open_count] = w->open[--w->open_count];
    health_t *h = &w->health;
    switch (how % 8) {
    case 0: health_answered(h, ticket, w->now_ns); break;
    case 1: health_rejected(h, ticket, after_ms, w->now_ns); break;
    case 2: health_overloaded(h, ticket, after_ms, w->now_ns); break;
    case 3: health_refused(h, ticket, w->now_ns); break;
    case 4: health_unreached(h, ticket, w->now_ns); break;
    case 5: health_failed(h, ticket, w->now_ns); break;
    case 6: health_told(h, ticket, w->now_ns); break;
    default: health_dropped(h, ticket); break;
    }
}

static void check(world_t *w) {
    health_t *h = &w->health;
    uint64_t opens_ns = health_opens_ns(h, w->now_ns);
    uint64_t longest_ns = (LLM_RETRY_AFTER_MAX_S + UINT64_C(60)) * SECOND;
    CHECK(h->in_flight == w->open_count, "%u in flight, not %u", h->in_flight, w->open_count);
    CHECK(isfinite(h->rate) && h->rate >= 0 && isfinite(h->limit) && h->limit >= 0, "%g, %g", h->rate,
          h->limit);
    CHECK(h->window.open <= h->window.sent && h->window.rejected <= h->window.sent, "window of %u",
          h->window.sent);
    CHECK(opens_ns == HEALTH_NEVER || opens_ns <= w->now_ns + longest_ns, "closed until %llu",
          (unsigned long long)opens_ns);
    if (w->open_count == 0 && h->state != HEALTH_FINAL && !health_suspect(h))
        CHECK(opens_ns != HEALTH_NEVER, "closed for ever in state %d", (int)h->state);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
    fuzz_input_t in = {bytes, len};
    world_t w = {.now_ns = SECOND};
    while (fuzz_more(&in)) {
        uint8_t what = fuzz_byte(&in);
        if (what < 96)
            for (int i = 0; i <= what / 8; i++)
                send_one(&w);
        else if (what < 192)
            end_one(&w, what, fuzz_byte(&in), what % 3 ? -1 : (int64_t)fuzz_number(&in, 2));
        else if (what < 250)
            w.now_ns += (fuzz_byte(&in) + UINT64_C(1)) * MILLISECOND << what % 20;
        else if (what < 254)
            health_judge(&w.health, w.open_count);
        else
            health_forget_refusals(&w.health);
        check(&w);
    }
    return 0;
}
