/* row_images.c - images of a message: which picture a name means, and its URL.
 *
 * A column {"_type": "image", ...} of the row wins over the `images` section. A file is read when the message
 * is built and becomes a data: URI. What the pipeline names, its author has chosen: pipeline_resolve finds
 * it, and its extension says what it is. What a row names, a stranger may have chosen: it has to lie below
 * the folders that were allowed (row_files_t) and to be a picture by its bytes. In a fleet the pipeline is a
 * stranger's, too.
 */
#include "core/mabel/row/row_state.h"

#include "core/base/safe_open.h"
#include "core/base/text.h"
#include "core/mabel/row/image_type.h"
#include "core/mabel/row/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* The bytes of an open image file, which is closed; *bytes is the caller's (free), on an error too. */
static int read_file(int fd, const char *path, char **bytes, size_t *len, err_t *err) {
    struct stat st;
    ssize_t n = 0;
    int rc = SDG_OK;
    *bytes = NULL;
    *len = 0;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        rc = err_set(err, SDG_EIO, "image %s is not a file", path);
    } else if ((uint64_t)st.st_size > IMAGE_FILE_BYTES_MAX) {
        rc = err_set(err, SDG_EIO, "image %s is larger than %zu MiB", path, IMAGE_FILE_BYTES_MAX >> 20);
    } else {
        *bytes = xmalloc((size_t)st.st_size + 1);
        while (*len < (size_t)st.st_size && (n = read(fd, *bytes + *len, (size_t)st.st_size - *len)) > 0)
            *len += (size_t)n;
        if (n < 0) rc = err_set(err, SDG_EIO, "image %s: %s", path, strerror(errno));
    }
    close(fd);
    return rc;
}

/* Opens what the pipeline names, wherever it is. */
static int open_of_pipeline(const pipeline_t *p, const char *path, err_t *err) {
    char *place = pipeline_resolve(p, path);
    if (!place) return err_set(err, SDG_ENOTFOUND, "image file %s does not exist", path);
    int fd = open(place, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC); /* a pipe is not waited for */
    if (fd < 0) err_set(err, SDG_EIO, "image %s: %s", path, strerror(errno));
    free(place);
    return fd >= 0 ? fd : SDG_EIO;
}

/* Why a row may not have this file, and what helps. */
static int refuse(const row_t *row, const char *path, int error, err_t *err) {
    if (row->options->files.folder_count == 0 && !row->options->files.own_pipeline)
        return err_set(
            err, SDG_EIO,
            "image %s: this worker opens no files that a row names, because it was started without "
            "--allow-files DIR; a picture can be in the row itself as base64 or url",
            path);
    if (error == ENOENT || error == ENOTDIR)
        return err_set(err, SDG_ENOTFOUND, "image file %s does not exist", path);
    if (error == EXDEV)
        return err_set(
            err, SDG_EIO,
            "image %s is outside of the folders that rows may name files in (%s): move it there, or "
            "allow its folder with --allow-files DIR",
            path,
            row->options->files.own_pipeline ? "those of the pipeline and of the input"
                                             : "--allow-files of this worker");
    if (error == EMEDIUMTYPE) return err_set(err, SDG_EIO, "image %s is not a file", path);
    return err_set(err, SDG_EIO, "image %s: %s", path, strerror(error));
}

/* Opens what a row names: from the working directory, then from the folder of the pipeline and from those
 * that are allowed. Where none may be opened, none is looked for. */
static int open_of_row(const row_t *row, const char *path, err_t *err) {
    const row_files_t *files = &row->options->files;
    size_t tries = path[0] == '/' ? 1 : files->folder_count + 2;
    int fd = -1, error = files->folder_count > 0 ? ENOENT : EXDEV;
    for (size_t i = 0; fd < 0 && files->folder_count > 0 && i < tries; i++) {
        const char *folder = i == 1 ? row->pipeline->base_dir : i > 1 ? files->folders[i - 2] : NULL;
        char *place = folder ? xasprintf("%s/%s", folder, path) : xstrdup(path);
        fd = safe_open_below(place, files->folders, files->folder_count);
        if (fd < 0 && errno != ENOENT) error = errno;
        free(place);
    }
    return fd >= 0 ? fd : refuse(row, path, error, err);
}

/* The media type of what a row names; NULL: an error. */
static const char *check_type(const char *path, const char *bytes, size_t len, const char *said, err_t *err) {
    const char *type = image_type_of(bytes, len);
    if (!type) {
        err_set(
            err, SDG_EIO,
            "image %s holds no picture (png, jpeg, gif, webp, bmp, tiff, avif or heic): a row may name no "
            "other file",
            path);
        return NULL;
    }
    if (!said || image_type_same(said, type)) return type;
    err_set(err, SDG_EIO, "image %s is %s, but its media_type says %.100s: correct it, or leave it out", path,
            type, said);
    return NULL;
}

/* Where a picture is; one of path, url, base64. All borrowed, NULL when absent. */
typedef struct picture {
    const char *path, *url, *base64, *media_type;
    bool of_row; /* false: an entry of `images` */
} picture_t;

/* The media type and the bytes of an image file; *bytes is the caller's (free). NULL: an error. */
static const char *load_file(row_t *row, const picture_t *p, char **bytes, size_t *len) {
    bool trusted = !p->of_row && row->options->files.own_pipeline;
    const char *type = p->media_type ? p->media_type : media_type_of(p->path);
    if (trusted && !type) {
        err_set(&row->err, SDG_EIO, "image %s: its name must end in png, jpg, jpeg, gif, webp or bmp",
                p->path);
        return NULL;
    }
    int fd =
        trusted ? open_of_pipeline(row->pipeline, p->path, &row->err) : open_of_row(row, p->path, &row->err);
    if (fd < 0 || read_file(fd, p->path, bytes, len, &row->err) != SDG_OK) return NULL;
    return trusted ? type : check_type(p->path, *bytes, *len, p->media_type, &row->err);
}

/* Adds an image file as a data: URI. */
static int add_file(row_t *row, message_parts_t *parts, const picture_t *p, const char *detail) {
    char *bytes = NULL;
    size_t len = 0;
    const char *type = load_file(row, p, &bytes, &len);
    if (type) {
        buf_t url;
        buf_init(&url, ROW_BODY_BYTES_MAX);
        buf_addf(&url, "data:%s;base64,", type);
        base64_write(&url, bytes, len);
        message_parts_add_url(parts, url.data, url.len, detail);
        buf_free(&url);
    }
    free(bytes);
    return type ? SDG_OK : row->err.code;
}

/* ---- one image */

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
                     text_of_key(*v, "media_type"), true};
    return true;
}

static const char *chars(const str_t *s) { return s && s->len ? s->data : NULL; }

static bool from_section(const row_t *row, str_t *name, picture_t *p) {
    for (size_t i = 0; i < row->pipeline->image_count; i++) {
        const image_source_t *s = &row->pipeline->images[i];
        if (!str_equal(s->name, name)) continue;
        *p = (picture_t){chars(s->path), chars(s->url), chars(s->base64), chars(s->media_type), false};
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
    if (p.path) return add_file(row, parts, &p, detail);
    if (p.url)
        message_parts_add_url(parts, p.url, strlen(p.url), detail);
    else if (p.base64)
        add_base64(parts, &p, detail);
    else
        return err_set(&row->err, SDG_EIO, "image %s has no path, url or base64", name->data);
    return SDG_OK;
}
