/* context_store.c - see context_store.h: the messages and the life of the store; what it keeps is in
 * store_journal.c and store_contexts.c.
 *
 * Both gather what comes in one wake-up and write it at its end: one write for the calls, one transaction for
 * the contexts that go to disk.
 *
 * To add a message: a row in proto/messages.def, an on_<message> function here, a line in the table at the
 * bottom, a test.
 */
#include "actors/store/context_store.h"

#include <string.h>

#include "actors/exit_codes.h"
#include "actors/loop/limits.h"
#include "actors/store/limits.h"
#include "actors/store/store_internal.h"
#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/base/log.h"

void store_give_up(context_store_t *s, const char *reason) {
    log_error("store", "%s", reason);
    journal_close(&s->journal.file);
    actor_finish(&s->actor, EXIT_DATA);
}

/* ---- messages */

/* In batch mode each pass is a job of its own; the contexts stay from one to the next. */
static void on_job_opened(context_store_t *s, const link_frame_t *in, uint64_t now) {
    (void)now;
    s->job = in->message.JOB_OPENED.job;
}

static void on_job_closed(context_store_t *s, const link_frame_t *in, uint64_t now) {
    (void)now;
    store_journal_close(s, in->message.JOB_CLOSED.complete);
}

static void on_sync(context_store_t *s, const link_frame_t *in, uint64_t now) {
    (void)now;
    message_t m = {.type = MESSAGE_SYNCED, .SYNCED = {.token = in->message.SYNC.token}};
    link_send(s->router, in->peer, &m, &s->scratch);
}

/* ---- life */

static void on_fd(void *self, int fd, uint64_t now) { (void)self, (void)fd, (void)now; }

static uint64_t after(void *self, uint64_t now) {
    context_store_t *s = self;
    store_contexts_write(s);
    store_contexts_tell(s, now);
    uint64_t due = store_journal_due(s, now), tell = s->monitor ? STORE_STATS_NS : UINT64_MAX;
    return due < tell ? due : tell;
}

/* Binds all endpoints. args->port becomes the port of the last tcp endpoint. */
static int bind_all(context_store_t *s, context_store_args_t *args) {
    err_t err;
    for (size_t i = 0; i < args->endpoint_count; i++) {
        int port = link_attach(s->router, LINK_BIND, args->endpoints[i], &err);
        if (port > 0) args->port = port;
        if (port >= 0) continue;
        log_error("store", "%s", err.text);
        return err.code;
    }
    return 0;
}

static void refuse(context_store_t *s, const link_frame_t *in) {
    message_t m = {
        .type = MESSAGE_REFUSED,
        .REFUSED = {.about = (uint64_t)in->message.type, .reason = slice_of("this store has no such job")}};
    link_send(s->router, in->peer, &m, &s->scratch);
}

/* The messages a store takes, and which part of it has to be there for them. */
typedef enum needs { NEEDS_NOTHING, NEEDS_JOURNAL, NEEDS_CONTEXTS } needs_t;
static const struct {
    message_type_t type;
    needs_t needs;
    void (*handle)(context_store_t *s, const link_frame_t *in, uint64_t now);
} handlers[] = {
    {MESSAGE_CTX_PUT, NEEDS_CONTEXTS, store_contexts_on_put},
    {MESSAGE_CTX_GET_OR_CREATE, NEEDS_CONTEXTS, store_contexts_on_get},
    {MESSAGE_CTX_PIN, NEEDS_CONTEXTS, store_contexts_on_pin},
    {MESSAGE_CTX_UNPIN, NEEDS_CONTEXTS, store_contexts_on_unpin},
    {MESSAGE_CTX_COMPLETE, NEEDS_CONTEXTS, store_contexts_on_complete},
    {MESSAGE_CALL_RECORD, NEEDS_JOURNAL, store_journal_on_record},
    {MESSAGE_CALL_LOOKUP, NEEDS_JOURNAL, store_journal_on_lookup},
    {MESSAGE_ROWS_FINISHED, NEEDS_JOURNAL, store_journal_on_rows_finished},
    {MESSAGE_OWNER_GONE, NEEDS_CONTEXTS, store_contexts_on_owner_gone},
    {MESSAGE_OWNER_BACK, NEEDS_CONTEXTS, store_contexts_on_owner_back},
    {MESSAGE_JOB_OPENED, NEEDS_NOTHING, on_job_opened},
    {MESSAGE_JOB_CLOSED, NEEDS_NOTHING, on_job_closed},
    {MESSAGE_SYNC, NEEDS_NOTHING, on_sync},
};

/* The job this message is about; 0: none. (JOB_OPENED changes the job, so it is not compared.) */
static uint64_t job_of(const message_t *m) {
    switch (m->type) {
    case MESSAGE_CTX_PUT: return m->CTX_PUT.job;
    case MESSAGE_CTX_GET_OR_CREATE: return m->CTX_GET_OR_CREATE.job;
    case MESSAGE_CTX_PIN: return m->CTX_PIN.job;
    case MESSAGE_CTX_UNPIN: return m->CTX_UNPIN.job;
    case MESSAGE_CTX_COMPLETE: return m->CTX_COMPLETE.job;
    case MESSAGE_CALL_RECORD: return m->CALL_RECORD.job;
    case MESSAGE_CALL_LOOKUP: return m->CALL_LOOKUP.job;
    case MESSAGE_ROWS_FINISHED: return m->ROWS_FINISHED.job;
    case MESSAGE_JOB_CLOSED: return m->JOB_CLOSED.job;
    default: return 0;
    }
}

static bool is_there(const context_store_t *s, needs_t needs) {
    if (needs == NEEDS_JOURNAL) return s->journal.file;
    return needs != NEEDS_CONTEXTS || s->contexts;
}

/* A message about another job is refused. One that needs a part which is not there (any more)
 * is dropped: the job is over and nobody waits for an answer. */
static void on_message(void *self, zsock_t *socket, link_frame_t *in, uint64_t now) {
    context_store_t *s = self;
    uint64_t job = job_of(&in->message);
    (void)socket;
    if (job && s->job && job != s->job) {
        refuse(s, in);
        return;
    }
    for (size_t i = 0; i < sizeof handlers / sizeof *handlers; i++) {
        if (handlers[i].type != in->message.type) continue;
        if (is_there(s, handlers[i].needs)) handlers[i].handle(s, in, now);
        return;
    }
}

/* $TERM comes by the pipe and may overtake messages at the socket. They are still handled, because the
 * client's last one (JOB_CLOSED) says whether the journal may be removed. */
static void take_last_words(context_store_t *s) {
    link_frame_t in;
    while (link_recv_routed(s->router, &in, NULL) == LINK_MESSAGE) {
        on_message(s, s->router, &in, clock_now_ns());
        link_frame_free(&in);
    }
    store_journal_write(s);
}

static const actor_ops_t ops = {on_message, on_fd, NULL, after};

static context_store_t *store_new(const context_store_args_t *args) {
    context_store_t *s = xcalloc(1, sizeof *s);
    buf_init(&s->calls_found.text, MESSAGE_BYTES_MAX);
    buf_init(&s->contexts_found.text, MESSAGE_BYTES_MAX);
    buf_init(&s->scratch, MESSAGE_BYTES_MAX);
    s->router = link_socket(ZMQ_ROUTER, 0, SOCKET_HWM);
    s->monitor = link_to_monitor(args->monitor, 0, SOCKET_HWM, "store");
    return s;
}

static void store_destroy(context_store_t **store) {
    context_store_t *s = *store;
    store_journal_free(s);
    store_contexts_free(s);
    zsock_destroy(&s->router);
    zsock_destroy(&s->monitor);
    actor_free(&s->actor);
    BATCH_FREE(&s->calls_found);
    BATCH_FREE(&s->contexts_found);
    numbers_free(&s->missing);
    buf_free(&s->scratch);
    free(s);
    *store = NULL;
}

void context_store_actor(zsock_t *pipe, void *args) {
    context_store_t *s = store_new(args);
    actor_init(&s->actor, "store", &ops, s, pipe);
    store_journal_start(s, args);
    if (bind_all(s, args) != 0) actor_finish(&s->actor, EXIT_RUNTIME);
    store_contexts_start(s, args);
    actor_add_socket(&s->actor, s->router);
    store_journal_watch(s);
    actor_run(&s->actor);
    if (!s->actor.ended) take_last_words(s);
    store_contexts_log(s);
    store_destroy(&s);
}
