/* pypool_frames.c - what a host sends: its frames, when each kind may come, and the lines that it prints.
 *
 * User code shares the process with host.py and can write frames, too. So each handler checks that its frame
 * may come now; if not, the host is ended. Only questions of a call that is over are passed by in silence: a
 * thread that it has left behind may ask them.
 *
 * To add a kind of frame: one row in FRAMES, one `on_` function, the other side in host.py. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/python/pyinterp.h"
#include "core/python/pypool_internal.h"

static value_t member(value_t frame, const char *name) {
    return object_get_peek(frame, name, strlen(name), NULL);
}

static const char *text_or(value_t v, const char *otherwise) {
    return v.kind == VALUE_STRING ? v.string->data : otherwise;
}

/* ---- logs ---- */

static void add_log(pypool_t *p, uint64_t tag, value_t level, value_t message) {
    if (p->log_events >= PY_LOG_EVENTS_MAX) {
        p->logs_dropped++;
        if (log_due(&p->warned_drop_ns, p->now_ns, PY_DROP_WARNING_NS))
            log_warn("python", "user code logs faster than the log is read: %llu lines dropped so far",
                     (unsigned long long)p->logs_dropped);
        return;
    }
    p->log_events++;
    py_event_t *e = pool_event_add(p, PY_LOG, tag);
    e->log = value_object(2);
    object_set_text(&e->log, "level", value_ref(level));
    object_set_text(&e->log, "message", value_ref(message));
}

static void on_log(pypool_t *p, py_host_t *h, value_t frame) {
    const py_task_t *t = py_tasks_first(&h->tasks);
    add_log(p, t ? t->tag : 0, member(frame, "log"), member(frame, "m"));
}

/* Lines belong to the running call. Without one they go to our log, a bounded number of them. */
void pool_frames_take_lines(pypool_t *p, py_host_t *h, bool all) {
    char line[PY_LOG_LINE_MAX];
    pyhost_read_log(h);
    while (pyhost_log_line(h, all, line, sizeof line)) {
        if (line[0] == '\0') continue;
        snprintf(h->last_line, sizeof h->last_line, "%.190s", line);
        const py_task_t *t = py_tasks_first(&h->tasks);
        if (!t) {
            if (h->stray_lines++ < PY_STRAY_LINES_MAX) log_info("python", "%s", line);
            continue;
        }
        value_t level = value_text("info"), message = value_text(line);
        add_log(p, t->tag, level, message);
        value_free(level);
        value_free(message);
    }
}

/* ---- answers ---- */

/* Takes the running call out of the queue; NULL (and the host ends) if the host answers something else. */
static py_task_t *answered(pypool_t *p, py_host_t *h, value_t id, value_t microseconds) {
    py_task_t *t = py_tasks_first(&h->tasks);
    if (!t || id.kind != VALUE_INT || (uint64_t)id.integer != t->secret) {
        pool_host_end(p, h, "the Python process answered a call it was not given");
        return NULL;
    }
    uint32_t took = microseconds.kind == VALUE_INT && microseconds.integer < UINT32_MAX / 2
                        ? (uint32_t)microseconds.integer
                        : UINT32_MAX / 2;
    return pool_call_take_answered(p, h, took);
}

static void on_ok(pypool_t *p, py_host_t *h, value_t frame) {
    py_task_t *t = answered(p, h, member(frame, "ok"), member(frame, "us"));
    if (!t) return;
    if (!t->cancelled) {
        py_event_t *e = pool_event_add(p, PY_DONE, t->tag);
        e->outputs = value_ref(member(frame, "o"));
        e->vars = value_ref(member(frame, "v"));
        e->repairs = p->repairs;
    }
    pool_call_free(p, t);
}

static void on_bad(pypool_t *p, py_host_t *h, value_t frame) {
    py_task_t *t = answered(p, h, member(frame, "bad"), member(frame, "us"));
    if (t) pool_call_fail(p, t, SDG_EINVAL, text_or(member(frame, "e"), "failed without a message"));
}

/* A call that waits in the host's queue is given back, because the running one waits for an LLM. */
static void on_back(pypool_t *p, py_host_t *h, value_t frame) {
    value_t id = member(frame, "back");
    py_task_t *t = id.kind == VALUE_INT ? py_tasks_find_secret(&h->tasks, (uint64_t)id.integer) : NULL;
    if (!t || t == py_tasks_first(&h->tasks)) {
        pool_host_end(p, h, "the Python process gave back a call that is not in its queue");
        return;
    }
    pool_call_give_back(p, h, py_tasks_take_id(&h->tasks, t->id));
}

/* ---- questions ---- */

/* The running call, if this frame is of it; NULL: a thread that another call has left behind has sent it. */
static py_task_t *asking_task(const py_host_t *h, value_t frame) {
    py_task_t *t = py_tasks_first(&h->tasks);
    value_t call = member(frame, "call");
    return t && !t->cancelled && call.kind == VALUE_INT && (uint64_t)call.integer == t->secret ? t : NULL;
}

static value_t ask_event(py_event_t *e, value_t id) {
    value_t ai = value_object(5);
    object_set_text(&ai, "id", value_ref(id));
    return e->ai = ai;
}

static void on_ai(pypool_t *p, py_host_t *h, value_t frame) {
    value_t id = member(frame, "ai");
    py_task_t *t = asking_task(h, frame);
    if (!t) return;
    const char *why = !p->functions[t->function].may_ask
                          ? "the call asks an LLM, and ctx_access does not list call_ai"
                      : id.kind != VALUE_INT ? "the Python process asked a question without a number"
                                             : py_asks_add(&h->asks, id.integer, p->frame_len);
    if (why) {
        pool_host_end(p, h, why);
        return;
    }
    py_event_t *e = pool_event_add(p, PY_CALL_AI, t->tag);
    ask_event(e, id);
    static const char *const names[] = {"model", "system", "prompts", "params"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        object_set_text(&e->ai, names[i], value_ref(member(frame, names[i])));
}

static void on_drop(pypool_t *p, py_host_t *h, value_t frame) {
    value_t id = member(frame, "drop");
    py_task_t *t = asking_task(h, frame);
    if (!t || id.kind != VALUE_INT || !py_asks_take(&h->asks, id.integer)) return;
    ask_event(pool_event_add(p, PY_GIVES_UP, t->tag), id);
    p->dirty = true;
}

/* ---- the start ---- */

static bool is_expected(pypool_t *p, py_host_t *h, bool expected) {
    if (!expected) pool_host_end(p, h, "the Python process sent a frame that it may not send now");
    return expected;
}

/* The host is ready, if its version is one that the environment accepts. */
static void on_hello(pypool_t *p, py_host_t *h, value_t frame) {
    pool_env_t *env = &p->envs[h->env];
    value_t v = member(frame, "hello");
    int version[3] = {0};
    if (!is_expected(p, h, h->state == HOST_STARTING && !h->installer)) return;
    for (size_t i = 0; v.kind == VALUE_LIST && i < 3 && i < list_count(v); i++)
        version[i] = list_peek(v, i).kind == VALUE_INT ? (int)list_peek(v, i).integer : 0;
    env->failures = 0;
    h->greeted = true;
    h->deadline_ns = UINT64_MAX;
    if (py_interp_accepts(&env->interp, version)) {
        pool_host_set_state(p, h, HOST_READY, "said hello");
        return;
    }
    char reason[ERR_TEXT_MAX];
    snprintf(reason, sizeof reason, "runtime.python.interpreter asks for '%s', but %s is Python %d.%d.%d",
             env->asked, env->program, version[0], version[1], version[2]);
    pool_start_is_hopeless(p, env, reason);
    pool_host_end(p, h, reason);
}

/* The installer is done: the environment is ready, or has failed for good. */
static void on_prepared(pypool_t *p, py_host_t *h, value_t frame) {
    pool_env_t *env = &p->envs[h->env];
    const char *said = text_or(member(frame, "prepared"), "no reason given");
    if (!is_expected(p, h, h->installer && !h->greeted)) return;
    char *python = py_venv_python(env->venv);
    h->greeted = true;
    if (said[0] == '\0' && python) {
        log_info("python", "the virtual environment %s is ready", env->venv);
        pool_env_set_program(env, python, true);
        env->state = ENV_READY;
    } else {
        char reason[ERR_TEXT_MAX];
        snprintf(reason, sizeof reason, "cannot prepare the virtual environment %s: %s", env->venv,
                 said[0] != '\0' ? said : "it has no bin/python");
        free(python);
        pool_start_is_hopeless(p, env, reason);
    }
    pool_host_end(p, h, "its work is done");
}

/* ---- all frames ---- */

typedef struct frame_kind {
    const char *name; /* first member of the frame */
    void (*handle)(pypool_t *p, py_host_t *h, value_t frame);
} frame_kind_t;
static const frame_kind_t FRAMES[] = {{"ok", on_ok},       {"bad", on_bad},          {"back", on_back},
                                      {"ai", on_ai},       {"drop", on_drop},        {"log", on_log},
                                      {"hello", on_hello}, {"prepared", on_prepared}};

static void on_frame(pypool_t *p, py_host_t *h, value_t frame) {
    const char *name =
        frame.kind == VALUE_OBJECT && object_count(frame) > 0 ? object_key_peek(frame, 0)->data : "";
    for (size_t i = 0; i < sizeof FRAMES / sizeof FRAMES[0]; i++) {
        if (strcmp(name, FRAMES[i].name) == 0) {
            FRAMES[i].handle(p, h, frame);
            return;
        }
    }
    pool_host_end(p, h, "the Python process sent a frame that is not known");
}

/* A frame is no JSON that we take. If it is a result (too deep, or with odd numbers), only its call fails. */
static void on_unreadable(pypool_t *p, py_host_t *h, const char *bytes, size_t len, const err_t *why) {
    static const char result[] = "{\"ok\":";
    char reason[ERR_TEXT_MAX];
    snprintf(reason, sizeof reason, "the result cannot be read: %.400s", why->text);
    py_task_t *t = py_tasks_first(&h->tasks);
    if (len > sizeof result && memcmp(bytes, result, sizeof result - 1) == 0 && t) {
        pool_call_fail(p, answered(p, h, value_int((int64_t)t->secret), value_int(0)), SDG_EPARSE, reason);
    } else {
        pool_host_end(p, h, reason);
    }
}

void pool_frames_take(pypool_t *p, py_host_t *h) {
    const char *bytes;
    size_t len;
    int got;
    while ((got = pyhost_frame(h, &bytes, &len)) > 0) {
        value_t frame;
        err_t err;
        json_repairs_t before = json_repairs_so_far();
        p->frame_len = len;
        int rc = json_parse(p->parser, bytes, len, &frame, &err);
        p->repairs = json_repairs_since(before);
        if (rc != 0)
            on_unreadable(p, h, bytes, len, &err);
        else
            on_frame(p, h, frame);
        value_free(frame);
        if (!pool_host_alive(h)) return;
    }
    if (got < 0) pool_host_end(p, h, "the Python process sent more than 64 MiB at once");
}

bool pool_frames_read(pypool_t *p, py_host_t *h) {
    if (!pool_host_alive(h)) return false;
    bool open = pyhost_read(h);
    pool_frames_take_lines(p, h, true); /* first: a call's prints come before its answer */
    pool_frames_take(p, h);
    pyhost_read_done(h);
    return open && pool_host_alive(h);
}
