/* prepare.c - see prepare.h. */
#include "actors/verbs/prepare.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "actors/verbs/limits.h"
#include "core/data/reader.h"
#include "core/mabel/yaml/limits.h"

enum { READ_BYTES = 65536 };

/* A full buffer still reads one byte: only what comes after it makes the file too large. */
static int read_all(int fd, const char *path, buf_t *out, err_t *err) {
    for (;;) {
        char beyond;
        size_t left = out->max - out->len, wanted = left < READ_BYTES ? left : READ_BYTES;
        char *room = wanted ? buf_reserve(out, wanted) : &beyond;
        ssize_t n = read(fd, room, wanted ? wanted : 1);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return err_set(err, SDG_EIO, "cannot read %s: %s", path, strerror(errno));
        if (n == 0) return SDG_OK;
        if (!wanted) return err_set(err, SDG_ELIMIT, "%s is larger than %zu bytes", path, out->max);
        out->len += (size_t)n;
        out->data[out->len] = '\0';
    }
}

int prepare_read_file(const char *path, buf_t *out, err_t *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, errno == ENOENT ? SDG_ENOTFOUND : SDG_EIO, "cannot open %s: %s", path,
                       strerror(errno));
    buf_add(out, "", 0);
    int rc = read_all(fd, path, out, err);
    close(fd);
    return rc;
}

pipeline_t *prepare_pipeline_quietly(const char *path, const buf_t *bytes, prepare_how_t how, buf_t *text,
                                     size_t *errors) {
    pipeline_source_t source = {
        .path = path, .bytes = bytes->data, .len = bytes->len, .use_env = how.use_env, .accept_python = true};
    diags_t diags;
    diags_init(&diags, path, bytes->data, bytes->len);
    pipeline_t *p = pipeline_load(&source, &diags);
    if (how.strict) diags_raise(&diags);
    if (diags.errors) pipeline_destroy(&p);
    diags_write(&diags, how.hints ? DIAG_HINT : DIAG_WARNING, text);
    if (errors) *errors = diags.errors;
    diags_free(&diags);
    return p;
}

pipeline_t *prepare_pipeline(const char *path, const buf_t *bytes, prepare_how_t how) {
    buf_t text;
    buf_init(&text, 4 << 20);
    pipeline_t *p = prepare_pipeline_quietly(path, bytes, how, &text, NULL);
    if (text.len) fputs(text.data, stderr);
    buf_free(&text);
    return p;
}

static void add_file(XXH3_state_t *state, const char *path) {
    buf_t bytes;
    buf_init(&bytes, YAML_FILE_BYTES_MAX);
    if (prepare_read_file(path, &bytes, NULL) == SDG_OK && bytes.len)
        XXH3_128bits_update(state, bytes.data, bytes.len);
    buf_free(&bytes);
}

static void write_hash(XXH128_hash_t h, char out[64]) {
    snprintf(out, 64, "%016llx%016llx", (unsigned long long)h.high64, (unsigned long long)h.low64);
}

void prepare_pipeline_identity(const pipeline_t *p, const buf_t *bytes, char out[64]) {
    XXH3_state_t *state = XXH3_createState();
    XXH3_128bits_reset(state);
    XXH3_128bits_update(state, bytes->data, bytes->len);
    for (size_t i = 0; i < p->block_count; i++) {
        const block_t *b = &p->blocks[i];
        if (b->type == BLOCK_PYTHON && b->python.code_path) add_file(state, b->python.code_path);
    }
    write_hash(XXH3_128bits_digest(state), out);
    XXH3_freeState(state);
}

void prepare_options_identity(const job_options_t *options, char out[64]) {
    job_options_t relevant = *options; /* shares the mapping: not freed */
    buf_t json;
    relevant.http2 = false;
    relevant.store = (job_store_t){0};
    relevant.memory_bytes = relevant.gc_rows = 0;
    buf_init(&json, 1 << 20);
    job_options_encode(&relevant, &json);
    write_hash(XXH3_128bits(json.data, json.len), out);
    buf_free(&json);
}

char *prepare_folder_of(const char *path) {
    char absolute[PATH_MAX];
    if (!realpath(path, absolute)) return xstrdup(".");
    return xstrdup(dirname(absolute));
}

static bool has_id(const uint64_t *ids, size_t count, uint64_t id) {
    for (size_t i = 0; i < count; i++) {
        if (ids[i] == id) return true;
    }
    return false;
}

uint64_t *prepare_endpoints(const pipeline_t *p, size_t *count) {
    uint64_t *ids = xcalloc(p->model_count + 1, sizeof *ids);
    *count = 0;
    for (size_t i = 0; i < p->model_count; i++) {
        uint64_t id = p->models[i].endpoint_id;
        if (id && !has_id(ids, *count, id)) ids[(*count)++] = id;
    }
    return ids;
}

int prepare_input_identity(const char *path, const data_form_t *form, char *out, size_t out_size,
                           err_t *err) {
    struct stat st;
    if (strcmp(path, "-") == 0 || stat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return data_identity(path, out, out_size, err);
    reader_t *reader = reader_open_as(path, form, err);
    if (!reader) return err->code;
    int rc = reader_identity(reader, path, out, out_size, err);
    reader_close(&reader);
    return rc;
}

/* Reads at most WINDOW_SAMPLE_ROWS rows or WINDOW_SAMPLE_BYTES. */
uint64_t prepare_row_bytes(const char *path, const data_form_t *form) {
    struct stat st;
    row_record_t record;
    err_t err;
    uint64_t rows = 0, bytes = 0;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode)) return 0;
    reader_t *reader = reader_open_as(path, form, &err);
    while (reader && rows < WINDOW_SAMPLE_ROWS && bytes < WINDOW_SAMPLE_BYTES &&
           reader_next(reader, &record, &err) == 1) {
        rows++;
        bytes += record.bad ? 0 : record.json_len;
    }
    reader_close(&reader);
    return rows ? bytes / rows : 0;
}
