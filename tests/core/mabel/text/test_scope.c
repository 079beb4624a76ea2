/* test_scope.c - who wins when a name is in several places, and paths into values. */
#include "core/mabel/text/scope.h"

#include "core/base/json.h"
#include "core/base/text.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static value_t json(const char *text) {
    value_t v;
    err_t err;
    cr_assert_eq(json_parse_text(text, strlen(text), &v, &err), 0, "%s", err.text);
    return v;
}

static void expect_json(value_t v, const char *want) {
    buf_t b;
    buf_init(&b, 1 << 20);
    json_write(&b, v, JSON_COMPACT);
    cr_expect_str_eq(b.data, want);
    buf_free(&b);
}

static value_t get(scope_t *s, const char *name, bool *found) {
    str_t *n = str_new(name, strlen(name));
    const value_t *v = scope_find(s, n);
    str_free(n);
    *found = v;
    return v ? *v : value_null();
}

typedef struct world {
    value_t context, vars, consts;
    locals_t frame;
    scope_t s;
} world_t;

static void world_init(world_t *w) {
    *w = (world_t){.context = json("{\"a\":\"row\",\"b\":\"row\"}"),
                   .vars = json("{\"a\":\"var\",\"c\":\"var\",\"n\":null}"),
                   .consts = json("{\"a\":\"const\",\"d\":\"const\"}")};
    w->s = (scope_t){.context = &w->context, .vars = &w->vars, .consts = w->consts};
}

static void world_free(world_t *w) {
    locals_free(&w->frame);
    value_free(w->context);
    value_free(w->vars);
    value_free(w->consts);
}

Test(scope, looks_in_context_then_vars_then_consts) {
    world_t w;
    world_init(&w);
    bool found;
    cr_expect_str_eq(get(&w.s, "a", &found).string->data, "row");
    cr_expect_str_eq(get(&w.s, "c", &found).string->data, "var");
    cr_expect_str_eq(get(&w.s, "d", &found).string->data, "const");
    cr_expect(get(&w.s, "n", &found).kind == VALUE_NULL && found);
    cr_expect(get(&w.s, "zz", &found).kind == VALUE_NULL && !found);
    world_free(&w);
}

Test(scope, locals_win_then_connections) {
    world_t w;
    world_init(&w);
    bool found;
    w.s.overlay = json("{\"a\":\"wire\",\"b\":\"wire\"}");
    str_t *a = str_new("a", 1);
    locals_set(&w.frame, a, value_text("local"));
    w.s.locals = &w.frame;
    cr_expect_str_eq(get(&w.s, "a", &found).string->data, "local");
    cr_expect_str_eq(get(&w.s, "b", &found).string->data, "wire");
    cr_expect_str_eq(scope_find_in_context(&w.s, a)->string->data, "wire");
    str_free(a);
    value_free(w.s.overlay);
    world_free(&w);
}

Test(scope, set_writes_the_frame_and_vars_but_no_const) {
    world_t w;
    world_init(&w);
    err_t err;
    bool found;
    str_t *x = str_new("x", 1), *d = str_new("d", 1);
    w.s.locals = &w.frame;
    cr_expect_eq(scope_set(&w.s, x, value_int(5), &err), 0);
    cr_expect_eq(w.frame.count, 1);
    cr_expect_eq(object_get_peek(w.vars, "x", 1, &found).integer, 5);
    cr_expect_eq(scope_set(&w.s, d, value_text("no"), &err), SDG_EINVAL);
    cr_expect(strstr(err.text, "\"d\""));
    str_free(x);
    str_free(d);
    world_free(&w);
}

Test(scope, set_inside_an_expression_means_the_step_around_it) {
    world_t w;
    world_init(&w);
    err_t err;
    bool found;
    str_t *total = str_new("total", 5), *item = str_new("item", 4);
    local_t slot = {item, value_int(1)};
    locals_t lambda = {.outer = &w.frame, .slots = &slot, .count = 1, .cap = 1, .expression = true};
    locals_set(&w.frame, total, value_int(1));
    w.s.locals = &lambda;
    cr_expect_eq(scope_set(&w.s, total, value_int(2), &err), 0);
    cr_expect_eq(scope_set(&w.s, item, value_int(7), &err), 0);
    cr_expect_eq(get(&w.s, "total", &found).integer, 2);
    cr_expect_eq(w.frame.slots[0].value.integer, 2);
    cr_expect_eq(slot.value.integer, 7);
    str_free(total);
    str_free(item);
    world_free(&w);
}

Test(paths, walk_objects_and_lists) {
    static const struct {
        const char *path, *want;
    } cases[] = {
        {"a.b[0].c", "9"},
        {".a.b[-1]", "[1]"},
        {"a.b.1[0]", "1"},
        {"['x y']", "2"},
        {"", "{\"a\":{\"b\":[{\"c\":9},[1]]},\"x y\":2}"},
        {"a.z", NULL},
        {"a.b[2]", NULL},
        {"a.b[-3]", NULL},
        {"a..b", NULL},
        {"a[0]", NULL},
        {"a.b[x]", NULL},
        {"a.b[0", NULL},
        {"a.", NULL},
        {"a.b[99999999999999999999]", NULL},
        {"a.b[]", NULL},
        {"a.b[-]", NULL},
    };
    value_t root = json("{\"a\":{\"b\":[{\"c\":9},[1]]},\"x y\":2}");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const value_t *v = value_path_find(&root, cases[i].path, strlen(cases[i].path));
        cr_expect_eq(v != NULL, cases[i].want != NULL, "%s", cases[i].path);
        if (v && cases[i].want) expect_json(*v, cases[i].want);
    }
    value_free(root);
}

Test(paths, set_copies_and_creates) {
    static const struct {
        const char *root, *path, *want;
    } cases[] = {
        {"{\"a\":{\"b\":1}}", "a.b", "{\"a\":{\"b\":5}}"},
        {"{}", "y.z", "{\"y\":{\"z\":5}}"},
        {"null", "k", "{\"k\":5}"},
        {"[1,{\"k\":2}]", "[1].k", "[1,{\"k\":5}]"},
        {"[1,2]", "[-1]", "[1,5]"},
        {"[1]", "[1]", "[1,5]"},
        {"3", "", "5"},
        {"[1]", "[2]", NULL},
        {"{\"a\":1}", "a.b", NULL},
        {"{}", "a..b", NULL},
        {"{}", "[0]", NULL},
        {"[1]", "k", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        value_t root = json(cases[i].root), out, before = json(cases[i].root);
        err_t err;
        int rc = value_path_set(root, cases[i].path, strlen(cases[i].path), value_int(5), &out, &err);
        cr_expect_eq(rc == 0, cases[i].want != NULL, "%s", cases[i].path);
        if (rc == 0 && cases[i].want) expect_json(out, cases[i].want);
        cr_expect(value_equal(root, before), "the original changed");
        value_free(out);
        value_free(root);
        value_free(before);
    }
}

Test(paths, a_path_of_a_million_steps_is_refused) {
    size_t n = 1000000;
    char *path = malloc(2 * n);
    for (size_t i = 0; i < n; i++)
        memcpy(path + 2 * i, ".a", 2);
    value_t out;
    err_t err;
    cr_expect_eq(value_path_set(value_null(), path, 2 * n, value_int(1), &out, &err), SDG_ELIMIT);
    free(path);
}

Test(dotted, whole_key_first_then_the_longest_root) {
    value_t context =
        json("{\"p.q\":[\"key\"],\"p\":{\"q\":[\"path\"],\"r\":[\"r\"]},\"x[0]\":\"flat\",\"x\":[1]}");
    scope_t s = {.context = &context};
    static const struct {
        const char *name, *want;
    } cases[] = {{"p.q", "[\"key\"]"}, {"p.q[0]", "\"key\""}, {"p.r[0]", "\"r\""}, {"x[0]", "\"flat\""},
                 {"x", "[1]"},         {"p.zz", NULL},        {".p", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        dotted_t d;
        dotted_init(&d, cases[i].name, strlen(cases[i].name));
        const value_t *v = dotted_find(&d, &s, scope_find);
        cr_expect_eq(v != NULL, cases[i].want != NULL, "%s", cases[i].name);
        if (v && cases[i].want) expect_json(*v, cases[i].want);
        dotted_free(&d);
    }
    value_free(context);
}
