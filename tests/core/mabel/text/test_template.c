/* test_template.c - placeholders in text, in value position, and images. */
#include "core/mabel/text/template.h"

#include "core/base/json.h"
#include "core/mabel/pipeline/pipeline.h"
#include "core/mabel/text/limits.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static value_t json(const char *text) {
    value_t v;
    err_t err;
    cr_assert_eq(json_parse_text(text, strlen(text), &v, &err), 0, "%s", err.text);
    return v;
}

static const char ROW[] =
    "{\"a\":{\"b\":\"B\",\"c\":{\"d\":4},\"list\":[7,8,9]},\"a-b\":\"dash\",\"n_1\":\"one\",\"xs\":[\"x0\",{"
    "\"k\":\"K\"}],"
    "\"p.q\":\"whole key\",\"p\":{\"q\":\"path\"},\"t\":true,\"none\":null,\"r\":2.0,\"n\":4,"
    "\"\xe8\xb3\xaa\xe5\x95\x8f\":{\"\xe5\x90\x8d\":\"taro\"}}";

static void expect_text(const char *source, template_missing_t missing, const char *want) {
    value_t context = json(ROW);
    scope_t s = {.context = &context};
    template_t *t = template_compile(source, strlen(source));
    buf_t b;
    buf_init(&b, 1 << 20);
    err_t err;
    cr_assert_eq(template_render(t, &s, missing, &b, &err), 0);
    cr_expect_str_eq(b.data ? b.data : "", want, "%s: \"%s\", not \"%s\"", source, b.data, want);
    buf_free(&b);
    template_destroy(&t);
    value_free(context);
}

Test(template, fills_in_values) {
    expect_text("{a.b}/{a.c.d}/{a-b}/{n_1}", TEMPLATE_EMPTY, "B/4/dash/one");
    expect_text("{xs[0]}{xs[1].k}{a.list[2]}{xs[-1].k}", TEMPLATE_EMPTY, "x0K9K");
    expect_text("{p.q} {t} {none} {r} {a.list}", TEMPLATE_EMPTY, "whole key True None 2.0 [7, 8, 9]");
}

Test(template, what_is_no_placeholder_stays) {
    expect_text("{\"json\": 1} { spaced } {} {a b} {{n_1}} ${n_1} {n:x} {", TEMPLATE_EMPTY,
                "{\"json\": 1} { spaced } {} {a b} {one} $one {n:x} {");
    expect_text("{xs[}{xs[0}{xs[a]}", TEMPLATE_EMPTY, "{xs[}{xs[0}{xs[a]}");
}

Test(template, missing_names) {
    expect_text("[{nope}][{a.nope}][{a.b.deeper}][{xs[9]}]", TEMPLATE_EMPTY, "[][][][]");
    expect_text("[{nope}] \\d{3} {n}", TEMPLATE_VERBATIM, "[{nope}] \\d{3} 4");
    expect_text("{\xe6\x9c\xaa\xe5\xae\x9a}|{\xe8\xb3\xaa\xe5\x95\x8f.\xe5\x90\x8d}|{x\xe6\x9c\xaa}",
                TEMPLATE_EMPTY, "{\xe6\x9c\xaa\xe5\xae\x9a}|taro|{x\xe6\x9c\xaa}");
}

Test(template, images_survive_text) {
    expect_text("{pic.img} {pic.img:detail=high} {n}", TEMPLATE_EMPTY, "{pic.img} {pic.img:detail=high} 4");
}

static value_t value_of(const char *source, scope_t *s, bool *resolved) {
    template_t *t = template_compile(source, strlen(source));
    value_t v;
    err_t err;
    cr_assert_eq(template_value(t, s, TEMPLATE_VERBATIM, &v, resolved, &err), 0);
    template_destroy(&t);
    return v;
}

Test(template, a_whole_placeholder_gives_the_value) {
    value_t context = json(ROW);
    scope_t s = {.context = &context};
    bool resolved;
    value_t v = value_of("{a.list}", &s, &resolved);
    cr_expect(v.kind == VALUE_LIST && resolved);
    value_free(v);
    v = value_of("{nope}", &s, &resolved);
    cr_expect(v.kind == VALUE_NULL && !resolved);
    v = value_of("{none}", &s, &resolved);
    cr_expect(v.kind == VALUE_NULL && resolved);
    v = value_of("{n}!{zz}", &s, &resolved);
    cr_expect(v.kind == VALUE_STRING && resolved);
    cr_expect_str_eq(v.string->data, "4!{zz}");
    value_free(v);
    v = value_of("", &s, &resolved);
    cr_expect(v.kind == VALUE_STRING && v.string->len == 0);
    value_free(v);
    value_free(context);
}

Test(template, parts_of_a_prompt_with_images) {
    value_t context = json(ROW);
    scope_t s = {.context = &context};
    const char *source = "See {n_1} {pic.img}{b.img:detail=low} end";
    template_t *t = template_compile(source, strlen(source));
    template_part_t *parts;
    size_t count;
    err_t err;
    cr_expect(template_has_images(t) && !template_is_plain(t));
    cr_assert_eq(template_parts(t, &s, &parts, &count, &err), 0);
    cr_assert_eq(count, 4);
    cr_expect_str_eq(parts[0].text.string->data, "See one ");
    cr_expect(parts[1].is_image && parts[2].is_image);
    cr_expect_str_eq(parts[1].image->data, "pic");
    cr_expect_str_eq(parts[1].detail, "auto");
    cr_expect_str_eq(parts[2].image->data, "b");
    cr_expect_str_eq(parts[2].detail, "low");
    cr_expect_str_eq(parts[3].text.string->data, " end");
    value_free(parts[0].text);
    value_free(parts[3].text);
    free(parts);
    template_destroy(&t);
    value_free(context);
}

Test(template, a_full_buffer_is_a_limit) {
    value_t context = json(ROW);
    scope_t s = {.context = &context};
    template_t *t = template_compile("{a}{a}{a}", 9);
    buf_t b;
    buf_init(&b, 20);
    err_t err;
    cr_expect_eq(template_render(t, &s, TEMPLATE_EMPTY, &b, &err), SDG_ELIMIT);
    buf_free(&b);
    template_destroy(&t);
    value_free(context);
}

static void count_name(void *arg, const char *name, size_t len) {
    cr_expect(len > 0 && name);
    ++*(int *)arg;
}

Test(template, tells_its_names) {
    template_t *t = template_compile("{a.b} {c} {d.img} {e", 20);
    int names = 0;
    template_each_name(t, count_name, &names);
    cr_expect_eq(names, 2);
    cr_expect_str_eq(template_text(t)->data, "{a.b} {c} {d.img} {e");
    cr_expect_not(template_is_whole(t));
    template_destroy(&t);
}

static const char PIPELINE[] = "templates:\n%s"
                               "  - {name: head, text: 'H {n_1} [{missing}] {deep}'}\n"
                               "  - {name: deep, text: 'D {pic.img}'}\n"
                               "  - {name: n_1, text: never seen}\n"
                               "files:\n"
                               "  - {name: notes.txt, mime: text/plain, content: 'file {n_1}'}\n"
                               "blocks:\n"
                               "  - {type: end, exec: 1, final: [{name: t, value: x}]}\n";

typedef struct loaded {
    pipeline_t *pipeline;
    value_t context;
    scope_t s;
} loaded_t;

/* A chain of templates, each of which mentions the next, as deep as the loader allows. */
static void write_chain(buf_t *out) {
    for (int i = 1; i < TEMPLATE_DEPTH_MAX; i++)
        buf_addf(out, "  - {name: d%d, text: '{d%d}'}\n", i, i + 1);
    buf_addf(out, "  - {name: d%d, text: end}\n", TEMPLATE_DEPTH_MAX);
}

static void load(loaded_t *l) {
    buf_t chain, text;
    buf_init(&chain, 1 << 16);
    buf_init(&text, 1 << 16);
    write_chain(&chain);
    buf_addf(&text, PIPELINE, chain.data);
    diags_t diags;
    diags_init(&diags, "test.yaml", NULL, 0);
    l->pipeline =
        pipeline_load(&(pipeline_source_t){.path = "test.yaml", .bytes = text.data, .len = text.len}, &diags);
    cr_assert(l->pipeline, "%s", diags.count ? diags.items[0].message : "?");
    diags_free(&diags);
    buf_free(&chain);
    buf_free(&text);
    l->context = json(ROW);
    l->s = (scope_t){.context = &l->context, .assets = &l->pipeline->assets};
}

static void unload(loaded_t *l) {
    value_free(l->context);
    pipeline_destroy(&l->pipeline);
}

Test(named, templates_are_rendered_in_turn_and_files_are_not) {
    loaded_t l;
    load(&l);
    bool resolved;
    value_t v = value_of("{head}|{notes.txt}|{n_1}|{nope}", &l.s, &resolved);
    cr_expect_str_eq(v.string->data, "H one [] D {pic.img}|file {n_1}|one|{nope}");
    value_free(v);
    v = value_of("{notes.txt}", &l.s, &resolved);
    cr_expect(resolved);
    cr_expect_str_eq(v.string->data, "file {n_1}");
    value_free(v);
    v = value_of("{head}", &l.s, &resolved);
    cr_expect(resolved);
    cr_expect_str_eq(v.string->data, "H one [] D {pic.img}");
    value_free(v);
    unload(&l);
}

Test(named, an_image_inside_a_template_is_an_image) {
    loaded_t l;
    load(&l);
    template_t *t = template_compile("See {head}.", 11);
    template_part_t *parts;
    size_t count;
    err_t err;
    cr_assert_eq(template_parts(t, &l.s, &parts, &count, &err), 0);
    cr_assert_eq(count, 3);
    cr_expect_str_eq(parts[0].text.string->data, "See H one [] D ");
    cr_expect_str_eq(parts[1].image->data, "pic");
    cr_expect_str_eq(parts[2].text.string->data, ".");
    value_free(parts[0].text);
    value_free(parts[2].text);
    free(parts);
    template_destroy(&t);
    unload(&l);
}

Test(named, a_chain_as_deep_as_the_loader_allows_is_rendered) {
    loaded_t l;
    load(&l);
    bool resolved;
    value_t v = value_of("{d1}", &l.s, &resolved);
    cr_expect_str_eq(v.string->data, "end");
    value_free(v);
    unload(&l);
}
