/* pyhost.h - one Python process as the pool sees it: its bytes in and out, cut into frames, its log lines,
 * its end.
 *
 * Nothing here blocks, but for pyhost_destroy, and that not for long. A host knows frames but not what they
 * say: the pool alone writes the second half of the struct, which tells what the host is doing.
 */
#ifndef SDG_PYTHON_PYHOST_H
#define SDG_PYTHON_PYHOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/error.h"
#include "core/base/value.h"
#include "core/python/pyasks.h"
#include "core/python/pyspawn.h"
#include "core/python/pytask.h"

typedef enum py_host_state {
    HOST_STARTING, /* started, but has not said hello */
    HOST_READY,    /* runs calls */
    HOST_ENDING,   /* killed, or its socket closed; the process may not be gone yet */
    HOST_GONE,     /* reaped; freed at the end of the round */
} py_host_state_t;

typedef struct py_host {
    py_child_t child; /* descriptors are -1 once closed */
    buf_t in;         /* bytes received; in_at of them are used */
    size_t in_at;
    buf_t out; /* bytes to send; out_at of them are sent */
    size_t out_at;
    buf_t log; /* what it printed; log_at bytes of it are used */
    size_t log_at;

    bool gone;         /* the process has ended, with all that it started */
    uint64_t peak_kib; /* greatest memory of the process, known once it is gone */
    /* Known likewise: by a signal from outside, as far as one can tell; none that its own code causes. */
    bool killed;

    /* Written by the pool alone. */
    bool polls_out;        /* registered for writability */
    py_host_state_t state; /* changed only by pool_host_set_state */
    uint32_t env;
    uint32_t slot;        /* place in the pool's table */
    bool installer;       /* creates a virtual environment instead of running calls */
    py_tasks_t tasks;     /* sent and unanswered; the first is running */
    uint64_t queued_us;   /* their expected time */
    py_asks_t asks;       /* questions of the running call that are not answered */
    uint64_t deadline_ns; /* of the start or of the running call; UINT64_MAX: none */
    uint32_t stray_lines; /* printed since the last answer while no call ran */
    bool *knows;          /* by function number: its definition was sent */
    uint32_t knows_count;
    value_t consts;      /* the constants sent last, kept so that an equal pointer means equal contents */
    bool greeted;        /* it said hello, or what it installed */
    bool explained;      /* the reason for its end was reported; else its exit status will be */
    char last_line[200]; /* the last line of its log, which may say why it did not start */
} py_host_t;

/* Orders a process that will run host.py; its source is queued as the first frame. argv of `how` is set here.
 * NULL on failure; *shortage: for want of descriptors, memory or processes. */
py_host_t *pyhost_start(py_spawner_t *spawner, py_spawn_t how, bool *shortage, err_t *err);
void pyhost_destroy(py_host_t **host); /* kills a process that still lives, and waits for its end */

/* Between begin and end the pool writes a frame into host->out. The end gives SDG_ELIMIT when the frame is
 * too large: then nothing was added. */
size_t pyhost_frame_begin(py_host_t *host);
int pyhost_frame_end(py_host_t *host, size_t begin);
bool pyhost_write(py_host_t *host); /* sends what the socket takes; false: it is closed */

/* Takes what is there, a bounded amount per call; false: the socket has ended. */
bool pyhost_read(py_host_t *host);
/* 1: the next complete frame, valid until the next pyhost_read. 0: there is none yet. SDG_ELIMIT: the frame
 * that comes is too large. */
int pyhost_frame(py_host_t *host, const char **bytes, size_t *len);
void pyhost_read_done(py_host_t *host); /* after the last pyhost_frame: drops used bytes */

void pyhost_read_log(py_host_t *host);
/* The next line that was printed; with `all` also one without a newline. False: there is no more. */
bool pyhost_log_line(py_host_t *host, bool all, char *line, size_t size);

void pyhost_hang_up(py_host_t *host); /* closes the socket */
void pyhost_kill(py_host_t *host);    /* kills it with all that it started, and closes the socket */
/* What is new of the process. PY_REPORT_ENDED, FAILED and LOST: it is gone, and `how` says "exited with
 * status 9" or the like. */
py_report_t pyhost_report(py_host_t *host, char *how, size_t size);

#endif
