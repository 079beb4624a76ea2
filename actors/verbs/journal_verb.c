/* journal_verb.c - see journal_verb.h. Both words read the file once from front to back in bounded memory. */
#include "actors/verbs/journal_verb.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "actors/common_options.h"
#include "actors/exit_codes.h"
#include "core/base/json.h"
#include "core/base/rangeset.h"
#include "core/base/words.h"
#include "core/store/journal.h"
#include "core/store/limits.h"
#include "proto/parts/call.h"

typedef struct totals {
    rangeset_t *rows;
    uint64_t calls, unreadable, answer_bytes, prompt_tokens, completion_tokens;
} totals_t;

/* Counts one call of the journal; one whose bytes cannot be read is counted as unreadable. */
static bool add_to_totals(void *context, const journal_key_t *key, const char *bytes, size_t len) {
    totals_t *t = context;
    llm_answer_t answer;
    t->calls++;
    rangeset_add(t->rows, key->row);
    if (call_decode(bytes, len, &answer, NULL) != SDG_OK) {
        t->unreadable++;
        return true;
    }
    t->answer_bytes += answer.text.string->len;
    t->prompt_tokens += answer.prompt_tokens;
    t->completion_tokens += answer.completion_tokens;
    llm_answer_clear(&answer);
    return true;
}

static int fail(const err_t *err) {
    fprintf(stderr, "sdg journal: %s\n", err->text);
    return EXIT_DATA;
}

/* Damage is said beside the output, which has what can be read. */
static void say_lost(const char *path, const journal_lost_t *lost) {
    if (lost->records)
        fprintf(stderr,
                "sdg journal: %s is damaged: %" PRIu64 " %s (%" PRIu64 " bytes) cannot be read; a run makes "
                "and pays these calls again if their rows are not finished\n",
                path, lost->records, words_choose(lost->records, "record", "records"), lost->bytes);
}

/* Totals of the journal as one JSON object. */
static int stats(const char *path) {
    totals_t t = {.rows = rangeset_new()};
    struct stat st = {0};
    journal_lost_t lost = {0};
    err_t err;
    int rc = journal_read(path, add_to_totals, &t, &lost, &err);
    if (rc == SDG_OK) say_lost(path, &lost);
    if (rc == SDG_OK && stat(path, &st) == 0)
        printf("{\"calls\": %" PRIu64 ", \"rows\": %" PRIu64 ", \"bytes\": %" PRIu64
               ", \"torn_bytes\": %" PRIu64 ", \"answer_bytes\": %" PRIu64 ", \"prompt_tokens\": %" PRIu64
               ", \"completion_tokens\": %" PRIu64 ", \"unreadable\": %" PRIu64 ", \"damaged\": %" PRIu64
               ", \"damaged_bytes\": %" PRIu64 "}\n",
               t.calls, rangeset_count(t.rows), (uint64_t)st.st_size, lost.torn_bytes, t.answer_bytes,
               t.prompt_tokens, t.completion_tokens, t.unreadable, lost.records, lost.bytes);
    rangeset_destroy(&t.rows);
    return rc == SDG_OK ? EXIT_ALL_FINE : fail(&err);
}

static void write_call(buf_t *line, const journal_key_t *key, const llm_answer_t *answer) {
    buf_addf(line,
             "{\"row\": %" PRIu64 ", \"question\": \"%016" PRIx64 "%016" PRIx64
             "\", \"occurrence\": %" PRIu32,
             key->row, key->hash_high, key->hash_low, key->occurrence);
    buf_addf(line,
             ", \"prompt_tokens\": %" PRIu32 ", \"completion_tokens\": %" PRIu32 ", \"finish_reason\": ",
             answer->prompt_tokens, answer->completion_tokens);
    json_write_string(line, answer->finish_reason, strlen(answer->finish_reason));
    buf_adds(line, ", \"answer\": ");
    json_write_string(line, answer->text.string->data, answer->text.string->len);
    if (answer->reasoning.kind == VALUE_STRING) {
        buf_adds(line, ", \"reasoning\": ");
        json_write_string(line, answer->reasoning.string->data, answer->reasoning.string->len);
    }
    buf_adds(line, "}\n");
}

static bool export_call(void *context, const journal_key_t *key, const char *bytes, size_t len) {
    buf_t *line = context;
    llm_answer_t answer;
    if (call_decode(bytes, len, &answer, NULL) != SDG_OK) return true;
    buf_reset(line);
    write_call(line, key, &answer);
    llm_answer_clear(&answer);
    return fwrite(line->data, 1, line->len, stdout) == line->len;
}

static int export(const char *path) {
    buf_t line;
    journal_lost_t lost;
    err_t err;
    buf_init(&line, 8 * JOURNAL_ANSWER_BYTES_MAX);
    int rc = journal_read(path, export_call, &line, &lost, &err);
    buf_free(&line);
    if (rc != SDG_OK) return fail(&err);
    say_lost(path, &lost);
    if (fflush(stdout) == 0 && !ferror(stdout)) return EXIT_ALL_FINE;
    fprintf(stderr, "sdg journal: standard output cannot be written\n");
    return EXIT_DATA;
}

int journal_main(void *options) {
    const common_options_t *o = options;
    return strcmp(o->words[0], "stats") == 0 ? stats(o->words[1]) : export(o->words[1]);
}
