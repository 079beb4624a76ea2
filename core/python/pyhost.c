/* pyhost.c - see pyhost.h.
 *
 * The idea: what a host sends is cut by length alone, so nothing it says can confuse the pool about where the
 * next frame begins, and what it prints comes through another descriptor. Buffers have a maximum; the pool
 * kills a host that announces a larger frame.
 */
#include "core/python/pyhost.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/python/limits.h"
#include "host_py.h"

enum { READ_BYTES = 256 << 10, READS_PER_ROUND = 8, LOG_READ_BYTES = 64 << 10, LENGTH_BYTES = 4 };

/* A short program keeps `ps` readable; it reads host.py from the socket. It takes the working folder off
 * sys.path, so that host.py imports no module from there. */
static const char BOOT[] = "import sys\n"
                           "here = sys.path[:1] == [''] and sys.path.pop(0) == ''\n"
                           "import socket\n"
                           "s = socket.socket(fileno=3)\n"
                           "n = int.from_bytes(s.recv(4, socket.MSG_WAITALL), 'little')\n"
                           "source = s.recv(n, socket.MSG_WAITALL)\n"
                           "exec(compile(source, '<host.py>', 'exec'), {'__name__': 'sdg_host', "
                           "'sdg_socket': s, 'sdg_here': here})\n";

/* The source of host.py is sent by the first pyhost_write. */
py_host_t *pyhost_start(py_spawner_t *spawner, py_spawn_t how, bool *shortage, err_t *err) {
    char *argv[] = {(char *)how.program, "-X", "utf8", "-c", (char *)BOOT, "sdg-python-host", NULL};
    how.argv = argv;
    py_host_t *host = xcalloc(1, sizeof *host);
    py_tasks_init(&host->tasks);
    if (py_spawn(spawner, &how, &host->child, shortage, err) != 0) {
        free(host);
        return NULL;
    }
    buf_init(&host->in, PY_FRAME_BYTES_MAX + READ_BYTES + LENGTH_BYTES);
    buf_init(&host->out, 2 * PY_FRAME_BYTES_MAX);
    buf_init(&host->log, PY_LOG_LINE_MAX + LOG_READ_BYTES);
    host->deadline_ns = UINT64_MAX;
    size_t begin = pyhost_frame_begin(host);
    buf_add(&host->out, HOST_PY, sizeof HOST_PY);
    pyhost_frame_end(host, begin);
    return host;
}

static void close_fd(int *fd) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

/* Until the other end of its status socket is closed, which is the end of all that it started. */
static void wait_gone(py_host_t *h) {
    uint64_t deadline = clock_now_ns() + PY_KILL_MS * MILLISECOND, now;
    while (py_child_report(&h->child).kind != PY_REPORT_LOST) {
        struct pollfd p = {.fd = h->child.status_fd, .events = POLLIN};
        if ((now = clock_now_ns()) >= deadline) {
            py_child_kill_keeper(&h->child);
            return;
        }
        poll(&p, 1, (int)((deadline - now) / MILLISECOND) + 1);
    }
}

/* The wait is short: the process was killed. */
void pyhost_destroy(py_host_t **host) {
    py_host_t *h = *host;
    if (!h) return;
    *host = NULL;
    if (!h->gone) {
        pyhost_kill(h);
        wait_gone(h);
    }
    close_fd(&h->child.status_fd);
    close_fd(&h->child.frame_fd);
    close_fd(&h->child.log_fd);
    buf_free(&h->in);
    buf_free(&h->out);
    buf_free(&h->log);
    value_free(h->consts);
    py_asks_clear(&h->asks);
    free(h->knows);
    free(h);
}

/* ---- frames out ---- */

size_t pyhost_frame_begin(py_host_t *host) {
    size_t begin = host->out.len;
    buf_add(&host->out, "\0\0\0\0", LENGTH_BYTES);
    return begin;
}

int pyhost_frame_end(py_host_t *host, size_t begin) {
    size_t len = host->out.len - begin - LENGTH_BYTES;
    if (host->out.full || len > PY_FRAME_BYTES_MAX) {
        host->out.len = begin;
        host->out.full = false;
        return SDG_ELIMIT;
    }
    for (int i = 0; i < LENGTH_BYTES; i++)
        host->out.data[begin + (size_t)i] = (char)(unsigned char)(len >> (8 * i));
    return 0;
}

bool pyhost_write(py_host_t *host) {
    while (host->out_at < host->out.len) {
        ssize_t n = send(host->child.frame_fd, host->out.data + host->out_at, host->out.len - host->out_at,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
        if (n < 0) return false;
        host->out_at += (size_t)n;
    }
    buf_cut_front(&host->out, host->out_at);
    host->out_at = 0;
    if (host->out.len == 0 && host->out.cap > PY_BUFFER_KEPT) buf_free(&host->out);
    return true;
}

/* ---- frames in ---- */

/* A few reads per call, so that one host does not keep the others waiting. */
bool pyhost_read(py_host_t *host) {
    for (int i = 0; i < READS_PER_ROUND; i++) {
        char *room = buf_reserve(&host->in, READ_BYTES);
        if (!room) return true; /* the frame at the front is too large: pyhost_frame will say so */
        ssize_t n = recv(host->child.frame_fd, room, READ_BYTES, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
        if (n == 0) return false;
        host->in.len += (size_t)n;
        if (n < READ_BYTES) break; /* all that was there */
    }
    return true;
}

int pyhost_frame(py_host_t *host, const char **bytes, size_t *len) {
    size_t left = host->in.len - host->in_at;
    if (left < LENGTH_BYTES) return 0;
    const unsigned char *at = (const unsigned char *)host->in.data + host->in_at;
    size_t n = (size_t)at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16 | (size_t)at[3] << 24;
    if (n > PY_FRAME_BYTES_MAX) return SDG_ELIMIT;
    if (left - LENGTH_BYTES < n) return 0;
    *bytes = (const char *)at + LENGTH_BYTES;
    *len = n;
    host->in_at += LENGTH_BYTES + n;
    return 1;
}

void pyhost_read_done(py_host_t *host) {
    buf_cut_front(&host->in, host->in_at);
    host->in_at = 0;
    if (host->in.len == 0 && host->in.cap > PY_BUFFER_KEPT) buf_free(&host->in);
}

/* ---- log ---- */

void pyhost_read_log(py_host_t *host) {
    char *room = buf_reserve(&host->log, LOG_READ_BYTES);
    if (!room || host->child.log_fd < 0) return;
    ssize_t n = read(host->child.log_fd, room, LOG_READ_BYTES);
    if (n > 0)
        host->log.len += (size_t)n;
    else if (n == 0)
        close_fd(&host->child.log_fd);
}

static bool no_more_lines(py_host_t *host) {
    buf_cut_front(&host->log, host->log_at);
    host->log_at = 0;
    return false;
}

bool pyhost_log_line(py_host_t *host, bool all, char *line, size_t size) {
    const char *at = host->log.data + host->log_at;
    size_t left = host->log.len - host->log_at;
    if (left == 0) return no_more_lines(host);
    const char *end = memchr(at, '\n', left);
    size_t len = end ? (size_t)(end - at) : left;
    if (!end && !all && len < PY_LOG_LINE_MAX) return no_more_lines(host);
    bool whole = len < size;
    if (!whole) len = size - 1;
    memcpy(line, at, len);
    line[len] = '\0';
    host->log_at += len + (whole && end != NULL ? 1 : 0);
    return true;
}

/* ---- the end ---- */

void pyhost_hang_up(py_host_t *host) { close_fd(&host->child.frame_fd); }

void pyhost_kill(py_host_t *host) {
    py_child_kill(&host->child);
    close_fd(&host->child.frame_fd);
}

/* Does a process get this signal by what its own code does? */
static bool is_own_fault(int signal) {
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGTRAP, SIGXCPU, SIGXFSZ};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        if (signal == faults[i]) return true;
    return false;
}

static void note_end(py_host_t *host, const py_report_t *r, char *how, size_t size) {
    host->peak_kib = r->peak_kib;
    if (WIFEXITED(r->status)) {
        snprintf(how, size, "exited with status %d", WEXITSTATUS(r->status));
        return;
    }
    const char *name = sigabbrev_np(WTERMSIG(r->status));
    host->killed = !is_own_fault(WTERMSIG(r->status));
    snprintf(how, size, "was killed by signal %d (SIG%s; it had %" PRIu64 " MiB)", WTERMSIG(r->status),
             name ? name : "?", r->peak_kib >> 10);
}

py_report_t pyhost_report(py_host_t *host, char *how, size_t size) {
    py_report_t r = py_child_report(&host->child);
    if (r.kind == PY_REPORT_ENDED) {
        note_end(host, &r, how, size);
    } else if (r.kind == PY_REPORT_FAILED) {
        snprintf(how, size, "cannot be run (%s): %s", r.where, strerror(r.error));
    } else if (r.kind == PY_REPORT_LOST) {
        host->killed = true;
        snprintf(how, size, "has ended: the process that kept it was killed");
    } else {
        return r;
    }
    host->gone = true;
    return r;
}
