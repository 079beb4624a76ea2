/* torment.c - see torment.h. */
#include "tests/fuzz/torment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/limits.h"
#include "core/base/memory.h"

static uint64_t messages_said;

static void tell_count(void) { fprintf(stderr, "messages said: %llu\n", (unsigned long long)messages_said); }

void torment_found(const char *what) {
    fprintf(stderr, "torment: %s\n", what);
    abort();
}

void torment_name(char *name, size_t size, const char *word) {
    static unsigned count;
    snprintf(name, size, "inproc://torment-%s-%u", word, ++count);
}

/* ---- the script ---- */

uint8_t torment_byte(torment_t *t) {
    if (t->len == 0) return 0;
    t->len--;
    return *t->at++;
}

static uint64_t raw_number(torment_t *t) {
    uint64_t n = 0;
    for (int i = 0; i < 8; i++)
        n = n << 8 | torment_byte(t);
    return n;
}

static uint64_t extreme(uint8_t choice) {
    static const uint64_t extremes[] = {UINT64_MAX, UINT64_MAX - 1, UINT64_MAX / 2, UINT64_MAX / 2 + 1,
                                        UINT32_MAX, 1ULL << 32,     1ULL << 31,     INT32_MAX,
                                        65535,      65536,          1000000,        1000000000,
                                        1ULL << 40, 1000,           (1ULL << 53),   255};
    return extremes[choice % (sizeof extremes / sizeof *extremes)];
}

static uint64_t number(torment_t *t) {
    uint8_t how = torment_byte(t), which = how >> 3;
    uint64_t heard = t->heard_count ? t->heard[which % t->heard_count] : which;
    switch (how & 7) {
    case 0: return 0;
    case 1: return which & 7;
    case 2:
    case 3:
    case 4: return heard;
    case 5: return heard + (which & 1 ? 1 : (uint64_t)-1);
    case 6: return extreme(torment_byte(t));
    default: return which & 1 ? raw_number(t) : torment_byte(t);
    }
}

static slice_t text(torment_t *t) {
    uint8_t how = torment_byte(t);
    if (how < 200 && t->text_count) return t->texts[how % t->text_count];
    if (how < 210) return slice_of("");
    size_t len = torment_byte(t);
    if (len > t->len) len = t->len;
    slice_t raw = {(const char *)t->at, len};
    t->at += len;
    t->len -= len;
    return raw;
}

static size_t count(torment_t *t) { return torment_byte(t) % TORMENT_LIST_MAX; }

/* ---- fields ---- */

static void take_U64(torment_t *t, uint64_t *out) { *out = number(t); }
static void take_TEXT(torment_t *t, slice_t *out) { *out = text(t); }
static void take_BYTES(torment_t *t, slice_t *out) { *out = text(t); }

static void take_U64S(torment_t *t, u64_list_t *out) {
    out->count = count(t);
    out->items = out->count ? xcalloc(out->count, sizeof *out->items) : NULL;
    for (size_t i = 0; i < out->count; i++)
        out->items[i] = number(t);
}

static void take_ROWS(torment_t *t, row_in_list_t *out) {
    out->count = count(t);
    out->items = out->count ? xcalloc(out->count, sizeof *out->items) : NULL;
    for (size_t i = 0; i < out->count; i++)
        out->items[i] = (row_in_t){.index = number(t), .line = torment_byte(t), .raw = text(t)};
}

static void take_DONE(torment_t *t, row_done_list_t *out) {
    out->count = count(t);
    out->items = out->count ? xcalloc(out->count, sizeof *out->items) : NULL;
    for (size_t i = 0; i < out->count; i++)
        out->items[i] =
            (row_done_t){.index = number(t), .status = (uint32_t)number(t), .json = text(t), .meta = text(t)};
}

static void take_CALLS(torment_t *t, call_list_t *out) {
    out->count = count(t);
    out->items = out->count ? xcalloc(out->count, sizeof *out->items) : NULL;
    for (size_t i = 0; i < out->count; i++)
        out->items[i] = (call_item_t){.tag = number(t),
                                      .row = number(t),
                                      .hash_high = number(t),
                                      .hash_low = number(t),
                                      .occurrence = (uint32_t)number(t),
                                      .answer = text(t)};
}

static void take_CONTEXTS(torment_t *t, context_list_t *out) {
    out->count = count(t);
    out->items = out->count ? xcalloc(out->count, sizeof *out->items) : NULL;
    for (size_t i = 0; i < out->count; i++)
        out->items[i] = (context_item_t){
            .tag = number(t), .row = number(t), .part = (uint32_t)number(t), .bytes = text(t)};
}

/* ---- what is said ---- */

static const message_type_t types[] = {
#define MESSAGE(NAME, number, SAYERS, FIELDS) MESSAGE_##NAME,
#include "proto/messages.def"
#undef MESSAGE
};
enum { TYPES = sizeof types / sizeof *types };

static bool is_said(message_type_t type, uint64_t by, uint64_t to) {
    if (by != ROLE_ANYBODY) return message_is_said(type, by, to);
    for (uint64_t role = ROLE_CLIENT; role <= ROLE_MONITOR; role++)
        if (message_is_said(type, role, to)) return true;
    return false;
}

/* The next type that may be said, from where the script points in the catalogue; rarely just that one. */
static message_type_t take_type(torment_t *t, uint64_t by, uint64_t to) {
    uint8_t from = torment_byte(t);
    if (from >= 250) return types[torment_byte(t) % TYPES];
    for (size_t i = 0; i < TYPES; i++) {
        message_type_t type = types[(from + i) % TYPES];
        if (is_said(type, by, to)) return type;
    }
    return MESSAGE_SYNC;
}

static void take_message(torment_t *t, message_type_t type, message_t *m) {
    m->type = type;
    switch (type) {
#define MESSAGE(NAME, number, SAYERS, FIELDS) \
    case MESSAGE_##NAME: {                    \
        MSG_##NAME *body = &m->NAME;          \
        FIELDS break;                         \
    }
#define F(kind, name) take_##kind(t, &body->name);
#include "proto/messages.def"
#undef MESSAGE
#undef F
    case MESSAGE_NONE: break;
    }
}

static void say_bytes(puppet_t *p, const char *bytes, size_t len) {
    link_send_bytes(p->socket, p->peer, bytes, len);
    if (messages_said++ == 0) atexit(tell_count);
}

static void damage(torment_t *t, buf_t *frame) {
    for (int i = torment_byte(t) % 3; i >= 0; i--)
        frame->data[torment_byte(t) % frame->len] ^= (char)torment_byte(t);
    if (torment_byte(t) % 4 == 0) frame->len = torment_byte(t) % frame->len;
}

void torment_say(torment_t *t, puppet_t *p, uint64_t by, uint64_t to) {
    uint8_t how = torment_byte(t);
    if (how >= 252) {
        slice_t raw = text(t);
        say_bytes(p, raw.data ? raw.data : "", raw.len);
        return;
    }
    message_t m = {.epoch = how % 8 == 7 ? number(t) : p->epoch};
    take_message(t, take_type(t, by, to), &m);
    buf_t frame;
    buf_init(&frame, MESSAGE_BYTES_MAX);
    message_encode(&m, &frame);
    if (how >= 240) damage(t, &frame);
    say_bytes(p, frame.data, frame.len);
    buf_free(&frame);
    message_free(&m);
}

void torment_reconnect(torment_t *t, puppet_t *p, const char *endpoint) {
    if (t->reconnects++ >= TORMENT_RECONNECTS_MAX) return;
    puppet_close(p);
    puppet_connect(p, endpoint);
}

/* ---- what is heard ---- */

static void learn_number(torment_t *t, uint64_t n) {
    for (size_t i = 0; i < t->heard_count && i < TORMENT_HEARD_MAX; i++)
        if (t->heard[i] == n) return;
    if (t->heard_count < TORMENT_HEARD_MAX)
        t->heard[t->heard_count++] = n;
    else
        t->heard[n % TORMENT_HEARD_MAX] = n;
}

static void learn_U64(torment_t *t, const uint64_t *n) { learn_number(t, *n); }
static void learn_U64S(torment_t *t, const u64_list_t *list) {
    for (size_t i = 0; i < list->count && i < TORMENT_LIST_MAX; i++)
        learn_number(t, list->items[i]);
}
static void learn_ROWS(torment_t *t, const row_in_list_t *list) {
    for (size_t i = 0; i < list->count && i < TORMENT_LIST_MAX; i++)
        learn_number(t, list->items[i].index);
}
static void learn_DONE(torment_t *t, const row_done_list_t *list) {
    for (size_t i = 0; i < list->count && i < TORMENT_LIST_MAX; i++)
        learn_number(t, list->items[i].index);
}
static void learn_CALLS(torment_t *t, const call_list_t *list) {
    for (size_t i = 0; i < list->count && i < TORMENT_LIST_MAX; i++) {
        learn_number(t, list->items[i].tag);
        learn_number(t, list->items[i].hash_high);
        learn_number(t, list->items[i].hash_low);
    }
}
static void learn_CONTEXTS(torment_t *t, const context_list_t *list) {
    for (size_t i = 0; i < list->count && i < TORMENT_LIST_MAX; i++) {
        learn_number(t, list->items[i].tag);
        learn_number(t, list->items[i].row);
    }
}
static void learn_TEXT(torment_t *t, const slice_t *s) { (void)t, (void)s; }
static void learn_BYTES(torment_t *t, const slice_t *s) { (void)t, (void)s; }

static void learn(torment_t *t, const message_t *m) {
    switch (m->type) {
#define MESSAGE(NAME, number, SAYERS, FIELDS) \
    case MESSAGE_##NAME: {                    \
        const MSG_##NAME *body = &m->NAME;    \
        FIELDS break;                         \
    }
#define F(kind, name) learn_##kind(t, &body->name);
#include "proto/messages.def"
#undef MESSAGE
#undef F
    case MESSAGE_NONE: break;
    }
}

size_t torment_hear(torment_t *t, puppet_t *p) {
    size_t n = 0;
    for (link_frame_t in; puppet_hear_for(p, &in, 0); n++) {
        if (in.message.epoch && !p->router) p->epoch = in.message.epoch;
        learn(t, &in.message);
        link_frame_free(&in);
    }
    return n;
}

void torment_sync(torment_t *t, puppet_t *p) {
    enum { TOKEN = 4711, WAIT_MS = 50, TIMES_MAX = 200 };
    message_t m = {.type = MESSAGE_SYNC, .SYNC = {.token = TOKEN}};
    link_frame_t in;
    /* An answer that finds no room is lost, so the question is asked again. */
    for (int i = 0; i < TIMES_MAX; i++) {
        torment_hear(t, p);
        puppet_say(p, m);
        if (!puppet_await_for(p, MESSAGE_SYNCED, &in, WAIT_MS)) continue;
        link_frame_free(&in);
        return;
    }
    torment_found("the actor does not answer");
}
