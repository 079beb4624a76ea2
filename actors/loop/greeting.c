/* greeting.c - see greeting.h. */
#include "actors/loop/greeting.h"

#include "actors/loop/limits.h"

void greeting_init(greeting_t *g, uint64_t now) { *g = (greeting_t){.heard_ns = now}; }

bool greeting_hear(greeting_t *g, const message_t *m, uint64_t now) {
    g->heard_ns = now;
    g->silent = false;
    return m->type == MESSAGE_WELCOME || m->type == MESSAGE_REFUSED || m->epoch == g->epoch;
}

greeting_news_t greeting_take(greeting_t *g, const message_t *m) {
    bool restarted = g->epoch != 0 && g->epoch != m->epoch;
    g->epoch = m->epoch;
    g->welcome = m->WELCOME.known;
    g->wait_ns = 0;
    if (restarted) return GREETING_RESTARTED;
    return g->welcome ? GREETING_WELCOME : GREETING_UNKNOWN;
}

bool greeting_falls_silent(greeting_t *g, uint64_t now) {
    if (g->silent || now - g->heard_ns < SILENCE_NS) return false;
    g->silent = true;
    g->welcome = false;
    g->wait_ns = 0;
    return true;
}

bool greeting_is_due(const greeting_t *g, uint64_t now) {
    return !g->welcome && now - g->said_ns >= g->wait_ns;
}

void greeting_said(greeting_t *g, uint64_t now) {
    g->said_ns = now;
    g->wait_ns = g->wait_ns ? g->wait_ns * 2 : HELLO_WAIT_MIN_NS;
    if (g->silent || g->wait_ns > HELLO_WAIT_MAX_NS) g->wait_ns = HELLO_WAIT_MAX_NS;
}
