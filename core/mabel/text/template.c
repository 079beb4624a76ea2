/* template.c - text with placeholders, cut into segments once.
 *
 * One walk serves text, values and prompts with images: it writes runs of text into a buffer, and where the
 * caller collects parts, an image ends the run. A placeholder that names an entry of templates[] is walked in
 * its place, so its images are images too; the depth and the number of such visits are bounded, because
 * templates may mention each other.
 */
#include "core/mabel/text/assets.h"

#include "core/base/grow.h"
#include "core/base/limits.h"
#include "core/base/text.h"
#include "core/mabel/text/limits.h"
#include "core/mabel/text/regex.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* group 1: the name with its indexes, group 2: options of an image */
#define NAME_CLASS "[\\p{L}\\p{M}\\p{N}_.\\-]"
static const char PLACEHOLDER[] =
    "\\{(" NAME_CLASS "++(?:\\[-?[0-9]{1,18}\\]" NAME_CLASS "*+)*+)(:[A-Za-z0-9_=,. \\-]*+)?\\}";

typedef enum segment_kind { SEGMENT_TEXT, SEGMENT_NAME, SEGMENT_IMAGE } segment_kind_t;

typedef struct segment {
    segment_kind_t kind;
    str_t *written;     /* its text in the source, braces included */
    dotted_t name;      /* NAME */
    bool ascii;         /* NAME: of ASCII characters only */
    str_t *image;       /* IMAGE: name without ".img" */
    const char *detail; /* IMAGE: constant text */
} segment_t;

struct text_template {
    str_t *source;
    segment_t *segments;
    size_t count, cap;
};

/* ---- compile */

static segment_t *add_segment(template_t *t, segment_kind_t kind, const char *bytes, size_t len) {
    GROW(t->segments, t->cap, t->count + 1);
    segment_t *s = &t->segments[t->count++];
    *s = (segment_t){.kind = kind, .written = str_new(bytes, len)};
    return s;
}

bool template_is_name(const char *text, size_t len) {
    static const char name[] = "^" NAME_CLASS "++(?:\\[-?[0-9]{1,18}\\]" NAME_CLASS "*+)*+\\Z";
    bool letters = false;
    for (size_t i = 0; i < len && !letters; i++)
        letters = isalpha((unsigned char)text[i]) || text[i] == '_' || (unsigned char)text[i] >= 0x80;
    if (!letters) return false;
    pattern_t *re = regex_cached(name, sizeof name - 1, 0, NULL);
    size_t span[2];
    return re && regex_match(re, text, len, 0, span, 2, NULL) > 0;
}

static bool is_ascii(const char *bytes, size_t len) {
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)bytes[i] >= 0x80) return false;
    return true;
}

static bool ends_with_img(const char *name, size_t len) {
    return len > 4 && memcmp(name + len - 4, ".img", 4) == 0;
}

static const char *image_detail(const char *options, size_t len) {
    static const char *const details[] = {"low", "high"};
    for (size_t i = 0; i < 2; i++) {
        char text[16] = "detail=";
        strcat(text, details[i]);
        if (len && memmem(options, len, text, strlen(text))) return details[i];
    }
    return "auto";
}

/* The placeholder at span: {name}, or an image when the name ends so. */
static void add_placeholder(template_t *t, const char *text, const size_t *span) {
    const char *name = text + span[2];
    size_t len = span[3] - span[2];
    bool image = ends_with_img(name, len);
    segment_t *s = add_segment(t, image ? SEGMENT_IMAGE : SEGMENT_NAME, text + span[0], span[1] - span[0]);
    if (image) {
        bool options = span[4] != SIZE_MAX;
        s->image = str_new(name, len - 4);
        s->detail = image_detail(options ? text + span[4] : "", options ? span[5] - span[4] : 0);
        return;
    }
    dotted_init(&s->name, name, len);
    s->ascii = is_ascii(name, len);
}

/* Only images take options: {name:x} is plain text. */
static bool is_placeholder(const char *text, const size_t *span) {
    return span[4] == SIZE_MAX || ends_with_img(text + span[2], span[3] - span[2]);
}

static void cut(template_t *t, const char *text, size_t len) {
    pattern_t *re = regex_cached(PLACEHOLDER, sizeof PLACEHOLDER - 1, 0, NULL);
    size_t span[6], from = 0, done = 0;
    for (; re && regex_match(re, text, len, from, span, 6, NULL) > 0; from = span[1]) {
        if (!is_placeholder(text, span)) continue;
        if (span[0] > done) add_segment(t, SEGMENT_TEXT, text + done, span[0] - done);
        add_placeholder(t, text, span);
        done = span[1];
    }
    if (done < len) add_segment(t, SEGMENT_TEXT, text + done, len - done);
}

template_t *template_compile(const char *text, size_t len) {
    template_t *t = xcalloc(1, sizeof *t);
    t->source = str_new(text, len);
    if (memchr(t->source->data, '{', len))
        cut(t, t->source->data, len);
    else if (len)
        add_segment(t, SEGMENT_TEXT, text, len);
    return t;
}

void template_destroy(template_t **t) {
    if (!*t) return;
    for (size_t i = 0; i < (*t)->count; i++) {
        segment_t *s = &(*t)->segments[i];
        str_free(s->written);
        str_free(s->image);
        dotted_free(&s->name);
    }
    free((*t)->segments);
    str_free((*t)->source);
    free(*t);
    *t = NULL;
}

static bool has_kind(const template_t *t, segment_kind_t kind) {
    for (size_t i = 0; i < t->count; i++)
        if (t->segments[i].kind == kind) return true;
    return false;
}

bool template_is_plain(const template_t *t) {
    return !has_kind(t, SEGMENT_NAME) && !has_kind(t, SEGMENT_IMAGE);
}

str_t *template_text(const template_t *t) { return t->source; }

bool template_has_images(const template_t *t) { return has_kind(t, SEGMENT_IMAGE); }

const dotted_t *template_whole(const template_t *t) {
    return t->count == 1 && t->segments[0].kind == SEGMENT_NAME ? &t->segments[0].name : NULL;
}

bool template_is_whole(const template_t *t) { return template_whole(t); }

void template_each_name(const template_t *t, void (*each)(void *arg, const char *name, size_t len),
                        void *arg) {
    for (size_t i = 0; i < t->count; i++)
        if (t->segments[i].kind == SEGMENT_NAME)
            each(arg, t->segments[i].name.whole->data, t->segments[i].name.whole->len);
}

void template_each_image(const template_t *t, void (*each)(void *arg, const char *name, size_t len),
                         void *arg) {
    for (size_t i = 0; i < t->count; i++)
        if (t->segments[i].kind == SEGMENT_IMAGE)
            each(arg, t->segments[i].image->data, t->segments[i].image->len);
}

/* ---- the walk */

typedef struct part_list {
    template_part_t *items;
    size_t count, cap;
} part_list_t;

typedef struct walk {
    scope_t *scope;
    template_missing_t missing;
    buf_t *out;
    part_list_t *parts; /* NULL: images are written as they stand */
    int depth;          /* templates being rendered, one inside the other */
    int renders;        /* templates rendered so far */
    err_t *err;
} walk_t;

static template_part_t *add_part(part_list_t *p) {
    GROW(p->items, p->cap, p->count + 1);
    return &p->items[p->count++];
}

/* What was written so far becomes a part of its own. */
static void end_text_part(walk_t *w) {
    if (w->out->len == 0) return;
    *add_part(w->parts) = (template_part_t){.text = value_string(w->out->data, w->out->len)};
    buf_reset(w->out);
}

static void write_image(walk_t *w, const segment_t *s) {
    if (!w->parts) {
        buf_add(w->out, s->written->data, s->written->len);
        return;
    }
    end_text_part(w);
    *add_part(w->parts) = (template_part_t){.is_image = true, .image = s->image, .detail = s->detail};
}

static int walk_template(walk_t *w, const template_t *t);

/* Walks a template that a placeholder names. Unresolved names in it become "", even when the text around it
 * is a MEX string that keeps them. */
static int write_named(walk_t *w, const named_text_t *named) {
    if (w->depth == TEMPLATE_DEPTH_MAX)
        return err_set(w->err, SDG_ELIMIT, "template \"%s\" nests deeper than %d", named->name->data,
                       TEMPLATE_DEPTH_MAX);
    if (++w->renders > TEMPLATE_RENDERS_MAX)
        return err_set(w->err, SDG_ELIMIT, "templates mention each other more than %d times",
                       TEMPLATE_RENDERS_MAX);
    template_missing_t outer = w->missing;
    w->missing = TEMPLATE_EMPTY;
    w->depth++;
    int rc = walk_template(w, named->tpl);
    w->depth--;
    w->missing = outer;
    return rc;
}

/* Writes what a placeholder stands for: a name of the scope, else a template, else a file, else what
 * `missing` says. */
static int write_name(walk_t *w, const segment_t *s) {
    const value_t *v = dotted_find(&s->name, w->scope, scope_find);
    if (v) {
        text_write(w->out, *v);
        return SDG_OK;
    }
    const named_text_t *named = assets_template(w->scope->assets, s->name.whole);
    if (named && named->tpl) return write_named(w, named);
    named = assets_file(w->scope->assets, s->name.whole);
    if (named)
        buf_add(w->out, named->text->data, named->text->len);
    else if (w->missing == TEMPLATE_VERBATIM || !s->ascii)
        buf_add(w->out, s->written->data, s->written->len);
    return SDG_OK;
}

/* Writes all segments. The recursion through write_name is bounded by TEMPLATE_DEPTH_MAX. */
static int walk_template(walk_t *w, const template_t *t) {
    int rc = SDG_OK;
    for (size_t i = 0; i < t->count && rc == SDG_OK; i++) {
        const segment_t *s = &t->segments[i];
        if (s->kind == SEGMENT_TEXT)
            buf_add(w->out, s->written->data, s->written->len);
        else if (s->kind == SEGMENT_IMAGE)
            write_image(w, s);
        else
            rc = write_name(w, s);
        if (rc == SDG_OK && w->out->full)
            rc = err_set(w->err, SDG_ELIMIT, "the text is longer than %zu bytes", w->out->max);
    }
    return rc;
}

int template_render(const template_t *t, scope_t *scope, template_missing_t missing, buf_t *out, err_t *err) {
    walk_t w = {.scope = scope, .missing = missing, .out = out, .err = err};
    return walk_template(&w, t);
}

/* ---- values */

static int render_value(const template_t *t, scope_t *scope, template_missing_t missing, value_t *out,
                        err_t *err) {
    buf_t text;
    buf_init(&text, DATA_LINE_BYTES_MAX);
    int rc = template_render(t, scope, missing, &text, err);
    *out = rc == SDG_OK ? value_string(text.data ? text.data : "", text.len) : value_null();
    buf_free(&text);
    return rc;
}

/* A whole placeholder that is no name of the scope: a template, a file, or nothing. */
static int named_value(const template_t *t, scope_t *scope, value_t *out, bool *resolved, err_t *err) {
    str_t *name = t->segments[0].name.whole;
    const named_text_t *named = assets_template(scope->assets, name);
    if (named && named->tpl) return render_value(t, scope, TEMPLATE_EMPTY, out, err);
    named = assets_file(scope->assets, name);
    *resolved = named;
    *out = named ? value_from_str(str_ref(named->text)) : value_null();
    return SDG_OK;
}

/* A whole placeholder gives the value itself, without a copy through text. */
int template_value(const template_t *t, scope_t *scope, template_missing_t missing, value_t *out,
                   bool *resolved, err_t *err) {
    *resolved = true;
    if (template_is_whole(t)) {
        const value_t *v = dotted_find(&t->segments[0].name, scope, scope_find);
        if (!v) return named_value(t, scope, out, resolved, err);
        *out = value_ref(*v);
        return SDG_OK;
    }
    if (template_is_plain(t)) {
        *out = value_from_str(str_ref(t->source));
        return SDG_OK;
    }
    return render_value(t, scope, missing, out, err);
}

/* Walks the template with a list of parts; after an error nothing is left for the caller to free. */
int template_parts(const template_t *t, scope_t *scope, template_part_t **parts, size_t *count, err_t *err) {
    part_list_t found = {0};
    buf_t text;
    buf_init(&text, DATA_LINE_BYTES_MAX);
    walk_t w = {.scope = scope, .missing = TEMPLATE_EMPTY, .out = &text, .parts = &found, .err = err};
    int rc = walk_template(&w, t);
    if (rc == SDG_OK) end_text_part(&w);
    for (size_t i = 0; rc != SDG_OK && i < found.count; i++)
        value_clear(&found.items[i].text);
    if (rc != SDG_OK) {
        free(found.items);
        found = (part_list_t){0};
    }
    buf_free(&text);
    *parts = found.items;
    *count = found.count;
    return rc;
}
