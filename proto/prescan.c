/* prescan.c - a walk over msgpack type bytes that touches no payload.
 *
 * The walk keeps, per open array, how many elements are still to come; a value that is complete closes all
 * arrays it completes. Every element takes at least one byte, so "count <= bytes left" bounds what an
 * unpacker may allocate by the size of the frame. Source: the msgpack specification (format byte table). */
#include "proto/prescan.h"

#include <stdbool.h>
#include <stdint.h>

#include "proto/limits.h"

typedef struct prescan {
    const unsigned char *at, *end;    /* what is left of the frame */
    uint32_t open[MESSAGE_DEPTH_MAX]; /* elements still expected, per open array */
    int depth;
} prescan_t;

static size_t left(const prescan_t *s) { return (size_t)(s->end - s->at); }

/* Reads a big-endian number of `width` bytes; false if the frame ends inside it. */
static bool number(prescan_t *s, int width, uint32_t *out) {
    if (left(s) < (size_t)width) return false;
    *out = 0;
    for (int i = 0; i < width; i++) {
        *out = *out << 8 | *s->at++;
    }
    return true;
}

static int cut(err_t *err) { return err_set(err, SDG_EPARSE, "the message ends in the middle of a value"); }

static int skip(prescan_t *s, uint32_t bytes, err_t *err) {
    if (left(s) < bytes) return cut(err);
    s->at += bytes;
    return SDG_OK;
}

static int sized(prescan_t *s, int width, err_t *err) {
    uint32_t bytes;
    if (!number(s, width, &bytes)) return cut(err);
    return skip(s, bytes, err);
}

static int open_array(prescan_t *s, uint32_t count, err_t *err) {
    if (count > MESSAGE_ELEMENTS_MAX || count > left(s))
        return err_set(err, SDG_EPARSE, "a list of %u elements in a message with %zu bytes left", count,
                       left(s));
    if (s->depth == MESSAGE_DEPTH_MAX)
        return err_set(err, SDG_EPARSE, "lists nested deeper than %d", MESSAGE_DEPTH_MAX);
    s->open[s->depth++] = count;
    return SDG_OK;
}

/* Steps over the head of one value, and over its payload when it is no list. A list is opened: its elements
 * come next. */
static int one(prescan_t *s, bool *is_array, err_t *err) {
    static const uint8_t fixed[] = {1, 2, 4, 8, 1, 2, 4, 8}; /* 0xcc..0xd3: unsigned and signed integers */
    unsigned char type = *s->at++;
    uint32_t count = 0;
    *is_array = false;
    if (type <= 0x7f || type >= 0xe0 || type == 0xc0 || type == 0xc2 || type == 0xc3) return SDG_OK;
    if (type >= 0xa0 && type <= 0xbf) return skip(s, type & 0x1f, err);
    if (type >= 0xcc && type <= 0xd3) return skip(s, fixed[type - 0xcc], err);
    if (type == 0xca) return skip(s, 4, err);
    if (type == 0xcb) return skip(s, 8, err);
    if (type >= 0xc4 && type <= 0xc6) return sized(s, 1 << (type - 0xc4), err);
    if (type >= 0xd9 && type <= 0xdb) return sized(s, 1 << (type - 0xd9), err);
    *is_array = true;
    if (type >= 0x90 && type <= 0x9f) return open_array(s, type & 0x0f, err);
    if (type == 0xdc || type == 0xdd)
        return number(s, type == 0xdc ? 2 : 4, &count) ? open_array(s, count, err) : cut(err);
    return err_set(err, SDG_EPARSE, "msgpack type 0x%02x has no place in our messages", type);
}

/* A value has ended: so have all arrays whose last element it was. */
static void close_finished(prescan_t *s) {
    while (s->depth > 0 && s->open[s->depth - 1] == 0) {
        s->depth--;
        if (s->depth > 0) s->open[s->depth - 1]--;
    }
}

int prescan(const char *frame, size_t len, err_t *err) {
    if (len == 0) return cut(err); /* nothing may be NULL */
    prescan_t s = {.at = (const unsigned char *)frame, .end = (const unsigned char *)frame + len, .depth = 0};
    do {
        bool is_array;
        if (s.at == s.end) return cut(err);
        if (one(&s, &is_array, err) != SDG_OK) return SDG_EPARSE;
        if (!is_array && s.depth > 0) s.open[s.depth - 1]--;
        close_finished(&s);
    } while (s.depth > 0);
    if (s.at != s.end) return err_set(err, SDG_EPARSE, "%zu bytes follow the message", left(&s));
    return SDG_OK;
}
