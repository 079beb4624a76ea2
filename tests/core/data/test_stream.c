/* Streams: plain, gzip, zstd; whole, in pieces, torn at every byte, damaged. */
#include "tests/core/data/scratch.h"

#include "core/data/files.h"
#include "core/data/limits.h"
#include "core/data/stream.h"

TestSuite(stream, .init = scratch_begin, .fini = scratch_end);

/* Reads all of it, `room` bytes at most per call. Returns the last answer: 0 or a negative code. */
static int read_all(stream_t *s, size_t room, buf_t *out, err_t *err) {
    buf_init(out, (size_t)1 << 30);
    ssize_t n;
    char *to = xmalloc(room);
    while ((n = stream_read(s, to, room, err)) > 0)
        buf_add(out, to, (size_t)n);
    free(to);
    return (int)n;
}

static void expect_text(const char *path, size_t room, const char *text, size_t len) {
    err_t err = {0};
    buf_t got;
    stream_t *s = stream_open(path, &err);
    cr_assert(s, "%s", err.text);
    cr_assert_eq(read_all(s, room, &got, &err), 0, "%s", err.text);
    cr_assert_eq(got.len, len);
    if (len) cr_assert(memcmp(got.data, text, len) == 0);
    buf_free(&got);
    stream_close(&s);
    cr_assert_null(s);
}

Test(stream, reads_a_plain_file) { expect_text(scratch_text("a.txt", "one\ntwo"), 100, "one\ntwo", 7); }

Test(stream, an_empty_file_is_an_end) {
    expect_text(scratch_text("a.txt", ""), 10, "", 0);
    expect_text(scratch_text("a.gz", ""), 10, "", 0);
    expect_text(scratch_text("a.zst", ""), 10, "", 0);
}

Test(stream, says_what_cannot_be_opened) {
    err_t err = {0};
    cr_assert_null(stream_open(scratch_path("nothing"), &err));
    cr_assert_eq(err.code, SDG_ENOTFOUND);
    cr_assert_null(stream_open(scratch_folder, &err));
    cr_assert(strstr(err.text, "is a folder"), "%s", err.text);
}

typedef void add_member_t(buf_t *, const char *, size_t);

static void check_members(const char *name, add_member_t *add) {
    buf_t packed;
    buf_init(&packed, 1 << 20);
    add(&packed, "first,", 6);
    add(&packed, "", 0);
    add(&packed, "second", 6);
    const char *path = scratch_write(name, packed.data, packed.len);
    expect_text(path, 1, "first,second", 12);
    expect_text(path, 100, "first,second", 12);
    buf_free(&packed);
}

Test(stream, many_members) {
    check_members("a.gz", add_gzip);
    check_members("a.zst", add_zstd);
    check_members("known-by-its-magic-1", add_gzip);
    check_members("known-by-its-magic-2", add_zstd);
}

Test(stream, a_beginning_like_a_magic_is_text) {
    expect_text(scratch_text("a", "("), 10, "(", 1);
    expect_text(scratch_text("b", "\x28\xb5x and more"), 3, "\x28\xb5x and more", 12);
    expect_text(scratch_text("c", "\x1f"), 10, "\x1f", 1);
}

Test(stream, gzip_padding_is_allowed) {
    buf_t packed;
    buf_init(&packed, 1 << 20);
    add_gzip(&packed, "text", 4);
    buf_add(&packed, "\0\0\0\0\0", 5);
    expect_text(scratch_write("a.gz", packed.data, packed.len), 10, "text", 4);
    buf_free(&packed);
}

/* A cut at every byte: what comes out is a prefix, whole members are all there, and the end is said to be
 * torn. */
static void check_torn(const char *name, add_member_t *add) {
    buf_t packed;
    buf_init(&packed, 1 << 20);
    add(&packed, "first member\n", 13);
    size_t first = packed.len;
    add(&packed, "second member\n", 14);
    for (size_t cut = 1; cut < packed.len; cut++) {
        const char *path = scratch_write(name, packed.data, cut);
        err_t err = {0};
        buf_t got;
        stream_t *s = stream_open(path, &err);
        int rc = read_all(s, 100, &got, &err);
        cr_assert_eq(rc, cut == first ? 0 : SDG_EPARSE);
        cr_assert_eq(stream_torn(s), cut != first);
        cr_assert_eq(stream_member_end(s), cut < first ? 0 : first);
        cr_assert_eq(stream_member_text_end(s), cut < first ? 0 : 13);
        cr_assert(got.len == 0 || memcmp(got.data, "first member\nsecond member\n", got.len) == 0);
        cr_assert(cut < first || got.len >= 13);
        if (rc) cr_assert(strstr(err.text, "stops in the middle"), "%s", err.text);
        err_t again = {0};
        char more[8];
        cr_assert_eq(stream_read(s, more, sizeof more, &again), rc, "a failure repeats itself");
        buf_free(&got);
        stream_close(&s);
    }
    buf_free(&packed);
}

Test(stream, torn_gzip) { check_torn("a.gz", add_gzip); }
/* One frame with a window of 2 to the power of `log`, of which the text fills but a little. */
static void add_long_zstd(buf_t *out, int log, const char *text, size_t n) {
    ZSTD_CCtx *z = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(z, ZSTD_c_enableLongDistanceMatching, 1);
    ZSTD_CCtx_setParameter(z, ZSTD_c_windowLog, log);
    ZSTD_inBuffer in = {text, n, 0};
    ZSTD_outBuffer to = {buf_reserve(out, n + 1000), n + 1000, 0};
    ZSTD_compressStream2(z, &to, &in, ZSTD_e_flush); /* so that the size is not known at the start */
    cr_assert_eq(ZSTD_compressStream2(z, &to, &in, ZSTD_e_end), 0);
    out->len += to.pos;
    ZSTD_freeCCtx(z);
}

Test(stream, zstd_with_a_long_window) {
    for (int log = 27; log <= 30; log++) {
        buf_t packed;
        buf_init(&packed, 1 << 20);
        add_long_zstd(&packed, log, "{\"n\": 1}\n", 9);
        expect_text(scratch_write("a.zst", packed.data, packed.len), 100, "{\"n\": 1}\n", 9);
        buf_free(&packed);
    }
}

Test(stream, what_is_peeked_at_is_read_afterwards) {
    const char *path = scratch_text("a.txt", "0123456789"), *bytes;
    char got[11] = "";
    size_t n;
    stream_t *s = stream_open(path, NULL);
    cr_assert_eq(stream_peek(s, 3, &bytes, &n), 0);
    cr_assert(n >= 3 && memcmp(bytes, "012", 3) == 0);
    cr_assert_eq(stream_read(s, got, 2, NULL), 2);
    cr_assert_eq(stream_peek(s, 20, &bytes, &n), 0);
    cr_assert(n == 8 && memcmp(bytes, "23456789", 8) == 0, "fewer only at the end");
    cr_assert_eq(stream_read(s, got + 2, 9, NULL), 8);
    cr_assert_str_eq(got, "0123456789");
    cr_assert_eq(stream_read(s, got, 2, NULL), 0);
    stream_close(&s);
}

Test(stream, torn_zstd) { check_torn("a.zst", add_zstd); }

/* What follows a whole member is no member: that is damage, not a torn end, and the member is delivered. */
static void check_damaged(const char *name, add_member_t *add) {
    buf_t packed;
    buf_init(&packed, 1 << 20);
    add(&packed, "whole\n", 6);
    buf_add(&packed, "this is no member", 17);
    err_t err = {0};
    buf_t got;
    stream_t *s = stream_open(scratch_write(name, packed.data, packed.len), &err);
    cr_assert_eq(read_all(s, 100, &got, &err), SDG_EPARSE);
    cr_assert(strstr(err.text, "damaged"), "%s", err.text);
    cr_assert_not(stream_torn(s));
    cr_assert_eq(got.len, 6, "what was read before the damage is delivered");
    buf_free(&got);
    stream_close(&s);
    buf_free(&packed);
}

Test(stream, damage_is_named_after_what_was_read) {
    check_damaged("a.gz", add_gzip);
    check_damaged("a.zst", add_zstd);
}

/* More text than any block: output that the decoder holds back when its room is full must come without new
 * input. */
static void check_large(const char *name, add_member_t *add) {
    size_t len = 3 * DATA_READ_BYTES + 12345;
    char *text = xmalloc(len);
    for (size_t i = 0; i < len; i++)
        text[i] = (char)('a' + i * i % 23);
    buf_t packed;
    buf_init(&packed, (size_t)8 << 20);
    add(&packed, text, len);
    const char *path = scratch_write(name, packed.data, packed.len);
    expect_text(path, 777, text, len);
    expect_text(path, 4 * len, text, len);
    buf_free(&packed);
    free(text);
}

Test(stream, large_members) {
    check_large("a.gz", add_gzip);
    check_large("a.zst", add_zstd);
    err_t err = {0};
    uint64_t done, total;
    stream_t *s = stream_open(scratch_path("a.gz"), &err);
    char byte;
    cr_assert_eq(stream_read(s, &byte, 1, &err), 1);
    stream_progress(s, &done, &total);
    cr_assert(done > 0 && done <= total && total > 0);
    stream_close(&s);
}

Test(stream, a_pipe_is_passed_on_piece_by_piece) {
    int ends[2];
    char got[100];
    err_t err = {0};
    cr_assert(pipe(ends) == 0);
    stream_t *s = stream_from_fd(ends[0], "pipe", STREAM_PLAIN);
    cr_assert(write(ends[1], "ab", 2) == 2);
    cr_assert_eq(stream_read(s, got, sizeof got, &err), 2);
    cr_assert(write(ends[1], "c", 1) == 1);
    cr_assert_eq(stream_read(s, got, sizeof got, &err), 1);
    close(ends[1]);
    cr_assert_eq(stream_read(s, got, sizeof got, &err), 0);
    stream_close(&s);
    close(ends[0]);
}

/* ---- files */

Test(stream, folders_are_made) {
    char path[256];
    struct stat st;
    snprintf(path, sizeof path, "%s/a/b//c/file", scratch_folder);
    cr_assert_eq(file_make_parents(path), 0);
    cr_assert_eq(file_make_parents(path), 0);
    cr_assert(stat(scratch_path("a/b/c"), &st) == 0 && S_ISDIR(st.st_mode));
    cr_assert_neq(stat(path, &st), 0);
    scratch_text("plain", "");
    snprintf(path, sizeof path, "%s/plain/x/file", scratch_folder);
    cr_assert_eq(file_make_parents(path), -1);
    cr_assert_eq(file_make_parents(""), 0);
}
