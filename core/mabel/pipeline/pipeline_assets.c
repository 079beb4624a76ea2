/* pipeline_assets.c - templates, files and images: named things that placeholders may mention.
 *
 * Templates may mention templates. Circles and more than TEMPLATE_DEPTH_MAX levels are errors of the file, so
 * that rendering a row cannot fail because of them. A name that globals define is no mention of a template:
 * placeholders look there first. */
#include "core/mabel/pipeline/pipeline_load.h"

#include "core/mabel/text/limits.h"

#include <stdlib.h>
#include <string.h>

static const key_rule_t TEMPLATE_RULES[] = {{"name", WANT_NAME, true},
                                            {"text", WANT_TEXT, true},
                                            {"description", WANT_ANY, false},
                                            {"comment", WANT_ANY, false}};
static const keyset_t TEMPLATE_KEYS = KEYSET("a template", TEMPLATE_RULES, NULL);

static const key_rule_t FILE_RULES[] = {{"name", WANT_TEXT, true},        {"mime", WANT_TEXT, false},
                                        {"content", WANT_TEXT, true},     {"encoding", WANT_TEXT, false},
                                        {"description", WANT_ANY, false}, {"comment", WANT_ANY, false}};
static const keyset_t FILE_KEYS = KEYSET("a file", FILE_RULES, NULL);

static const key_rule_t IMAGE_RULES[] = {{"name", WANT_TEXT, true},        {"path", WANT_TEXT, false},
                                         {"url", WANT_TEXT, false},        {"base64", WANT_TEXT, false},
                                         {"media_type", WANT_TEXT, false}, {"description", WANT_ANY, false},
                                         {"comment", WANT_ANY, false}};
static const keyset_t IMAGE_KEYS = KEYSET("an image", IMAGE_RULES, NULL);

/* Remembers a name; a second thing of that name is an error. */
static void check_name(load_t *l, value_t *names, const ynode_t *n, const ypath_t *path, str_t *name,
                       size_t index) {
    bool found;
    object_get_str_peek(*names, name, &found);
    if (found)
        complain(l, DIAG_ERROR, field(n, "name"), YPATH_KEY(path, "name"), "'%s' is defined twice",
                 name->data);
    else
        object_set(names, name, value_int((int64_t)index));
}

/* ---- templates and files */

/* Entries of templates[] or files[]; returns how many. An entry without a name is left out (it has been
 * reported). */
static size_t named_texts_load(load_t *l, const char *section, const keyset_t *keys, const char *text_key,
                               named_text_t **out, value_t *names) {
    const ynode_t *list = field(l->root, section);
    const ypath_t *path = YPATH_KEY(NULL, section);
    size_t count = list_length(list), used = 0;
    named_text_t *texts = xcalloc(count ? count : 1, sizeof *texts);
    for (size_t i = 0; i < count; i++) {
        const ynode_t *n = list->items[i];
        if (!keys_check(l, n, YPATH_AT(path, i), keys)) continue;
        named_text_t t = {.name = field_text(n, "name"), .text = field_text(n, text_key)};
        if (!t.text) t.text = str_new("", 0);
        if (!t.name) {
            str_free(t.text);
            continue;
        }
        check_name(l, names, n, YPATH_AT(path, i), t.name, used);
        texts[used++] = t;
    }
    *out = texts;
    return used;
}

/* ---- circles of templates */

typedef struct nesting {
    load_t *l;
    value_t names;   /* object: template name -> index */
    uint8_t *height; /* levels below and with it; 0: not known yet */
    bool *open;      /* the template is one of those being walked */
    bool failed;
} nesting_t;

/* What on_mention knows of the template whose placeholders it is called for. */
typedef struct mention {
    nesting_t *nesting;
    size_t height; /* of the highest template mentioned */
    size_t depth;
} mention_t;

static size_t template_height(nesting_t *s, size_t index, size_t depth);

static void on_mention(void *arg, const char *name, size_t len) {
    mention_t *m = arg;
    nesting_t *s = m->nesting;
    const pipeline_t *p = s->l->p;
    bool found, shadowed;
    value_t index = object_get_peek(s->names, name, len, &found);
    if (!found || s->failed) return;
    object_get_peek(p->vars, name, len, &shadowed);
    if (!shadowed) object_get_peek(p->consts, name, len, &shadowed);
    if (shadowed) return;
    size_t height = template_height(s, (size_t)index.integer, m->depth + 1);
    if (height > m->height) m->height = height;
}

/* Levels of a template with those it mentions, each worked out once; 0 after an error. */
static size_t template_height(nesting_t *s, size_t index, size_t depth) {
    const named_text_t *t = &s->l->p->assets.templates[index];
    const ypath_t *path = YPATH_AT(YPATH_KEY(NULL, "templates"), index);
    const ynode_t *at = field(s->l->root, "templates")->items[index];
    if (s->height[index]) return s->height[index];
    if (s->open[index]) {
        complain(s->l, DIAG_ERROR, at, path, "the template '%s' mentions itself, directly or through others",
                 t->name->data);
        s->failed = true;
    } else if (depth > TEMPLATE_DEPTH_MAX) {
        complain(s->l, DIAG_ERROR, at, path, "templates nest more than %d levels deep", TEMPLATE_DEPTH_MAX);
        s->failed = true;
    }
    if (s->failed) return 0;
    mention_t m = {.nesting = s, .depth = depth};
    s->open[index] = true;
    template_each_name(t->tpl, on_mention, &m);
    s->open[index] = false;
    s->height[index] = (uint8_t)(m.height + 1);
    return s->height[index];
}

/* Circles are looked for only when no entry was left out: then the indexes of nodes and templates agree. */
static void templates_load(load_t *l) {
    pipeline_t *p = l->p;
    nesting_t s = {.l = l, .names = value_object(0)};
    size_t before = l->diags->errors;
    p->assets.template_count =
        named_texts_load(l, "templates", &TEMPLATE_KEYS, "text", &p->assets.templates, &s.names);
    for (size_t i = 0; i < p->assets.template_count; i++)
        p->assets.templates[i].tpl =
            template_compile(p->assets.templates[i].text->data, p->assets.templates[i].text->len);
    s.height = xcalloc(p->assets.template_count + 1, sizeof *s.height);
    s.open = xcalloc(p->assets.template_count + 1, sizeof *s.open);
    bool whole = l->diags->errors == before;
    for (size_t i = 0; whole && i < p->assets.template_count && !s.failed; i++) {
        size_t height = template_height(&s, i, 1);
        if (height > TEMPLATE_DEPTH_MAX && !s.failed) {
            complain(l, DIAG_ERROR, field(l->root, "templates")->items[i],
                     YPATH_AT(YPATH_KEY(NULL, "templates"), i), "templates nest more than %d levels deep",
                     TEMPLATE_DEPTH_MAX);
            s.failed = true;
        }
    }
    free(s.height);
    free(s.open);
    value_free(s.names);
}

/* ---- images */

/* An image has one source; of several, base64 wins over url, and url over path. A missing file is a warning.
 */
static void image_check(load_t *l, const ynode_t *n, const ypath_t *path, image_source_t *image) {
    int sources = (image->path != NULL) + (image->url != NULL) + (image->base64 != NULL);
    if (sources == 0) complain(l, DIAG_ERROR, n, path, "an image needs one of 'path', 'url' and 'base64'");
    if (sources > 1) {
        complain(l, DIAG_WARNING, n, path, "an image has one of 'path', 'url' and 'base64': %s is used",
                 image->base64 ? "base64" : "url");
        str_free(image->path);
        image->path = NULL;
        if (image->base64) str_free(image->url);
        if (image->base64) image->url = NULL;
    }
    if (!image->path || !l->source->use_env) return;
    char *file = pipeline_resolve(l->p, image->path->data);
    if (!file)
        complain(l, DIAG_WARNING, field(n, "path"), YPATH_KEY(path, "path"),
                 "no file '%s', neither from the working directory nor from the folder of this file",
                 image->path->data);
    free(file);
}

/* Entries of images[]; two of one name are an error. */
static void images_load(load_t *l) {
    pipeline_t *p = l->p;
    const ynode_t *list = field(l->root, "images");
    const ypath_t *path = YPATH_KEY(NULL, "images");
    size_t count = list_length(list);
    value_t names = value_object(count);
    p->images = xcalloc(count ? count : 1, sizeof *p->images);
    for (size_t i = 0; i < count; i++) {
        const ynode_t *n = list->items[i];
        if (!keys_check(l, n, YPATH_AT(path, i), &IMAGE_KEYS) || !field(n, "name")) continue;
        image_source_t *image = &p->images[p->image_count++];
        *image = (image_source_t){.name = field_text(n, "name"),
                                  .path = field_text(n, "path"),
                                  .url = field_text(n, "url"),
                                  .base64 = field_text(n, "base64"),
                                  .media_type = field_text(n, "media_type")};
        if (!image->name) image->name = str_new("", 0);
        check_name(l, &names, n, YPATH_AT(path, i), image->name, i);
        image_check(l, n, YPATH_AT(path, i), image);
    }
    value_free(names);
}

void assets_load(load_t *l) {
    value_t names = value_object(0);
    templates_load(l);
    l->p->assets.file_count =
        named_texts_load(l, "files", &FILE_KEYS, "content", &l->p->assets.files, &names);
    value_free(names);
    images_load(l);
}

static void named_texts_free(named_text_t *texts, size_t count) {
    for (size_t i = 0; i < count; i++) {
        str_free(texts[i].name);
        str_free(texts[i].text);
        template_destroy(&texts[i].tpl);
    }
    free(texts);
}

void assets_free(pipeline_t *p) {
    named_texts_free(p->assets.templates, p->assets.template_count);
    named_texts_free(p->assets.files, p->assets.file_count);
    for (size_t i = 0; i < p->image_count; i++) {
        str_free(p->images[i].name);
        str_free(p->images[i].path);
        str_free(p->images[i].url);
        str_free(p->images[i].base64);
        str_free(p->images[i].media_type);
    }
    free(p->images);
}
