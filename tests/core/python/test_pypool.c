/* test_pypool.c - Python blocks through real CPython processes. Time is the real clock plus `skipped_ns`, so
 * that timeouts are tested without waiting for them. */
#include <criterion/criterion.h>

#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/rng.h"
#include "core/python/limits.h"
#include "core/python/pypool.h"

enum { DEADLINE_S = 60 };

typedef struct bench {
    pypool_t *pool;
    uint64_t skipped_ns; /* added to the clock */
    char log[16384];     /* messages of all log events taken, one a line */
} bench_t;

static bench_t open_bench(uint32_t hosts_max) {
    bench_t b = {0};
    const pypool_options_t options = {.hosts_max = hosts_max};
    err_t err;
    b.pool = pypool_new(&options, &err);
    cr_assert_not_null(b.pool, "%s", err.text);
    return b;
}

static uint32_t add_env(bench_t *b, py_env_t env) {
    err_t err;
    int n = pypool_add_env(b->pool, &env, &err);
    cr_assert_geq(n, 0, "%s", err.text);
    return (uint32_t)n;
}

static value_t json(const char *text) {
    value_t v;
    err_t err;
    cr_assert_eq(json_parse_text(text, strlen(text), &v, &err), 0, "%s: %s", text, err.text);
    return v;
}

static uint32_t add_function_with(bench_t *b, py_function_t f, const char *outputs, const char *access) {
    err_t err;
    f.outputs = json(outputs);
    f.ctx_access = access ? json(access) : value_null();
    int n = pypool_add_function(b->pool, &f, &err);
    value_free(f.outputs);
    value_free(f.ctx_access);
    cr_assert_geq(n, 0, "%s", err.text);
    return (uint32_t)n;
}

static uint32_t add_function(bench_t *b, uint32_t env, const char *code, const char *outputs) {
    return add_function_with(b, (py_function_t){.env = env, .code = code, .entrypoint = "main"}, outputs,
                             NULL);
}

typedef struct inputs {
    const char *args, *kwargs, *context, *vars, *consts;
    uint32_t timeout_ms;
} inputs_t;

/* Submits a call whose inputs are given as JSON. */
static void submit(bench_t *b, uint32_t function, uint64_t tag, inputs_t in) {
    err_t err;
    py_call_t call = {.function = function,
                      .timeout_ms = in.timeout_ms,
                      .args = json(in.args ? in.args : "[]"),
                      .kwargs = json(in.kwargs ? in.kwargs : "{}"),
                      .context = json(in.context ? in.context : "{}"),
                      .vars = json(in.vars ? in.vars : "{}"),
                      .consts = json(in.consts ? in.consts : "{}")};
    cr_assert_eq(pypool_submit(b->pool, &call, tag, &err), 0, "%s", err.text);
    value_free(call.args);
    value_free(call.kwargs);
    value_free(call.context);
    value_free(call.vars);
    value_free(call.consts);
}

static uint64_t bench_now(const bench_t *b) { return clock_now_ns() + b->skipped_ns; }

static void one_round(bench_t *b) {
    struct pollfd p = {.fd = pypool_fd(b->pool), .events = POLLIN};
    int ms = pypool_timeout_ms(b->pool, bench_now(b));
    poll(&p, 1, ms < 0 || ms > 1000 ? 1000 : ms);
    pypool_drive(b->pool, bench_now(b));
}

/* The next event that is not a log line. */
static py_event_t wait_event(bench_t *b) {
    py_event_t e;
    uint64_t end = clock_now_ns() + DEADLINE_S * SECOND;
    while (true) {
        while (pypool_next(b->pool, &e)) {
            if (e.kind != PY_LOG) return e;
            value_t m = object_get_peek(e.log, "message", 7, NULL);
            size_t used = strlen(b->log);
            snprintf(b->log + used, sizeof b->log - used, "%.200s\n", m.string->data);
            value_free(e.log);
        }
        cr_assert_lt(clock_now_ns(), end, "no event came");
        one_round(b);
    }
}

static void free_event(py_event_t *e) { py_event_free(e); }

/* Waits for the next event; it must be this call's success with these outputs (and changed vars, unless
 * NULL). */
static void expect_done(bench_t *b, uint64_t tag, const char *outputs, const char *vars) {
    py_event_t e = wait_event(b);
    cr_assert_eq(e.kind, PY_DONE, "%s", e.error.text);
    cr_assert_eq(e.tag, tag);
    buf_t text;
    buf_init(&text, 1 << 20);
    value_t want = json(outputs);
    json_write(&text, e.outputs, JSON_COMPACT);
    cr_assert(value_equal(e.outputs, want), "wanted %s, got %s", outputs, text.data);
    value_free(want);
    buf_reset(&text);
    json_write(&text, e.vars, JSON_COMPACT);
    if (vars) cr_assert_str_eq(text.data, vars);
    buf_free(&text);
    free_event(&e);
}

static void expect_failed(bench_t *b, uint64_t tag, const char *part) {
    py_event_t e = wait_event(b);
    cr_assert_eq(e.kind, PY_FAILED);
    cr_assert_eq(e.tag, tag);
    cr_assert_not_null(strstr(e.error.text, part), "wanted \"%s\" in \"%s\"", part, e.error.text);
    free_event(&e);
}

/* One function, one call in a pool of its own. */
static void run_done(const char *code, const char *outputs, inputs_t in, const char *want, const char *vars) {
    bench_t b = open_bench(1);
    submit(&b, add_function(&b, add_env(&b, (py_env_t){0}), code, outputs), 1, in);
    expect_done(&b, 1, want, vars);
    pypool_destroy(&b.pool);
}

static void run_failed(const char *code, inputs_t in, const char *part) {
    bench_t b = open_bench(1);
    submit(&b, add_function(&b, add_env(&b, (py_env_t){0}), code, "[\"R\"]"), 1, in);
    expect_failed(&b, 1, part);
    pypool_destroy(&b.pool);
}

static void write_text(const char *path, const char *text) {
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    fputs(text, f);
    fclose(f);
}

static char *new_folder(void) {
    char *name = xasprintf("%s/sdg-test-XXXXXX", P_tmpdir);
    cr_assert_not_null(mkdtemp(name));
    return name;
}

static void remove_folder(char *take) {
    char *command = xasprintf("rm -rf '%s'", take);
    cr_assert_eq(system(command), 0);
    free(command);
    free(take);
}

Test(pypool, runs_a_function) {
    run_done("def main(ctx, x):\n    return {'R': x.upper()}\n", "[\"R\"]",
             (inputs_t){.kwargs = "{\"x\":\"tea\"}"}, "{\"R\":\"TEA\"}", "null");
}

Test(pypool, does_nothing_before_the_first_call) {
    bench_t b = open_bench(2);
    add_function(&b, add_env(&b, (py_env_t){0}), "def main(): pass", "[]");
    cr_assert_eq(pypool_timeout_ms(b.pool, 0), -1);
    pypool_destroy(&b.pool);
    cr_assert_null(b.pool);
}

/* ---- binding of arguments and outputs ---- */

Test(pypool, v1_takes_positional_arguments_and_code_from_a_file) {
    char *folder = new_folder();
    char *path = xasprintf("%s/helpers.py", folder), *other = xasprintf("%s/other.py", folder);
    write_text(path,
               "import other\ndef two(x, n):\n    return {'Twice': n * 2, 'Joined': f'{x}:{n}:{other.WORD}', "
               "'unused': 1}\n"
               "def pair(text):\n    return text[0], text[1:]\ndef kind(v):\n    return type(v).__name__\n");
    write_text(other, "WORD = 'w'\n");
    bench_t b = open_bench(1);
    uint32_t env = add_env(&b, (py_env_t){0});
    py_function_t f = {.env = env, .v1 = true, .code_path = path, .entrypoint = "two"};
    uint32_t two = add_function_with(&b, f, "[\"Joined\",\"Twice\",\"Absent\"]", NULL);
    f.entrypoint = "pair";
    uint32_t pair = add_function_with(&b, f, "[\"Head\",\"Tail\"]", NULL);
    f.entrypoint = "kind";
    uint32_t kind = add_function_with(&b, f, "[\"Only\"]", NULL);
    submit(&b, two, 1, (inputs_t){.args = "[\"é\",3]"});
    expect_done(&b, 1, "{\"Joined\":\"é:3:w\",\"Twice\":6}", "null");
    submit(&b, pair, 2, (inputs_t){.args = "[\"abc\"]"});
    expect_done(&b, 2, "{\"Head\":\"a\",\"Tail\":\"bc\"}", NULL);
    submit(&b, kind, 3, (inputs_t){.args = "[null]"});
    expect_done(&b, 3, "{\"Only\":\"NoneType\"}", NULL);
    pypool_destroy(&b.pool);
    free(path);
    free(other);
    remove_folder(folder);
}

Test(pypool, v2_binds_by_position_by_name_from_the_context_and_by_default) {
    inputs_t in = {.args = "[\"a\"]",
                   .context = "{\"second\":\"b\",\"fifth\":\"e\"}",
                   .vars = "{\"third\":[1],\"second\":\"no\"}",
                   .consts = "{\"fourth\":4,\"third\":0}"};
    run_done("def main(first, second, third, fourth, fifth='x', sixth='f', *, ctx):\n    return {'R': "
             "[first, second, third, fourth, fifth, sixth, ctx.get('fifth')]}\n",
             "[\"R\"]", in, "{\"R\":[\"a\",\"b\",[1],4,\"e\",\"f\",\"e\"]}", "null");
    run_done("def main(c, x):\n    return c.get('n'), x\n", "[\"A\",\"B\"]",
             (inputs_t){.kwargs = "{\"x\":1}", .context = "{\"n\":5}"}, "{\"A\":5,\"B\":1}", NULL);
    run_done("def main(ctx, **inputs):\n    return {'R': inputs}\n", "[\"R\"]",
             (inputs_t){.kwargs = "{\"p\":1,\"q\":[2]}"}, "{\"R\":{\"p\":1,\"q\":[2]}}", NULL);
    run_done("def main(x):\n    return x\n", "[\"R\"]", (inputs_t){.kwargs = "{\"x\":1}"}, "{\"R\":1}", NULL);
    run_done("def main(word, n, ctx=None):\n    return word * n, ctx is None\n", "[\"A\",\"B\"]",
             (inputs_t){.args = "[\"ab\",2]"}, "{\"A\":\"abab\",\"B\":false}", NULL);
    run_done("import functools\ndef deco(f):\n    @functools.wraps(f)\n    def g(*a, **k): return f(*a, "
             "**k)\n    return g\n@deco\ndef main(ctx, word): return word\n",
             "[\"R\"]", (inputs_t){.context = "{\"word\":\"w\"}"}, "{\"R\":\"w\"}", NULL);
    run_done("async def main(ctx): return 7\n", "[\"R\"]", (inputs_t){0}, "{\"R\":7}", NULL);
    run_failed("def main(ctx, missing): pass\n", (inputs_t){0},
               "TypeError: main() missing 1 required positional argument: 'missing'");
}

Test(pypool, outputs_by_name_or_by_position) {
    run_done("def main(): return [1, 2, 3]", "[\"A\",\"B\"]", (inputs_t){0}, "{\"A\":1,\"B\":2}", NULL);
    run_done("def main(): return [1, 2, 3]", "[\"A\"]", (inputs_t){0}, "{\"A\":1}", NULL);
    run_done("def main(): return {'A': [1, 2, 3]}", "[\"A\"]", (inputs_t){0}, "{\"A\":[1,2,3]}", NULL);
    run_done("def main(): return []", "[\"A\"]", (inputs_t){0}, "{}", NULL);
    run_done("def main(): return 1,", "[\"A\"]", (inputs_t){0}, "{\"A\":1}", NULL);
    run_done("def main(): return 'x'", "[\"A\",\"B\"]", (inputs_t){0}, "{\"A\":\"x\"}", NULL);
    run_done("def main(): pass", "[\"A\"]", (inputs_t){0}, "{\"A\":null}", NULL);
    run_done("def main(): pass", "[\"A\",\"B\"]", (inputs_t){0}, "{}", NULL);
    run_done("def main(ctx):\n    ctx.emit('L', 1)\n    ctx.emit('L', {'k': 2})\n", "[\"L\",\"M\"]",
             (inputs_t){0}, "{\"L\":[1,{\"k\":2}]}", NULL);
}

Test(pypool, module_state_persists_and_is_shared_by_functions_of_the_same_code) {
    static const char code[] =
        "n = 0\ndef main(ctx):\n    global n\n    n += 1\n    return n\ndef peek(ctx): return n\n";
    bench_t b = open_bench(1);
    uint32_t env = add_env(&b, (py_env_t){0});
    uint32_t count = add_function(&b, env, code, "[\"N\"]");
    uint32_t peek = add_function_with(&b, (py_function_t){.env = env, .code = code, .entrypoint = "peek"},
                                      "[\"N\"]", NULL);
    submit(&b, count, 1, (inputs_t){0});
    submit(&b, count, 2, (inputs_t){0});
    submit(&b, peek, 3, (inputs_t){0});
    expect_done(&b, 1, "{\"N\":1}", NULL);
    expect_done(&b, 2, "{\"N\":2}", NULL);
    expect_done(&b, 3, "{\"N\":2}", NULL);
    pypool_destroy(&b.pool);
}

/* ---- ctx ---- */

Test(pypool, ctx_vars_get_set_emit_log) {
    static const char code[] =
        "def main(ctx, x):\n"
        "    ctx.vars['count'] = ctx.vars['count'] + 1\n"
        "    ctx.set('fresh', {'from': x})\n"
        "    ctx.emit('things', x)\n"
        "    ctx.log('warn', 'noted')\n"
        "    return {'Got': [ctx.get('x'), ctx.get('deep.k[1]'), ctx.get('deep.k[-1]'), ctx.get('a.b'), "
        "ctx.vars['LIMIT'],\n"
        "                    ctx.get('no.such'), ctx.get('no', 3), 'count' in ctx.vars, sorted(ctx.vars)]}\n";
    bench_t b = open_bench(1);
    uint32_t f = add_function(&b, add_env(&b, (py_env_t){0}), code, "[\"Got\"]");
    submit(&b, f, 1,
           (inputs_t){.context = "{\"x\":\"plain\",\"deep\":{\"k\":[7,8,9]},\"a.b\":1}",
                      .vars = "{\"count\":1,\"bag\":[]}",
                      .consts = "{\"LIMIT\":9}"});
    py_event_t e = wait_event(&b);
    cr_assert_eq(e.kind, PY_DONE, "%s", e.error.text);
    value_t want = json("{\"Got\":[\"plain\",8,9,1,9,null,3,true,[\"LIMIT\",\"bag\",\"count\",\"fresh\"]],"
                        "\"things\":[\"plain\"]}");
    value_t vars = json("{\"count\":2,\"fresh\":{\"from\":\"plain\"}}");
    cr_assert(value_equal(e.outputs, want));
    cr_assert(value_equal(e.vars, vars));
    cr_assert_not_null(strstr(b.log, "noted\n"));
    value_free(want);
    value_free(vars);
    free_event(&e);
    pypool_destroy(&b.pool);
}

Test(pypool, changes_inside_variables_are_noticed_and_reads_are_not_changes) {
    run_done("def main(ctx):\n    ctx.vars['bag'].append(1)\n    ctx.vars['tree']['list'].append(2)\n    "
             "ctx.vars['same']\n",
             "[]", (inputs_t){.vars = "{\"bag\":[],\"tree\":{\"list\":[]},\"same\":[1]}"}, "{}",
             "{\"bag\":[1],\"tree\":{\"list\":[2]}}");
    run_done("def main(ctx):\n    ctx.get('tree.list').append(2)\n", "[]",
             (inputs_t){.vars = "{\"tree\":{\"list\":[]}}"}, "{}", "{\"tree\":{\"list\":[2]}}");
}

Test(pypool, constants_cannot_be_changed) {
    run_failed("def main(ctx): ctx.set('LIMIT', 1)", (inputs_t){.consts = "{\"LIMIT\":9}"},
               "LIMIT is a constant");
    run_failed("def main(ctx): ctx.vars['LIMIT'] = 1", (inputs_t){.consts = "{\"LIMIT\":9}"},
               "LIMIT is a constant");
    bench_t b = open_bench(1);
    uint32_t f =
        add_function(&b, add_env(&b, (py_env_t){0}),
                     "def main(ctx):\n    ctx.vars['C'].append(2)\n    return [ctx.vars['C']]\n", "[\"R\"]");
    submit(&b, f, 1, (inputs_t){.consts = "{\"C\":[1]}"});
    submit(&b, f, 2, (inputs_t){.consts = "{\"C\":[1]}"});
    expect_done(&b, 1, "{\"R\":[1,2]}", "null");
    expect_done(&b, 2, "{\"R\":[1,2]}", "null");
    pypool_destroy(&b.pool);
}

/* Runs `body` with this ctx_access. Its error must have `part` in it; part NULL: it must succeed. */
static void run_access(const char *access, const char *body, const char *part) {
    bench_t b = open_bench(1);
    char *code = xasprintf("import os, socket\ndef main(ctx):\n    %s\n", body);
    py_function_t f = {.env = add_env(&b, (py_env_t){0}), .code = code, .entrypoint = "main"};
    submit(&b, add_function_with(&b, f, "[]", access), 1,
           (inputs_t){.context = "{\"x\":1}", .vars = "{\"v\":[]}"});
    if (part)
        expect_failed(&b, 1, part);
    else
        expect_done(&b, 1, "{}", NULL);
    free(code);
    pypool_destroy(&b.pool);
}

Test(pypool, ctx_access_allows_what_it_lists_in_both_vocabularies) {
    run_access("[\"get\",\"log\"]", "ctx.get('x'); ctx.log('info', 'm')", NULL);
    run_access("[\"get\",\"log\"]", "ctx.set('count', 99)", "PermissionError: ctx.set is not allowed here");
    run_access("[\"vars.read\"]", "ctx.vars['v']", NULL);
    run_access("[\"vars.read\"]", "ctx.vars['v'].append(1)", "PermissionError");
    run_access("[\"vars.write\"]", "ctx.set('v', 1)", NULL);
    run_access("[\"vars.write\"]", "ctx.get('v'); ctx.vars['v']; list(ctx.vars)", NULL);
    run_access("[\"vars.write\"]", "ctx.vars['v'].append(1)", NULL);
    run_access("[\"set\"]", "ctx.get('v')", "PermissionError: ctx.get is not allowed here");
    run_access("[\"vars.read\",\"vars.write\"]", "ctx.vars['v'].append(1)", NULL);
    run_access("[]", "ctx.emit('a', 1)", "ctx_access lists nothing");
    run_access("[\"get\"]", "ctx.call_ai('m', 's', [])", "ctx.call_ai is not allowed");
    run_access("[\"get\"]", "open('/etc/hostname').read()", "ctx_access does not list files.read");
    run_access("[\"files.read\"]", "open('/etc/passwd').read()", NULL);
    run_access("[\"files.read\"]", "open('/dev/null', 'w')", "does not list files.write");
    run_access("[\"files.write\"]",
               "open('/dev/null', 'w'); open('/dev/null', 'r+'); open('/etc/passwd').read()", NULL);
    run_access("[\"get\"]", "import colorsys, zipfile", NULL);
    run_access("[\"get\"]", "socket.getaddrinfo('127.0.0.1', 80)", "does not list net");
}

/* ---- ctx.call_ai ---- */

static py_event_t expect_question(bench_t *b, uint64_t tag) {
    py_event_t e = wait_event(b);
    cr_assert_eq(e.kind, PY_CALL_AI, "%s", e.error.text);
    cr_assert_eq(e.tag, tag);
    return e;
}

static int64_t question_id(const py_event_t *e) { return object_get_peek(e->ai, "id", 2, NULL).integer; }

Test(pypool, call_ai_asks_and_gets_the_answer_or_the_error) {
    bench_t b = open_bench(1);
    uint32_t f = add_function(&b, add_env(&b, (py_env_t){0}),
                              "def main(ctx, q):\n    try:\n        return ctx.call_ai('helper', 'be kind', "
                              "['about ' + q, 'twice'], {'max_tokens': 9})\n"
                              "    except RuntimeError as e:\n        return 'no: ' + str(e)\n",
                              "[\"R\"]");
    submit(&b, f, 1, (inputs_t){.kwargs = "{\"q\":\"tea\"}"});
    py_event_t e = expect_question(&b, 1);
    value_t want = json("{\"model\":\"helper\",\"system\":\"be kind\",\"prompts\":[\"about "
                        "tea\",\"twice\"],\"params\":{\"max_tokens\":9}}");
    object_set_text(&want, "id", value_int(question_id(&e)));
    cr_assert(value_equal(e.ai, want));
    value_free(want);
    value_t text = value_text("an answer");
    pypool_ai_answer(b.pool, 1, question_id(&e), text, NULL);
    value_free(text);
    free_event(&e);
    expect_done(&b, 1, "{\"R\":\"an answer\"}", NULL);
    submit(&b, f, 2, (inputs_t){.kwargs = "{\"q\":\"x\"}"});
    e = expect_question(&b, 2);
    pypool_ai_answer(b.pool, 2, question_id(&e), value_null(), "no quota");
    free_event(&e);
    expect_done(&b, 2, "{\"R\":\"no: no quota\"}", NULL);
    pypool_destroy(&b.pool);
}

Test(pypool, a_waiting_call_gives_back_what_was_sent_behind_it) {
    bench_t b = open_bench(1);
    uint32_t f = add_function(
        &b, add_env(&b, (py_env_t){0}),
        "def main(ctx, ask):\n    return ctx.call_ai('m', None, 'p') if ask else 'quick'\n", "[\"R\"]");
    /* After these the function counts as quick, and several calls are sent ahead. */
    for (uint64_t tag = 1; tag <= 200; tag++) {
        submit(&b, f, tag, (inputs_t){.kwargs = "{\"ask\":false}"});
        expect_done(&b, tag, "{\"R\":\"quick\"}", NULL);
    }
    submit(&b, f, 1000, (inputs_t){.kwargs = "{\"ask\":true}"});
    for (uint64_t tag = 1001; tag <= 1010; tag++)
        submit(&b, f, tag, (inputs_t){.kwargs = "{\"ask\":false}"});
    py_event_t e = expect_question(&b, 1000);
    /* A further host runs them although hosts_max is 1, because the first one computes nothing. */
    for (uint64_t tag = 1001; tag <= 1010; tag++)
        expect_done(&b, tag, "{\"R\":\"quick\"}", NULL);
    value_t text = value_text("late");
    pypool_ai_answer(b.pool, 1000, question_id(&e), text, NULL);
    value_free(text);
    free_event(&e);
    expect_done(&b, 1000, "{\"R\":\"late\"}", NULL);
    pypool_load_t load;
    pypool_load(b.pool, &load);
    cr_assert_eq(load.hosts, 2);
    b.skipped_ns += 2 * PY_IDLE_MS * MILLISECOND; /* the further host goes when it has nothing to do */
    pypool_drive(b.pool, bench_now(&b));
    pypool_load(b.pool, &load);
    cr_assert_eq(load.hosts, 1);
    cr_assert_eq(load.calls, 0);
    submit(&b, f, 1, (inputs_t){.kwargs = "{\"ask\":false}"});
    expect_done(&b, 1, "{\"R\":\"quick\"}", NULL);
    pypool_destroy(&b.pool);
}

Test(pypool, several_threads_of_one_call_may_ask) {
    bench_t b = open_bench(1);
    uint32_t f = add_function(
        &b, add_env(&b, (py_env_t){0}),
        "from concurrent.futures import ThreadPoolExecutor\ndef main(ctx):\n    with ThreadPoolExecutor(4) "
        "as pool:\n"
        "        return {'R': list(pool.map(lambda n: ctx.call_ai('m', None, str(n)), range(4)))}\n",
        "[\"R\"]");
    submit(&b, f, 1, (inputs_t){0});
    py_event_t e[4];
    for (int i = 0; i < 4; i++)
        e[i] = expect_question(&b, 1);
    for (int i = 3; i >= 0; i--) {
        value_t prompts = object_get_peek(e[i].ai, "prompts", 7, NULL);
        pypool_ai_answer(b.pool, 1, question_id(&e[i]), list_peek(prompts, 0), NULL);
        free_event(&e[i]);
    }
    expect_done(&b, 1, "{\"R\":[\"0\",\"1\",\"2\",\"3\"]}", NULL);
    pypool_destroy(&b.pool);
}

static void answer(bench_t *b, py_event_t *e, const char *text) {
    value_t v = value_text(text);
    pypool_ai_answer(b->pool, e->tag, question_id(e), v, NULL);
    value_free(v);
    free_event(e);
}

static const char *model_of(const py_event_t *e) {
    return object_get_peek(e->ai, "model", 5, NULL).string->data;
}

/* main is `body`, which may await; it is a coroutine itself, or runs one with asyncio.run. */
static bench_t run_coroutine(const char *head, const char *body) {
    bench_t b = open_bench(1);
    char *code = xasprintf("import asyncio\n%s:\n%s", head, body);
    submit(&b, add_function(&b, add_env(&b, (py_env_t){0}), code, "[\"R\"]"), 1, (inputs_t){0});
    free(code);
    return b;
}

Test(pypool, coroutines_ask_and_are_answered_in_any_order) {
    static const char body[] =
        "    async def one(n): return await ctx.acall_ai('m%d' % n, 'be kind', ['p'])\n"
        "    return {'R': await asyncio.gather(*[one(n) for n in range(4)], one(4))}\n";
    bench_t b = run_coroutine("async def main(ctx)", body);
    py_event_t e[5];
    for (int i = 0; i < 5; i++)
        e[i] = expect_question(&b, 1);
    for (int i = 4; i >= 0; i--)
        answer(&b, &e[i], model_of(&e[i]));
    expect_done(&b, 1, "{\"R\":[\"m0\",\"m1\",\"m2\",\"m3\",\"m4\"]}", NULL);
    pypool_destroy(&b.pool);
}

Test(pypool, an_error_raises_in_the_coroutine_that_asked) {
    static const char body[] =
        "    async def two():\n"
        "        asks = [ctx.acall_ai('m', None, 'a'), ctx.acall_ai('m', None, 'b')]\n"
        "        return [str(x) for x in await asyncio.gather(*asks, return_exceptions=True)]\n"
        "    return {'R': asyncio.run(two())}\n";
    bench_t b = run_coroutine("def main(ctx)", body);
    py_event_t first = expect_question(&b, 1), second = expect_question(&b, 1);
    answer(&b, &second, "fine");
    pypool_ai_answer(b.pool, 1, question_id(&first), value_null(), "no quota");
    free_event(&first);
    expect_done(&b, 1, "{\"R\":[\"no quota\",\"fine\"]}", NULL);
    pypool_destroy(&b.pool);
}

/* A task that is cancelled, or out of time, gives its question up; the others go on. */
Test(pypool, a_cancelled_coroutine_gives_its_question_up) {
    static const char body[] = "    late = asyncio.ensure_future(ctx.acall_ai('late', None, 'p'))\n"
                               "    try: await asyncio.wait_for(ctx.acall_ai('slow', None, 'p'), 0.05)\n"
                               "    except asyncio.TimeoutError: pass\n"
                               "    late.cancel()\n"
                               "    return {'R': await ctx.acall_ai('last', None, 'p')}\n";
    bench_t b = run_coroutine("async def main(ctx)", body);
    py_event_t asked[2] = {expect_question(&b, 1), expect_question(&b, 1)};
    py_event_t last = {0};
    for (int given_up = 0; given_up < 2 || last.kind != PY_CALL_AI;) {
        py_event_t e = wait_event(&b);
        if (e.kind == PY_CALL_AI) {
            last = e;
            continue;
        }
        cr_assert_eq(e.kind, PY_GIVES_UP);
        cr_assert(question_id(&e) == question_id(&asked[0]) || question_id(&e) == question_id(&asked[1]));
        given_up++;
        free_event(&e);
    }
    cr_assert_str_eq(model_of(&last), "last");
    answer(&b, &asked[0], "too late is harmless");
    answer(&b, &asked[1], "too late is harmless");
    answer(&b, &last, "in time");
    expect_done(&b, 1, "{\"R\":\"in time\"}", NULL);
    pypool_destroy(&b.pool);
}

/* Threads and tasks that a call leaves behind ask in nobody's name. */
Test(pypool, what_asks_after_its_call_has_ended_is_told_so) {
    bench_t b = open_bench(1);
    uint32_t f =
        add_function(&b, add_env(&b, (py_env_t){0}),
                     "import threading, time\n"
                     "said = []\n"
                     "def main(ctx, turn):\n"
                     "    def ask(wait):\n"
                     "        time.sleep(wait)\n"
                     "        try: ctx.call_ai('m', None, 'p')\n"
                     "        except RuntimeError as e: said.append(str(e))\n"
                     "    if turn == 0:\n"
                     "        for wait in (0, 0.2): threading.Thread(target=ask, args=(wait,)).start()\n"
                     "        time.sleep(0.1)\n"
                     "    while turn and len(said) < 2: time.sleep(0.01)\n"
                     "    return {'R': said}\n",
                     "[\"R\"]");
    submit(&b, f, 1, (inputs_t){.kwargs = "{\"turn\":0}"});
    py_event_t e = expect_question(&b, 1);
    expect_done(&b, 1, "{\"R\":[]}", NULL);
    answer(&b, &e, "too late is harmless");
    submit(&b, f, 2, (inputs_t){.kwargs = "{\"turn\":1}"});
    expect_done(&b, 2,
                "{\"R\":[\"this call has already ended\",\"ctx.call_ai: this call has already ended\"]}",
                NULL);
    pypool_destroy(&b.pool);
}

Test(pypool, a_call_that_asks_too_much_at_once_is_told_so) {
    static const char body[] = "    asks = [ctx.acall_ai('m', None, 'p') for i in range(4100)]\n"
                               "    said = await asyncio.gather(*asks, return_exceptions=True)\n"
                               "    return {'R': [sum(isinstance(s, str) for s in said), str(said[-1])]}\n";
    bench_t b = run_coroutine("async def main(ctx)", body);
    for (int i = 0; i < PY_ASKS_OPEN_MAX; i++) {
        py_event_t e = expect_question(&b, 1);
        answer(&b, &e, "a");
    }
    /* Some are answered while others are asked, so not all of the last four need be refused. */
    py_event_t e = wait_event(&b);
    for (; e.kind == PY_CALL_AI; e = wait_event(&b))
        answer(&b, &e, "a");
    cr_assert_eq(e.kind, PY_DONE, "%s", e.error.text);
    free_event(&e);
    pypool_destroy(&b.pool);
}

/* ---- units ---- */

static void submit_with_unit(bench_t *b, uint32_t f, uint64_t tag, const char *kwargs, permit_t *permit,
                             bool *has_unit) {
    value_t values = json(kwargs);
    const py_call_t call = {.function = f, .kwargs = values, .permit = permit, .has_unit = has_unit};
    err_t err;
    cr_assert_eq(pypool_submit(b->pool, &call, tag, &err), 0);
    value_free(values);
}

/* A call that waits for a process could keep the unit that another one needs to go on. */
Test(pypool, a_call_has_a_unit_when_it_runs_and_none_while_it_waits) {
    bench_t b = open_bench(1);
    uint32_t f =
        add_function(&b, add_env(&b, (py_env_t){0}),
                     "import time\ndef main(ctx, wait):\n    time.sleep(wait)\n    return wait\n", "[\"R\"]");
    permit_t units = {.allowed = 2, .used = 2};
    bool has[2] = {true, true};
    submit_with_unit(&b, f, 1, "{\"wait\":0.3}", &units, &has[0]);
    submit_with_unit(&b, f, 2, "{\"wait\":0}", &units, &has[1]);
    for (pypool_load_t load = {0}; load.busy == 0; pypool_load(b.pool, &load))
        one_round(&b);
    cr_assert(has[0] && !has[1] && units.used == 1);
    cr_assert(pypool_waits(b.pool, 2) && !pypool_waits(b.pool, 1));
    units.used++; /* somebody takes the unit */
    expect_done(&b, 1, "{\"R\":0.3}", NULL);
    pypool_drive(b.pool, bench_now(&b));
    cr_assert(pypool_waits(b.pool, 2));
    cr_assert_neq(pypool_timeout_ms(b.pool, bench_now(&b)), 0);
    permit_give(&units);
    cr_assert_eq(pypool_timeout_ms(b.pool, bench_now(&b)), 0);
    expect_done(&b, 2, "{\"R\":0}", NULL);
    cr_assert(has[0] && has[1] && units.used == 2);
    pypool_destroy(&b.pool);
}

/* ---- frames that user code writes ---- */

/* `body` sends frames of its own on descriptor 3; the call fails with these words, and the next call finds a
 * pool that works. */
static void run_forged(const char *body, const char *words) {
    static const char head[] =
        "import os, struct, sys, time\n"
        "def number():\n"
        "    f = sys._getframe()\n"
        "    while f:\n"
        "        frame = f.f_locals.get('frame')\n"
        "        if isinstance(frame, dict) and 'call' in frame: return frame['call']\n"
        "        f = f.f_back\n"
        "def send(text):\n"
        "    text = text.encode()\n"
        "    os.write(3, struct.pack('<I', len(text)) + text)\n";
    bench_t b = open_bench(1);
    char *code = xasprintf(
        "%sdef main(ctx, forge):\n    if not forge: return 'fine'\n%s    time.sleep(1000)\n", head, body);
    uint32_t f = add_function(&b, add_env(&b, (py_env_t){0}), code, "[\"R\"]");
    submit(&b, f, 1, (inputs_t){.kwargs = "{\"forge\":true}"});
    submit(&b, f, 2, (inputs_t){.kwargs = "{\"forge\":false}"});
    py_event_t e = wait_event(&b);
    bool done = false; /* while the first call asks, another host may run the second one */
    for (; e.kind == PY_CALL_AI || e.kind == PY_DONE; e = wait_event(&b)) {
        done |= e.kind == PY_DONE && e.tag == 2;
        free_event(&e);
    }
    cr_assert_eq(e.tag, 1, "%s: kind %d, %s", body, (int)e.kind, e.error.text);
    cr_assert_eq(e.kind, PY_FAILED, "%s", body);
    cr_assert_not_null(strstr(e.error.text, words), "%s: %s", body, e.error.text);
    free_event(&e);
    if (!done) expect_done(&b, 2, "{\"R\":\"fine\"}", NULL);
    free(code);
    pypool_destroy(&b.pool);
}

Test(pypool, a_frame_is_taken_only_when_it_may_come) {
    static const char unexpected[] = "sent a frame that it may not send now";
    run_forged("    send('{\"hello\":[3,11,2]}')\n", unexpected);
    run_forged("    send('{\"prepared\":\"\"}')\n", unexpected);
    run_forged("    send('{\"back\":%d}' % number())\n", "gave back a call that is not in its queue");
    run_forged("    send('{\"back\":1}')\n", "gave back a call that is not in its queue");
    run_forged("    send('{\"ok\":2,\"o\":{\"R\":\"forged\"}}')\n", "answered a call it was not given");
    run_forged("    send('{\"bad\":%d}' % (number() + 1))\n", "answered a call it was not given");
    run_forged("    send('[]')\n", "sent a frame that is not known");
    run_forged("    send('{\"gone\":1}')\n", "sent a frame that is not known");
    run_forged("    for i in range(2): send('{\"ai\":7,\"call\":%d}' % number())\n", "under one number");
    run_forged("    send('{\"ai\":\"x\",\"call\":%d}' % number())\n", "a question without a number");
    run_forged("    for i in range(5000): send('{\"ai\":%d,\"call\":%d}' % (i, number()))\n",
               "more than 4096 questions at once");
    run_forged("    for i in range(6): send('{\"ai\":%d,\"call\":%d,\"model\":\"%s\"}' % (i, number(), 'x' * "
               "(50 << 20)))\n",
               "larger than 256 MiB");
    run_forged("    os.write(3, b'\\xff' * 4)\n", "more than 64 MiB");
}

Test(pypool, what_is_not_of_the_running_call_is_ignored) {
    bench_t b = open_bench(1);
    uint32_t f = add_function(&b, add_env(&b, (py_env_t){0}),
                              "import os, struct\n"
                              "def send(text): os.write(3, struct.pack('<I', len(text)) + text)\n"
                              "def main(ctx):\n"
                              "    send(b'{\"ai\":1,\"call\":1,\"model\":\"m\"}')\n"
                              "    send(b'{\"drop\":1,\"call\":1}')\n"
                              "    send(b'{\"ai\":1}')\n"
                              "    return {'R': 1}\n",
                              "[\"R\"]");
    submit(&b, f, 1, (inputs_t){0});
    expect_done(&b, 1, "{\"R\":1}", NULL);
    pypool_destroy(&b.pool);
}

Test(pypool, a_function_that_may_not_ask_cannot_do_so_behind_the_back_of_its_context) {
    bench_t b = open_bench(1);
    py_function_t f = {.env = add_env(&b, (py_env_t){0}),
                       .code = "def main(ctx):\n    ctx._call.access = None\n    return ctx.call_ai('m')\n",
                       .entrypoint = "main"};
    submit(&b, add_function_with(&b, f, "[\"R\"]", "[\"get\"]"), 1, (inputs_t){0});
    expect_failed(&b, 1, "ctx_access does not list call_ai");
    pypool_destroy(&b.pool);
}

/* ---- hosts that are killed ---- */

static void expect_again(bench_t *b, uint64_t tag) {
    py_event_t e = wait_event(b);
    cr_assert_eq(e.kind, PY_AGAIN, "%d %s", (int)e.kind, e.error.text);
    cr_assert_eq(e.tag, tag);
    free_event(&e);
}

static const char DIES[] = "import os\ndef main(ctx, how):\n"
                           "    if how == 'ask': how = ctx.call_ai('m', None, 'p')\n"
                           "    if how == 'die': os.kill(os.getpid(), 9)\n"
                           "    if how == 'segv': os.kill(os.getpid(), 11)\n"
                           "    if how == 'exit': os._exit(9)\n"
                           "    return how\n";

/* Mostly it is the kernel that kills, when there is no memory left. */
Test(pypool, a_call_whose_host_is_killed_begins_once_more_and_fails_the_third_time) {
    bench_t b = open_bench(1);
    uint32_t f = add_function(&b, add_env(&b, (py_env_t){0}), DIES, "[\"R\"]");
    submit(&b, f, 1, (inputs_t){.kwargs = "{\"how\":\"die\"}"});
    submit(&b, f, 2, (inputs_t){.kwargs = "{\"how\":\"fine\"}"});
    expect_again(&b, 1);
    expect_again(&b, 1);
    py_event_t e = wait_event(&b);
    cr_assert_eq(e.tag, 1);
    cr_assert_not_null(strstr(e.error.text, "was killed by signal 9 (SIGKILL; it had "), "%s", e.error.text);
    cr_assert_not_null(strstr(e.error.text, " MiB) three times"), "%s", e.error.text);
    free_event(&e);
    expect_done(&b, 2, "{\"R\":\"fine\"}", NULL);
    pypool_destroy(&b.pool);
}

Test(pypool, what_was_asked_before_a_host_was_killed_is_void) {
    bench_t b = open_bench(1);
    uint32_t f = add_function(&b, add_env(&b, (py_env_t){0}), DIES, "[\"R\"]");
    submit(&b, f, 1, (inputs_t){.kwargs = "{\"how\":\"ask\"}"});
    py_event_t e = expect_question(&b, 1);
    answer(&b, &e, "die");
    expect_again(&b, 1);
    e = expect_question(&b, 1);
    answer(&b, &e, "lived");
    expect_done(&b, 1, "{\"R\":\"lived\"}", NULL);
    pypool_destroy(&b.pool);
}

Test(pypool, a_call_that_ends_its_host_itself_fails_at_once) {
    bench_t b = open_bench(1);
    uint32_t f = add_function(&b, add_env(&b, (py_env_t){0}), DIES, "[\"R\"]");
    submit(&b, f, 1, (inputs_t){.kwargs = "{\"how\":\"segv\"}"});
    expect_failed(&b, 1, "was killed by signal 11 (SIGSEGV; it had ");
    submit(&b, f, 2, (inputs_t){.kwargs = "{\"how\":\"exit\"}"});
    expect_failed(&b, 2, "exited with status 9 during this call");
    pypool_destroy(&b.pool);
}

/* ---- failures ---- */

Test(pypool, an_exception_names_message_line_and_code) {
    run_failed("import os\n\ndef helper(how):\n    raise KeyError(how)\n\ndef main(ctx):\n    helper('lost "
               "key 17')\n",
               (inputs_t){0}, "KeyError: 'lost key 17' (line 4: raise KeyError(how))");
    run_failed("import json\ndef main(ctx):\n    return json.loads('{')\n", (inputs_t){0},
               "(line 3: return json.loads('{'))");
    run_failed("def main(ctx)\n    pass\n", (inputs_t){0},
               "SyntaxError: expected ':' (line 1: def main(ctx))");
    run_failed(
        "import no_such_module_here\ndef main(ctx): pass\n", (inputs_t){0},
        "ModuleNotFoundError: No module named 'no_such_module_here' (line 1: import no_such_module_here)");
    run_failed("def other(ctx): pass\n", (inputs_t){0}, "there is no function 'main'");
    run_failed("def main(ctx): return main(ctx)\n", (inputs_t){0}, "RecursionError");
    run_failed("def main(ctx): raise ValueError('é' * 5000)\n", (inputs_t){0}, "ValueError: ééé");
    run_failed("class E(Exception):\n    def __str__(self): raise RuntimeError\ndef main(ctx): raise E\n",
               (inputs_t){0}, "E: (its message cannot be shown)");
}

/* NaN and infinities are null, half a surrogate pair is U+FFFD, and the event says how many there were. */
Test(pypool, what_json_has_not_is_replaced_and_counted) {
    run_done("def main(ctx):\n    ctx.vars['v'] = float('inf')\n"
             "    return {'R': [float('nan'), -float('inf'), 1.5], 'S': 'a\\ud800b'}",
             "[\"R\", \"S\"]", (inputs_t){.vars = "{\"v\":1}"},
             "{\"R\":[null,null,1.5],\"S\":\"a\xEF\xBF\xBD"
             "b\"}",
             "{\"v\":null}");
    bench_t b = open_bench(1);
    submit(&b,
           add_function(&b, add_env(&b, (py_env_t){0}),
                        "def main(ctx): return {'R': [float('nan'), 1e400, '\\udfff']}", "[\"R\"]"),
           1, (inputs_t){0});
    py_event_t e = wait_event(&b);
    cr_expect(e.kind == PY_DONE && e.repairs.nulls == 2 && e.repairs.characters == 1);
    free_event(&e);
    pypool_destroy(&b.pool);
}

Test(pypool, integers_of_any_size_go_both_ways) {
    run_done("def main(ctx, n): return {'R': n + 1, 'S': [ctx.vars['v'], -2**70]}", "[\"R\", \"S\"]",
             (inputs_t){.context = "{\"n\":18446744073709551615}", .vars = "{\"v\":-9223372036854775809}"},
             "{\"R\":18446744073709551616,\"S\":[-9223372036854775809,-1180591620717411303424]}", NULL);
}

Test(pypool, results_that_are_not_json_fail_the_call) {
    run_failed("def main(ctx): return {'R': object()}", (inputs_t){0},
               "output 'R' cannot be written as JSON");
    run_failed("def main(ctx): return {'R': 'x' * (70 << 20)}", (inputs_t){0}, "the result is too large");
    run_failed("def main(ctx): ctx.set('v', object())", (inputs_t){0}, "variable 'v'");
    run_failed("def main(ctx):\n    a = []\n    a.append(a)\n    return {'R': a}", (inputs_t){0},
               "output 'R'");
    run_failed("def main(ctx):\n    a = 1\n    for i in range(300): a = [a]\n    return {'R': a}",
               (inputs_t){0}, "the result cannot be read");
}

/* One output R: what main returns for it, and the JSON it becomes. */
static void run_value(const char *code, const char *want) {
    char *source = xasprintf("def main(ctx):\n    %s\n", code);
    char *outputs = xasprintf("{\"R\":%s}", want);
    run_done(source, "[\"R\"]", (inputs_t){0}, outputs, NULL);
    free(source);
    free(outputs);
}

Test(pypool, a_long_message_is_told_in_full) {
    bench_t b = open_bench(1);
    submit(&b,
           add_function(&b, add_env(&b, (py_env_t){0}), "def main(ctx): raise ValueError('x' * 2000 + 'y')",
                        "[\"R\"]"),
           1, (inputs_t){0});
    py_event_t e = wait_event(&b);
    cr_assert_eq(e.kind, PY_FAILED);
    cr_assert_eq(e.words.kind, VALUE_STRING);
    cr_expect(strstr(e.words.string->data, "xxy (line 1: def main"), "%s", e.words.string->data);
    cr_expect(strstr(e.error.text, "ValueError: xxx"), "%s", e.error.text);
    free_event(&e);
    pypool_destroy(&b.pool);
}

Test(pypool, values_that_json_has_not_come_back_as_text_or_list) {
    run_value("return {'R': {3, 1, 2}}", "[1,2,3]");
    run_value("return {'R': frozenset(['b', 'a'])}", "[\"a\",\"b\"]");
    run_value("return {'R': {(1, 2), 'x'}}", "[\"x\",[1,2]]");
    run_value("import datetime as d; return {'R': [d.date(2024, 2, 29), d.datetime(2024, 2, 29, 1, 2, 3), "
              "d.time(4, 5), d.timedelta(days=1, seconds=2)]}",
              "[\"2024-02-29\",\"2024-02-29 01:02:03\",\"04:05:00\",\"1 day, 0:00:02\"]");
    run_value("from decimal import Decimal as D; return {'R': [D('1.10'), D('1E+30')]}",
              "[\"1.10\",\"1E+30\"]");
    run_value("import uuid, pathlib, fractions; return {'R': [uuid.UUID(int=1), pathlib.Path('a/b'), "
              "fractions.Fraction(1, 3), 1 + 2j]}",
              "[\"00000000-0000-0000-0000-000000000001\",\"a/b\",\"1/3\",\"(1+2j)\"]");
    run_value("return {'R': ['é'.encode(), bytearray(b'a'), memoryview(b'b'), b'\\xff']}",
              "[\"é\",\"a\",\"b\",\"\xef\xbf\xbd\"]");
    run_value("import enum; return {'R': [enum.Enum('C', 'RED').RED, enum.IntEnum('I', 'ONE').ONE]}",
              "[1,1]");
    run_value("import dataclasses as s; return {'R': s.make_dataclass('P', ['x', 'y'])(1, {2})}",
              "{\"x\":1,\"y\":[2]}");
    run_value("import collections as c; return {'R': [c.deque([1]), range(3), {'a': 1}.keys(), "
              "c.namedtuple('N', 'x')(5), c.Counter('aa'), c.OrderedDict(b=1)]}",
              "[[1],[0,1,2],[\"a\"],[5],{\"a\":2},{\"b\":1}]");
    run_value("import array; return {'R': array.array('d', [0.5, 2])}", "[0.5,2.0]");
}

/* numpy need not be there: these have what is used of it. */
Test(pypool, scalars_and_arrays_of_numpy_come_back_as_numbers_and_lists) {
    static const char code[] =
        "class generic:\n    def __init__(self, v): self.v = v\n    def tolist(self): return self.v\n"
        "generic.__module__ = 'numpy'\n"
        "class long_double(generic):\n    def tolist(self): return self\n    def __float__(self): return "
        "0.5\n"
        "class datetime64(generic):\n    def __str__(self): return '2024-02-29'\n"
        "datetime64.__module__ = 'numpy'\n"
        "def main(ctx):\n    return {'R': {'i': generic(7), 'b': generic(True), 'a': generic([[1, 2], [3, "
        "4]]), "
        "'l': long_double(0), 'd': datetime64(0)}}\n";
    run_done(code, "[\"R\"]", (inputs_t){0},
             "{\"R\":{\"i\":7,\"b\":true,\"a\":[[1,2],[3,4]],\"l\":0.5,\"d\":\"2024-02-29\"}}", NULL);
}

Test(pypool, keys_that_are_no_text_become_text) {
    run_value("return {'R': {1: 'i', None: 'n', True: 't', 0.5: 'f'}}",
              "{\"1\":\"t\",\"null\":\"n\",\"0.5\":\"f\"}");
    run_value("import datetime; return {'R': [{(1, 2): {b'k': {3: {4}}}, datetime.date(2024, 1, 2): 1}]}",
              "[{\"(1, 2)\":{\"k\":{\"3\":[4]}},\"2024-01-02\":1}]");
}

/* How a call ends must not matter to the ones before and after it, whatever host they are on. */
Test(pypool, exits_crashes_and_signals_fail_only_their_own_call) {
    static const char code[] = "import os, sys, signal\ndef main(ctx, how):\n"
                               "    if how == 'exit': sys.exit(3)\n"
                               "    if how == '_exit': os._exit(9)\n"
                               "    if how == 'segv': os.kill(os.getpid(), signal.SIGSEGV)\n"
                               "    if how == 'close': os.closerange(3, 1000)\n"
                               "    if how == 'fork' and os.fork() == 0: return 'child'\n"
                               "    return 'done ' + how\n";
    bench_t b = open_bench(2);
    uint32_t f = add_function(&b, add_env(&b, (py_env_t){0}), code, "[\"R\"]");
    static const struct {
        const char *how, *want;
    } cases[] = {{"a", NULL}, {"exit", "SystemExit: 3 (line 3: if how == 'exit': sys.exit(3))"},
                 {"b", NULL}, {"_exit", "exited with status 9 during this call"},
                 {"c", NULL}, {"segv", "was killed by signal 11"},
                 {"d", NULL}, {"close", "the Python process"},
                 {"e", NULL}, {"fork", NULL},
                 {"f", NULL}};
    enum { CASES = sizeof cases / sizeof cases[0], ROUNDS = 20 };
    for (uint64_t i = 0; i < CASES * ROUNDS; i++) {
        char kwargs[64];
        snprintf(kwargs, sizeof kwargs, "{\"how\":\"%s\"}", cases[i % CASES].how);
        submit(&b, f, i, (inputs_t){.kwargs = kwargs});
    }
    bool seen[CASES * ROUNDS] = {false};
    for (size_t i = 0; i < CASES * ROUNDS; i++) {
        py_event_t e = wait_event(&b);
        const char *want = cases[e.tag % CASES].want;
        cr_assert_not(seen[e.tag]);
        seen[e.tag] = true;
        cr_assert_eq(e.kind, !want ? PY_DONE : PY_FAILED, "%s: %s", cases[e.tag % CASES].how, e.error.text);
        if (want) cr_assert_not_null(strstr(e.error.text, want), "%s", e.error.text);
        free_event(&e);
    }
    pypool_destroy(&b.pool);
}

Test(pypool, a_timeout_kills_the_host_and_spares_the_calls_behind) {
    bench_t b = open_bench(1);
    uint32_t f = add_function(&b, add_env(&b, (py_env_t){0}),
                              "import time\ndef main(ctx, s):\n    ctx.log('info', 'started')\n    "
                              "time.sleep(s)\n    return 'ok'\n",
                              "[\"R\"]");
    for (uint64_t tag = 1; tag <= 200; tag++) {
        submit(&b, f, tag, (inputs_t){.kwargs = "{\"s\":0}"});
        expect_done(&b, tag, "{\"R\":\"ok\"}", NULL);
    }
    b.log[0] = '\0';
    submit(&b, f, 1000, (inputs_t){.kwargs = "{\"s\":1000}", .timeout_ms = 30000});
    submit(&b, f, 1001, (inputs_t){.kwargs = "{\"s\":0}", .timeout_ms = 30000});
    py_event_t e;
    for (bool started = false; !started;) {
        one_round(&b);
        while (pypool_next(b.pool, &e)) {
            started |= e.kind == PY_LOG;
            free_event(&e);
        }
    }
    b.skipped_ns = 15 * SECOND;
    pypool_drive(b.pool, bench_now(&b));
    cr_assert_not(pypool_next(b.pool, &e), "%d %d %s", (int)e.kind, (int)e.tag, e.error.text);
    b.skipped_ns = 31 * SECOND;
    expect_failed(&b, 1000, "longer than 30000 ms");
    expect_done(&b, 1001, "{\"R\":\"ok\"}", NULL);
    pypool_destroy(&b.pool);
}

Test(pypool, a_cancelled_call_answers_at_once) {
    bench_t b = open_bench(1);
    uint32_t f = add_function(&b, add_env(&b, (py_env_t){0}),
                              "import time\ndef main(ctx, s):\n    if s: ctx.call_ai('m', None, 'p'); "
                              "time.sleep(s)\n    return 'ok'\n",
                              "[\"R\"]");
    submit(&b, f, 1, (inputs_t){.kwargs = "{\"s\":1000}"});
    pypool_cancel(b.pool, 1);
    expect_failed(&b, 1, "cancelled");
    submit(&b, f, 2, (inputs_t){.kwargs = "{\"s\":1000}"});
    py_event_t e = expect_question(&b, 2); /* it runs */
    pypool_cancel(b.pool, 2);
    expect_failed(&b, 2, "cancelled");
    pypool_ai_answer(b.pool, 2, question_id(&e), value_null(), NULL); /* too late is harmless */
    free_event(&e);
    submit(&b, f, 3, (inputs_t){.kwargs = "{\"s\":0}"});
    b.skipped_ns = 2 * PY_CANCEL_MS * MILLISECOND;
    expect_done(&b, 3, "{\"R\":\"ok\"}", NULL);
    pypool_destroy(&b.pool);
}

/* Everything at once, at random: each call must end in exactly one event, and nothing may be left. */
Test(pypool, whatever_happens_each_call_ends_once) {
    static const char code[] = "import os, time\ndef main(ctx, how):\n"
                               "    if how == 1: raise ValueError('no')\n"
                               "    if how == 2: os._exit(1)\n"
                               "    if how == 3: time.sleep(1000)\n"
                               "    if how == 4: return ctx.call_ai('answer', None, 'p')\n"
                               "    if how == 5: ctx.call_ai('never', None, 'p')\n"
                               "    if how == 6: print('x' * 5000)\n"
                               "    return how\n";
    enum { CALLS = 600, OPEN = 40 };
    bench_t b = open_bench(2);
    uint32_t f[2];
    for (int i = 0; i < 2; i++)
        f[i] = add_function(&b, add_env(&b, (py_env_t){.interpreter = "/usr/bin/python3"}), code, "[\"R\"]");
    rng_t r;
    rng_seed(&r, 7, 0);
    uint8_t ends[CALLS] = {0};
    uint64_t sent = 0, ended = 0, end = clock_now_ns() + DEADLINE_S * SECOND;
    while (ended < CALLS) {
        cr_assert_lt(clock_now_ns(), end, "%d ended", (int)ended);
        for (; sent < CALLS && sent - ended < OPEN; sent++) {
            char kwargs[32];
            snprintf(kwargs, sizeof kwargs, "{\"how\":%d}",
                     rng_between(&r, 0, 2) != 0 ? 0 : (int)rng_between(&r, 0, 6));
            submit(&b, f[rng_next(&r) % 2], sent, (inputs_t){.kwargs = kwargs, .timeout_ms = 20000});
        }
        if (rng_between(&r, 0, 9) == 0)
            pypool_cancel(b.pool, (uint64_t)rng_between(&r, 0, (int64_t)sent - 1));
        if (rng_between(&r, 0, 9) == 0) b.skipped_ns += 5 * SECOND;
        struct pollfd p = {.fd = pypool_fd(b.pool), .events = POLLIN};
        poll(&p, 1, 5);
        pypool_drive(b.pool, bench_now(&b));
        for (py_event_t e; pypool_next(b.pool, &e); free_event(&e)) {
            if (e.kind == PY_CALL_AI &&
                strcmp(object_get_peek(e.ai, "model", 5, NULL).string->data, "answer") == 0)
                pypool_ai_answer(b.pool, e.tag, question_id(&e), value_null(), NULL);
            if (e.kind != PY_DONE && e.kind != PY_FAILED) continue;
            cr_assert_eq(ends[e.tag]++, 0, "call %d ended twice", (int)e.tag);
            ended++;
        }
    }
    pypool_load_t load;
    pypool_load(b.pool, &load);
    cr_assert_leq(load.calls, 2); /* cancelled ones that still run */
    pypool_destroy(&b.pool);
}

Test(pypool, inputs_that_are_too_large_fail_that_call) {
    bench_t b = open_bench(1);
    uint32_t f = add_function(&b, add_env(&b, (py_env_t){0}), "def main(ctx, x): return len(x)\n", "[\"R\"]");
    size_t n = PY_FRAME_BYTES_MAX + 10;
    char *big = xmalloc(n);
    memset(big, 'x', n);
    err_t err;
    value_t kwargs = value_object(1), text = value_string(big, n);
    object_set_text(&kwargs, "x", text);
    const py_call_t call = {.function = f, .kwargs = kwargs};
    cr_assert_eq(pypool_submit(b.pool, &call, 1, &err), 0);
    value_free(kwargs);
    free(big);
    submit(&b, f, 2, (inputs_t){.kwargs = "{\"x\":\"abc\"}"});
    expect_failed(&b, 1, "larger than 64 MiB");
    expect_done(&b, 2, "{\"R\":3}", NULL);
    pypool_destroy(&b.pool);
}

/* ---- prints ---- */

Test(pypool, prints_go_to_the_log_and_never_into_the_protocol) {
    bench_t b = open_bench(1);
    uint32_t f =
        add_function(&b, add_env(&b, (py_env_t){0}),
                     "import os, sys\ndef main(ctx):\n    print('{\"ok\": 1}')\n    "
                     "sys.stdout.write('noise')\n    sys.stderr.write('more noise')\n"
                     "    os.write(1, b'raw \\xff noise\\n')\n    sys.stdout.close()\n    return 'x'\n",
                     "[\"R\"]");
    submit(&b, f, 1, (inputs_t){0});
    submit(&b, f, 2, (inputs_t){0});
    expect_done(&b, 1, "{\"R\":\"x\"}", NULL);
    py_event_t e = wait_event(&b);
    cr_assert_eq(e.kind, PY_DONE, "%s", e.error.text);
    free_event(&e);
    cr_assert_not_null(strstr(b.log, "{\"ok\": 1}\n"), "%s", b.log);
    cr_assert_not_null(strstr(b.log, "raw"), "%s", b.log);
    pypool_destroy(&b.pool);
}

Test(pypool, a_flood_of_prints_is_bounded) {
    bench_t b = open_bench(1);
    uint32_t f = add_function(&b, add_env(&b, (py_env_t){0}),
                              "def main(ctx):\n    for i in range(100000): print('line', i)\n    print('y' * "
                              "1000000)\n    return 1\n",
                              "[\"R\"]");
    submit(&b, f, 1, (inputs_t){0});
    py_event_t e = {0};
    size_t logs = 0;
    for (bool done = false; !done;) { /* events are left untaken until the call is done */
        one_round(&b);
        while (!done && pypool_next(b.pool, &e)) {
            done = e.kind == PY_DONE;
            logs += e.kind == PY_LOG;
            free_event(&e);
            if (logs % 64 == 0) break;
        }
    }
    cr_assert_gt(logs, 0);
    pypool_destroy(&b.pool);
}

/* ---- environments ---- */

Test(pypool, the_environment_is_clean) {
    setenv("OPENAI_API_KEY", "sk-secret", 1);
    setenv("HOME", "/home/somebody", 1);
    bench_t b = open_bench(2);
    value_t vars = json("{\"FLAVOR\":\"sweet\",\"N\":5}");
    /* The program itself: a shim would set further variables. */
    uint32_t env = add_env(&b, (py_env_t){.env = vars, .interpreter = "/usr/bin/python3"});
    value_free(vars);
    uint32_t f = add_function(
        &b, env,
        "import os\ndef main(ctx):\n    e = os.environ\n    return {'R': [e['FLAVOR'], e['N'], e['HOME'], "
        "e.get('OPENAI_API_KEY'), sorted(set(e) - {'PATH', 'HOME', 'LANG', 'TMPDIR', 'FLAVOR', 'N'})]}\n",
        "[\"R\"]");
    submit(&b, f, 1, (inputs_t){0});
    expect_done(&b, 1, "{\"R\":[\"sweet\",\"5\",\"/home/somebody\",null,[]]}", NULL);
    pypool_destroy(&b.pool);
}

/* True if this system lets us make namespaces; without them the sandbox is a seccomp filter, which hides no
 * files. */
static bool has_namespaces(void) {
    pid_t child = fork();
    if (child == 0) _exit(unshare(geteuid() == 0 ? CLONE_NEWNET : CLONE_NEWUSER) == 0 ? 0 : 1);
    int status = 1;
    waitpid(child, &status, 0);
    return status == 0;
}

Test(pypool, the_environment_of_the_parent_cannot_be_read) {
    if (!has_namespaces()) cr_skip_test("no namespaces here");
    run_failed("import os\ndef main(ctx):\n    return open(f'/proc/{os.getppid()}/environ').read()\n",
               (inputs_t){0}, "PermissionError");
}

Test(pypool, memory_is_limited) {
    bench_t b = open_bench(1);
    const py_limits_t limits = {.memory_bytes = (uint64_t)1 << 30};
    uint32_t f = add_function(&b, add_env(&b, (py_env_t){.limits = limits}),
                              "def main(ctx, n): return len(bytearray(n << 20))\n", "[\"R\"]");
    submit(&b, f, 1, (inputs_t){.kwargs = "{\"n\":4096}"});
    expect_failed(&b, 1, "MemoryError");
    submit(&b, f, 2, (inputs_t){.kwargs = "{\"n\":1}"});
    expect_done(&b, 2, "{\"R\":1048576}", NULL);
    pypool_destroy(&b.pool);
}

Test(pypool, hosts_have_no_privileges_to_gain_and_die_with_their_parent) {
    run_done("import ctypes, re\nlibc = ctypes.CDLL(None)\ndef main(ctx):\n    death = ctypes.c_int()\n    "
             "libc.prctl(2, ctypes.byref(death))\n"
             "    status = open('/proc/self/status').read()\n    admin = "
             "int(re.search('CapEff:\\\\s*(\\\\w+)', status).group(1), 16) >> 21 & 1\n"
             "    return {'R': [death.value, libc.prctl(39, 0, 0, 0, 0), admin]}\n",
             "[\"R\"]", (inputs_t){0}, "{\"R\":[9,1,0]}", NULL);
}

Test(pypool, only_the_protocol_descriptors_are_open) {
    int extra = open("/etc/passwd", O_RDONLY); /* inheritable */
    run_done("import os\nFDS = os.listdir('/proc/self/fd')\ndef main(ctx):\n    return {'R': [len([f for f "
             "in FDS if os.path.exists('/proc/self/fd/' + f) and 'passwd' in os.readlink('/proc/self/fd/' + "
             "f)]), os.readlink('/proc/self/fd/0')]}\n",
             "[\"R\"]", (inputs_t){0}, "{\"R\":[0,\"/dev/null\"]}", NULL);
    close(extra);
}

static const char CONNECT[] =
    "import socket\ndef main(ctx, port):\n    s = socket.create_connection(('127.0.0.1', port), timeout=5)\n "
    "   s.close()\n    return 'connected'\n";

Test(pypool, the_network_is_refused_unless_allowed) {
    int server = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    cr_assert_eq(bind(server, (struct sockaddr *)&at, sizeof at), 0);
    cr_assert_eq(listen(server, 5), 0);
    getsockname(server, (struct sockaddr *)&at, &size);
    char kwargs[64];
    snprintf(kwargs, sizeof kwargs, "{\"port\":%d}", ntohs(at.sin_port));
    bench_t b = open_bench(2);
    uint32_t closed = add_function(&b, add_env(&b, (py_env_t){0}), CONNECT, "[\"R\"]");
    uint32_t open_net = add_function(&b, add_env(&b, (py_env_t){.allow_network = true}), CONNECT, "[\"R\"]");
    submit(&b, closed, 1, (inputs_t){.kwargs = kwargs});
    expect_failed(&b, 1, "(line 3: s = socket.create_connection");
    submit(&b, open_net, 2, (inputs_t){.kwargs = kwargs});
    expect_done(&b, 2, "{\"R\":\"connected\"}", NULL);
    pypool_destroy(&b.pool);
    const pypool_options_t off = {.sandbox = PY_SANDBOX_OFF};
    b.pool = pypool_new(&off, NULL);
    submit(&b, add_function(&b, add_env(&b, (py_env_t){0}), CONNECT, "[\"R\"]"), 3,
           (inputs_t){.kwargs = kwargs});
    expect_done(&b, 3, "{\"R\":\"connected\"}", NULL);
    pypool_destroy(&b.pool);
    close(server);
}

Test(pypool, environments_have_hosts_of_their_own_even_above_hosts_max) {
    bench_t b = open_bench(1);
    uint32_t f[3];
    for (int i = 0; i < 3; i++) {
        char text[32];
        snprintf(text, sizeof text, "{\"WHO\":\"%d\"}", i);
        value_t vars = json(text);
        f[i] = add_function(
            &b,
            add_env(&b, (py_env_t){.env = vars, .venv = "/nonexistent/venv", .interpreter = "python>=3.8"}),
            "import os\nn = 0\ndef main(ctx):\n    global n\n    n += 1\n    return {'R': os.environ['WHO'], "
            "'N': n}\n",
            "[\"R\",\"N\"]");
        value_free(vars);
    }
    for (int round = 1; round <= 3; round++) {
        for (int i = 0; i < 3; i++) {
            char want[64];
            snprintf(want, sizeof want, "{\"R\":\"%d\",\"N\":%d}", i, round);
            submit(&b, f[i], 1, (inputs_t){0});
            expect_done(&b, 1, want, NULL);
        }
    }
    pypool_destroy(&b.pool);
}

static void run_interpreter(const char *interpreter, const char *part) {
    bench_t b = open_bench(1);
    uint32_t f = add_function(&b, add_env(&b, (py_env_t){.interpreter = interpreter}),
                              "def main(ctx): return 1\n", "[\"R\"]");
    submit(&b, f, 1, (inputs_t){0});
    if (part)
        expect_failed(&b, 1, part);
    else
        expect_done(&b, 1, "{\"R\":1}", NULL);
    submit(&b, f, 2, (inputs_t){0});
    if (part) expect_failed(&b, 2, part);
    pypool_destroy(&b.pool);
}

Test(pypool, the_interpreter_is_checked) {
    run_interpreter("python>=3.8", NULL);
    run_interpreter("python>=99.1", "asks for 'python>=99.1', but");
    run_interpreter("no-such-python", "there is no program 'no-such-python'");
    run_interpreter("/bin/false", "exited with status 1");
    bench_t b = open_bench(1);
    err_t err;
    cr_assert_lt(pypool_add_env(b.pool, &(py_env_t){.interpreter = "python>=x"}, &err), 0);
    pypool_destroy(&b.pool);
}

/* A wheel of one module, which has WORD = 5; no index is needed to install it. */
static void write_wheel(const char *folder, const char *name) {
    char *command = xasprintf(
        "cd %s && python3 -c \"\nimport zipfile\nz = zipfile.ZipFile('%s-1.0-py3-none-any.whl', 'w')\n"
        "z.writestr('%s.py', 'WORD = 5')\nz.writestr('%s-1.0.dist-info/METADATA', 'Metadata-Version: "
        "2.1\\nName: %s\\nVersion: 1.0\\n')\n"
        "z.writestr('%s-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: "
        "true\\nTag: py3-none-any\\n')\n"
        "z.writestr('%s-1.0.dist-info/RECORD', '')\nz.close()\"",
        folder, name, name, name, name, name, name);
    cr_assert_eq(system(command), 0);
    free(command);
}

/* One call of `code` in this environment; takes env's lists. */
static void run_in_venv(py_env_t env, const char *code, const char *want) {
    bench_t b = open_bench(1);
    uint32_t f = add_function(&b, add_env(&b, env), code, "[\"R\"]");
    submit(&b, f, 1, (inputs_t){0});
    if (want)
        expect_done(&b, 1, want, NULL);
    else
        expect_failed(&b, 1, "ModuleNotFoundError");
    pypool_destroy(&b.pool);
    value_free(env.requirements);
    value_free(env.pre_install);
    value_free(env.post_install);
}

static value_t wheels(const char *folder, const char *first, const char *second) {
    char *text = second ? xasprintf("[\"%s/%s-1.0-py3-none-any.whl\",\"%s/%s-1.0-py3-none-any.whl\"]", folder,
                                    first, folder, second)
                        : xasprintf("[\"%s/%s-1.0-py3-none-any.whl\"]", folder, first);
    value_t list = json(text);
    free(text);
    return list;
}

Test(pypool, a_virtual_environment_is_created_for_requirements_and_used_afterwards, .timeout = 300) {
    if (system("python3 -c 'import ensurepip, venv' 2>/dev/null") != 0)
        cr_skip_test("this python3 has no ensurepip");
    char *folder = new_folder();
    char *venv = xasprintf("%s/venv", folder);
    write_wheel(folder, "leaf");
    static const char code[] =
        "import leaf, sys\ndef main(ctx): return {'R': [leaf.WORD, sys.prefix != sys.base_prefix]}\n";
    for (int round = 0; round < 2; round++) { /* the second time it is there */
        value_t requirements = round == 0 ? wheels(folder, "leaf", NULL) : value_null();
        run_in_venv((py_env_t){.venv = venv, .requirements = requirements}, code, "{\"R\":[5,true]}");
    }
    free(venv);
    remove_folder(folder);
}

Test(pypool, requirements_that_come_later_are_installed_once_and_commands_run_around_them, .timeout = 300) {
    if (system("python3 -c 'import ensurepip, venv' 2>/dev/null") != 0)
        cr_skip_test("this python3 has no ensurepip");
    char *folder = new_folder();
    char *venv = xasprintf("%s/venv", folder), *log = xasprintf("%s/log", folder);
    char *before = xasprintf("[\"echo before $VIRTUAL_ENV >> %s\"]", log);
    char *after = xasprintf("[\"python -c 'import twig, sys; print(twig.WORD, sys.prefix)' >> %s\"]", log);
    static const char uses_twig[] = "import leaf, twig\ndef main(ctx): return {'R': leaf.WORD + twig.WORD}\n";
    write_wheel(folder, "leaf");
    write_wheel(folder, "twig");
    run_in_venv((py_env_t){.venv = venv, .requirements = wheels(folder, "leaf", NULL)}, uses_twig, NULL);
    for (int round = 0; round < 2; round++) { /* the second time nothing has changed */
        run_in_venv((py_env_t){.venv = venv,
                               .requirements = wheels(folder, "leaf", "twig"),
                               .pre_install = json(before),
                               .post_install = json(after)},
                    uses_twig, "{\"R\":10}");
    }
    char *want = xasprintf("test \"$(cat %s)\" = \"$(printf 'before %s\\n5 %s')\"", log, venv, venv);
    cr_assert_eq(system(want), 0, "the commands ran once, with the environment active");
    char *file = xasprintf("%s/requirements.txt", folder);
    char *option = xasprintf("[\"--requirement=%s\"]", file);
    write_text(file, "");
    run_in_venv((py_env_t){.venv = venv, .requirements = json(option)}, uses_twig, "{\"R\":10}");
    write_text(file, "no-such-package-of-anybody @ file:///nowhere/x.whl\n"); /* the file's content counts */
    bench_t b = open_bench(1);
    value_t requirements = json(option);
    submit(&b,
           add_function(&b, add_env(&b, (py_env_t){.venv = venv, .requirements = requirements}), uses_twig,
                        "[\"R\"]"),
           1, (inputs_t){0});
    expect_failed(&b, 1, "cannot prepare the virtual environment");
    pypool_destroy(&b.pool);
    value_free(requirements);
    free(option);
    free(file);
    free(want);
    free(after);
    free(before);
    free(log);
    free(venv);
    remove_folder(folder);
}

/* ---- nobody is left behind ---- */

static bool is_gone(pid_t pid) {
    char path[64], text[256] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "r");
    if (!f) return true;
    /* A process that nobody has waited for yet counts as gone. */
    bool zombie = fgets(text, sizeof text, f) && strstr(text, ") Z ");
    fclose(f);
    return zombie;
}

/* The number after `name` in the status of a process; 0: there is none. */
static pid_t status_number(pid_t pid, const char *name) {
    char path[64], line[256];
    pid_t number = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, name, strlen(name)) == 0) number = atoi(line + strlen(name));
    if (f) fclose(f);
    return number;
}

static bool is_descendant(pid_t pid) {
    while (pid > 1 && pid != getpid())
        pid = status_number(pid, "PPid:");
    return pid == getpid();
}

/* The number that a process has here, by the one that it has in its own namespace: the last of NSpid. Hosts
 * of other tests may have the same one in theirs, so only descendants count. 0: there is none. */
static pid_t number_here(pid_t inside) {
    char path[300], line[256];
    pid_t found = 0;
    DIR *all = opendir("/proc");
    for (const struct dirent *e; !found && (e = readdir(all));) {
        snprintf(path, sizeof path, "/proc/%s/status", e->d_name);
        FILE *f = atoi(e->d_name) > 0 ? fopen(path, "r") : NULL;
        while (f && fgets(line, sizeof line, f)) {
            const char *last = strncmp(line, "NSpid:", 6) == 0 ? strrchr(line, '\t') : NULL;
            if (last && atoi(last + 1) == inside && (has_namespaces() ? strchr(line, '\t') != last : true) &&
                is_descendant(atoi(e->d_name)))
                found = atoi(e->d_name);
        }
        if (f) fclose(f);
    }
    closedir(all);
    return found;
}

static void wait_gone(pid_t pid) {
    uint64_t end = clock_now_ns() + DEADLINE_S * SECOND;
    while (!is_gone(pid)) {
        cr_assert_lt(clock_now_ns(), end, "process %d is still there", (int)pid);
        poll(NULL, 0, 1);
    }
}

static const char BUSY[] =
    "import os, time\ndef main(ctx):\n    ctx.call_ai(str(os.getpid()), None, 'p')\n    time.sleep(1000)\n";

Test(pypool, a_killed_parent_leaves_no_host) {
    int pipe_fd[2];
    cr_assert_eq(pipe(pipe_fd), 0);
    pid_t child = fork();
    if (child == 0) {
        bench_t b = open_bench(1);
        submit(&b, add_function(&b, add_env(&b, (py_env_t){0}), BUSY, "[]"), 1, (inputs_t){0});
        py_event_t e = expect_question(&b, 1);
        value_t text = value_text("go and sleep");
        pypool_ai_answer(b.pool, 1, question_id(&e), text, NULL);
        pypool_drive(b.pool, bench_now(&b));
        int pid = number_here(atoi(object_get_peek(e.ai, "model", 5, NULL).string->data));
        if (write(pipe_fd[1], &pid, sizeof pid) != sizeof pid) _exit(1);
        while (true)
            pause();
    }
    int host = 0;
    cr_assert_eq(read(pipe_fd[0], &host, sizeof host), (ssize_t)sizeof host);
    cr_assert_gt(host, 0);
    cr_assert_not(is_gone(host));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    wait_gone(host);
}

Test(pypool, destroy_ends_hosts_and_what_they_started) {
    bench_t b = open_bench(1);
    uint32_t f = add_function(
        &b, add_env(&b, (py_env_t){0}),
        "import subprocess\ndef main(ctx):\n    p = subprocess.Popen(['sleep', '1000'])\n    return p.pid\n",
        "[\"R\"]");
    submit(&b, f, 1, (inputs_t){0});
    py_event_t e = wait_event(&b);
    cr_assert_eq(e.kind, PY_DONE, "%s", e.error.text);
    pid_t pid = number_here((pid_t)object_value_peek(e.outputs, 0).integer);
    free_event(&e);
    cr_assert_gt(pid, 0);
    cr_assert_not(is_gone(pid));
    pypool_destroy(&b.pool);
    wait_gone(pid);
}
