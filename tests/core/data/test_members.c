/* Which members of a packed file are whole. */
#include "tests/core/data/scratch.h"

#include "core/data/members.h"

TestSuite(members, .init = scratch_begin, .fini = scratch_end);

typedef void add_member_t(buf_t *, const char *, size_t);

static int check(const buf_t *packed, size_t len, stream_coding_t coding, members_t *found, err_t *err) {
    const char *path = scratch_write("a", packed->data, len);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int rc = members_check(fd, path, coding, found, err);
    close(fd);
    return rc;
}

/* Cut at every byte: torn, unless the cut is between two members. */
static void check_cuts(add_member_t *add_one, stream_coding_t coding) {
    buf_t packed;
    buf_init(&packed, 1 << 20);
    size_t end[4] = {0};
    for (int i = 1; i < 4; i++) {
        add_one(&packed, "some text, some text\n", 21);
        end[i] = packed.len;
    }
    for (size_t cut = 0; cut <= packed.len; cut++) {
        members_t found;
        err_t err = {0};
        size_t whole = cut >= end[3] ? 3 : cut >= end[2] ? 2 : cut >= end[1];
        cr_assert_eq(check(&packed, cut, coding, &found, &err), 0, "%zu: %s", cut, err.text);
        cr_assert_eq(found.whole_bytes, end[whole], "%zu", cut);
        cr_assert_eq(found.torn, cut != end[whole], "%zu", cut);
    }
    buf_free(&packed);
}

Test(members, gzip_cut_at_every_byte) { check_cuts(add_gzip, STREAM_GZIP); }
Test(members, zstd_cut_at_every_byte) { check_cuts(add_zstd, STREAM_ZSTD); }

Test(members, a_decoder_that_runs_over_the_end_is_damage) {
    buf_t packed;
    members_t found;
    err_t err = {0};
    buf_init(&packed, 1 << 20);
    add_gzip(&packed, "first\n", 6);
    size_t first = packed.len;
    add_gzip(&packed, "second\n", 7);
    size_t name_flag = first + 3;
    packed.data[name_flag] ^= 8; /* now a file name follows, up to a zero byte */
    int torn = 0, damaged = 0;
    for (int i = 0; i < 2; i++) {
        int rc = check(&packed, packed.len, STREAM_GZIP, &found, &err);
        torn += found.torn && rc == 0;
        damaged += rc == SDG_EPARSE;
        cr_assert_eq(found.whole_bytes, first);
        add_gzip(&packed, "third\n", 6);
    }
    cr_assert(torn + damaged == 2 && damaged >= 1, "%d %d", torn, damaged);
    buf_free(&packed);
}

Test(members, what_stands_behind) {
    buf_t packed;
    members_t found;
    err_t err = {0};
    buf_init(&packed, 1 << 20);
    add_gzip(&packed, "first\n", 6);
    size_t first = packed.len;
    buf_add(&packed, "\0\0\0\0", 4);
    cr_assert_eq(check(&packed, packed.len, STREAM_GZIP, &found, &err), 0, "zero bytes are padding");
    cr_assert(found.whole_bytes == first && !found.torn);
    buf_adds(&packed, "garbage");
    cr_assert_eq(check(&packed, packed.len, STREAM_GZIP, &found, &err), SDG_EPARSE);
    cr_assert_eq(found.whole_bytes, first);
    buf_reset(&packed);
    add_zstd(&packed, "first\n", 6);
    first = packed.len;
    buf_add(&packed, "\0\0\0\0\0\0\0\0", 8);
    cr_assert_eq(check(&packed, packed.len, STREAM_ZSTD, &found, &err), 0, "what a power loss leaves");
    cr_assert(found.whole_bytes == first && found.torn);
    buf_adds(&packed, "garbage");
    cr_assert_eq(check(&packed, packed.len, STREAM_ZSTD, &found, &err), SDG_EPARSE);
    cr_assert_eq(found.whole_bytes, first);
    buf_free(&packed);
}
