/* scheduler.c - decode, tell the dispatcher what happened, send what it decides.
 *
 * Who is who: a connection has a peer number (link.h); HELLO ties it to a role and to an instance, which
 * survives reconnects. A worker is known to the dispatcher by its instance, so a reconnect changes only where
 * its messages go.
 *
 * To add a message: a row in proto/messages.def, an on_<message> function here, a line in the table at the
 * bottom, a test.
 */
#include "actors/scheduler/scheduler.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "actors/exit_codes.h"
#include "actors/loop/actor.h"
#include "actors/loop/limits.h"
#include "actors/scheduler/fleet_totals.h"
#include "actors/scheduler/limits.h"
#include "core/base/clock.h"
#include "core/base/idmap.h"
#include "core/base/limits.h"
#include "core/base/log.h"
#include "core/base/numbers.h"
#include "core/base/rng.h"
#include "core/base/text.h"
#include "core/base/words.h"
#include "core/sched/dispatch.h"
#include "core/sched/endpoint_book.h"
#include "core/sched/limits.h"
#include "core/sched/patience.h"
#include "proto/parts/endpoint_reports.h"
#include "proto/stats.h"

typedef struct peer {
    uint64_t number; /* of its connection */
    uint64_t role, instance;
    bool remote; /* in another process */
    char name[PEER_NAME_MAX];
    uint64_t heard_ns, patience_ns; /* a silent client is dropped after that long; 0: never */
    uint64_t cut_ns;                /* when its connection was found to be gone; 0: it is there */
    MSG_BEAT beat;                  /* last gauges of a worker */
} peer_t;

/* What JOB_GET is answered with (its bytes are copied from JOB_OPEN), and what workers say of its endpoints.
 */
typedef struct job_spec {
    uint64_t id;
    char *path, *folder, *bundle, *options;
    size_t bundle_len, options_len;
    endpoint_book_t *endpoints;
    uint64_t reported_ns; /* when its client was told last */
    bool news;            /* a worker has said something since */
} job_spec_t;

typedef struct scheduler {
    actor_t actor;
    zsock_t *router, *monitor, *store; /* the last two may be NULL */
    uint64_t epoch;
    dispatch_t *dispatch;
    idmap_t peers;   /* peer number -> peer_t, owned */
    idmap_t workers; /* instance -> peer_t of those that are workers, borrowed */
    idmap_t jobs;    /* job id -> job_spec_t, owned */
    bool log_peers;
    fleet_totals_t *totals; /* NULL: nobody asks */
    uint64_t now;           /* of this wake-up */
    uint64_t ticked_ns, beat_ns, stats_ns;
    bool tell_parent;                   /* which workers come and are lost */
    int ports[SCHEDULER_ENDPOINTS_MAX]; /* of the bound endpoints; 0 for other transports */
    buf_t scratch;
} scheduler_t;

/* ---- tables */

static void spec_free(job_spec_t *spec) {
    if (!spec) return;
    free(spec->path);
    free(spec->folder);
    free(spec->bundle);
    free(spec->options);
    endpoint_book_destroy(&spec->endpoints);
    free(spec);
}

static void forget_peer(scheduler_t *s, uint64_t number) {
    peer_t *peer = idmap_remove(&s->peers, number);
    if (peer && idmap_get(&s->workers, peer->instance) == peer) idmap_remove(&s->workers, peer->instance);
    free(peer);
}

static void forget_job(scheduler_t *s, uint64_t job) { spec_free(idmap_remove(&s->jobs, job)); }

/* ---- answers */

/* The connection of this peer is gone. Whoever lives says HELLO on another within RECONNECT_NS; who does not
 * is dead. Nothing is freed here: peers and jobs may be being walked over. */
static void peer_cut(scheduler_t *s, uint64_t number) {
    peer_t *peer = idmap_get(&s->peers, number);
    if (!peer || peer->cut_ns) return;
    peer->cut_ns = s->now;
    if (peer->role == ROLE_WORKER) dispatch_worker_cut(s->dispatch, peer->instance, s->now);
}

/* Everybody is said something each second (BEAT), so a connection that is gone is found within that. */
static void say(scheduler_t *s, uint64_t peer, message_t *m) {
    m->epoch = s->epoch;
    if (!link_send(s->router, peer, m, &s->scratch) && errno == EHOSTUNREACH) peer_cut(s, peer);
}

static void refuse(scheduler_t *s, uint64_t peer, message_type_t about, uint64_t id, const char *reason) {
    message_t m = {.type = MESSAGE_REFUSED,
                   .REFUSED = {.about = (uint64_t)about, .id = id, .reason = slice_of(reason)}};
    say(s, peer, &m);
}

static void welcome(scheduler_t *s, uint64_t peer, bool known) {
    message_t m = {.type = MESSAGE_WELCOME, .WELCOME = {.known = known}};
    say(s, peer, &m);
}

static void acknowledge(scheduler_t *s, uint64_t peer, uint64_t batch) {
    message_t m = {.type = MESSAGE_ROW_RESULTS_ACK, .ROW_RESULTS_ACK = {.batch = batch}};
    say(s, peer, &m);
}

/* OWNER_GONE or OWNER_BACK of a worker: sent before the rows it held are leased again, and before it is
 * leased any. scheduler.h says why. */
static void tell_store(scheduler_t *s, message_type_t type, uint64_t worker) {
    message_t m = {.type = type, .epoch = s->epoch};
    if (type == MESSAGE_OWNER_GONE)
        m.OWNER_GONE.owner = worker;
    else
        m.OWNER_BACK.owner = worker;
    if (s->store) link_send(s->store, 0, &m, &s->scratch);
}

/* ---- from everybody */

/* A worker or client is not there any more: it `left`, or was given up for another reason in words. `reason`
 * is that of its BYE and may be empty. */
static void leave(scheduler_t *s, peer_t *peer, const char *how, slice_t reason, uint64_t now) {
    if (s->log_peers)
        log_info("scheduler", "%s %s %s%s%.*s", peer->role == ROLE_WORKER ? "worker" : "client", peer->name,
                 how, reason.len ? ": " : "", (int)reason.len, reason.data);
    if (peer->role == ROLE_WORKER)
        dispatch_worker_gone(s->dispatch, peer->instance, false, now);
    else
        dispatch_client_gone(s->dispatch, peer->number, now);
    forget_peer(s, peer->number);
}

/* A client or worker has one connection, the one it said HELLO on last. Whoever speaks on another is asked to
 * say HELLO again, so a HELLO that was overtaken on its way does harm for a moment only. */
static void forget_old_connection(scheduler_t *s, const MSG_HELLO *hello, uint64_t number, uint64_t now) {
    const peer_t *old = NULL;
    IDMAP_EACH(&s->peers, slot) {
        const peer_t *p = slot->value;
        if (p->role == hello->role && p->instance == hello->instance && p->number != number) old = p;
    }
    if (!old) return;
    if (old->role == ROLE_CLIENT) dispatch_client_moved(s->dispatch, old->number, number, now);
    forget_peer(s, old->number);
}

/* False: there are too many workers, and this one has been told so. */
static bool admit_worker(scheduler_t *s, const MSG_HELLO *hello, bool remote, uint64_t peer, uint64_t now) {
    dispatch_worker_t worker = {.worker = hello->instance,
                                .python = hello->python,
                                .remote = remote,
                                .patience_ns = patience_of_worker(remote, hello->patience_ms)};
    err_t err;
    if (dispatch_worker_hello(s->dispatch, peer, &worker, now, &err) != SDG_OK) {
        refuse(s, peer, MESSAGE_HELLO, 0, err.text);
        return false;
    }
    tell_store(s, MESSAGE_OWNER_BACK, hello->instance);
    if (s->tell_parent) actor_tell(s->actor.pipe, "JOINED %" PRIu64, hello->instance);
    return true;
}

/* HELLO ties the connection to a role and an instance. Said again on the same connection it is answered
 * again; said on another one, the old connection is forgotten. A connection is one peer: who says HELLO on it
 * as somebody else has left. */
static void on_hello(scheduler_t *s, link_frame_t *in, uint64_t now) {
    const MSG_HELLO *hello = &in->message.HELLO;
    peer_t *before = idmap_get(&s->peers, in->peer);
    bool remote = link_is_remote(in);
    if (!message_is_said(MESSAGE_HELLO, hello->role, ROLE_SCHEDULER)) {
        refuse(s, in->peer, MESSAGE_HELLO, 0, "unknown role");
        return;
    }
    if (before && (before->role != hello->role || before->instance != hello->instance))
        leave(s, before, "is somebody else now", slice_of(""), now);
    if (hello->role == ROLE_WORKER && !admit_worker(s, hello, remote, in->peer, now)) return;
    forget_old_connection(s, hello, in->peer, now);
    peer_t *known = xcalloc(1, sizeof *known);
    *known = (peer_t){.number = in->peer,
                      .role = hello->role,
                      .instance = hello->instance,
                      .remote = remote,
                      .heard_ns = now,
                      .patience_ns =
                          hello->role == ROLE_CLIENT ? patience_of_client(remote, hello->patience_ms) : 0};
    utf8_copy_line(known->name, sizeof known->name, hello->name.data, hello->name.len);
    if (s->log_peers)
        log_info("scheduler", "%s %s joined", hello->role == ROLE_WORKER ? "worker" : "client", known->name);
    forget_peer(s, in->peer); /* it may have said HELLO on this connection before */
    idmap_add(&s->peers, in->peer, known);
    if (known->role == ROLE_WORKER) idmap_add(&s->workers, known->instance, known);
    welcome(s, in->peer, true);
}

static void on_beat(scheduler_t *s, peer_t *peer, const link_frame_t *in, uint64_t now) {
    peer->beat = in->message.BEAT;
    if (peer->role == ROLE_WORKER)
        dispatch_worker_leases(s->dispatch, peer->instance, in->message.BEAT.leases, now);
}

static void on_bye(scheduler_t *s, peer_t *peer, const link_frame_t *in, uint64_t now) {
    leave(s, peer, "left", in->message.BYE.reason, now);
}

static void on_sync(scheduler_t *s, peer_t *peer, const link_frame_t *in, uint64_t now) {
    (void)peer, (void)now;
    message_t m = {.type = MESSAGE_SYNCED, .SYNCED = {.token = in->message.SYNC.token}};
    say(s, in->peer, &m);
}

/* ---- from clients */

/* NUL-terminated, owned by the caller. */
static char *copy(slice_t bytes) {
    char *out = xmalloc(bytes.len + 1);
    if (bytes.len) memcpy(out, bytes.data, bytes.len);
    out[bytes.len] = '\0';
    return out;
}

/* What is known of the job's endpoints, when it was opened before; else an empty book. */
static endpoint_book_t *take_book(scheduler_t *s, uint64_t job) {
    job_spec_t *spec = idmap_get(&s->jobs, job);
    if (!spec) return endpoint_book_new();
    endpoint_book_t *book = spec->endpoints;
    spec->endpoints = NULL;
    return book;
}

/* What a client claims is what this process would have to hold. A smaller window costs it nothing but reading
 * ahead: credit says how much it may send. */
static void cut_windows(dispatch_job_t *job) {
    if (job->window_rows > REMOTE_WINDOW_ROWS_MAX) job->window_rows = REMOTE_WINDOW_ROWS_MAX;
    if (job->window_bytes > REMOTE_WINDOW_BYTES_MAX) job->window_bytes = REMOTE_WINDOW_BYTES_MAX;
}

/* Opens the job, or takes up one that is known. A client that says the job was open before (`reopened`) is
 * refused when it is not known any more: it submits what is left as another job. */
static void on_job_open(scheduler_t *s, peer_t *peer, const link_frame_t *in, uint64_t now) {
    const MSG_JOB_OPEN *open = &in->message.JOB_OPEN;
    dispatch_job_t job = {.job = open->job,
                          .window_rows = open->window_rows,
                          .window_bytes = open->window_bytes,
                          .concurrency = open->concurrency,
                          .priority = open->priority,
                          .python = open->needs & JOB_NEEDS_PYTHON,
                          .endpoints = open->endpoints.items,
                          .endpoint_count = open->endpoints.count};
    dispatch_job_stats_t known;
    err_t err;
    if (peer->remote) cut_windows(&job);
    if (open->job == 0) { /* REFUSED about no job in particular has id 0 */
        refuse(s, in->peer, MESSAGE_JOB_OPEN, 0, "a job needs an id other than 0");
        return;
    }
    if (open->reopened && !dispatch_job_stats(s->dispatch, open->job, &known)) {
        refuse(s, in->peer, MESSAGE_JOB_OPEN, open->job, "the job is not known any more");
        return;
    }
    if (dispatch_job_open(s->dispatch, in->peer, &job, now, &err) != SDG_OK) {
        refuse(s, in->peer, MESSAGE_JOB_OPEN, open->job, err.text);
        return;
    }
    job_spec_t *spec = xcalloc(1, sizeof *spec);
    *spec = (job_spec_t){.id = open->job,
                         .path = copy(open->path),
                         .folder = copy(open->folder),
                         .bundle = copy(open->bundle),
                         .options = copy(open->options),
                         .bundle_len = open->bundle.len,
                         .options_len = open->options.len,
                         .endpoints = take_book(s, open->job)};
    forget_job(s, open->job); /* it may have been opened before */
    idmap_add(&s->jobs, open->job, spec);
    message_t m = {.type = MESSAGE_JOB_ACCEPTED, .JOB_ACCEPTED = {.job = open->job}};
    say(s, in->peer, &m);
}

static void on_rows(scheduler_t *s, peer_t *peer, const link_frame_t *in, uint64_t now) {
    const MSG_ROWS *m = &in->message.ROWS;
    (void)peer;
    if (dispatch_rows(s->dispatch, m->job, m->chunk, m->rows.items, m->rows.count, now) == SDG_ENOTFOUND)
        refuse(s, in->peer, MESSAGE_ROWS, m->job, "unknown job");
}

static void on_rows_end(scheduler_t *s, peer_t *peer, const link_frame_t *in, uint64_t now) {
    (void)peer;
    dispatch_rows_end(s->dispatch, in->message.ROWS_END.job, in->message.ROWS_END.chunks, now);
}

static void on_result_credit(scheduler_t *s, peer_t *peer, const link_frame_t *in, uint64_t now) {
    const MSG_RESULT_CREDIT *m = &in->message.RESULT_CREDIT;
    (void)peer;
    dispatch_result_credit(s->dispatch, m->job, m->rows_limit, m->bytes_limit, now);
}

static void on_results_ack(scheduler_t *s, peer_t *peer, const link_frame_t *in, uint64_t now) {
    (void)peer;
    dispatch_results_ack(s->dispatch, in->message.RESULTS_ACK.job, in->message.RESULTS_ACK.batch, now);
}

static void on_job_limit(scheduler_t *s, peer_t *peer, const link_frame_t *in, uint64_t now) {
    const MSG_JOB_LIMIT *m = &in->message.JOB_LIMIT;
    (void)peer;
    if (dispatch_job_limit(s->dispatch, m->job, m->concurrency, now) == SDG_EINVAL)
        refuse(s, in->peer, MESSAGE_JOB_LIMIT, m->job, "a job needs a concurrency of at least 1");
}

static void on_job_stop(scheduler_t *s, peer_t *peer, const link_frame_t *in, uint64_t now) {
    (void)peer;
    dispatch_job_stop(s->dispatch, in->message.JOB_STOP.job, (uint32_t)in->message.JOB_STOP.mode, now);
}

/* STATUS: the dispatcher's counters as JSON, for `sdg status`. */
static void on_status_get(scheduler_t *s, peer_t *peer, const link_frame_t *in, uint64_t now) {
    dispatch_stats_t d;
    buf_t json;
    (void)peer, (void)now;
    dispatch_stats(s->dispatch, &d);
    buf_init(&json, 4096);
    buf_addf(&json,
             "{\"version\": \"%s\", \"jobs\": %" PRIu64 ", \"workers\": %" PRIu64
             ", \"rows_queued\": %" PRIu64 ", \"rows_leased\": %" PRIu64 ", \"rows_answered\": %" PRIu64
             ", \"bytes_pending\": %" PRIu64 ", \"rows_requeued\": %" PRIu64
             ", \"duplicates_dropped\": %" PRIu64 ", \"workers_lost\": %" PRIu64 "}",
             SDG_VERSION, d.jobs, d.workers, d.rows_queued, d.rows_leased, d.rows_answered, d.bytes_pending,
             d.rows_requeued, d.duplicates_dropped, d.workers_lost);
    message_t m = {.type = MESSAGE_STATUS,
                   .STATUS = {.token = in->message.STATUS_GET.token, .json = {json.data, json.len}}};
    say(s, in->peer, &m);
    buf_free(&json);
}

/* ---- from workers */

static void on_row_credit(scheduler_t *s, peer_t *peer, const link_frame_t *in, uint64_t now) {
    const MSG_ROW_CREDIT *m = &in->message.ROW_CREDIT;
    if (m->rows == 0) dispatch_worker_drain(s->dispatch, peer->instance, now);
    dispatch_worker_credit(s->dispatch, peer->instance, m->rows, m->bytes, now);
}

/* A worker that was leased rows of a job it does not know asks for its pipeline and options. */
static void on_job_get(scheduler_t *s, peer_t *peer, const link_frame_t *in, uint64_t now) {
    uint64_t job = in->message.JOB_GET.job;
    const job_spec_t *spec = idmap_get(&s->jobs, job);
    (void)peer, (void)now;
    if (!spec) {
        refuse(s, in->peer, MESSAGE_JOB_GET, job, "the job is over");
        return;
    }
    message_t m = {.type = MESSAGE_JOB_SPEC,
                   .JOB_SPEC = {.job = spec->id,
                                .path = slice_of(spec->path),
                                .folder = slice_of(spec->folder),
                                .bundle = {spec->bundle, spec->bundle_len},
                                .options = {spec->options, spec->options_len}}};
    say(s, in->peer, &m);
}

/* Results are acknowledged also when they are of no use any more, so that the worker lets go of them. */
static void on_row_results(scheduler_t *s, peer_t *peer, const link_frame_t *in, uint64_t now) {
    const MSG_ROW_RESULTS *m = &in->message.ROW_RESULTS;
    dispatch_row_results(s->dispatch, peer->instance, m->job, m->rows.items, m->rows.count, now);
    acknowledge(s, in->peer, m->batch);
}

static void on_lease_return(scheduler_t *s, peer_t *peer, const link_frame_t *in, uint64_t now) {
    const MSG_LEASE_RETURN *m = &in->message.LEASE_RETURN;
    dispatch_lease_return(s->dispatch, peer->instance, m->job, m->rows.items, m->rows.count, now);
    acknowledge(s, in->peer, m->batch);
}

static void on_job_refused(scheduler_t *s, peer_t *peer, const link_frame_t *in, uint64_t now) {
    char *reason = copy(in->message.JOB_REFUSED.reason);
    log_debug("scheduler", "worker %s cannot run job %" PRIx64 ": %s", peer->name,
              in->message.JOB_REFUSED.job, reason);
    dispatch_worker_refuses(s->dispatch, peer->instance, in->message.JOB_REFUSED.job, reason, now);
    job_spec_t *spec = idmap_get(&s->jobs, in->message.JOB_REFUSED.job);
    if (spec) endpoint_book_gone(spec->endpoints, peer->instance);
    free(reason);
}

/* A report of a job that is over is of no use any more. */
static void on_endpoint_report(scheduler_t *s, peer_t *peer, const link_frame_t *in, uint64_t now) {
    const MSG_ENDPOINT_REPORT *m = &in->message.ENDPOINT_REPORT;
    job_spec_t *spec = idmap_get(&s->jobs, m->job);
    endpoint_report_t *reports;
    size_t count;
    err_t err;
    if (!spec) return;
    if (endpoint_reports_decode(m->reports.data, m->reports.len, &reports, &count, &err) != SDG_OK) {
        refuse(s, in->peer, MESSAGE_ENDPOINT_REPORT, m->job, err.text);
        return;
    }
    endpoint_book_take(spec->endpoints, peer->instance, reports, count, now);
    spec->news = true;
    free(reports);
}

/* STATS of a worker: what it has done since it started. */
static void on_stats(scheduler_t *s, peer_t *peer, const link_frame_t *in, uint64_t now) {
    if (s->totals && in->message.STATS.role == ROLE_WORKER)
        fleet_totals_take(s->totals, peer->instance, &in->message.STATS, now);
}

static void on_permits_held(scheduler_t *s, peer_t *peer, const link_frame_t *in, uint64_t now) {
    const MSG_PERMITS_HELD *m = &in->message.PERMITS_HELD;
    units_held_t held = {.permit = m->permit, .used = m->used, .waiting = m->waiting};
    dispatch_worker_running(s->dispatch, peer->instance, m->job, &held, now);
}

static void on_endpoint_held(scheduler_t *s, peer_t *peer, const link_frame_t *in, uint64_t now) {
    const MSG_ENDPOINT_HELD *m = &in->message.ENDPOINT_HELD;
    dispatch_worker_calls(s->dispatch, peer->instance, m->endpoint, m->permit, m->in_flight, now);
}

static void on_drained(scheduler_t *s, peer_t *peer, const link_frame_t *in, uint64_t now) {
    (void)now;
    if (s->log_peers)
        log_info("scheduler", "worker %s has drained, %" PRIu64 " %s open", peer->name,
                 in->message.DRAINED.rows_open, words_choose(in->message.DRAINED.rows_open, "row", "rows"));
}

/* ---- endpoints */

static void send_reports(scheduler_t *s, zsock_t *to, uint64_t peer, uint64_t job,
                         const endpoint_report_t *reports, size_t count) {
    buf_t bytes;
    buf_init(&bytes, MESSAGE_BYTES_MAX);
    endpoint_reports_encode(reports, count, &bytes);
    message_t m = {.type = MESSAGE_ENDPOINT_REPORT,
                   .epoch = s->epoch,
                   .ENDPOINT_REPORT = {.job = job, .reports = {bytes.data, bytes.len}}};
    link_send(to, peer, &m, &s->scratch);
    buf_free(&bytes);
}

static void tell_client_of_endpoints(scheduler_t *s, job_spec_t *spec, uint64_t peer, uint64_t now) {
    endpoint_report_t *reports = xcalloc(ENDPOINT_REPORTS_MAX, sizeof *reports);
    size_t count = endpoint_book_sum(spec->endpoints, now, reports, ENDPOINT_REPORTS_MAX);
    send_reports(s, s->router, peer, spec->id, reports, count);
    free(reports);
    spec->reported_ns = now;
    spec->news = false;
}

static void tell_clients_of_endpoints(scheduler_t *s, uint64_t now) {
    IDMAP_EACH(&s->jobs, slot) {
        job_spec_t *spec = slot->value;
        dispatch_job_stats_t job;
        if (!spec->news || now - spec->reported_ns < SCHEDULER_REPORT_NS) continue;
        if (dispatch_job_stats(s->dispatch, spec->id, &job))
            tell_client_of_endpoints(s, spec, job.client, now);
    }
}

/* Adds the reports of one job to those of others; jobs that name the same endpoint share a line. */
static size_t add_reports(endpoint_report_t *sums, size_t count, const endpoint_report_t *reports, size_t n) {
    for (size_t i = 0; i < n; i++) {
        size_t at = 0;
        while (at < count && sums[at].endpoint != reports[i].endpoint) {
            at++;
        }
        if (at < count)
            endpoint_report_add(&sums[at], &reports[i]);
        else if (count < ENDPOINT_REPORTS_MAX)
            sums[count++] = reports[i];
    }
    return count;
}

/* For the monitor of `sdg serve`: the endpoints of all jobs. */
static void tell_monitor_of_endpoints(scheduler_t *s, uint64_t now) {
    endpoint_report_t *reports = xcalloc(2 * ENDPOINT_REPORTS_MAX, sizeof *reports);
    endpoint_report_t *sums = reports + ENDPOINT_REPORTS_MAX;
    size_t count = 0;
    IDMAP_EACH(&s->jobs, slot) {
        const job_spec_t *spec = slot->value;
        size_t n = endpoint_book_sum(spec->endpoints, now, reports, ENDPOINT_REPORTS_MAX);
        count = add_reports(sums, count, reports, n);
    }
    send_reports(s, s->monitor, 0, 0, sums, count);
    free(reports);
}

/* The worker cannot use an endpoint that answers others: these run its rows. */
static void do_without(scheduler_t *s, job_spec_t *spec, uint64_t worker, const char *reason, uint64_t now) {
    log_warn("scheduler", "a worker is given no more rows of this job: only there %s", reason);
    endpoint_book_gone(spec->endpoints, worker);
    dispatch_worker_unfit(s->dispatch, worker, spec->id, reason, now);
}

static void let_fail(scheduler_t *s, uint64_t job, uint64_t endpoint) {
    IDMAP_EACH(&s->peers, slot) {
        const peer_t *p = slot->value;
        message_t m = {.type = MESSAGE_ENDPOINT_LET_FAIL,
                       .ENDPOINT_LET_FAIL = {.job = job, .endpoint = endpoint}};
        if (p->role == ROLE_WORKER) say(s, p->number, &m);
    }
}

/* Does the job go on, as far as its endpoints are concerned? */
static void judge_job(scheduler_t *s, job_spec_t *spec, uint64_t now) {
    dispatch_job_stats_t job;
    endpoint_ruling_t r;
    char reason[ERR_TEXT_MAX];
    if (!dispatch_job_stats(s->dispatch, spec->id, &job) || job.stopping || job.over) return;
    endpoint_facts_t facts = {.rows_unfinished = job.rows_queued + job.rows_leased,
                              .none_come = job.none_come};
    if (endpoint_book_judge(spec->endpoints, &facts, now, &r) == ENDPOINT_GOES_ON) return;
    snprintf(reason, sizeof reason, "%s refuses every request: %s", r.of.address, r.of.trouble_text);
    log_debug("scheduler", "job %016" PRIx64 ": %s", spec->id, reason);
    if (r.verdict == ENDPOINT_IS_FINAL) dispatch_job_final(s->dispatch, spec->id, reason, now);
    if (r.verdict == ENDPOINT_FAILS_ITS_ROW) let_fail(s, spec->id, r.of.endpoint);
    if (r.verdict == ENDPOINT_UNFIT_WORKER) do_without(s, spec, r.worker, reason, now);
}

static void judge_jobs(scheduler_t *s, uint64_t now) {
    IDMAP_EACH(&s->jobs, slot) judge_job(s, slot->value, now);
}

static void forget_worker_in_books(scheduler_t *s, uint64_t worker) {
    IDMAP_EACH(&s->jobs, slot) {
        job_spec_t *spec = slot->value;
        endpoint_book_gone(spec->endpoints, worker);
        spec->news = true;
    }
}

/* ---- actions */

/* The client has the last word about the endpoints before it hears of the end. */
static void send_done(scheduler_t *s, const dispatch_action_t *a, uint64_t now) {
    job_spec_t *spec = idmap_get(&s->jobs, a->job);
    if (spec && spec->news) tell_client_of_endpoints(s, spec, a->peer, now);
    message_t m = {.type = MESSAGE_JOB_DONE,
                   .JOB_DONE = {.job = a->job, .reason = slice_of(a->reason), .kind = a->end}};
    log_debug("scheduler", "job %016" PRIx64 " is over: %" PRIu64 " rows, %" PRIu64 " failed", a->job,
              a->rows_ok, a->rows_failed);
    say(s, a->peer, &m);
    forget_job(s, a->job);
}

/* A line says who is lost and why when it had rows; a fleet's scheduler (log_peers) says it of each. A worker
 * that comes back has to say HELLO again. */
static void worker_lost(scheduler_t *s, const dispatch_action_t *a) {
    const peer_t *peer = idmap_get(&s->peers, a->peer);
    bool known = peer && peer->role == ROLE_WORKER && peer->instance == a->worker;
    const char *who = known ? "worker " : "a worker", *name = known ? peer->name : "";
    if (a->row_count)
        log_warn("scheduler", "%s%s is gone (%s); %zu of its rows %s back to the queue", who, name, a->reason,
                 a->row_count, words_choose(a->row_count, "goes", "go"));
    else if (a->crashed && s->log_peers)
        log_info("scheduler", "%s%s is gone (%s)", who, name, a->reason);
    if (a->crashed && s->tell_parent) actor_tell(s->actor.pipe, "LOST %" PRIu64 " %s", a->worker, a->reason);
    tell_store(s, MESSAGE_OWNER_GONE, a->worker);
    forget_worker_in_books(s, a->worker);
    if (known) forget_peer(s, a->peer);
}

/* A worker that has left meanwhile is named by its number. */
static void send_results(scheduler_t *s, const dispatch_action_t *a) {
    const peer_t *worker = idmap_get(&s->workers, a->worker);
    char number[24] = "";
    if (a->worker && !worker) snprintf(number, sizeof number, "%016" PRIx64, a->worker);
    message_t m = {.type = MESSAGE_RESULTS,
                   .RESULTS = {.job = a->job,
                               .batch = a->batch,
                               .rows = {(row_done_t *)a->done, a->done_count},
                               .worker = slice_of(worker ? worker->name : number)}};
    say(s, a->peer, &m);
}

/* Sends what the dispatcher has decided. */
static void perform(scheduler_t *s, const dispatch_action_t *a, uint64_t now) {
    message_t m = {0};
    switch (a->kind) {
    case DISPATCH_JOB_DONE: send_done(s, a, now); return;
    case DISPATCH_LEASE:
        m = (message_t){.type = MESSAGE_LEASE,
                        .LEASE = {.lease = a->lease,
                                  .job = a->job,
                                  .again = a->again,
                                  .rows = {(row_in_t *)a->rows, a->row_count}}};
        break;
    case DISPATCH_RESULTS: send_results(s, a); return;
    case DISPATCH_PERMITS:
        m = (message_t){.type = MESSAGE_PERMITS, .PERMITS = {.job = a->job, .units = a->permit_units}};
        break;
    case DISPATCH_ENDPOINT_PERMITS:
        m = (message_t){.type = MESSAGE_ENDPOINT_PERMITS,
                        .ENDPOINT_PERMITS = {.endpoint = a->endpoint, .calls = a->permit_calls}};
        break;
    case DISPATCH_LEASES_VOID:
        m = (message_t){.type = MESSAGE_LEASES_VOID,
                        .LEASES_VOID = {.from = a->lease, .count = a->lease_count}};
        break;
    case DISPATCH_JOB_DROP:
        m = (message_t){.type = MESSAGE_JOB_DROP, .JOB_DROP = {.job = a->job, .mode = a->mode}};
        break;
    case DISPATCH_INGEST_CREDIT:
        m = (message_t){.type = MESSAGE_INGEST_CREDIT,
                        .INGEST_CREDIT = {.job = a->job,
                                          .next_chunk = a->next_chunk,
                                          .rows_limit = a->rows_limit,
                                          .bytes_limit = a->bytes_limit}};
        break;
    case DISPATCH_WORKER_LOST: worker_lost(s, a); return;
    case DISPATCH_ROW_FAILED:
        log_warn("scheduler", "row %" PRIu64 " failed: %d workers died while it was running", a->index,
                 LEASE_ATTEMPTS_MAX);
        return;
    }
    say(s, a->peer, &m);
}

static void perform_all(scheduler_t *s, uint64_t now) {
    dispatch_action_t action;
    while (dispatch_next(s->dispatch, now, &action)) {
        perform(s, &action, now);
    }
}

/* ---- time */

static void beat_peers(scheduler_t *s) {
    IDMAP_EACH(&s->peers, slot) {
        const peer_t *p = slot->value;
        message_t m = {.type = MESSAGE_BEAT};
        say(s, p->number, &m);
    }
}

static bool is_silent(const peer_t *p, uint64_t now) {
    return p->patience_ns && now - p->heard_ns > p->patience_ns;
}

static bool is_cut(const peer_t *p, uint64_t now) {
    return p->role == ROLE_CLIENT && p->cut_ns && now - p->cut_ns > RECONNECT_NS;
}

/* Drops clients that were silent for longer than their patience, and those whose connection is gone and that
 * are not back on another. Such workers are the business of the dispatcher. */
static void drop_dead_clients(scheduler_t *s, uint64_t now) {
    numbers_t dead = {0};
    IDMAP_EACH(&s->peers, slot) {
        const peer_t *p = slot->value;
        if (is_silent(p, now) || is_cut(p, now)) numbers_add(&dead, p->number);
    }
    for (size_t i = 0; i < dead.count; i++) {
        peer_t *p = idmap_get(&s->peers, dead.items[i]);
        leave(s, p, is_cut(p, now) ? "is gone, and its connection with it" : "is silent: dropped",
              slice_of(""), now);
    }
    numbers_free(&dead);
}

/* When this process itself stood still, no client is blamed for the silence. */
static void forgive_own_pause(scheduler_t *s, uint64_t pause, uint64_t now) {
    IDMAP_EACH(&s->peers, slot) {
        peer_t *p = slot->value;
        p->heard_ns = p->heard_ns + pause < now ? p->heard_ns + pause : now;
        if (p->cut_ns) p->cut_ns = p->cut_ns + pause < now ? p->cut_ns + pause : now;
    }
}

static void tick(scheduler_t *s, uint64_t now) {
    uint64_t passed = now - s->ticked_ns;
    if (s->ticked_ns && passed >= 2 * BEAT_NS) forgive_own_pause(s, passed, now);
    s->ticked_ns = now;
    drop_dead_clients(s, now);
    dispatch_tick(s->dispatch, now);
    judge_jobs(s, now);
}

static uint64_t left(uint64_t granted, uint64_t used) { return granted > used ? granted - used : 0; }

/* Windows and credits, summed over all jobs. */
static void gather_jobs(scheduler_t *s, uint64_t *values) {
    IDMAP_EACH(&s->jobs, slot) {
        dispatch_job_stats_t job;
        if (!dispatch_job_stats(s->dispatch, slot->id, &job)) continue;
        values[SCHEDULER_window_rows] += job.window_rows;
        values[SCHEDULER_window_bytes] += job.window_bytes;
        if (job.workers) values[SCHEDULER_calls_limit] += job.concurrency;
        values[SCHEDULER_ingest_granted] += job.ingest_rows_limit;
        values[SCHEDULER_ingest_outstanding] += left(job.ingest_rows_limit, job.rows_received);
        values[SCHEDULER_result_granted] += job.result_rows_limit;
        values[SCHEDULER_result_outstanding] +=
            left(job.result_rows_limit, job.rows_ok + job.rows_failed + job.rows_answered);
    }
}

static void gather_peers(scheduler_t *s, uint64_t *values) {
    IDMAP_EACH(&s->peers, slot) {
        const peer_t *p = slot->value;
        values[SCHEDULER_calls_in_flight] += p->beat.calls_in_flight;
        values[SCHEDULER_calls_waiting] += p->beat.calls_waiting;
        values[SCHEDULER_worker_rss_bytes] += p->beat.rss_bytes;
        values[SCHEDULER_worker_bytes_held] += p->beat.bytes_held;
    }
}

/* The totals of all workers, for the monitor of `sdg serve`. */
static void tell_totals(scheduler_t *s) {
    const tally_t *sum = fleet_totals_sum_peek(s->totals);
    uint64_t values[CLIENT_STATS], latency[HIST_NUMBERS_MAX];
    buf_t reasons;
    memcpy(values, sum->totals, sizeof values);
    buf_init(&reasons, REASONS_JSON_BYTES);
    tally_write_reasons(sum, &reasons);
    message_t m = {.type = MESSAGE_STATS,
                   .epoch = s->epoch,
                   .STATS = {.role = ROLE_WORKER,
                             .values = {values, CLIENT_STATS},
                             .latency = {latency, hist_to_numbers(&sum->latency, latency)},
                             .reasons = {reasons.data, reasons.len}}};
    link_send(s->monitor, 0, &m, &s->scratch);
    buf_free(&reasons);
}

/* The gauges of the scheduler and of all jobs and workers. Lossy: the next one says everything again. */
static void tell_monitor(scheduler_t *s) {
    dispatch_stats_t d;
    uint64_t values[SCHEDULER_STATS] = {0};
    dispatch_stats(s->dispatch, &d);
    values[SCHEDULER_workers] = d.workers;
    values[SCHEDULER_rows_queued] = d.rows_queued;
    values[SCHEDULER_rows_leased] = d.rows_leased;
    values[SCHEDULER_rows_answered] = d.rows_answered;
    values[SCHEDULER_bytes_pending] = d.bytes_pending;
    values[SCHEDULER_workers_lost] = d.workers_lost;
    values[SCHEDULER_rows_requeued] = d.rows_requeued;
    values[SCHEDULER_jobs] = d.jobs;
    values[SCHEDULER_duplicates_dropped] = d.duplicates_dropped;
    values[SCHEDULER_leases_resent] = d.leases_resent;
    values[SCHEDULER_row_granted] = d.row_credit;
    values[SCHEDULER_row_outstanding] = left(d.row_credit, d.rows_leased);
    gather_peers(s, values);
    gather_jobs(s, values);
    message_t m = {.type = MESSAGE_STATS,
                   .epoch = s->epoch,
                   .STATS = {.role = ROLE_SCHEDULER, .values = {values, SCHEDULER_STATS}}};
    link_send(s->monitor, 0, &m, &s->scratch);
    if (s->totals) tell_totals(s);
}

/* Time passes for the dispatcher, then what it has decided is sent, then beats and numbers that are due. */
static uint64_t after(void *self, uint64_t now) {
    scheduler_t *s = self;
    s->now = now;
    if (now - s->ticked_ns >= SCHEDULER_TICK_NS) tick(s, now);
    perform_all(s, now);
    if (now - s->beat_ns >= BEAT_NS) {
        s->beat_ns = now;
        beat_peers(s);
    }
    if (s->monitor && now - s->stats_ns >= SCHEDULER_STATS_NS) {
        s->stats_ns = now;
        tell_monitor(s);
        if (s->totals) tell_monitor_of_endpoints(s, now);
    }
    tell_clients_of_endpoints(s, now);
    return SCHEDULER_TICK_NS;
}

/* ---- life */

/* The messages a scheduler takes from whoever said HELLO; from which role, the catalogue says. */
static const struct {
    message_type_t type;
    void (*handle)(scheduler_t *s, peer_t *peer, const link_frame_t *in, uint64_t now);
} handlers[] = {
    {MESSAGE_BEAT, on_beat},
    {MESSAGE_BYE, on_bye},
    {MESSAGE_SYNC, on_sync},
    {MESSAGE_STATUS_GET, on_status_get},
    {MESSAGE_JOB_OPEN, on_job_open},
    {MESSAGE_ROWS, on_rows},
    {MESSAGE_ROWS_END, on_rows_end},
    {MESSAGE_RESULT_CREDIT, on_result_credit},
    {MESSAGE_RESULTS_ACK, on_results_ack},
    {MESSAGE_JOB_LIMIT, on_job_limit},
    {MESSAGE_JOB_STOP, on_job_stop},
    {MESSAGE_ROW_CREDIT, on_row_credit},
    {MESSAGE_JOB_GET, on_job_get},
    {MESSAGE_ROW_RESULTS, on_row_results},
    {MESSAGE_LEASE_RETURN, on_lease_return},
    {MESSAGE_JOB_REFUSED, on_job_refused},
    {MESSAGE_PERMITS_HELD, on_permits_held},
    {MESSAGE_ENDPOINT_HELD, on_endpoint_held},
    {MESSAGE_ENDPOINT_REPORT, on_endpoint_report},
    {MESSAGE_DRAINED, on_drained},
    {MESSAGE_STATS, on_stats},
};

/* The job of which a client speaks; 0: of none. */
static uint64_t job_spoken_of(const message_t *m) {
    switch (m->type) {
    case MESSAGE_JOB_OPEN: return m->JOB_OPEN.job;
    case MESSAGE_ROWS: return m->ROWS.job;
    case MESSAGE_ROWS_END: return m->ROWS_END.job;
    case MESSAGE_RESULT_CREDIT: return m->RESULT_CREDIT.job;
    case MESSAGE_RESULTS_ACK: return m->RESULTS_ACK.job;
    case MESSAGE_JOB_LIMIT: return m->JOB_LIMIT.job;
    case MESSAGE_JOB_STOP: return m->JOB_STOP.job;
    default: return 0;
    }
}

/* A job is its client's alone: what another says of it (that results have arrived, that it is to stop) would
 * be believed, and rows be lost. A client that comes back on another connection has taken its jobs along with
 * HELLO. */
static bool is_anothers(const scheduler_t *s, const peer_t *peer, const message_t *m) {
    uint64_t job = peer->role == ROLE_CLIENT ? job_spoken_of(m) : 0;
    dispatch_job_stats_t stats;
    return job && dispatch_job_stats(s->dispatch, job, &stats) && stats.client != peer->number;
}

static void handle(scheduler_t *s, peer_t *peer, const link_frame_t *in, uint64_t now) {
    peer->heard_ns = now;
    if (peer->role == ROLE_WORKER) dispatch_worker_beat(s->dispatch, peer->instance, now);
    if (is_anothers(s, peer, &in->message)) {
        refuse(s, in->peer, in->message.type, job_spoken_of(&in->message), "the job is another client's");
        return;
    }
    for (size_t i = 0; i < sizeof handlers / sizeof *handlers; i++) {
        if (handlers[i].type != in->message.type) continue;
        if (!message_is_said(in->message.type, peer->role, ROLE_SCHEDULER)) break;
        handlers[i].handle(s, peer, in, now);
        return;
    }
    refuse(s, in->peer, in->message.type, 0, "the scheduler does not take this message from you");
}

static void on_message(void *self, zsock_t *socket, link_frame_t *in, uint64_t now) {
    scheduler_t *s = self;
    (void)socket;
    s->now = now;
    if (in->message.type == MESSAGE_HELLO) {
        on_hello(s, in, now);
        return;
    }
    peer_t *peer = idmap_get(&s->peers, in->peer);
    if (!peer || in->message.epoch != s->epoch)
        welcome(s, in->peer, false);
    else
        handle(s, peer, in, now);
}

/* The parent saw this worker process die ("GONE <instance>"), or end because it lacks something ("LEFT
 * <instance>"): then its rows are under no suspicion. */
static void on_command(void *self, const char *command, uint64_t now) {
    scheduler_t *s = self;
    uint64_t instance;
    if (sscanf(command, "GONE %" SCNu64, &instance) == 1)
        dispatch_worker_gone(s->dispatch, instance, true, now);
    else if (sscanf(command, "LEFT %" SCNu64, &instance) == 1)
        dispatch_worker_gone(s->dispatch, instance, false, now);
}

static const actor_ops_t ops = {on_message, NULL, on_command, after};

/* Binds all endpoints and connects to the store, if there is one. */
static int open_links(scheduler_t *s, const scheduler_args_t *args, err_t *err) {
    assert(args->endpoint_count <= SCHEDULER_ENDPOINTS_MAX);
    for (size_t i = 0; i < args->endpoint_count; i++) {
        s->ports[i] = link_attach(s->router, LINK_BIND, args->endpoints[i], err);
        if (s->ports[i] < 0) return err->code;
    }
    if (!args->store) return SDG_OK;
    s->store = link_socket(ZMQ_DEALER, 0, SOCKET_HWM);
    return link_attach(s->store, LINK_CONNECT, args->store, err);
}

/* Frees everything. Peers and workers are not told: they notice the silence. */
static void scheduler_destroy(scheduler_t *s) {
    zsock_destroy(&s->router);
    zsock_destroy(&s->monitor);
    zsock_destroy(&s->store);
    IDMAP_EACH(&s->peers, slot) free(slot->value);
    IDMAP_EACH(&s->jobs, slot) spec_free(slot->value);
    idmap_free(&s->peers);
    idmap_free(&s->workers);
    idmap_free(&s->jobs);
    fleet_totals_destroy(&s->totals);
    dispatch_destroy(&s->dispatch);
    actor_free(&s->actor);
    buf_free(&s->scratch);
    free(s);
}

/* Binds its endpoints and says the port of each to its parent (BOUND), then runs until $TERM. */
void scheduler_actor(zsock_t *pipe, void *args) {
    const scheduler_args_t *a = args;
    scheduler_t *s = xcalloc(1, sizeof *s);
    err_t err;
    s->epoch = rng_entropy() | 1;
    s->log_peers = a->log_peers;
    s->tell_parent = a->tell_parent;
    if (a->monitor && a->tell_totals) s->totals = fleet_totals_new();
    s->dispatch = dispatch_new();
    buf_init(&s->scratch, MESSAGE_BYTES_MAX);
    s->router = link_socket(ZMQ_ROUTER, SCHEDULER_LINGER_MS, SOCKET_HWM);
    actor_init(&s->actor, "scheduler", &ops, s, pipe);
    s->monitor = link_to_monitor(a->monitor, 0, a->monitor_queue_max, "scheduler");
    if (open_links(s, a, &err) < 0) {
        log_error("scheduler", "%s", err.text);
        actor_finish(&s->actor, EXIT_RUNTIME);
    }
    /* `a` is not read after the last BOUND: the parent lets go of it then. */
    size_t endpoints = s->actor.ended ? 0 : a->endpoint_count;
    actor_ready(&s->actor);
    for (size_t i = 0; i < endpoints; i++) {
        actor_tell(pipe, "BOUND %d", s->ports[i]);
    }
    actor_add_socket(&s->actor, s->router);
    actor_run(&s->actor);
    scheduler_destroy(s);
}
