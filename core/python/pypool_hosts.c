/* pypool_hosts.c - a host from its start to its end: its state, what epoll says of it, its deadlines.
 *
 * pool_host_end and kill_closed are the places where a host is killed. on_gone is the one place where it is
 * finished, once the kernel says that it is gone: only then do we know its exit status. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/python/pypool_internal.h"

enum { SOURCE_FRAME = 0, SOURCE_LOG = 1, SOURCE_PROCESS = 2, SOURCES = 4 };

/* ---- state ---- */

static const char *host_state_name(py_host_state_t s) {
    static const char *const names[] = {"starting", "ready", "ending", "gone"};
    return names[s];
}

void pool_host_set_state(pypool_t *p, py_host_t *h, py_host_state_t state, const char *why) {
    pool_env_t *env = &p->envs[h->env];
    log_debug("python", "host %u: %s -> %s (%s)", h->slot, host_state_name(h->state), host_state_name(state),
              why);
    if (!h->installer) {
        env->hosts -= pool_host_alive(h);
        env->starting -= h->state == HOST_STARTING;
        h->state = state;
        env->hosts += pool_host_alive(h);
        env->starting += h->state == HOST_STARTING;
    }
    h->state = state;
}

void pool_host_count(const pypool_t *p, uint32_t *computing, uint32_t *asking) {
    *computing = *asking = 0;
    for (uint32_t i = 0; i < p->slots; i++) {
        const py_host_t *h = p->hosts[i];
        if (h != NULL && pool_host_alive(h) && !h->installer) *(h->asks.count > 0 ? asking : computing) += 1;
    }
}

/* ---- the end ---- */

/* The host gets no further call; those behind the running one wait again. */
static void begin_end(pypool_t *p, py_host_t *h, const char *why) {
    pool_call_requeue_rest(p, h);
    pool_host_set_state(p, h, HOST_ENDING, why);
    h->deadline_ns = p->now_ns + PY_KILL_MS * MILLISECOND;
    py_asks_clear(&h->asks);
}

void pool_host_end(pypool_t *p, py_host_t *h, const char *reason) {
    if (!pool_host_alive(h)) return;
    h->explained = true;
    pyhost_kill(h);
    begin_end(p, h, reason);
    pool_call_fail_running(p, h, reason);
    if (!h->greeted && !h->installer) pool_start_failed(p, &p->envs[h->env], reason);
}

/* The socket has ended, most likely because the process has. Its exit status says in a moment what becomes of
 * the running call. A process that goes on without its socket is killed after PY_CLOSED_MS. */
static void on_closed(pypool_t *p, py_host_t *h) {
    if (!pool_host_alive(h)) return;
    pyhost_hang_up(h);
    begin_end(p, h, "socket closed");
    h->deadline_ns = p->now_ns + PY_CLOSED_MS * MILLISECOND;
}

static void kill_closed(pypool_t *p, py_host_t *h) {
    static const char reason[] = "the Python process closed the descriptor that connects it to us";
    h->explained = true;
    h->deadline_ns = p->now_ns + PY_KILL_MS * MILLISECOND;
    pyhost_kill(h);
    pool_call_fail_running(p, h, reason);
    if (h->installer && !h->greeted)
        pool_start_is_hopeless(p, &p->envs[h->env], reason);
    else if (!h->greeted)
        pool_start_failed(p, &p->envs[h->env], reason);
}

/* Reads until the socket ends, or until nothing comes: a process that the host has started may hold the other
 * end. */
static void read_rest(py_host_t *h) {
    size_t before;
    do
        before = h->in.len;
    while (pyhost_read(h) && h->in.len != before);
}

/* The process is gone. Answers that it sent before count. */
static void on_gone(pypool_t *p, py_host_t *h, const char *how) {
    pool_frames_take_lines(p, h, true);
    if (pool_host_alive(h)) {
        read_rest(h);
        pool_frames_take(p, h);
    }
    pool_call_requeue_rest(p, h);
    pool_call_lose_running(p, h, how);
    py_asks_clear(&h->asks);
    pool_host_set_state(p, h, HOST_GONE, how);
    if (!h->greeted && !h->explained) pool_start_has_ended(p, h, how);
}

static void on_report(pypool_t *p, py_host_t *h) {
    char how[160];
    py_report_t r = pyhost_report(h, how, sizeof how);
    if (r.kind == PY_REPORT_STARTED) pool_start_confirmed(p, h);
    if (!h->gone) return;
    pool_env_t *env = &p->envs[h->env];
    bool shortage = r.kind == PY_REPORT_FAILED && py_is_shortage(r.error);
    if (shortage) h->explained = true;
    on_gone(p, h, how);
    if (!shortage) return;
    char reason[ERR_TEXT_MAX];
    snprintf(reason, sizeof reason, "a Python process %s", how);
    pool_start_is_short(p, env, reason);
}

/* ---- descriptors ---- */

static void watch(pypool_t *p, int operation, int fd, uint32_t slot, int source, uint32_t events) {
    struct epoll_event e = {.events = events, .data.u64 = (uint64_t)slot * SOURCES + (uint64_t)source};
    if (epoll_ctl(p->epoll_fd, operation, fd, &e) != 0) log_error("python", "epoll_ctl: %s", strerror(errno));
}

void pool_host_watch(pypool_t *p, py_host_t *h) {
    watch(p, EPOLL_CTL_ADD, h->child.frame_fd, h->slot, SOURCE_FRAME, EPOLLIN);
    watch(p, EPOLL_CTL_ADD, h->child.log_fd, h->slot, SOURCE_LOG, EPOLLIN);
    watch(p, EPOLL_CTL_ADD, h->child.status_fd, h->slot, SOURCE_PROCESS, EPOLLIN);
}

void pool_host_hear(pypool_t *p, uint64_t source, uint32_t events) {
    py_host_t *h = p->hosts[source / SOURCES];
    if (!h || h->state == HOST_GONE) return;
    if (source % SOURCES == SOURCE_LOG) {
        pool_frames_take_lines(p, h, false);
    } else if (source % SOURCES == SOURCE_PROCESS) {
        on_report(p, h);
    } else if (pool_host_alive(h)) {
        if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !pool_frames_read(p, h)) on_closed(p, h);
    }
}

void pool_host_flush(pypool_t *p, py_host_t *h) {
    if (h->out.len > 0 && !pyhost_write(h)) {
        h->out.len = 0; /* the socket is closed, which is reported next, or the end of the process */
        h->out_at = 0;
    }
    bool wants = h->out.len > 0;
    if (wants != h->polls_out)
        watch(p, EPOLL_CTL_MOD, h->child.frame_fd, h->slot, SOURCE_FRAME,
              wants ? EPOLLIN | EPOLLOUT : EPOLLIN);
    h->polls_out = wants;
}

/* ---- deadlines ---- */

/* A host has been idle for PY_IDLE_MS. It goes if there are more than hosts_max, because others waited for AI
 * answers when it started. */
static void on_idle(pypool_t *p, py_host_t *h) {
    uint32_t computing, asking;
    pool_host_count(p, &computing, &asking);
    h->deadline_ns = UINT64_MAX;
    if (computing > p->options.hosts_max && p->envs[h->env].hosts > 1)
        pool_host_end(p, h, "idle and more than are needed");
}

static void expire_ending(pypool_t *p, py_host_t *h) {
    if (!h->explained) {
        kill_closed(p, h);
        return;
    }
    py_child_kill_keeper(&h->child); /* it is stopped, or a process does not die */
    h->deadline_ns = UINT64_MAX;
}

/* The deadline is that of an end, of an idle host, of a start, of a call or of a cancelled one. */
void pool_host_expire(pypool_t *p, py_host_t *h) {
    char reason[ERR_TEXT_MAX];
    const py_task_t *t = py_tasks_first(&h->tasks);
    if (h->state == HOST_ENDING) {
        expire_ending(p, h);
        return;
    }
    if (h->state == HOST_READY && !t) {
        on_idle(p, h);
        return;
    }
    if (h->state == HOST_STARTING)
        snprintf(reason, sizeof reason, "%s did not start in time", p->envs[h->env].program);
    else if (t && !t->cancelled)
        snprintf(reason, sizeof reason, "TimeoutError: the call took longer than %u ms (timeout_ms)",
                 t->timeout_ms);
    else
        snprintf(reason, sizeof reason, "cancelled");
    if (h->installer)
        pool_start_is_hopeless(p, &p->envs[h->env], "preparing the virtual environment took too long");
    pool_host_end(p, h, reason);
}
