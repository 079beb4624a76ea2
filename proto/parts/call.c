/* call.c - one msgpack list: [finish_reason, prompt_tokens, completion_tokens, text, reasoning]. The last is
 * missing where there is none. Elements that a later release adds behind them are ignored. */
#include "proto/parts/call.h"

#include <assert.h>
#include <msgpack.h>
#include <stdio.h>
#include <string.h>

#include "core/base/limits.h"
#include "proto/pack.h"
#include "proto/prescan.h"

enum { CALL_FIELDS_MIN = 4, CALL_FIELDS };

static void pack_text(msgpack_packer *p, const char *text, size_t len) {
    msgpack_pack_str_with_body(p, text, len);
}

void call_encode(const llm_answer_t *answer, buf_t *out) {
    msgpack_packer packer, *p = &packer;
    assert(answer->cause == LLM_CAUSE_NONE);
    pack_begin(p, out);
    bool has_reasoning = answer->reasoning.kind == VALUE_STRING;
    msgpack_pack_array(p, has_reasoning ? CALL_FIELDS : CALL_FIELDS_MIN);
    pack_text(p, answer->finish_reason, strlen(answer->finish_reason));
    msgpack_pack_uint32(p, answer->prompt_tokens);
    msgpack_pack_uint32(p, answer->completion_tokens);
    if (answer->text.kind == VALUE_STRING)
        pack_text(p, answer->text.string->data, answer->text.string->len);
    else
        pack_text(p, "", 0);
    if (has_reasoning) pack_text(p, answer->reasoning.string->data, answer->reasoning.string->len);
}

static bool take_u32(const msgpack_object *o, uint32_t *out) {
    if (o->type != MSGPACK_OBJECT_POSITIVE_INTEGER || o->via.u64 > UINT32_MAX) return false;
    *out = (uint32_t)o->via.u64;
    return true;
}

static bool is_text(const msgpack_object *o) {
    return o->type == MSGPACK_OBJECT_STR && o->via.str.size <= VALUE_STRING_MAX;
}

static bool take_answer(const msgpack_object *o, llm_answer_t *answer) {
    if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size < CALL_FIELDS_MIN) return false;
    const msgpack_object *field = o->via.array.ptr;
    bool has_reasoning = o->via.array.size >= CALL_FIELDS;
    if (!is_text(&field[0]) || !take_u32(&field[1], &answer->prompt_tokens) ||
        !take_u32(&field[2], &answer->completion_tokens) || !is_text(&field[3]) ||
        (has_reasoning && !is_text(&field[4])))
        return false;
    /* A msgpack text has no NUL at its end: the precision keeps snprintf inside it. */
    size_t len = field[0].via.str.size, max = sizeof answer->finish_reason;
    snprintf(answer->finish_reason, max, "%.*s", (int)(len < max ? len : max), field[0].via.str.ptr);
    answer->text = value_string(field[3].via.str.ptr, field[3].via.str.size);
    if (has_reasoning) answer->reasoning = value_string(field[4].via.str.ptr, field[4].via.str.size);
    return true;
}

int call_decode(const char *bytes, size_t len, llm_answer_t *answer, err_t *err) {
    msgpack_unpacked unpacked;
    size_t used = 0;
    memset(answer, 0, sizeof *answer);
    if (prescan(bytes, len, err) != SDG_OK) return SDG_EPARSE;
    msgpack_unpacked_init(&unpacked);
    bool ok = msgpack_unpack_next(&unpacked, bytes, len, &used) == MSGPACK_UNPACK_SUCCESS &&
              take_answer(&unpacked.data, answer);
    msgpack_unpacked_destroy(&unpacked);
    return ok ? SDG_OK : err_set(err, SDG_EPARSE, "not a finished call");
}
