/* run_file.c - see run_file.h. */
#include "core/data/run_file.h"

#include "core/base/buf.h"
#include "core/base/json.h"
#include "core/base/safe_open.h"
#include "core/data/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    RUN_FILE_FORMAT = 1,
    RUN_FILE_BYTES_MAX = 1 << 20, /* a run file has some hundred bytes; a larger one is none of ours */
};

static char *run_file_path(const char *output) { return xasprintf("%s.sdg", output); }

/* Reads the whole file. 1: read, 0: there is none (or it is empty), negative: failed. */
static int read_whole(const char *path, buf_t *out, err_t *err) {
    int fd = safe_open_ordinary(path, O_RDONLY, 0);
    if (fd < 0 && errno == ENOENT) return 0;
    if (fd < 0) return err_set(err, SDG_EIO, "%s: cannot be read: %s", path, safe_open_why(errno));
    buf_init(out, RUN_FILE_BYTES_MAX);
    char block[4096];
    ssize_t n;
    while ((n = file_read(fd, block, sizeof block)) > 0 && !out->full)
        buf_add(out, block, (size_t)n);
    int error = errno;
    close(fd);
    if (n < 0) return err_set(err, SDG_EIO, "%s: cannot be read: %s", path, strerror(error));
    return out->len > 0;
}

/* Is this the text under the key? Compared as JSON writes it, which replaces bytes that are no UTF-8. */
static bool text_is(value_t object, const char *key, const char *text) {
    value_t v = object_get_peek(object, key, strlen(key), NULL);
    buf_t there, ours;
    if (v.kind != VALUE_STRING) return false;
    buf_init(&there, 8 * RUN_FILE_BYTES_MAX);
    buf_init(&ours, 8 * RUN_FILE_BYTES_MAX);
    json_write_string(&there, v.string->data, v.string->len);
    json_write_string(&ours, text ? text : "", text ? strlen(text) : 0);
    bool same = there.len == ours.len && memcmp(there.data, ours.data, ours.len) == 0;
    buf_free(&there);
    buf_free(&ours);
    return same;
}

/* Is this a run file that we understand? */
static int check_format(const char *path, value_t object, err_t *err) {
    value_t format = object.kind == VALUE_OBJECT ? object_get_peek(object, "format", 6, NULL) : value_null();
    if (format.kind != VALUE_INT || format.integer < 1)
        return err_set(err, SDG_EINVAL,
                       "%s does not say which run wrote the output: delete it to continue, or choose another "
                       "output",
                       path);
    if (format.integer > RUN_FILE_FORMAT)
        return err_set(err, SDG_EINVAL,
                       "%s was written by a newer sdg (format %lld, this one knows %d): use that version, or "
                       "--overwrite to "
                       "start anew",
                       path, (long long)format.integer, RUN_FILE_FORMAT);
    return 0;
}

/* Names what differs in the sentence: one, two or all three of pipeline, input and options. */
static void compare(const char *output, value_t object, const run_identity_t *now, run_match_t *match,
                    err_t *err) {
    const char *name[3];
    size_t n = 0;
    if (!text_is(object, "pipeline", now->pipeline)) name[n++] = "another pipeline";
    if (!text_is(object, "input", now->input)) name[n] = n == 0 ? "another input" : "input", n++;
    if (!text_is(object, "options", now->options)) name[n++] = "other options";
    *match = n == 0 ? RUN_SAME : RUN_DIFFERS;
    if (n == 0) return;
    err_set(err, SDG_EMISMATCH,
            "%s was written with %s%s%s%s%s (%s.sdg): give --overwrite to start anew, or "
            "--force-resume to continue it anyway",
            output, name[0],
            n == 3   ? ", "
            : n == 2 ? " and "
                     : "",
            n > 1 ? name[1] : "", n == 3 ? " and " : "", n == 3 ? name[2] : "", output);
}

/* A file that is no JSON is refused by check_format, as one without a format. */
int run_file_check(const char *output, const run_identity_t *now, run_match_t *match, err_t *err) {
    char *path = run_file_path(output);
    buf_t text = {0};
    value_t object = value_null();
    *match = RUN_ABSENT;
    int rc = read_whole(path, &text, err);
    if (rc > 0) {
        json_parse_text(text.data, text.len, &object, NULL);
        rc = check_format(path, object, err);
        if (rc == 0) compare(output, object, now, match, err);
    }
    value_free(object);
    buf_free(&text);
    free(path);
    return rc;
}

/* Could these bytes be a run file, or what a power loss has left of one? */
static bool looks_ours(const buf_t *text) {
    static const char BEGIN[] = "{\"format\": ";
    size_t zeros = 0;
    while (zeros < text->len && text->data[zeros] == '\0')
        zeros++;
    return zeros == text->len ||
           (text->len >= sizeof BEGIN - 1 && memcmp(text->data, BEGIN, sizeof BEGIN - 1) == 0);
}

int run_file_check_ours(const char *output, err_t *err) {
    char *path = run_file_path(output);
    buf_t text = {0};
    int rc = read_whole(path, &text, err);
    if (rc > 0)
        rc = looks_ours(&text)
                 ? 0
                 : err_set(err, SDG_EINVAL,
                           "%s lies where the record of this run would be written, and no run has "
                           "written it: move it away, or choose another output",
                           path);
    buf_free(&text);
    free(path);
    return rc;
}

static void add_field(buf_t *out, const char *key, const char *text) {
    buf_addf(out, ", \"%s\": ", key);
    json_write_string(out, text ? text : "", text ? strlen(text) : 0);
}

/* 0, or -1 with errno; the temporary file is gone in either case. */
static int replace_file(const char *path, const buf_t *text) {
    char *fresh = xasprintf("%s.new", path);
    size_t written;
    int fd = safe_open_fresh(fresh, O_WRONLY, 0666);
    int rc = fd < 0 ? -1 : file_write_all(fd, text->data, text->len, &written);
    int error = errno;
    if (fd >= 0) close(fd);
    if (rc == 0 && (rc = rename(fresh, path)) != 0) error = errno;
    if (rc != 0 && fd >= 0) unlink(fresh);
    free(fresh);
    errno = error;
    return rc;
}

/* The text is far shorter than RUN_FILE_BYTES_MAX, so the buffer is never full. */
int run_file_write(const char *output, const run_identity_t *now, err_t *err) {
    char *path = run_file_path(output);
    buf_t text;
    buf_init(&text, RUN_FILE_BYTES_MAX);
    buf_addf(&text, "{\"format\": %d", RUN_FILE_FORMAT);
    add_field(&text, "pipeline", now->pipeline);
    add_field(&text, "input", now->input);
    add_field(&text, "options", now->options);
    add_field(&text, "version", SDG_VERSION);
    buf_adds(&text, "}\n");
    int rc = replace_file(path, &text);
    if (rc != 0)
        rc = err_set(err, file_no_space(errno) ? SDG_ENOSPACE : SDG_EIO, "%s: cannot be written: %s", path,
                     strerror(errno));
    buf_free(&text);
    free(path);
    return rc;
}

void run_file_sync(const char *output) {
    char *path = run_file_path(output);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    file_sync_parent(path);
    free(path);
}
