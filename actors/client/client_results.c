/* client_results.c - from the scheduler to the output. Nothing is taken on trust: whatever a worker or a
 * scheduler sends, the output holds one line for each row of the input, and each is a result of that row.
 *
 * A result is taken when its row is open and it is in a state that a row of this pass can have: parked in all
 * passes but the last; else a line of JSON with the row's number (core/base/result_line.h), which in a pass
 * that is not the last only a failed row has. A second result of a row is dropped, which is ordinary. Any
 * other result of an open row fails that row, in words that name the worker; one of a row that is not open is
 * only counted and logged.
 *
 * The line of a worker that is a thread of this process is not read: it was made by the same program from
 * values, and reading it costs 110 ns, some 4 % of a row that makes no call. */
#include <inttypes.h>
#include <string.h>

#include "actors/client/client_internal.h"
#include "actors/client/limits.h"
#include "core/base/limits.h"
#include "core/base/log.h"
#include "core/base/result_line.h"
#include "core/base/text.h"
#include "core/data/writer.h"

typedef struct worker_shown {
    char text[WORKER_SHOWN_MAX + 8];
} worker_shown_t;

static worker_shown_t show_worker(slice_t name) {
    worker_shown_t shown = {"a worker"};
    char text[WORKER_SHOWN_MAX];
    utf8_copy_line(text, sizeof text, name.data, name.len);
    if (text[0]) snprintf(shown.text, sizeof shown.text, "worker %s", text);
    return shown;
}

/* Was it made in this process? The scheduler of a fleet may call every worker its own. */
static bool is_ours(const client_t *c, slice_t worker) { return !c->args->fleet && worker.len == 0; }

/* Could this be the result of a row of this pass? SDG_OK, or SDG_EINVAL and why not. */
static int check_result(const client_t *c, const row_done_t *row, bool ours, err_t *why) {
    bool last = passes_is_last(c->passes);
    if (row->status == ROW_STATUS_PARKED)
        return last ? err_set(why, SDG_EINVAL, "it is to wait for another pass, and there is none") : SDG_OK;
    if (row->status == ROW_STATUS_OK && !last)
        return err_set(why, SDG_EINVAL, "it is finished, and in this pass rows only stop");
    if (ours) return SDG_OK;
    return result_line_check(row->json.data, row->json.len, row->index, row->status == ROW_STATUS_FAILED,
                             why);
}

static bool had_result(const client_t *c, uint64_t row) {
    return rangeset_has(writer_finished(c->results.writer), row) || passes_has(c->passes, row);
}

static void log_refused(client_t *c, const worker_shown_t *worker, uint64_t row, const char *why,
                        uint64_t now) {
    c->results.refused++;
    if (!log_due(&c->results.refused_logged_ns, now, REFUSED_LOG_NS)) return;
    log_warn("client", "%s sent a result of row %" PRIu64 " that is not used (%" PRIu64 " so far): %s",
             worker->text, row, c->results.refused, why);
}

/* Appends one result; the second result of a row is dropped. Negative: the output failed. */
static int write_row(client_t *c, const row_done_t *row, err_t *err) {
    int rc = writer_add(c->results.writer, row->index, row->json.data, row->json.len, err);
    if (rc == SDG_OK) {
        client_count_result(c, row);
        client_store_row(c, row);
        feed_finished(c->input.feed, row->index);
    }
    return rc;
}

/* The row fails with what is wrong with its result. Negative: the output failed. */
static int fail_row(client_t *c, const worker_shown_t *worker, uint64_t row, const char *why, err_t *err) {
    char words[ERR_TEXT_MAX + sizeof worker->text + 64];
    buf_t line, meta;
    buf_init(&line, 8 * sizeof words);
    buf_init(&meta, ERR_TEXT_MAX);
    snprintf(words, sizeof words, "%s sent a result that is not used: %s", worker->text, why);
    result_line_fail(&line, row, words);
    usage_encode("unusable result", &(row_usage_t){0}, &meta);
    row_done_t failed = {.index = row,
                         .status = ROW_STATUS_FAILED,
                         .json = {line.data, line.len},
                         .meta = {meta.data, meta.len}};
    int rc = write_row(c, &failed, err);
    buf_free(&line);
    buf_free(&meta);
    return rc;
}

/* The row has stopped and is in the store: it has finished this pass. */
static void take_parked_row(client_t *c, const row_done_t *row) {
    if (!passes_take(c->passes, row->index)) return;
    client_count_parked(c, row);
    feed_finished(c->input.feed, row->index);
}

static int take_row(client_t *c, const row_done_t *row, slice_t from, uint64_t now, err_t *err) {
    err_t why;
    if (!feed_is_open(c->input.feed, row->index)) {
        worker_shown_t worker = show_worker(from);
        if (!had_result(c, row->index)) log_refused(c, &worker, row->index, "no such row is open", now);
        return SDG_OK;
    }
    if (check_result(c, row, is_ours(c, from), &why) != SDG_OK) {
        worker_shown_t worker = show_worker(from);
        log_refused(c, &worker, row->index, why.text, now);
        return fail_row(c, &worker, row->index, why.text, err);
    }
    if (row->status != ROW_STATUS_PARKED) return write_row(c, row, err);
    take_parked_row(c, row);
    return SDG_OK;
}

int client_take_results(client_t *c, const MSG_RESULTS *results, uint64_t now, err_t *err) {
    for (size_t i = 0; i < results->rows.count; i++) {
        const row_done_t *row = &results->rows.items[i];
        if (take_row(c, row, results->worker, now, err) < 0) return err->code;
        c->results.rows++;
        c->results.bytes += row->json.len;
    }
    return SDG_OK;
}
