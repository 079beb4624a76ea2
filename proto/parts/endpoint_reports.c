/* endpoint_reports.c - a msgpack list of lists:
 *
 *   [endpoint, address, state, reopens_ms, in_flight, waiting, refused, refused_in_a_row, requests, answered,
 *    [retries, by cause], oldest_ms, answered_ms, trouble, trouble_text, trouble_ms, faulted]
 *
 * New fields go to the end: who does not know them ignores them. */
#include "proto/parts/endpoint_reports.h"

#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/text.h"
#include "proto/pack.h"
#include "proto/prescan.h"

enum { REPORT_FIELDS = 17 };

static void pack_text(msgpack_packer *p, const char *text, size_t max) {
    msgpack_pack_str_with_body(p, text, strnlen(text, max - 1));
}

static void pack_report(msgpack_packer *p, const endpoint_report_t *r) {
    msgpack_pack_array(p, REPORT_FIELDS);
    msgpack_pack_uint64(p, r->endpoint);
    pack_text(p, r->address, sizeof r->address);
    msgpack_pack_uint64(p, r->state);
    msgpack_pack_uint64(p, r->reopens_ms);
    msgpack_pack_uint64(p, r->in_flight);
    msgpack_pack_uint64(p, r->waiting);
    msgpack_pack_uint64(p, r->refused);
    msgpack_pack_uint64(p, r->refused_in_a_row);
    msgpack_pack_uint64(p, r->requests);
    msgpack_pack_uint64(p, r->answered);
    msgpack_pack_array(p, LLM_CAUSES);
    for (int i = 0; i < LLM_CAUSES; i++) {
        msgpack_pack_uint64(p, r->retries[i]);
    }
    msgpack_pack_uint64(p, r->oldest_ms);
    msgpack_pack_uint64(p, r->answered_ms);
    msgpack_pack_uint64(p, r->trouble);
    pack_text(p, r->trouble_text, sizeof r->trouble_text);
    msgpack_pack_uint64(p, r->trouble_ms);
    msgpack_pack_uint64(p, r->faulted);
}

void endpoint_reports_encode(const endpoint_report_t *reports, size_t count, buf_t *out) {
    msgpack_packer packer, *p = &packer;
    if (count > ENDPOINT_REPORTS_MAX) count = ENDPOINT_REPORTS_MAX;
    pack_begin(p, out);
    msgpack_pack_array(p, count);
    for (size_t i = 0; i < count; i++) {
        pack_report(p, &reports[i]);
    }
}

static bool take_number(const msgpack_object *o, uint64_t *out) {
    if (o->type != MSGPACK_OBJECT_POSITIVE_INTEGER) return false;
    *out = o->via.u64;
    return true;
}

/* The words of others end on screens: whatever they are, they are a line of text afterwards. */
static bool take_text(const msgpack_object *o, char *out, size_t max) {
    if (o->type != MSGPACK_OBJECT_STR) return false;
    utf8_copy_line(out, max, o->via.str.ptr, o->via.str.size);
    return true;
}

/* Causes that only a newer worker knows are dropped. */
static bool take_retries(const msgpack_object *o, uint64_t *retries) {
    if (o->type != MSGPACK_OBJECT_ARRAY) return false;
    for (uint32_t i = 0; i < o->via.array.size && i < LLM_CAUSES; i++) {
        if (!take_number(&o->via.array.ptr[i], &retries[i])) return false;
    }
    return true;
}

static bool take_report(const msgpack_object *o, endpoint_report_t *r) {
    uint64_t state, trouble;
    if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size < REPORT_FIELDS) return false;
    const msgpack_object *f = o->via.array.ptr;
    bool ok = take_number(&f[0], &r->endpoint) && take_text(&f[1], r->address, sizeof r->address) &&
              take_number(&f[2], &state) && take_number(&f[3], &r->reopens_ms) &&
              take_number(&f[4], &r->in_flight) && take_number(&f[5], &r->waiting) &&
              take_number(&f[6], &r->refused) && take_number(&f[7], &r->refused_in_a_row) &&
              take_number(&f[8], &r->requests) && take_number(&f[9], &r->answered) &&
              take_retries(&f[10], r->retries) && take_number(&f[11], &r->oldest_ms) &&
              take_number(&f[12], &r->answered_ms) && take_number(&f[13], &trouble) &&
              take_text(&f[14], r->trouble_text, sizeof r->trouble_text) &&
              take_number(&f[15], &r->trouble_ms) && take_number(&f[16], &r->faulted);
    if (!ok || state >= ENDPOINT_STATES) return false;
    r->state = (endpoint_state_t)state;
    /* A cause that only a newer worker knows is still trouble. */
    r->trouble = trouble < LLM_CAUSES ? (llm_cause_t)trouble : LLM_CAUSE_SERVER;
    return true;
}

static bool take_list(const msgpack_object *o, endpoint_report_t **reports, size_t *count) {
    if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size > ENDPOINT_REPORTS_MAX) return false;
    if (o->via.array.size == 0) return true;
    *reports = xcalloc(o->via.array.size, sizeof **reports);
    for (uint32_t i = 0; i < o->via.array.size; i++) {
        if (!take_report(&o->via.array.ptr[i], &(*reports)[i])) return false;
    }
    *count = o->via.array.size;
    return true;
}

int endpoint_reports_decode(const char *bytes, size_t len, endpoint_report_t **reports, size_t *count,
                            err_t *err) {
    *reports = NULL;
    *count = 0;
    if (prescan(bytes, len, err) != SDG_OK) return SDG_EPARSE;
    msgpack_unpacked unpacked;
    msgpack_unpacked_init(&unpacked);
    size_t used = 0;
    bool ok = msgpack_unpack_next(&unpacked, bytes, len, &used) == MSGPACK_UNPACK_SUCCESS &&
              take_list(&unpacked.data, reports, count);
    msgpack_unpacked_destroy(&unpacked);
    if (ok) return SDG_OK;
    free(*reports);
    *reports = NULL;
    return err_set(err, SDG_EPARSE, "the reports of endpoints have an unknown shape");
}
