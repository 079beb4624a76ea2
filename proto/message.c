/* message.c - the codec, made from messages.def by one function per field kind and one expansion of the catalogue per direction.
 *
 * Decoding is in two steps: prescan bounds everything, then msgpack-c unpacks into its zone; slices point into the frame, lists are
 * copied out, and the zone goes away before message_decode returns.
 */
#include "proto/message.h"

#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/limits.h"
#include "proto/prescan.h"

/* ---- encode ----------------------------------------------------------------------------------------------------- */

static int write_to_buf(void *data, const char *bytes, size_t len) {
    buf_add(data, bytes, len);
    return 0;
}

static void put_bytes(msgpack_packer *p, slice_t s) { msgpack_pack_bin_with_body(p, s.data ? s.data : "", s.len); }
static void put_U64(msgpack_packer *p, const uint64_t *v) { msgpack_pack_uint64(p, *v); }
static void put_TEXT(msgpack_packer *p, const slice_t *v) { msgpack_pack_str_with_body(p, v->data ? v->data : "", v->len); }
static void put_BYTES(msgpack_packer *p, const slice_t *v) { put_bytes(p, *v); }

static void put_U64S(msgpack_packer *p, const u64_list_t *v) {
    msgpack_pack_array(p, v->count);
    for (size_t i = 0; i < v->count; i++) {
        msgpack_pack_uint64(p, v->items[i]);
    }
}

static void put_ROWS(msgpack_packer *p, const row_in_list_t *v) {
    msgpack_pack_array(p, v->count);
    for (size_t i = 0; i < v->count; i++) {
        const row_in_t *row = &v->items[i];
        msgpack_pack_array(p, 3);
        msgpack_pack_uint64(p, row->index);
        msgpack_pack_uint64(p, row->line);
        put_bytes(p, row->raw);
    }
}

static void put_DONE(msgpack_packer *p, const row_done_list_t *v) {
    msgpack_pack_array(p, v->count);
    for (size_t i = 0; i < v->count; i++) {
        const row_done_t *row = &v->items[i];
        msgpack_pack_array(p, 4);
        msgpack_pack_uint64(p, row->index);
        msgpack_pack_uint64(p, row->status);
        put_bytes(p, row->json);
        put_bytes(p, row->meta);
    }
}

static void put_CALLS(msgpack_packer *p, const call_list_t *v) {
    msgpack_pack_array(p, v->count);
    for (size_t i = 0; i < v->count; i++) {
        const call_item_t *call = &v->items[i];
        msgpack_pack_array(p, 6);
        msgpack_pack_uint64(p, call->tag);
        msgpack_pack_uint64(p, call->row);
        msgpack_pack_uint64(p, call->hash_high);
        msgpack_pack_uint64(p, call->hash_low);
        msgpack_pack_uint64(p, call->occurrence);
        put_bytes(p, call->answer);
    }
}

enum { HEAD_FIELDS = 3 }; /* version, type, epoch */

#define F(kind, name) +1
#define MESSAGE(NAME, type, FIELDS) FIELDS_OF_##NAME = 0 FIELDS,
enum {
#include "proto/messages.def"
};
#undef MESSAGE
#undef F

void message_encode(const message_t *m, buf_t *out) {
    msgpack_packer packer;
    msgpack_packer *p = &packer;
    msgpack_packer_init(p, out, write_to_buf);
    switch (m->type) {
#define F(kind, name) put_##kind(p, &body->name);
#define MESSAGE(NAME, number, FIELDS)                                                                                  \
    case MESSAGE_##NAME: {                                                                                             \
        const MSG_##NAME *body = &m->NAME;                                                                             \
        msgpack_pack_array(p, HEAD_FIELDS + FIELDS_OF_##NAME);                                                         \
        msgpack_pack_uint64(p, PROTO_VERSION);                                                                         \
        msgpack_pack_uint64(p, number);                                                                                \
        msgpack_pack_uint64(p, m->epoch);                                                                              \
        FIELDS break;                                                                                                  \
    }
#include "proto/messages.def"
#undef MESSAGE
#undef F
    case MESSAGE_NONE:
        break;
    }
}

/* ---- decode ----------------------------------------------------------------------------------------------------- */

static int wrong(err_t *err, const char *field, const char *wanted) {
    return err_set(err, SDG_EPARSE, "field '%s' is not %s", field, wanted);
}

static bool as_u64(const msgpack_object *o, uint64_t *out) {
    if (o->type != MSGPACK_OBJECT_POSITIVE_INTEGER) return false;
    *out = o->via.u64;
    return true;
}

static bool as_bytes(const msgpack_object *o, slice_t *out) {
    if (o->type == MSGPACK_OBJECT_BIN) {
        *out = (slice_t){o->via.bin.ptr, o->via.bin.size};
        return true;
    }
    if (o->type != MSGPACK_OBJECT_STR) return false;
    *out = (slice_t){o->via.str.ptr, o->via.str.size};
    return true;
}

static int get_U64(const msgpack_object *o, uint64_t *out, const char *field, err_t *err) {
    return as_u64(o, out) ? SDG_OK : wrong(err, field, "an unsigned integer");
}

static int get_TEXT(const msgpack_object *o, slice_t *out, const char *field, err_t *err) {
    return as_bytes(o, out) ? SDG_OK : wrong(err, field, "text");
}

static int get_BYTES(const msgpack_object *o, slice_t *out, const char *field, err_t *err) {
    return as_bytes(o, out) ? SDG_OK : wrong(err, field, "bytes");
}

/* The elements of a list, or NULL with the reason. */
static const msgpack_object *elements(const msgpack_object *o, size_t *count, const char *field, err_t *err) {
    *count = 0;
    if (o->type != MSGPACK_OBJECT_ARRAY) {
        wrong(err, field, "a list");
        return NULL;
    }
    *count = o->via.array.size;
    return o->via.array.ptr;
}

static int get_U64S(const msgpack_object *o, u64_list_t *out, const char *field, err_t *err) {
    size_t count;
    const msgpack_object *e = elements(o, &count, field, err);
    if (o->type != MSGPACK_OBJECT_ARRAY) return SDG_EPARSE;
    out->items = xcalloc(count + 1, sizeof *out->items);
    out->count = count;
    for (size_t i = 0; i < count; i++) {
        if (!as_u64(&e[i], &out->items[i])) return wrong(err, field, "a list of unsigned integers");
    }
    return SDG_OK;
}

/* A tuple of exactly-or-more `n` elements. */
static const msgpack_object *tuple(const msgpack_object *o, size_t n) {
    return o->type == MSGPACK_OBJECT_ARRAY && o->via.array.size >= n ? o->via.array.ptr : NULL;
}

static int get_ROWS(const msgpack_object *o, row_in_list_t *out, const char *field, err_t *err) {
    size_t count;
    const msgpack_object *e = elements(o, &count, field, err);
    if (o->type != MSGPACK_OBJECT_ARRAY) return SDG_EPARSE;
    out->items = xcalloc(count + 1, sizeof *out->items);
    out->count = count;
    for (size_t i = 0; i < count; i++) {
        const msgpack_object *t = tuple(&e[i], 3);
        row_in_t *row = &out->items[i];
        if (!t || !as_u64(&t[0], &row->index) || !as_u64(&t[1], &row->line) || !as_bytes(&t[2], &row->raw))
            return wrong(err, field, "a list of rows (index, line, bytes)");
    }
    return SDG_OK;
}

static int get_DONE(const msgpack_object *o, row_done_list_t *out, const char *field, err_t *err) {
    size_t count;
    const msgpack_object *e = elements(o, &count, field, err);
    if (o->type != MSGPACK_OBJECT_ARRAY) return SDG_EPARSE;
    out->items = xcalloc(count + 1, sizeof *out->items);
    out->count = count;
    for (size_t i = 0; i < count; i++) {
        const msgpack_object *t = tuple(&e[i], 4);
        row_done_t *row = &out->items[i];
        uint64_t status;
        if (!t || !as_u64(&t[0], &row->index) || !as_u64(&t[1], &status) || status > ROW_STATUS_FAILED ||
            !as_bytes(&t[2], &row->json) || !as_bytes(&t[3], &row->meta))
            return wrong(err, field, "a list of finished rows (index, status, bytes, bytes)");
        row->status = (uint32_t)status;
    }
    return SDG_OK;
}

static bool take_call(const msgpack_object *o, call_item_t *call) {
    uint64_t occurrence;
    const msgpack_object *t = tuple(o, 6);
    if (!t || !as_u64(&t[0], &call->tag) || !as_u64(&t[1], &call->row) || !as_u64(&t[2], &call->hash_high) ||
        !as_u64(&t[3], &call->hash_low) || !as_u64(&t[4], &occurrence) || occurrence > UINT32_MAX || !as_bytes(&t[5], &call->answer))
        return false;
    call->occurrence = (uint32_t)occurrence;
    return true;
}

static int get_CALLS(const msgpack_object *o, call_list_t *out, const char *field, err_t *err) {
    size_t count;
    const msgpack_object *e = elements(o, &count, field, err);
    if (o->type != MSGPACK_OBJECT_ARRAY) return SDG_EPARSE;
    out->items = xcalloc(count + 1, sizeof *out->items);
    out->count = count;
    for (size_t i = 0; i < count; i++) {
        if (!take_call(&e[i], &out->items[i])) return wrong(err, field, "a list of calls (tag, row, hash, hash, occurrence, bytes)");
    }
    return SDG_OK;
}

static int decode_fields(const msgpack_object *field, size_t count, message_t *m, err_t *err) {
    switch (m->type) {
#define F(kind, name)                                                                                                  \
    if (get_##kind(field++, &body->name, #name, err) != SDG_OK) return err_prefix(err, "%s", message_name(m->type));
#define MESSAGE(NAME, number, FIELDS)                                                                                  \
    case MESSAGE_##NAME: {                                                                                             \
        MSG_##NAME *body = &m->NAME;                                                                                   \
        if (count < FIELDS_OF_##NAME)                                                                                  \
            return err_set(err, SDG_EPARSE, "%s has %zu fields, %d are needed", #NAME, count, FIELDS_OF_##NAME);        \
        FIELDS return SDG_OK;                                                                                          \
    }
#include "proto/messages.def"
#undef MESSAGE
#undef F
    case MESSAGE_NONE:
        break;
    }
    return err_set(err, SDG_EPARSE, "unknown message type %d", (int)m->type);
}

static int decode_envelope(const msgpack_object *o, message_t *m, err_t *err) {
    uint64_t version, type;
    const msgpack_object *head = tuple(o, HEAD_FIELDS);
    if (!head || !as_u64(&head[0], &version) || !as_u64(&head[1], &type) || !as_u64(&head[2], &m->epoch))
        return err_set(err, SDG_EPARSE, "not a message of this program (no version, type and epoch)");
    if (version != PROTO_VERSION)
        return err_set(err, SDG_EPARSE, "protocol version %llu, this program speaks %d: use the same release on both sides",
                       (unsigned long long)version, PROTO_VERSION);
    if (type > UINT16_MAX) return err_set(err, SDG_EPARSE, "unknown message type %llu", (unsigned long long)type);
    m->type = (message_type_t)type;
    return decode_fields(head + HEAD_FIELDS, o->via.array.size - HEAD_FIELDS, m, err);
}

int message_decode(const char *frame, size_t len, message_t *m, err_t *err) {
    memset(m, 0, sizeof *m);
    if (prescan(frame, len, err) != SDG_OK) return SDG_EPARSE;
    msgpack_unpacked unpacked;
    msgpack_unpacked_init(&unpacked);
    size_t used = 0;
    int rc = SDG_EPARSE;
    if (msgpack_unpack_next(&unpacked, frame, len, &used) == MSGPACK_UNPACK_SUCCESS)
        rc = decode_envelope(&unpacked.data, m, err);
    else
        err_set(err, SDG_EPARSE, "not msgpack");
    msgpack_unpacked_destroy(&unpacked);
    if (rc != SDG_OK) message_free(m);
    return rc;
}

#define free_U64(v) (void)(v)
#define free_TEXT(v) (void)(v)
#define free_BYTES(v) (void)(v)
#define free_U64S(v) free((v)->items)
#define free_ROWS(v) free((v)->items)
#define free_DONE(v) free((v)->items)
#define free_CALLS(v) free((v)->items)

void message_free(message_t *m) {
    switch (m->type) {
#define MESSAGE(NAME, number, FIELDS)                                                                                  \
    case MESSAGE_##NAME: {                                                                                             \
        MSG_##NAME *body = &m->NAME;                                                                                   \
        (void)body;                                                                                                    \
        FIELDS break;                                                                                                  \
    }
#define F(kind, name) free_##kind(&body->name);
#include "proto/messages.def"
#undef MESSAGE
#undef F
    case MESSAGE_NONE:
        break;
    }
    memset(m, 0, sizeof *m);
}

const char *message_name(message_type_t type) {
    switch (type) {
#define MESSAGE(NAME, number, FIELDS)                                                                                  \
    case MESSAGE_##NAME:                                                                                               \
        return #NAME;
#include "proto/messages.def"
#undef MESSAGE
    case MESSAGE_NONE:
        break;
    }
    return "?";
}
