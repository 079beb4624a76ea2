/* row_save.c - rows as bytes and back.
 *
 * A row can be saved where it holds nothing but its own data:
 *   between blocks
 *   while an ai block waits, because its request is with the HTTP engine and row_ai_answer needs only the
 * answer at its end, where only the result is left of it
 *
 * Not written are the things that can be worked out again (the connections of the running block, the scope)
 * and the values that the pipeline holds (known_peek).
 *
 *   row   := magic, digest of the pipeline, state, index, at, attempt, spent, was_cut, time, cancelled,
 * usage, (result | life) life  := calls begun, tokens used, MEX operations, generator, context, vars,
 * outputs, saved, what blocks keep for connections
 *
 * To add a field: write it and read it in the same place of a pair of functions here, and change FORM. */
#include "core/mabel/row/row_state.h"

#include "core/base/value_code.h"
#include "core/mabel/row/limits.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

enum { MAGIC = 0xD5, FORM = 2 }; /* MAGIC begins neither JSON nor UTF-8 */

typedef enum saved_state { SAVED_STOPPED = 1, SAVED_WAITING, SAVED_FINISHED } saved_state_t;

static saved_state_t state_of(const row_t *row) {
    return row->phase == PHASE_FINISHED ? SAVED_FINISHED
           : row->phase == PHASE_LLM    ? SAVED_WAITING
                                        : SAVED_STOPPED;
}

bool row_can_save(const row_t *row) {
    if (row->trace) return false;
    if (row->phase == PHASE_BLOCK) return row->want == ROW_STOPPED;
    return row->phase == PHASE_FINISHED || (row->phase == PHASE_LLM && !row->answered);
}

/* The values of the pipeline that rows refer to by number: its variables as a whole (most rows change none),
 * each of them, each constant. Their count is the same in every process that has this file. */
static size_t known_count(const pipeline_t *p) { return 1 + object_count(p->vars) + object_count(p->consts); }

static value_t known_peek(const pipeline_t *p, size_t i) {
    size_t vars = object_count(p->vars);
    if (i == 0) return p->vars;
    return i <= vars ? object_value_peek(p->vars, i - 1) : object_value_peek(p->consts, i - 1 - vars);
}

/* ---- time */

/* A row that waits keeps its start, because its wall time goes on. For any other row the clock stands still
 * while it is saved, so the time it has run is written. */

static void write_time(value_encoder_t *e, const row_t *row) {
    bool waits = state_of(row) == SAVED_WAITING;
    value_encoder_uint(e, waits ? row->start_ns : 0);
    value_encoder_uint(e, waits ? row->spent_ns : row->spent_ns + (row->now_ns - row->start_ns));
}

static void read_time(value_decoder_t *d, row_t *row, bool waits) {
    uint64_t start_ns = value_decoder_uint(d, UINT64_MAX);
    row->spent_ns = value_decoder_uint(d, UINT64_MAX);
    if (waits) row->start_ns = start_ns;
}

/* ---- usage */

static void write_notes(value_encoder_t *e, const row_notes_t *notes) {
    value_encoder_uint(e, notes->count);
    for (uint32_t i = 0; i < notes->count; i++) {
        value_encoder_uint(e, notes->item[i].kind);
        value_encoder_bytes(e, notes->item[i].name, strlen(notes->item[i].name));
        value_encoder_uint(e, notes->item[i].count);
    }
}

static void write_usage(value_encoder_t *e, const row_usage_t *u) {
    value_encoder_uint(e, u->calls);
    value_encoder_uint(e, u->requests);
    value_encoder_uint(e, u->prompt_tokens);
    value_encoder_uint(e, u->completion_tokens);
    value_encoder_uint(e, u->cut_short);
    for (int i = 0; i < LLM_CAUSES; i++)
        value_encoder_uint(e, u->retries[i]);
    value_encoder_uint(e, u->latency_count);
    for (uint32_t i = 0; i < u->latency_count; i++)
        value_encoder_uint(e, u->latency_us[i]);
    write_notes(e, &u->notes);
}

static uint32_t read_u32(value_decoder_t *d) { return (uint32_t)value_decoder_uint(d, UINT32_MAX); }

static void read_notes(value_decoder_t *d, row_notes_t *notes) {
    uint64_t count = value_decoder_uint(d, ROW_NOTES_MAX + ROW_NOTE_KINDS);
    for (uint64_t i = 0; i < count && d->rc == SDG_OK; i++) {
        char name[ROW_NOTE_NAME_MAX] = "";
        size_t len;
        row_note_kind_t kind = (row_note_kind_t)value_decoder_uint(d, ROW_NOTE_KINDS - 1);
        const char *bytes = value_decoder_bytes(d, sizeof name - 1, &len);
        memcpy(name, bytes, len);
        row_notes_add(notes, kind, name, read_u32(d));
    }
}

static void read_usage(value_decoder_t *d, row_usage_t *u) {
    u->calls = read_u32(d);
    u->requests = read_u32(d);
    u->prompt_tokens = value_decoder_uint(d, UINT64_MAX);
    u->completion_tokens = value_decoder_uint(d, UINT64_MAX);
    u->cut_short = read_u32(d);
    for (int i = 0; i < LLM_CAUSES; i++)
        u->retries[i] = read_u32(d);
    u->latency_count = (uint32_t)value_decoder_uint(d, ROW_LATENCIES_MAX);
    for (uint32_t i = 0; i < u->latency_count; i++)
        u->latency_us[i] = read_u32(d);
    read_notes(d, &u->notes);
}

/* ---- the result of a finished row */

static void write_result(value_encoder_t *e, const row_t *row) {
    value_encoder_uint(e, row->failed);
    value_encoder_bytes(e, row->reason, strlen(row->reason));
    value_encoder_value(e, row->end_reason);
    value_encoder_bytes(e, row->line_out.data, row->line_out.len);
}

static void read_result(value_decoder_t *d, row_t *row) {
    size_t len;
    row->failed = value_decoder_uint(d, 1);
    const char *reason = value_decoder_bytes(d, sizeof row->reason - 1, &len);
    memcpy(row->reason, reason, len);
    row->end_reason = value_decoder_value(d);
    const char *line = value_decoder_bytes(d, row->line_out.max, &len);
    buf_add(&row->line_out, line, len);
    row->phase = PHASE_FINISHED;
    row->want = ROW_FINISHED;
}

/* ---- the life of a row that is not finished */

static void write_kept(value_encoder_t *e, const row_t *row) {
    size_t count = row->kept ? row->pipeline->block_count : 0, used = 0;
    for (size_t i = 0; i < count; i++)
        used += row->kept[i].kind != VALUE_NULL;
    value_encoder_uint(e, used);
    for (size_t i = 0; i < count; i++) {
        if (row->kept[i].kind == VALUE_NULL) continue;
        value_encoder_uint(e, i);
        value_encoder_value(e, row->kept[i]);
    }
}

static void write_life(value_encoder_t *e, const row_t *row) {
    for (size_t i = 0; i < known_count(row->pipeline); i++)
        value_encoder_know(e, known_peek(row->pipeline, i));
    value_encoder_uint(e, row->calls_begun);
    value_encoder_uint(e, row->tokens_used);
    value_encoder_uint(e, row->scope.ops);
    for (size_t i = 0; i < sizeof row->rng.s / sizeof *row->rng.s; i++)
        value_encoder_uint(e, row->rng.s[i]);
    value_encoder_value(e, row->context);
    value_encoder_value(e, row->vars);
    value_encoder_value(e, row->outputs);
    value_encoder_value(e, row->saved);
    write_kept(e, row);
}

static value_t read_object(value_decoder_t *d, const char *what) {
    value_t v = value_decoder_value(d);
    if (v.kind != VALUE_OBJECT) value_decoder_fail(d, "%s of a row is a %s", what, value_kind_name(v.kind));
    return v;
}

static void read_kept(value_decoder_t *d, row_t *row) {
    size_t count = row->kept ? row->pipeline->block_count : 0;
    uint64_t used = value_decoder_uint(d, count);
    for (uint64_t i = 0; i < used && d->rc == SDG_OK; i++) {
        uint64_t block = value_decoder_uint(d, count - 1);
        value_replace(&row->kept[block], read_object(d, "an output"));
    }
}

/* A generator of zeros only gives zeros: a draw that is repeated until a number fits would never end. */
static void read_generator(value_decoder_t *d, rng_t *rng) {
    uint64_t any = 0;
    for (size_t i = 0; i < sizeof rng->s / sizeof *rng->s; i++)
        any |= rng->s[i] = value_decoder_uint(d, UINT64_MAX);
    if (any == 0) value_decoder_fail(d, "a random generator that stands still");
}

/* The counterpart of write_life. */
static void read_life(value_decoder_t *d, row_t *row) {
    for (size_t i = 0; i < known_count(row->pipeline); i++)
        value_decoder_know(d, known_peek(row->pipeline, i));
    row->calls_begun = read_u32(d);
    row->tokens_used = value_decoder_uint(d, UINT64_MAX);
    row->scope.ops = value_decoder_uint(d, UINT64_MAX);
    read_generator(d, &row->rng);
    row->context = read_object(d, "the context");
    row->vars = read_object(d, "the variables");
    row->outputs = read_object(d, "the outputs");
    row->saved = value_decoder_value(d);
    if (row->saved.kind != (row->options->save_intermediate ? VALUE_OBJECT : VALUE_NULL))
        value_decoder_fail(d, "it was put away with other options (save_intermediate)");
    read_kept(d, row);
}

/* Sets phase and want, after everything else has been read. */
static void read_on(value_decoder_t *d, row_t *row, saved_state_t state) {
    if (row->at >= row->pipeline->block_count || (state == SAVED_WAITING && row_block(row)->type != BLOCK_AI))
        value_decoder_fail(d, "block %u is not one where a row waits", row->at);
    if (d->rc < 0) return;
    row->phase = state == SAVED_WAITING ? PHASE_LLM : PHASE_BLOCK;
    row->want = state == SAVED_WAITING ? ROW_WANT_LLM : ROW_STOPPED;
    if (state == SAVED_WAITING) row_connect(row);
}

/* ---- all of it */

static void write_cancelled(value_encoder_t *e, const row_t *row) {
    value_encoder_uint(e, row->cancelled != NULL);
    if (row->cancelled) value_encoder_bytes(e, row->cancelled, strnlen(row->cancelled, ROW_ERROR_BYTES_MAX));
}

static void read_cancelled(value_decoder_t *d, row_t *row) {
    size_t len;
    if (value_decoder_uint(d, 1) == 0) return;
    const char *reason = value_decoder_bytes(d, ROW_ERROR_BYTES_MAX, &len);
    row->cancelled = xstrndup(reason, len);
}

void row_save(const row_t *row, buf_t *out) {
    value_encoder_t e;
    uint64_t digest = htole64(row->pipeline->digest);
    assert(row_can_save(row));
    value_encoder_init(&e, out);
    buf_addc(out, (char)MAGIC);
    buf_addc(out, FORM);
    buf_add(out, &digest, sizeof digest);
    value_encoder_uint(&e, state_of(row));
    value_encoder_uint(&e, row->index);
    value_encoder_uint(&e, row->at);
    value_encoder_uint(&e, row->attempt);
    value_encoder_uint(&e, row->spent);
    value_encoder_uint(&e, row->was_cut);
    write_time(&e, row);
    write_cancelled(&e, row);
    write_usage(&e, &row->usage);
    if (row->phase == PHASE_FINISHED)
        write_result(&e, row);
    else
        write_life(&e, row);
    value_encoder_free(&e);
}

enum { HEAD_BYTES = 2 + sizeof(uint64_t) };

static int check_head(const pipeline_t *p, const char *bytes, size_t len, err_t *err) {
    uint64_t digest = htole64(p->digest);
    if (len < HEAD_BYTES || (uint8_t)bytes[0] != MAGIC)
        return err_set(err, SDG_EPARSE, "these %zu bytes are no row", len);
    if (bytes[1] != FORM)
        return err_set(err, SDG_EPARSE, "the row has form %d, this program writes form %d", bytes[1], FORM);
    if (memcmp(bytes + 2, &digest, sizeof digest) != 0)
        return err_set(err, SDG_EMISMATCH, "the row is one of another pipeline");
    return SDG_OK;
}

/* The counterpart of row_save. The decoder remembers the first error, so the fields are read in one go. */
row_t *row_load(const pipeline_t *pipeline, const row_options_t *options, const char *bytes, size_t len,
                uint64_t now_ns, err_t *err) {
    value_decoder_t d;
    if (check_head(pipeline, bytes, len, err) < 0) return NULL;
    value_decoder_init(&d, bytes + HEAD_BYTES, len - HEAD_BYTES, err);
    row_t *row = row_blank(pipeline, options, 0, now_ns);
    saved_state_t state = (saved_state_t)value_decoder_uint(&d, SAVED_FINISHED);
    row->index = value_decoder_uint(&d, UINT64_MAX);
    row->at = read_u32(&d);
    row->attempt = read_u32(&d);
    row->spent = read_u32(&d);
    row->was_cut = value_decoder_uint(&d, 1);
    read_time(&d, row, state == SAVED_WAITING);
    read_cancelled(&d, row);
    read_usage(&d, &row->usage);
    if (state == SAVED_FINISHED)
        read_result(&d, row);
    else if (state == SAVED_WAITING || state == SAVED_STOPPED)
        read_life(&d, row);
    else
        value_decoder_fail(&d, "a row in no state");
    if (value_decoder_end(&d) == SDG_OK && state != SAVED_FINISHED) read_on(&d, row, state);
    if (d.rc < 0) {
        err_prefix(err, "the saved row");
        row_destroy(&row);
    }
    value_decoder_free(&d);
    return row;
}

/* The row belongs to an empty pipeline with the right digest: a failed row refers to no block and no value.
 */
void row_save_failed(buf_t *out, uint64_t pipeline_digest, uint64_t index, const char *error_text,
                     const char *reason) {
    pipeline_t pipeline = {.digest = pipeline_digest};
    row_options_t options = {0};
    row_t *row = row_blank(&pipeline, &options, index, 0);
    row_fail(row, NULL, error_text, reason);
    row_save(row, out);
    row_destroy(&row);
}

/* ---- memory */

static size_t call_bytes(value_seen_t *seen, const row_t *row) {
    const value_t held[] = {row->call.args, row->call.kwargs,   row->call.context,
                            row->call.vars, row->event.outputs, row->event.vars};
    size_t bytes = 0;
    for (size_t i = 0; i < sizeof held / sizeof *held; i++)
        bytes += value_seen_bytes(seen, held[i]);
    return bytes;
}

static size_t data_bytes(value_seen_t *seen, const row_t *row) {
    const value_t held[] = {row->context, row->vars,        row->outputs,          row->saved,
                            row->overlay, row->answer.text, row->answer.reasoning, row->end_reason};
    size_t bytes = 0, kept = row->kept ? row->pipeline->block_count : 0;
    for (size_t i = 0; i < sizeof held / sizeof *held; i++)
        bytes += value_seen_bytes(seen, held[i]);
    for (size_t i = 0; i < kept; i++)
        bytes += sizeof *row->kept + value_seen_bytes(seen, row->kept[i]);
    return bytes;
}

size_t row_bytes(const row_t *row) {
    value_seen_t seen;
    value_seen_init(&seen);
    for (size_t i = 0; i < known_count(row->pipeline); i++)
        value_seen_know(&seen, known_peek(row->pipeline, i), 0); /* not the row's */
    size_t bytes =
        sizeof *row + row->body.cap + row->line_out.cap + data_bytes(&seen, row) + call_bytes(&seen, row);
    value_seen_free(&seen);
    return bytes;
}
