/* value_code.c - see value_code.h.
 *
 * A shared value gets its number when it is complete, not when it begins. So no number can name the container
 * it stands in, and values never become cyclic, whatever bytes a decoder gets.
 *
 * `owed` keeps the decoder's promise about memory: it counts the bytes that the missing elements of all open
 * containers take at least. A new container may announce only as many elements as fit into the bytes that are
 * left besides, so all capacities together are bounded by the bytes.
 */
#include "core/base/value_code.h"

#include "core/base/grow.h"
#include "core/base/integer.h"
#include "core/base/limits.h"

#include <assert.h>
#include <endian.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TAG_NULL,
    TAG_FALSE,
    TAG_TRUE,
    TAG_INT,
    TAG_REAL,
    TAG_STRING,
    TAG_LIST,
    TAG_OBJECT,
    TAG_AGAIN,
    TAG_BIGINT,
    TAG_SHARED = 64, /* added to TAG_STRING, TAG_LIST or TAG_OBJECT: the value has several owners */
    VARINT_BYTES_MAX = 10,
    ITEM_BYTES_MIN = 1,  /* a list's element: its tag */
    ENTRY_BYTES_MIN = 3, /* an object's element: the key's tag and length, the value's tag */
};

/* ---- writing */

typedef struct encoder_frame {
    value_t container; /* borrowed */
    size_t next;       /* number of its next element */
} encoder_frame_t;

static size_t varint_write(char *to, uint64_t n) {
    size_t len = 0;
    for (; n >= 0x80; n >>= 7)
        to[len++] = (char)(n | 0x80);
    to[len++] = (char)n;
    return len;
}

static void put_head(buf_t *out, int tag, uint64_t n) {
    char head[1 + VARINT_BYTES_MAX];
    head[0] = (char)tag;
    buf_add(out, head, 1 + varint_write(head + 1, n));
}

static void put_real(buf_t *out, double r) {
    char bytes[1 + sizeof(uint64_t)] = {TAG_REAL};
    uint64_t bits;
    memcpy(&bits, &r, sizeof bits);
    bits = htole64(bits);
    memcpy(bytes + 1, &bits, sizeof bits);
    buf_add(out, bytes, sizeof bytes);
}

static bool is_shared(value_t v) { return *v.refs > 1; }
static int marked(int tag, value_t v) { return is_shared(v) ? tag | TAG_SHARED : tag; }

/* Writes the number of a value that was written before; false: it was not. */
static bool put_again(value_encoder_t *e, value_t v) {
    uint32_t number = is_shared(v) ? value_seen_find(&e->seen, v) : VALUE_UNSEEN;
    if (number == VALUE_UNSEEN) return false;
    put_head(e->out, TAG_AGAIN, number);
    return true;
}

static void remember(value_encoder_t *e, value_t v) {
    if (!is_shared(v)) return;
    assert(e->numbers < VALUE_UNSEEN);
    value_seen_add(&e->seen, v, e->numbers++);
}

static void put_string(value_encoder_t *e, str_t *s) {
    value_t v = {.kind = VALUE_STRING, .string = s};
    if (put_again(e, v)) return;
    put_head(e->out, marked(TAG_STRING, v), s->len);
    buf_add(e->out, s->data, s->len);
    remember(e, v);
}

static void open_container(value_encoder_t *e, value_t v) {
    if (put_again(e, v)) return;
    if (v.kind == VALUE_LIST)
        put_head(e->out, marked(TAG_LIST, v), list_count(v));
    else
        put_head(e->out, marked(TAG_OBJECT, v), object_count(v));
    GROW(e->frames, e->cap, e->depth + 1);
    e->frames[e->depth++] = (encoder_frame_t){v, 0};
}

static void put(value_encoder_t *e, value_t v) {
    switch (v.kind) {
    case VALUE_NULL: buf_addc(e->out, TAG_NULL); break;
    case VALUE_BOOL: buf_addc(e->out, v.boolean ? TAG_TRUE : TAG_FALSE); break;
    case VALUE_INT:
        put_head(e->out, TAG_INT, (uint64_t)v.integer << 1 ^ (v.integer < 0 ? UINT64_MAX : 0));
        break;
    case VALUE_REAL: put_real(e->out, v.real); break;
    case VALUE_BIGINT:
        put_head(e->out, TAG_BIGINT, v.string->len);
        buf_add(e->out, v.string->data, v.string->len);
        break;
    case VALUE_STRING: put_string(e, v.string); break;
    case VALUE_LIST:
    case VALUE_OBJECT: open_container(e, v); break;
    }
}

/* Writes the next element of the innermost container, or ends it. */
static void step(value_encoder_t *e) {
    encoder_frame_t *f = &e->frames[e->depth - 1];
    value_t c = f->container;
    size_t i = f->next++;
    if (i == (c.kind == VALUE_LIST ? list_count(c) : object_count(c))) {
        e->depth--;
        remember(e, c);
    } else if (c.kind == VALUE_LIST) {
        put(e, list_peek(c, i));
    } else {
        put_string(e, object_key_peek(c, i));
        put(e, object_value_peek(c, i));
    }
}

void value_encoder_init(value_encoder_t *e, buf_t *out) {
    e->out = out;
    e->numbers = 0;
    e->frames = NULL;
    e->depth = e->cap = 0;
    value_seen_init(&e->seen);
}

void value_encoder_free(value_encoder_t *e) {
    value_seen_free(&e->seen);
    free(e->frames);
}

/* A value that cannot be shared or is known already takes a number, too: the decoder counts every value it is
 * told. */
void value_encoder_know(value_encoder_t *e, value_t v) { value_seen_know(&e->seen, v, e->numbers++); }

void value_encoder_value(value_encoder_t *e, value_t v) {
    put(e, v);
    while (e->depth && !e->out->full)
        step(e);
    e->depth = 0;
}

void value_encoder_uint(value_encoder_t *e, uint64_t n) {
    char bytes[VARINT_BYTES_MAX];
    buf_add(e->out, bytes, varint_write(bytes, n));
}

void value_encoder_bytes(value_encoder_t *e, const void *bytes, size_t len) {
    value_encoder_uint(e, len);
    buf_add(e->out, bytes, len);
}

/* ---- reading: bytes and numbers */

typedef struct decoder_frame {
    value_t container; /* owned, incomplete */
    size_t left;       /* elements still to come */
    str_t *key;        /* of the value that comes next; owned */
    bool shared;
} decoder_frame_t;

static size_t bytes_left(const value_decoder_t *d) { return (size_t)(d->end - d->at); }

void value_decoder_fail(value_decoder_t *d, const char *fmt, ...) {
    char text[160];
    va_list args;
    if (d->rc < 0) return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    d->rc = err_set(d->err, SDG_EPARSE, "byte %zu: %s", (size_t)(d->at - d->start), text);
}

/* A number in pieces of 7 bits, the lowest first; 0 after an error. */
static uint64_t read_varint(value_decoder_t *d) {
    uint64_t n = 0;
    for (int shift = 0; d->rc == SDG_OK; shift += 7) {
        if (d->at == d->end) {
            value_decoder_fail(d, "the bytes end inside a number");
            return 0;
        }
        uint8_t byte = (uint8_t)*d->at++;
        if (shift == 63 && byte > 1) {
            value_decoder_fail(d, "a number of more than 64 bits");
            return 0;
        }
        n |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) return n;
    }
    return 0;
}

uint64_t value_decoder_uint(value_decoder_t *d, uint64_t max) {
    uint64_t n = read_varint(d);
    if (n <= max) return n;
    value_decoder_fail(d, "%llu where at most %llu can be", (unsigned long long)n, (unsigned long long)max);
    return 0;
}

/* Reads a length and so many bytes; NULL after an error. */
static const char *read_bytes(value_decoder_t *d, size_t max, size_t *len) {
    uint64_t n = read_varint(d);
    *len = 0;
    if (n > bytes_left(d))
        value_decoder_fail(d, "a text of %llu bytes where %zu are left", (unsigned long long)n,
                           bytes_left(d));
    else if (n > max)
        value_decoder_fail(d, "a text of %llu bytes where at most %zu can be", (unsigned long long)n, max);
    if (d->rc < 0) return NULL;
    const char *bytes = d->at;
    d->at += n;
    *len = (size_t)n;
    return bytes;
}

const char *value_decoder_bytes(value_decoder_t *d, size_t max, size_t *len) {
    const char *bytes = read_bytes(d, max, len);
    return bytes ? bytes : "";
}

/* ---- reading: values. Each reader gives null after an error, and what it gives is owned. */

static int read_tag(value_decoder_t *d) {
    if (d->rc == SDG_OK && d->at == d->end) value_decoder_fail(d, "the bytes end where a value should be");
    return d->rc < 0 ? TAG_NULL : (uint8_t)*d->at++;
}

static void share(value_decoder_t *d, value_t take) {
    GROW(d->shared, d->shared_cap, d->shared_count + 1);
    d->shared[d->shared_count++] = take;
}

static value_t read_real(value_decoder_t *d) {
    uint64_t bits;
    double r;
    if (bytes_left(d) < sizeof bits) {
        value_decoder_fail(d, "the bytes end inside a number");
        return value_null();
    }
    memcpy(&bits, d->at, sizeof bits);
    d->at += sizeof bits;
    bits = le64toh(bits);
    memcpy(&r, &bits, sizeof r);
    return value_real(r);
}

static value_t read_int(value_decoder_t *d) {
    uint64_t n = read_varint(d);
    return value_int((int64_t)(n >> 1 ^ (n & 1 ? UINT64_MAX : 0)));
}

static value_t read_bigint(value_decoder_t *d) {
    size_t len;
    const char *bytes = read_bytes(d, INTEGER_DIGITS_MAX + 1, &len);
    if (bytes && integer_is_big(bytes, len)) {
        bool negative = *bytes == '-';
        return integer_from_digits(bytes + negative, len - negative, negative);
    }
    value_decoder_fail(d, "an integer in another form than it has");
    return value_null();
}

static value_t read_string(value_decoder_t *d, bool shared) {
    size_t len;
    const char *bytes = read_bytes(d, VALUE_STRING_MAX, &len);
    if (!bytes) return value_null();
    value_t v = value_string(bytes, len);
    if (shared) share(d, value_ref(v));
    return v;
}

static value_t read_again(value_decoder_t *d) {
    uint64_t number = read_varint(d);
    if (d->rc == SDG_OK && number >= d->shared_count)
        value_decoder_fail(d, "value %llu again, of %zu", (unsigned long long)number, d->shared_count);
    return d->rc < 0 ? value_null() : value_ref(d->shared[number]);
}

static void read_container(value_decoder_t *d, bool is_list, bool shared) {
    uint64_t n = read_varint(d);
    size_t unit = is_list ? ITEM_BYTES_MIN : ENTRY_BYTES_MIN;
    size_t room = bytes_left(d) > d->owed ? (bytes_left(d) - d->owed) / unit : 0;
    if (n > room || n > VALUE_COUNT_MAX)
        value_decoder_fail(d, "%llu elements where the bytes hold at most %zu", (unsigned long long)n, room);
    if (d->rc < 0) return;
    GROW(d->frames, d->cap, d->depth + 1);
    d->owed += n * unit;
    d->frames[d->depth++] = (decoder_frame_t){is_list ? value_list(n) : value_object(n), n, NULL, shared};
}

static void read_key(value_decoder_t *d, decoder_frame_t *f) {
    int tag = read_tag(d);
    value_t v = value_null();
    if (tag == TAG_AGAIN)
        v = read_again(d);
    else if ((tag & ~TAG_SHARED) == TAG_STRING)
        v = read_string(d, tag & TAG_SHARED);
    if (v.kind == VALUE_STRING) {
        f->key = v.string;
    } else {
        value_free(v);
        value_decoder_fail(d, "a key that is no text");
    }
}

/* Reads one value. A list or object is only begun: it becomes the innermost frame, and null is returned. */
static value_t read_value(value_decoder_t *d) {
    int tag = read_tag(d), kind = tag & ~TAG_SHARED;
    if (kind == TAG_STRING) return read_string(d, tag & TAG_SHARED);
    if (kind == TAG_LIST || kind == TAG_OBJECT)
        read_container(d, kind == TAG_LIST, tag & TAG_SHARED);
    else if (tag == TAG_FALSE || tag == TAG_TRUE)
        return value_bool(tag == TAG_TRUE);
    else if (tag == TAG_INT)
        return read_int(d);
    else if (tag == TAG_REAL)
        return read_real(d);
    else if (tag == TAG_BIGINT)
        return read_bigint(d);
    else if (tag == TAG_AGAIN)
        return read_again(d);
    else if (tag != TAG_NULL)
        value_decoder_fail(d, "no value begins with %d", tag);
    return value_null();
}

/* Called before an element is read: it is no longer owed, and an object's element has its key first. */
static void begin_element(value_decoder_t *d, decoder_frame_t *f) {
    bool is_list = f->container.kind == VALUE_LIST;
    d->owed -= is_list ? ITEM_BYTES_MIN : ENTRY_BYTES_MIN;
    if (!is_list) read_key(d, f);
}

static void give_element(value_decoder_t *d, decoder_frame_t *f, value_t take) {
    f->left--;
    if (f->container.kind == VALUE_LIST) {
        list_push(&f->container, take);
        return;
    }
    size_t before = object_count(f->container);
    object_set(&f->container, f->key, take);
    str_free(f->key);
    f->key = NULL;
    if (object_count(f->container) == before) value_decoder_fail(d, "a key that is there twice");
}

/* Takes out the innermost container, which is complete. */
static value_t end_container(value_decoder_t *d) {
    decoder_frame_t *f = &d->frames[--d->depth];
    if (f->shared) share(d, value_ref(f->container));
    return f->container;
}

/* Reads an element and ends the containers that it completes. True when that was the outermost one, or there
 * was none: *out is the whole value. */
static bool read_step(value_decoder_t *d, value_t *out) {
    if (d->depth) begin_element(d, &d->frames[d->depth - 1]);
    size_t depth = d->depth;
    value_t v = read_value(d);
    if (d->rc < 0) {
        value_free(v);
        return false;
    }
    if (d->depth > depth) {
        if (d->frames[depth].left) return false;
        v = end_container(d);
    }
    while (d->depth) {
        decoder_frame_t *f = &d->frames[d->depth - 1];
        give_element(d, f, v);
        if (f->left || d->rc < 0) return false;
        v = end_container(d);
    }
    *out = v;
    return true;
}

static void drop_frames(value_decoder_t *d) {
    while (d->depth) {
        decoder_frame_t *f = &d->frames[--d->depth];
        str_free(f->key);
        value_free(f->container);
    }
}

value_t value_decoder_value(value_decoder_t *d) {
    value_t v = value_null();
    d->owed = 0;
    while (d->rc == SDG_OK && !read_step(d, &v)) {
    }
    drop_frames(d);
    return v;
}

void value_decoder_init(value_decoder_t *d, const char *bytes, size_t len, err_t *err) {
    assert(bytes || len == 0);
    if (!bytes) bytes = "";
    *d = (value_decoder_t){.start = bytes, .at = bytes, .end = bytes + len, .err = err};
}

void value_decoder_free(value_decoder_t *d) {
    for (size_t i = 0; i < d->shared_count; i++)
        value_free(d->shared[i]);
    free(d->shared);
    free(d->frames);
}

void value_decoder_know(value_decoder_t *d, value_t v) { share(d, value_ref(v)); }

int value_decoder_end(value_decoder_t *d) {
    if (d->at != d->end) value_decoder_fail(d, "%zu bytes too many", bytes_left(d));
    return d->rc;
}
