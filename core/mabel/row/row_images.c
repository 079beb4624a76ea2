/* row_images.c - images of a message: which picture a name means, and its URL.
 *
 * A column {"_type": "image", ...} of the row wins over the `images` section. A file is read when the message
 * is built and becomes a data: URI with the media type of its extension (pipeline_resolve finds it). */
#include "core/mabel/row/row_state.h"

#include "core/base/text.h"
#include "core/mabel/row/limits.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* Base64 with padding (RFC 4648). A buffer without room for all of it becomes full and gets none of it. */
void base64_write(buf_t *out, const void *bytes, size_t len) {
    static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *in = bytes;
    size_t coded = (len + 2) / 3 * 4;
    char *to = buf_reserve(out, coded);
    if (!to) {
        out->full = true;
        return;
    }
    for (size_t i = 0; i < len; i += 3, to += 4) {
        size_t left = len - i;
        uint32_t three =
            (uint32_t)in[i] << 16 | (left > 1 ? (uint32_t)in[i + 1] << 8 : 0) | (left > 2 ? in[i + 2] : 0);
        to[0] = ALPHABET[three >> 18];
        to[1] = ALPHABET[three >> 12 & 63];
        to[2] = left > 1 ? ALPHABET[three >> 6 & 63] : '=';
        to[3] = left > 2 ? ALPHABET[three & 63] : '=';
    }
    out->len += coded;
    out->data[out->len] = '\0';
}

/* ---- parts */

static bool is_blank(const char *text, size_t len) {
    text_trim(&text, &len);
    return len == 0;
}

/* Blank text between images is dropped. */
void message_parts_flush(message_parts_t *parts) {
    if (!is_blank(parts->text.data ? parts->text.data : "", parts->text.len)) {
        value_t part = value_object(2);
        object_set_text(&part, "type", value_text("text"));
        object_set_text(&part, "text", value_string(parts->text.data, parts->text.len));
        list_push(&parts->list, part);
    }
    buf_reset(&parts->text);
}

void message_parts_add_url(message_parts_t *parts, const char *url, size_t len, const char *detail) {
    value_t image = value_object(2), part = value_object(2);
    message_parts_flush(parts);
    object_set_text(&image, "url", value_string(url, len));
    object_set_text(&image, "detail", value_text(detail));
    object_set_text(&part, "type", value_text("image_url"));
    object_set_text(&part, "image_url", image);
    list_push(&parts->list, part);
}

/* ---- files */

static const struct {
    const char *extension, *media_type;
} MEDIA_TYPES[] = {
    {"png", "image/png"}, {"jpg", "image/jpeg"},  {"jpeg", "image/jpeg"},
    {"gif", "image/gif"}, {"webp", "image/webp"}, {"bmp", "image/bmp"},
};

static const char *media_type_of(const char *path) {
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < sizeof MEDIA_TYPES / sizeof MEDIA_TYPES[0]; i++)
        if (strcasecmp(dot + 1, MEDIA_TYPES[i].extension) == 0) return MEDIA_TYPES[i].media_type;
    return NULL;
}

/* The bytes of an image file; *bytes is the caller's (free), on an error too. */
static int read_file(const pipeline_t *p, const char *path, char **bytes, size_t *len, err_t *err) {
    *bytes = NULL;
    char *place = pipeline_resolve(p, path);
    if (!place) return err_set(err, SDG_ENOTFOUND, "image file %s does not exist", path);
    FILE *f = fopen(place, "rb");
    free(place);
    if (!f) return err_set(err, SDG_EIO, "image %s: %s", path, strerror(errno));
    struct stat st;
    int rc = SDG_OK;
    if (fstat(fileno(f), &st) != 0 || !S_ISREG(st.st_mode)) {
        rc = err_set(err, SDG_EIO, "image %s is not a file", path);
    } else if ((uint64_t)st.st_size > IMAGE_FILE_BYTES_MAX) {
        rc = err_set(err, SDG_EIO, "image %s is larger than %zu MiB", path, IMAGE_FILE_BYTES_MAX >> 20);
    } else {
        *bytes = xmalloc((size_t)st.st_size + 1);
        *len = fread(*bytes, 1, (size_t)st.st_size, f);
        if (ferror(f)) rc = err_set(err, SDG_EIO, "image %s: %s", path, strerror(errno));
    }
    fclose(f);
    return rc;
}

/* Adds an image file as a data: URI. */
static int add_file(row_t *row, message_parts_t *parts, const char *path, const char *media_type,
                    const char *detail) {
    char *bytes = NULL;
    size_t len = 0;
    const char *type = media_type ? media_type : media_type_of(path);
    if (!type)
        return err_set(&row->err, SDG_EIO, "image %s: its name must end in png, jpg, jpeg, gif, webp or bmp",
                       path);
    int rc = read_file(row->pipeline, path, &bytes, &len, &row->err);
    if (rc == SDG_OK) {
        buf_t url;
        buf_init(&url, ROW_BODY_BYTES_MAX);
        buf_addf(&url, "data:%s;base64,", type);
        base64_write(&url, bytes, len);
        message_parts_add_url(parts, url.data, url.len, detail);
        buf_free(&url);
    }
    free(bytes);
    return rc;
}

/* ---- one image */

/* Where a picture is; one of path, url, base64. All borrowed, NULL when absent. */
typedef struct picture {
    const char *path, *url, *base64, *media_type;
} picture_t;

static void add_base64(message_parts_t *parts, const picture_t *p, const char *detail) {
    buf_t url;
    buf_init(&url, ROW_BODY_BYTES_MAX);
    if (strncmp(p->base64, "data:", 5) != 0)
        buf_addf(&url, "data:%s;base64,", p->media_type ? p->media_type : "image/png");
    buf_adds(&url, p->base64);
    message_parts_add_url(parts, url.data, url.len, detail);
    buf_free(&url);
}

static const char *text_of_key(value_t object, const char *key) {
    value_t v = object_get_peek(object, key, strlen(key), NULL);
    return v.kind == VALUE_STRING && v.string->len ? v.string->data : NULL;
}

static bool from_row(row_t *row, str_t *name, picture_t *p) {
    dotted_t dotted;
    dotted_init(&dotted, name->data, name->len);
    const value_t *v = dotted_find(&dotted, &row->scope, scope_find);
    dotted_free(&dotted);
    const char *type = v && v->kind == VALUE_OBJECT ? text_of_key(*v, "_type") : NULL;
    if (!type || strcmp(type, "image") != 0) return false;
    *p = (picture_t){text_of_key(*v, "path"), text_of_key(*v, "url"), text_of_key(*v, "base64"),
                     text_of_key(*v, "media_type")};
    return true;
}

static const char *chars(const str_t *s) { return s && s->len ? s->data : NULL; }

static bool from_section(const row_t *row, str_t *name, picture_t *p) {
    for (size_t i = 0; i < row->pipeline->image_count; i++) {
        const image_source_t *s = &row->pipeline->images[i];
        if (!str_equal(s->name, name)) continue;
        *p = (picture_t){chars(s->path), chars(s->url), chars(s->base64), chars(s->media_type)};
        return true;
    }
    return false;
}

/* Adds the picture that the prompt names: one of the row goes before one of `images`. An error is in
 * row->err, too. */
int row_add_image(row_t *row, message_parts_t *parts, str_t *name, const char *detail) {
    picture_t p = {0};
    if (!from_row(row, name, &p) && !from_section(row, name, &p))
        return err_set(&row->err, SDG_ENOTFOUND,
                       "no image is called %s (neither a column of the row nor an entry of `images`)",
                       name->data);
    if (p.path) return add_file(row, parts, p.path, p.media_type, detail);
    if (p.url)
        message_parts_add_url(parts, p.url, strlen(p.url), detail);
    else if (p.base64)
        add_base64(parts, &p, detail);
    else
        return err_set(&row->err, SDG_EIO, "image %s has no path, url or base64", name->data);
    return SDG_OK;
}
