/* usage.c - one msgpack list:
 *
 *   [reason, calls, requests, prompt_tokens, completion_tokens, cut_short,
 *    [retries, by cause], [latencies in us], [kind, name, count of each note, one after the other]]
 *
 * Records of older releases end before the notes.
 */
#include "proto/parts/usage.h"

#include <msgpack.h>
#include <string.h>

#include "core/base/text.h"
#include "proto/pack.h"
#include "proto/prescan.h"

enum { USAGE_FIELDS_MIN = 8, USAGE_FIELDS, NOTE_FIELDS = 3 };

static void pack_list(msgpack_packer *p, const uint32_t *items, size_t count) {
    msgpack_pack_array(p, count);
    for (size_t i = 0; i < count; i++) {
        msgpack_pack_uint32(p, items[i]);
    }
}

static void pack_notes(msgpack_packer *p, const row_notes_t *notes) {
    msgpack_pack_array(p, (size_t)notes->count * NOTE_FIELDS);
    for (uint32_t i = 0; i < notes->count; i++) {
        const row_note_t *note = &notes->item[i];
        msgpack_pack_uint32(p, note->kind);
        msgpack_pack_str_with_body(p, note->name, strnlen(note->name, ROW_NOTE_NAME_MAX - 1));
        msgpack_pack_uint32(p, note->count);
    }
}

void usage_encode(const char *reason, const row_usage_t *u, buf_t *out) {
    msgpack_packer packer, *p = &packer;
    pack_begin(p, out);
    msgpack_pack_array(p, USAGE_FIELDS);
    msgpack_pack_str_with_body(p, reason, strnlen(reason, ROW_REASON_MAX - 1));
    msgpack_pack_uint32(p, u->calls);
    msgpack_pack_uint32(p, u->requests);
    msgpack_pack_uint64(p, u->prompt_tokens);
    msgpack_pack_uint64(p, u->completion_tokens);
    msgpack_pack_uint32(p, u->cut_short);
    pack_list(p, u->retries, LLM_CAUSES);
    pack_list(p, u->latency_us, u->latency_count);
    pack_notes(p, &u->notes);
}

static bool take_number(const msgpack_object *o, uint64_t max, uint64_t *out) {
    if (o->type != MSGPACK_OBJECT_POSITIVE_INTEGER || o->via.u64 > max) return false;
    *out = o->via.u64;
    return true;
}

static bool take_u32(const msgpack_object *o, uint32_t *out) {
    uint64_t n;
    if (!take_number(o, UINT32_MAX, &n)) return false;
    *out = (uint32_t)n;
    return true;
}

/* Reads up to `max` numbers; *count is how many. Further ones, such as causes that only a newer worker knows,
 * are dropped. */
static bool take_list(const msgpack_object *o, uint32_t *items, size_t max, uint32_t *count) {
    if (o->type != MSGPACK_OBJECT_ARRAY) return false;
    *count = (uint32_t)(o->via.array.size < max ? o->via.array.size : max);
    for (uint32_t i = 0; i < *count; i++) {
        if (!take_u32(&o->via.array.ptr[i], &items[i])) return false;
    }
    return true;
}

/* Words of others end on screens and in logs: whatever they are, they are a line of text afterwards.
 *
 * One note; a kind that only a newer worker knows is dropped. */
static bool take_note(const msgpack_object *o, row_notes_t *notes) {
    uint32_t kind, count;
    char name[ROW_NOTE_NAME_MAX] = "";
    if (!take_u32(&o[0], &kind) || o[1].type != MSGPACK_OBJECT_STR || !take_u32(&o[2], &count)) return false;
    if (o[1].via.str.size >= sizeof name) return false;
    utf8_copy_line(name, sizeof name, o[1].via.str.ptr, o[1].via.str.size);
    if (kind < ROW_NOTE_KINDS && count > 0) row_notes_add(notes, (row_note_kind_t)kind, name, count);
    return true;
}

static bool take_notes(const msgpack_object *o, row_notes_t *notes) {
    if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size % NOTE_FIELDS != 0) return false;
    for (uint32_t i = 0; i < o->via.array.size; i += NOTE_FIELDS) {
        if (!take_note(&o->via.array.ptr[i], notes)) return false;
    }
    return true;
}

static bool take_fields(const msgpack_object *o, usage_t *out) {
    if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size < USAGE_FIELDS_MIN) return false;
    const msgpack_object *f = o->via.array.ptr;
    row_usage_t *u = &out->row;
    uint32_t causes;
    if (f[0].type != MSGPACK_OBJECT_STR || f[0].via.str.size >= ROW_REASON_MAX) return false;
    utf8_copy_line(out->reason, sizeof out->reason, f[0].via.str.ptr, f[0].via.str.size);
    return take_u32(&f[1], &u->calls) && take_u32(&f[2], &u->requests) &&
           take_number(&f[3], UINT64_MAX, &u->prompt_tokens) &&
           take_number(&f[4], UINT64_MAX, &u->completion_tokens) && take_u32(&f[5], &u->cut_short) &&
           take_list(&f[6], u->retries, LLM_CAUSES, &causes) &&
           take_list(&f[7], u->latency_us, ROW_LATENCIES_MAX, &u->latency_count) &&
           (o->via.array.size < USAGE_FIELDS || take_notes(&f[8], &u->notes));
}

int usage_decode(const char *bytes, size_t len, usage_t *out, err_t *err) {
    memset(out, 0, sizeof *out);
    if (prescan(bytes, len, err) != SDG_OK) return SDG_EPARSE;
    msgpack_unpacked unpacked;
    msgpack_unpacked_init(&unpacked);
    size_t used = 0;
    bool ok = msgpack_unpack_next(&unpacked, bytes, len, &used) == MSGPACK_UNPACK_SUCCESS &&
              take_fields(&unpacked.data, out);
    msgpack_unpacked_destroy(&unpacked);
    if (ok) return SDG_OK;
    memset(out, 0, sizeof *out);
    return err_set(err, SDG_EPARSE, "the usage record of a row has an unknown shape");
}
