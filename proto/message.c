/* message.c - the codec, made from messages.def by one function per field kind and one expansion of the
 * catalogue per direction.
 *
 * Decoding is in two steps: prescan bounds everything, then msgpack-c unpacks into its zone; slices point
 * into the frame, lists are copied out, and the zone goes away before message_decode returns. */
#include "proto/message.h"

#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#include "proto/pack.h"
#include "proto/prescan.h"

/* ---- encode */

static void put_bytes(msgpack_packer *p, slice_t s) {
    msgpack_pack_bin_with_body(p, s.data ? s.data : "", s.len);
}
static void put_U64(msgpack_packer *p, const uint64_t *v) { msgpack_pack_uint64(p, *v); }
static void put_TEXT(msgpack_packer *p, const slice_t *v) {
    msgpack_pack_str_with_body(p, v->data ? v->data : "", v->len);
}
static void put_BYTES(msgpack_packer *p, const slice_t *v) { put_bytes(p, *v); }

/* A list: `put_<item>` writes one element. */
#define PUT_LIST(KIND, list_t, item)                             \
    static void put_##KIND(msgpack_packer *p, const list_t *v) { \
        msgpack_pack_array(p, v->count);                         \
        for (size_t i = 0; i < v->count; i++) {                  \
            put_##item(p, &v->items[i]);                         \
        }                                                        \
    }

static void put_row_in(msgpack_packer *p, const row_in_t *row) {
    msgpack_pack_array(p, 3);
    msgpack_pack_uint64(p, row->index);
    msgpack_pack_uint64(p, row->line);
    put_bytes(p, row->raw);
}

static void put_row_done(msgpack_packer *p, const row_done_t *row) {
    msgpack_pack_array(p, 4);
    msgpack_pack_uint64(p, row->index);
    msgpack_pack_uint64(p, row->status);
    put_bytes(p, row->json);
    put_bytes(p, row->meta);
}

static void put_call(msgpack_packer *p, const call_item_t *call) {
    msgpack_pack_array(p, 6);
    msgpack_pack_uint64(p, call->tag);
    msgpack_pack_uint64(p, call->row);
    msgpack_pack_uint64(p, call->hash_high);
    msgpack_pack_uint64(p, call->hash_low);
    msgpack_pack_uint64(p, call->occurrence);
    put_bytes(p, call->answer);
}

static void put_context(msgpack_packer *p, const context_item_t *context) {
    msgpack_pack_array(p, 4);
    msgpack_pack_uint64(p, context->tag);
    msgpack_pack_uint64(p, context->row);
    msgpack_pack_uint64(p, context->part);
    put_bytes(p, context->bytes);
}

PUT_LIST(U64S, u64_list_t, U64)
PUT_LIST(ROWS, row_in_list_t, row_in)
PUT_LIST(DONE, row_done_list_t, row_done)
PUT_LIST(CALLS, call_list_t, call)
PUT_LIST(CONTEXTS, context_list_t, context)

enum { HEAD_FIELDS = 3 }; /* version, type, epoch */

#define F(kind, name) +1
#define MESSAGE(NAME, type, SAYERS, FIELDS) FIELDS_OF_##NAME = 0 FIELDS,
enum {
#include "proto/messages.def"
};
#undef MESSAGE
#undef F

void message_encode(const message_t *m, buf_t *out) {
    msgpack_packer packer;
    msgpack_packer *p = &packer;
    pack_begin(p, out);
    switch (m->type) {
#define F(kind, name) put_##kind(p, &body->name);
#define MESSAGE(NAME, number, SAYERS, FIELDS)                  \
    case MESSAGE_##NAME: {                                     \
        const MSG_##NAME *body = &m->NAME;                     \
        msgpack_pack_array(p, HEAD_FIELDS + FIELDS_OF_##NAME); \
        msgpack_pack_uint64(p, PROTO_VERSION);                 \
        msgpack_pack_uint64(p, number);                        \
        msgpack_pack_uint64(p, m->epoch);                      \
        FIELDS break;                                          \
    }
#include "proto/messages.def"
#undef MESSAGE
#undef F
    case MESSAGE_NONE: break;
    }
}

/* ---- decode */

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

/* The elements of a list of at least `n`; NULL for anything else. Further elements are ignored. */
static const msgpack_object *tuple(const msgpack_object *o, size_t n) {
    return o->type == MSGPACK_OBJECT_ARRAY && o->via.array.size >= n ? o->via.array.ptr : NULL;
}

static bool as_u32(const msgpack_object *o, uint32_t *out) {
    if (o->type != MSGPACK_OBJECT_POSITIVE_INTEGER || o->via.u64 > UINT32_MAX) return false;
    *out = (uint32_t)o->via.u64;
    return true;
}

static bool as_row_in(const msgpack_object *o, row_in_t *row) {
    const msgpack_object *t = tuple(o, 3);
    return t && as_u64(&t[0], &row->index) && as_u64(&t[1], &row->line) && as_bytes(&t[2], &row->raw);
}

static bool as_row_done(const msgpack_object *o, row_done_t *row) {
    const msgpack_object *t = tuple(o, 4);
    return t && as_u64(&t[0], &row->index) && as_u32(&t[1], &row->status) &&
           row->status <= ROW_STATUS_PARKED && as_bytes(&t[2], &row->json) && as_bytes(&t[3], &row->meta);
}

static bool as_call(const msgpack_object *o, call_item_t *call) {
    const msgpack_object *t = tuple(o, 6);
    return t && as_u64(&t[0], &call->tag) && as_u64(&t[1], &call->row) && as_u64(&t[2], &call->hash_high) &&
           as_u64(&t[3], &call->hash_low) && as_u32(&t[4], &call->occurrence) &&
           as_bytes(&t[5], &call->answer);
}

static bool as_context(const msgpack_object *o, context_item_t *context) {
    const msgpack_object *t = tuple(o, 4);
    return t && as_u64(&t[0], &context->tag) && as_u64(&t[1], &context->row) &&
           as_u32(&t[2], &context->part) && as_bytes(&t[3], &context->bytes);
}

/* A list: `as_<item>` reads one element, `wanted` says what it should be. */
#define GET_LIST(KIND, list_t, item, wanted)                                                     \
    static int get_##KIND(const msgpack_object *o, list_t *out, const char *field, err_t *err) { \
        if (o->type != MSGPACK_OBJECT_ARRAY) return wrong(err, field, "a list");                 \
        out->count = o->via.array.size;                                                          \
        out->items = xcalloc(out->count + 1, sizeof *out->items);                                \
        for (size_t i = 0; i < out->count; i++) {                                                \
            if (!as_##item(&o->via.array.ptr[i], &out->items[i]))                                \
                return wrong(err, field, "a list of " wanted);                                   \
        }                                                                                        \
        return SDG_OK;                                                                           \
    }

GET_LIST(U64S, u64_list_t, u64, "unsigned integers")
GET_LIST(ROWS, row_in_list_t, row_in, "rows (index, line, bytes)")
GET_LIST(DONE, row_done_list_t, row_done, "finished rows (index, status, bytes, bytes)")
GET_LIST(CALLS, call_list_t, call, "calls (tag, row, hash, hash, occurrence, bytes)")
GET_LIST(CONTEXTS, context_list_t, context, "contexts (tag, row, part, bytes)")

/* Reads the fields of a message whose type stands in *m. On an error the lists read so far belong to *m. */
static int decode_fields(const msgpack_object *field, size_t count, message_t *m, err_t *err) {
    switch (m->type) {
#define F(kind, name)                                           \
    if (get_##kind(field++, &body->name, #name, err) != SDG_OK) \
        return err_prefix(err, "%s", message_name(m->type));
#define MESSAGE(NAME, number, SAYERS, FIELDS)                                                 \
    case MESSAGE_##NAME: {                                                                    \
        MSG_##NAME *body = &m->NAME;                                                          \
        if (count < FIELDS_OF_##NAME)                                                         \
            return err_set(err, SDG_EPARSE, "%s has %zu fields, %d are needed", #NAME, count, \
                           FIELDS_OF_##NAME);                                                 \
        FIELDS return SDG_OK;                                                                 \
    }
#include "proto/messages.def"
#undef MESSAGE
#undef F
    case MESSAGE_NONE: break;
    }
    return err_set(err, SDG_EPARSE, "unknown message type %d", (int)m->type);
}

static int decode_envelope(const msgpack_object *o, message_t *m, err_t *err) {
    uint64_t version, type;
    const msgpack_object *head = tuple(o, HEAD_FIELDS);
    if (!head || !as_u64(&head[0], &version) || !as_u64(&head[1], &type) || !as_u64(&head[2], &m->epoch))
        return err_set(err, SDG_EPARSE, "not a message of this program (no version, type and epoch)");
    if (version != PROTO_VERSION)
        return err_set(err, SDG_EPARSE,
                       "protocol version %llu, this program speaks %d: use the same release on both sides",
                       (unsigned long long)version, PROTO_VERSION);
    if (type > UINT16_MAX)
        return err_set(err, SDG_EPARSE, "unknown message type %llu", (unsigned long long)type);
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
#define free_CONTEXTS(v) free((v)->items)

void message_free(message_t *m) {
    switch (m->type) {
#define MESSAGE(NAME, number, SAYERS, FIELDS) \
    case MESSAGE_##NAME: {                    \
        MSG_##NAME *body = &m->NAME;          \
        (void)body;                           \
        FIELDS break;                         \
    }
#define F(kind, name) free_##kind(&body->name);
#include "proto/messages.def"
#undef MESSAGE
#undef F
    case MESSAGE_NONE: break;
    }
    memset(m, 0, sizeof *m);
}

const char *message_name(message_type_t type) {
    switch (type) {
#define MESSAGE(NAME, number, SAYERS, FIELDS) \
    case MESSAGE_##NAME:                      \
        return #NAME;
#include "proto/messages.def"
#undef MESSAGE
    case MESSAGE_NONE: break;
    }
    return "?";
}

static bool is_role(uint64_t role, uint64_t of) { return of == ROLE_ANYBODY || of == role; }

bool message_is_said(message_type_t type, uint64_t by, uint64_t to) {
    switch (type) {
#define SAID(from, at) \
    if (is_role(by, ROLE_##from) && is_role(to, ROLE_##at)) return true;
#define MESSAGE(NAME, number, SAYERS, FIELDS) \
    case MESSAGE_##NAME:                      \
        SAYERS break;
#include "proto/messages.def"
#undef MESSAGE
#undef SAID
    case MESSAGE_NONE: break;
    }
    return false;
}
