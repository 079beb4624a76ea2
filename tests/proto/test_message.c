/* test_message.c - the messages on the wire. The tests of all messages are made from the catalogue: a new row
 * in messages.def is tested without an edit here. */
#include "proto/message.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/limits.h"
#include "proto/limits.h"
#include "proto/prescan.h"

#include <criterion/criterion.h>

/* ---- one of each */

typedef enum fill { EMPTY, PLAIN, EXTREME, FILLS } fill_t;

static uint64_t some_u64(fill_t fill, int n) {
    return fill == EMPTY ? 0 : fill == EXTREME ? UINT64_MAX - (uint64_t)n : 300u + (uint64_t)n;
}

static slice_t some_bytes(fill_t fill) {
    static char large[70000]; /* above what a 16-bit length can say */
    memset(large, 0xff, sizeof large);
    return fill == EMPTY     ? (slice_t){"", 0}
           : fill == EXTREME ? (slice_t){large, sizeof large}
                             : (slice_t){"a\0\xc3\xa9\n", 5};
}

static void put_U64(uint64_t *v, fill_t fill, int n) { *v = some_u64(fill, n); }
static void put_TEXT(slice_t *v, fill_t fill, int n) { (void)n, *v = some_bytes(fill); }
static void put_BYTES(slice_t *v, fill_t fill, int n) { (void)n, *v = some_bytes(fill); }

static void put_U64S(u64_list_t *v, fill_t fill, int n) {
    v->count = fill == EMPTY ? 0 : fill == EXTREME ? MESSAGE_ELEMENTS_MAX : 3;
    v->items = xcalloc(v->count + 1, sizeof *v->items);
    for (size_t i = 0; i < v->count; i++)
        v->items[i] = some_u64(fill, n) - i;
}

static void put_ROWS(row_in_list_t *v, fill_t fill, int n) {
    v->count = fill == EMPTY ? 0 : 20;
    v->items = xcalloc(v->count + 1, sizeof *v->items);
    for (size_t i = 0; i < v->count; i++)
        v->items[i] = (row_in_t){some_u64(fill, n), i, some_bytes(fill)};
}

static void put_DONE(row_done_list_t *v, fill_t fill, int n) {
    v->count = fill == EMPTY ? 0 : 20;
    v->items = xcalloc(v->count + 1, sizeof *v->items);
    for (size_t i = 0; i < v->count; i++)
        v->items[i] = (row_done_t){some_u64(fill, n), (uint32_t)(i % 3), some_bytes(fill),
                                   some_bytes(i % 3 ? PLAIN : EMPTY)};
}

static void put_CALLS(call_list_t *v, fill_t fill, int n) {
    v->count = fill == EMPTY ? 0 : 20;
    v->items = xcalloc(v->count + 1, sizeof *v->items);
    for (size_t i = 0; i < v->count; i++)
        v->items[i] = (call_item_t){some_u64(fill, n),
                                    i,
                                    some_u64(fill, n + 1),
                                    some_u64(fill, n + 2),
                                    (uint32_t)some_u64(fill, n + 3),
                                    some_bytes(fill)};
}

static void put_CONTEXTS(context_list_t *v, fill_t fill, int n) {
    v->count = fill == EMPTY ? 0 : 20;
    v->items = xcalloc(v->count + 1, sizeof *v->items);
    for (size_t i = 0; i < v->count; i++)
        v->items[i] =
            (context_item_t){some_u64(fill, n), i, (uint32_t)some_u64(fill, n + 1), some_bytes(fill)};
}

static message_t one_of(message_type_t type, fill_t fill) {
    message_t m = {.type = type, .epoch = some_u64(fill, 1)};
    int n = 0;
    switch (type) {
#define F(kind, name) put_##kind(&body->name, fill, n++);
#define MESSAGE(NAME, number, SAYERS, FIELDS) \
    case MESSAGE_##NAME: {                    \
        MSG_##NAME *body = &m.NAME;           \
        FIELDS break;                         \
    }
#include "proto/messages.def"
#undef MESSAGE
#undef F
    case MESSAGE_NONE: break;
    }
    return m;
}

static const message_type_t types[] = {
#define MESSAGE(NAME, number, SAYERS, FIELDS) MESSAGE_##NAME,
#include "proto/messages.def"
#undef MESSAGE
};
enum { TYPES = sizeof types / sizeof *types };

/* ---- equal? */

static bool same_bytes(slice_t a, slice_t b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}
static bool same_U64(const uint64_t *a, const uint64_t *b) { return *a == *b; }
static bool same_TEXT(const slice_t *a, const slice_t *b) { return same_bytes(*a, *b); }
static bool same_BYTES(const slice_t *a, const slice_t *b) { return same_bytes(*a, *b); }

static bool same_U64S(const u64_list_t *a, const u64_list_t *b) {
    return a->count == b->count && memcmp(a->items, b->items, a->count * sizeof *a->items) == 0;
}

static bool same_ROWS(const row_in_list_t *a, const row_in_list_t *b) {
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++)
        same = a->items[i].index == b->items[i].index && a->items[i].line == b->items[i].line &&
               same_bytes(a->items[i].raw, b->items[i].raw);
    return same;
}

static bool same_DONE(const row_done_list_t *a, const row_done_list_t *b) {
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++)
        same = a->items[i].index == b->items[i].index && a->items[i].status == b->items[i].status &&
               same_bytes(a->items[i].json, b->items[i].json) &&
               same_bytes(a->items[i].meta, b->items[i].meta);
    return same;
}

static bool same_CALLS(const call_list_t *a, const call_list_t *b) {
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++) {
        const call_item_t *x = &a->items[i], *y = &b->items[i];
        same = x->tag == y->tag && x->row == y->row && x->hash_high == y->hash_high &&
               x->hash_low == y->hash_low && x->occurrence == y->occurrence &&
               same_bytes(x->answer, y->answer);
    }
    return same;
}

static bool same_CONTEXTS(const context_list_t *a, const context_list_t *b) {
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++) {
        const context_item_t *x = &a->items[i], *y = &b->items[i];
        same = x->tag == y->tag && x->row == y->row && x->part == y->part && same_bytes(x->bytes, y->bytes);
    }
    return same;
}

static bool same(const message_t *a, const message_t *b) {
    bool ok = a->type == b->type && a->epoch == b->epoch;
    switch (a->type) {
#define F(kind, name) ok = ok && same_##kind(&x->name, &y->name);
#define MESSAGE(NAME, number, SAYERS, FIELDS)          \
    case MESSAGE_##NAME: {                             \
        const MSG_##NAME *x = &a->NAME, *y = &b->NAME; \
        FIELDS break;                                  \
    }
#include "proto/messages.def"
#undef MESSAGE
#undef F
    case MESSAGE_NONE: break;
    }
    return ok;
}

static buf_t frame_of(message_type_t type, fill_t fill) {
    buf_t frame;
    buf_init(&frame, MESSAGE_BYTES_MAX);
    message_t m = one_of(type, fill);
    message_encode(&m, &frame);
    message_free(&m);
    return frame;
}

/* ---- tests */

Test(message, a_message_comes_back_as_it_was) {
    buf_t frame;
    buf_init(&frame, 1024);
    message_t m = {.type = MESSAGE_PERMITS_HELD,
                   .epoch = 5,
                   .PERMITS_HELD = {.job = 1, .permit = 2, .used = 3}},
              back;
    err_t err;
    message_encode(&m, &frame);
    cr_assert_eq(message_decode(frame.data, frame.len, &back, &err), SDG_OK);
    cr_assert_eq(back.type, MESSAGE_PERMITS_HELD);
    cr_assert_eq(back.epoch, 5);
    cr_assert_eq(back.PERMITS_HELD.used, 3);
    message_free(&back);
    buf_free(&frame);
}

Test(message, every_message_comes_back_empty_plain_and_extreme) {
    for (size_t t = 0; t < TYPES; t++) {
        for (fill_t fill = EMPTY; fill < FILLS; fill++) {
            message_t m = one_of(types[t], fill), back;
            buf_t frame = frame_of(types[t], fill);
            err_t err = {0};
            cr_assert_eq(message_decode(frame.data, frame.len, &back, &err), SDG_OK, "%s: %s",
                         message_name(types[t]), err.text);
            cr_assert(same(&m, &back), "%s differs", message_name(types[t]));
            message_free(&m);
            message_free(&back);
            buf_free(&frame);
        }
    }
}

Test(message, cut_at_every_byte_is_refused_in_words) {
    for (size_t t = 0; t < TYPES; t++) {
        buf_t frame = frame_of(types[t], PLAIN);
        for (size_t len = 0; len < frame.len; len++) {
            message_t m;
            err_t err = {0};
            char *cut =
                xmalloc(len + 1); /* its own allocation: a read behind the end is seen by the sanitizer */
            cut = xrealloc(cut, len ? len : 1);
            memcpy(cut, frame.data, len);
            cr_assert_eq(message_decode(cut, len, &m, &err), SDG_EPARSE);
            cr_assert(err.text[0]);
            cr_assert_eq(m.type, MESSAGE_NONE);
            free(cut);
        }
        buf_free(&frame);
    }
}

Test(message, unknown_trailing_fields_are_ignored) {
    for (size_t t = 0; t < TYPES; t++) {
        buf_t frame = frame_of(types[t], PLAIN);
        message_t m = one_of(types[t], PLAIN), back;
        unsigned char head = (unsigned char)frame.data[0];
        char longer[3] = {'\xdc', 0,
                          (char)((head & 0x0f) + 1)}; /* one element more, with a length of 16 bits */
        buf_t later;
        cr_assert_eq(head & 0xf0, 0x90, "a small array");
        buf_init(&later, MESSAGE_BYTES_MAX);
        buf_add(&later, longer, sizeof longer);
        buf_add(&later, frame.data + 1, frame.len - 1);
        buf_add(&later, "\x93\x01\xc0\xa1x", 5); /* [1, nil, "x"] */
        cr_assert_eq(message_decode(later.data, later.len, &back, NULL), SDG_OK, "%s",
                     message_name(types[t]));
        cr_assert(same(&m, &back));
        buf_free(&later);
        message_free(&m);
        message_free(&back);
        buf_free(&frame);
    }
}

static void refused(const char *bytes, size_t len, const char *words) {
    message_t m;
    err_t err = {0};
    char *exact = xmalloc(len);
    memcpy(exact, bytes, len);
    cr_assert_eq(message_decode(exact, len, &m, &err), SDG_EPARSE);
    cr_assert(strstr(err.text, words), "'%s' in '%s'", words, err.text);
    free(exact);
}

Test(message, another_version_is_refused_in_words) {
    refused("\x94\x01\x06\x00\x05", 5, "protocol version 1, this program speaks 2: use the same release");
}

Test(message, unknown_types_and_too_few_fields_are_refused) {
    refused("\x93\x02\x63\x00", 4, "unknown message type 99");
    refused("\x93\x02\x00\x00", 4, "unknown message type 0");
    refused("\x93\x02\xce\x00\x01\x00\x06\x00", 8, "unknown message type 65542"); /* 6 with a bit above */
    refused("\x93\x02\x06\x00", 4, "SYNC has 0 fields, 1 are needed");
    refused("\x92\x02\x06", 3, "not a message of this program");
    refused("\x05", 1, "not a message of this program");
}

Test(message, fields_of_another_kind_are_refused_by_name) {
    refused("\x94\x02\x06\x00\xa1x", 6, "'token' is not an unsigned integer");
    refused("\x94\x02\x06\x00\xff", 5, "'token' is not an unsigned integer"); /* -1 */
    refused("\x94\x02\x04\x00\x07", 5, "'reason' is not text");
    refused("\x97\x02\x32\x00\x01\x92\x01\xa1x\x90\xa0", 11, "'values' is not a list of unsigned integers");
    refused("\x96\x02\x0d\x00\x01\x02\x03", 7, "'rows' is not a list");
    refused("\x96\x02\x0d\x00\x01\x02\x91\x92\x01\x02", 10, "'rows' is not a list of rows");
    refused("\x97\x02\x10\x00\x01\x02\x91\x94\x01\x03\xa0\xa0\xa0", 13,
            "'rows' is not a list of finished rows"); /* status 3 */
}

Test(message, a_header_that_asks_for_gigabytes_is_refused) {
    refused("\xdd\x10\x00\x00\x00", 5, "a list of 268435456 elements");
    refused("\x95\x02\x32\x00\x01\xdd\xff\xff\xff\xff", 10, "elements");
    refused("\x94\x02\x04\x00\xdb\xff\xff\xff\xff", 9, "ends in the middle");
}

Test(message, one_element_over_the_limit_is_refused) {
    buf_t frame;
    buf_init(&frame, MESSAGE_BYTES_MAX);
    message_t m = {.type = MESSAGE_STATS,
                   .STATS = {.values = {xcalloc(MESSAGE_ELEMENTS_MAX + 1, sizeof(uint64_t)),
                                        MESSAGE_ELEMENTS_MAX + 1}}},
              back;
    message_encode(&m, &frame);
    cr_assert_eq(message_decode(frame.data, frame.len, &back, NULL), SDG_EPARSE);
    message_free(&m);
    buf_free(&frame);
}

Test(message, nesting_over_the_limit_is_refused) {
    char deep[MESSAGE_DEPTH_MAX + 2];
    memset(deep, '\x91', sizeof deep);
    deep[sizeof deep - 1] = '\x01';
    cr_assert_eq(prescan(deep, sizeof deep, NULL), SDG_EPARSE);
    cr_assert_eq(prescan(deep + 1, sizeof deep - 1, NULL), SDG_OK);
    refused(deep, sizeof deep, "nested deeper");
}

Test(message, bytes_behind_the_message_are_refused) {
    refused("\x94\x02\x06\x00\x05\x00", 6, "1 bytes follow the message");
    refused("\x90\x90", 2, "follow");
}

Test(message, maps_and_extensions_have_no_place) {
    refused("\x94\x02\x06\x00\x80", 5, "type 0x80");
    refused("\xc7\x01\x01\x01", 4, "type 0xc7");
    refused("\xd4\x01\x01", 3, "type 0xd4");
    refused("\xc1", 1, "type 0xc1");
}

Test(message, a_full_buffer_is_seen_by_the_sender) {
    buf_t frame;
    buf_init(&frame, 16);
    message_t m = {.type = MESSAGE_BYE,
                   .BYE = {.reason = slice_of("a reason that does not fit into sixteen bytes")}};
    message_encode(&m, &frame);
    cr_assert(frame.full);
    buf_free(&frame);
}

Test(message, names) {
    cr_assert_str_eq(message_name(MESSAGE_ROW_RESULTS_ACK), "ROW_RESULTS_ACK");
    cr_assert_str_eq(message_name((message_type_t)999), "?");
}

Test(message, who_says_it_to_whom_stands_in_the_catalogue) {
    cr_assert(message_is_said(MESSAGE_LEASE, ROLE_SCHEDULER, ROLE_WORKER));
    cr_assert_not(message_is_said(MESSAGE_LEASE, ROLE_WORKER, ROLE_SCHEDULER));
    cr_assert_not(message_is_said(MESSAGE_JOB_OPEN, ROLE_WORKER, ROLE_SCHEDULER));
    cr_assert(message_is_said(MESSAGE_STATS, ROLE_WORKER, ROLE_SCHEDULER));
    cr_assert(message_is_said(MESSAGE_SYNC, ROLE_WORKER, ROLE_SCHEDULER), "anybody may");
    cr_assert_not(message_is_said(MESSAGE_HELLO, 77, ROLE_SCHEDULER));
    cr_assert_not(message_is_said((message_type_t)999, ROLE_CLIENT, ROLE_SCHEDULER));
    cr_assert_not(message_is_said(MESSAGE_NONE, ROLE_CLIENT, ROLE_SCHEDULER));
}

Test(message, every_message_is_said_by_somebody) {
    for (size_t t = 0; t < TYPES; t++) {
        bool said = false;
        for (uint64_t by = ROLE_CLIENT; by <= ROLE_MONITOR; by++)
            for (uint64_t to = ROLE_CLIENT; to <= ROLE_MONITOR; to++)
                said = said || message_is_said(types[t], by, to);
        cr_assert(said, "%s", message_name(types[t]));
    }
}
