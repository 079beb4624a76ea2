/* Spilling to disk: finding again, batches, a map that grows, full disks, no file left behind, bounded
 * memory. */
#include "tests/core/data/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/store/limits.h"
#include "core/store/spill.h"

TestSuite(spill, .init = scratch_begin, .fini = scratch_end);

static spill_t *spill_small(uint64_t map_bytes, uint64_t map_bytes_max) {
    return spill_new(&(spill_options_t){
        .path = scratch_path("spill"), .map_bytes = map_bytes, .map_bytes_max = map_bytes_max});
}

static void put(spill_t *s, uint64_t key, const void *bytes, size_t len) {
    err_t err = {0};
    cr_assert_eq(spill_put(s, key, bytes, len, &err), SDG_OK, "%s", err.text);
}

static void flush(spill_t *s) {
    err_t err = {0};
    cr_assert_eq(spill_flush(s, &err), SDG_OK, "%s", err.text);
}

/* What is found must be `want`; NULL: nothing must be found. */
static void expect(spill_t *s, uint64_t key, const char *want) {
    buf_t got;
    err_t err = {0};
    buf_init(&got, 1 << 20);
    int rc = spill_get(s, key, &got, &err);
    cr_assert_eq(rc, want ? SDG_OK : SDG_ENOTFOUND, "key %d: %d %s", (int)key, rc, err.text);
    if (want) cr_assert_str_eq(got.len ? got.data : "", want);
    cr_assert_eq(spill_has(s, key, NULL), rc);
    buf_free(&got);
}

static void expect_counts(const spill_t *s, uint64_t count, uint64_t bytes) {
    spill_stats_t stats;
    spill_stats(s, &stats);
    cr_assert(stats.count == count && stats.bytes == bytes, "%d values, %d bytes", (int)stats.count,
              (int)stats.bytes);
}

/* Files in the scratch folder. */
static int files_left(void) {
    int n = 0;
    DIR *folder = opendir(scratch_folder);
    while (readdir(folder))
        n++;
    closedir(folder);
    return n - 2;
}

/* The bytes that a key has in these tests. */
static const char *pattern(uint64_t key, size_t len) {
    static char bytes[1 << 17];
    for (size_t i = 0; i < len; i += 8) {
        uint64_t word = (key + 1) * UINT64_C(0x9E3779B97F4A7C15) + i;
        memcpy(bytes + i, &word, 8);
    }
    return bytes;
}

static void expect_pattern(spill_t *s, uint64_t key, size_t len) {
    buf_t got;
    buf_init(&got, 1 << 20);
    cr_assert_eq(spill_get(s, key, &got, NULL), SDG_OK, "key %d", (int)key);
    cr_assert(got.len == len && memcmp(got.data, pattern(key, len), len) == 0, "key %d", (int)key);
    buf_free(&got);
}

Test(spill, gives_back_what_was_put) {
    spill_t *s = spill_small(0, 0);
    put(s, 7, "seven", 5);
    expect(s, 7, "seven");
    expect(s, 8, NULL);
    flush(s);
    expect(s, 7, "seven");
    cr_assert_eq(spill_remove(s, 7, NULL), SDG_OK);
    expect(s, 7, NULL);
    spill_destroy(&s);
    cr_assert_null(s);
}

Test(spill, nothing_is_opened_before_the_first_put) {
    spill_t *s = spill_new(&(spill_options_t){.path = "/nowhere/at/all"});
    err_t err = {0};
    expect(s, 1, NULL);
    flush(s);
    cr_assert_eq(spill_remove(s, 1, NULL), SDG_ENOTFOUND);
    cr_assert_eq(spill_put(s, 1, "x", 1, &err), SDG_EIO);
    cr_assert(strstr(err.text, "/nowhere/at/all"), "%s", err.text);
    expect_counts(s, 0, 0);
    spill_destroy(&s);
}

Test(spill, somebodys_file_is_left_alone) {
    const char *path = scratch_text("spill", "somebody's");
    spill_t *s = spill_new(&(spill_options_t){.path = path, .named = true});
    err_t err = {0};
    cr_assert_eq(spill_put(s, 1, "x", 1, &err), SDG_EIO, "%s", err.text);
    cr_assert_str_eq(scratch_read(path, NULL), "somebody's");
    spill_destroy(&s);
    s = spill_small(0, 0);
    put(s, 1, "x", 1);
    expect(s, 1, "x");
    spill_destroy(&s);
    cr_assert_str_eq(scratch_read(path, NULL), "somebody's", "a file without a name touches no other");
}

Test(spill, a_file_system_without_nameless_files_will_do) {
    spill_t *s = spill_new(&(spill_options_t){.path = scratch_path("spill"), .named = true});
    put(s, 1, "one", 3);
    flush(s);
    expect(s, 1, "one");
    cr_assert_eq(files_left(), 0);
    spill_destroy(&s);
}

/* Somebody who looks at every moment sees no file. */
Test(spill, no_file_has_a_name_at_any_moment) {
    char events[1024];
    int probe = open(scratch_folder, O_RDWR | O_TMPFILE, 0600);
    if (probe < 0) cr_skip_test("this file system has no files without names");
    close(probe);
    int watch = inotify_init1(IN_NONBLOCK);
    cr_assert(watch >= 0 && inotify_add_watch(watch, scratch_folder, IN_CREATE | IN_DELETE) >= 0);
    spill_t *s = spill_small(0, 0);
    put(s, 1, "one", 3);
    flush(s);
    expect(s, 1, "one");
    cr_assert(read(watch, events, sizeof events) < 0 && errno == EAGAIN);
    spill_destroy(&s);
    close(watch);
}

/* Every combination of where the old value is and what comes next. */
Test(spill, counts_agree_wherever_the_old_value_is) {
    for (int flushed = 0; flushed < 16; flushed++) {
        spill_t *s = spill_small(0, 0);
        put(s, 1, "one", 3);
        if (flushed & 1) flush(s);
        put(s, 1, "longer", 6);
        expect_counts(s, 1, 6);
        if (flushed & 2) flush(s);
        cr_assert_eq(spill_remove(s, 1, NULL), SDG_OK);
        cr_assert_eq(spill_remove(s, 1, NULL), SDG_ENOTFOUND);
        expect_counts(s, 0, 0);
        if (flushed & 4) flush(s);
        expect(s, 1, NULL);
        put(s, 1, "again", 5);
        put(s, 2, "", 0);
        if (flushed & 8) flush(s);
        expect(s, 1, "again");
        expect(s, 2, "");
        expect_counts(s, 2, 5);
        spill_destroy(&s);
        cr_assert_eq(files_left(), 0);
    }
}

Test(spill, what_is_taken_back_soon_is_never_written) {
    spill_t *s = spill_small(0, 0);
    spill_stats_t stats;
    put(s, 1, "one", 3);
    spill_remove(s, 1, NULL);
    flush(s);
    spill_stats(s, &stats);
    cr_assert(stats.commits == 0 && stats.waiting == 0 && stats.waiting_bytes == 0);
    spill_destroy(&s);
}

Test(spill, a_batch_is_written_when_it_is_full) {
    spill_t *s = spill_small(0, 0);
    spill_stats_t stats;
    for (uint64_t key = 0; key < 200; key++) {
        put(s, key, pattern(key, 100000), 100000);
        spill_stats(s, &stats);
        cr_assert_leq(stats.waiting_bytes, SPILL_BATCH_BYTES);
    }
    cr_assert_geq(stats.commits, 4);
    for (uint64_t key = 0; key < 200; key++) {
        expect_pattern(s, key, 100000);
    }
    spill_destroy(&s);
}

Test(spill, many_small_ones_in_any_order) {
    enum { KEYS = 20000 };
    spill_t *s = spill_small(0, 0);
    for (uint64_t i = 0; i < KEYS; i++) {
        uint64_t key = i * 7919 % KEYS;
        put(s, key, pattern(key, key % 400 / 8 * 8), key % 400 / 8 * 8);
    }
    for (uint64_t key = 0; key < KEYS; key += 2) {
        cr_assert_eq(spill_remove(s, key, NULL), SDG_OK);
    }
    for (uint64_t key = 1; key < KEYS; key += 2) {
        expect_pattern(s, key, key % 400 / 8 * 8);
        expect(s, key - 1, NULL);
    }
    put(s, UINT64_MAX, "last", 4);
    flush(s);
    expect(s, UINT64_MAX, "last");
    spill_stats_t stats;
    spill_stats(s, &stats);
    cr_assert_eq(stats.count, KEYS / 2 + 1);
    spill_destroy(&s);
}

Test(spill, a_value_over_the_readers_limit) {
    spill_t *s = spill_small(0, 0);
    buf_t out;
    buf_init(&out, 4);
    put(s, 1, "five!", 5);
    cr_assert_eq(spill_get(s, 1, &out, NULL), SDG_ELIMIT);
    buf_free(&out);
    spill_destroy(&s);
}

Test(spill, the_map_grows) {
    spill_t *s = spill_small(1 << 20, 0);
    spill_stats_t stats;
    for (uint64_t key = 0; key < 300; key++) {
        put(s, key, pattern(key, 100000), 100000);
    }
    flush(s);
    spill_stats(s, &stats);
    cr_assert(stats.map_bytes >= 30000000 && stats.map_bytes <= 128 << 20, "%llu",
              (unsigned long long)stats.map_bytes);
    for (uint64_t key = 0; key < 300; key++) {
        expect_pattern(s, key, 100000);
    }
    spill_destroy(&s);
}

Test(spill, at_its_limit_it_refuses_and_keeps_what_it_has) {
    spill_t *s = spill_small(1 << 20, 10 << 20);
    err_t err = {0};
    uint64_t taken = 0;
    while (taken < 1000 && spill_put(s, taken, pattern(taken, 100000), 100000, &err) == SDG_OK)
        taken++;
    cr_assert_eq(err.code, SDG_ELIMIT, "%s", err.text);
    expect_counts(s, taken, taken * 100000);
    for (uint64_t key = 0; key < taken; key++) {
        expect_pattern(s, key, 100000);
    }
    for (uint64_t key = 0; key < taken / 2; key++) {
        cr_assert_eq(spill_remove(s, key, NULL), SDG_OK);
    }
    /* What is removed makes room once it is written. */
    for (int tries = 0; spill_flush(s, NULL) != SDG_OK; tries++) {
        cr_assert_lt(tries, 5);
    }
    for (uint64_t key = taken / 2; key < taken; key++) {
        expect_pattern(s, key, 100000);
    }
    put(s, 5000, "room", 4);
    flush(s);
    spill_destroy(&s);
}

/* The whole file may have this size. */
static void limit_files(rlim_t bytes) {
    struct rlimit limit = {bytes, RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
}

Test(spill, a_full_disk_loses_nothing) {
    spill_t *s = spill_small(0, 0);
    err_t err = {0};
    uint64_t taken = 0;
    limit_files((6 << 20) + 1234);
    while (taken < 10000 && spill_put(s, taken, pattern(taken, 3000), 3000, &err) == SDG_OK)
        taken++;
    cr_assert_eq(err.code, SDG_ENOSPACE, "%s", err.text);
    cr_assert(strstr(err.text, scratch_path("spill")) && strstr(err.text, "--spill-dir"), "%s", err.text);
    for (int again = 0; again < 3; again++) {
        cr_assert_eq(spill_put(s, taken, "more", 4, &err), SDG_ENOSPACE);
        cr_assert_eq(spill_flush(s, &err), SDG_ENOSPACE, "%s", err.text);
    }
    expect_counts(s, taken, taken * 3000);
    for (uint64_t key = 0; key < taken; key++) {
        expect_pattern(s, key, 3000);
    }
    limit_files(RLIM_INFINITY); /* somebody made room */
    flush(s);
    put(s, taken, "more", 4);
    flush(s);
    expect(s, taken, "more");
    expect_pattern(s, 0, 3000);
    expect_pattern(s, taken - 1, 3000);
    spill_destroy(&s);
}

Test(spill, a_full_disk_does_not_keep_anything_from_being_removed) {
    spill_t *s = spill_small(0, 0);
    uint64_t taken = 0;
    limit_files(6 << 20);
    while (taken < 10000 && spill_put(s, taken, pattern(taken, 3000), 3000, NULL) == SDG_OK)
        taken++;
    for (uint64_t key = 0; key < taken; key++) {
        cr_assert_eq(spill_remove(s, key, NULL), SDG_OK);
    }
    expect_counts(s, 0, 0);
    expect(s, 0, NULL);
    spill_clear(s);
    put(s, 1, "after", 5);
    flush(s);
    expect(s, 1, "after");
    spill_destroy(&s);
}

Test(spill, a_disk_that_is_full_at_once) {
    spill_t *s = spill_small(0, 0);
    err_t err = {0};
    limit_files(4096);
    cr_assert_eq(spill_put(s, 1, "x", 1, &err), SDG_ENOSPACE, "%s", err.text);
    cr_assert_eq(files_left(), 0);
    limit_files(RLIM_INFINITY);
    put(s, 1, "x", 1);
    expect(s, 1, "x");
    spill_destroy(&s);
}

Test(spill, clear_empties_it_and_it_goes_on) {
    spill_t *s = spill_small(0, 0);
    put(s, 1, "one", 3);
    flush(s);
    put(s, 2, "two", 3);
    spill_clear(s);
    expect_counts(s, 0, 0);
    expect(s, 1, NULL);
    expect(s, 2, NULL);
    put(s, 1, "anew", 4);
    flush(s);
    expect(s, 1, "anew");
    expect_counts(s, 1, 4);
    spill_destroy(&s);
}

Test(spill, kill_leaves_no_file) {
    int said[2];
    char c;
    cr_assert_eq(pipe(said), 0);
    pid_t child = fork();
    if (child == 0) {
        spill_t *s = spill_small(0, 0);
        if (spill_put(s, 1, "one", 3, NULL) == SDG_OK && spill_flush(s, NULL) == SDG_OK &&
            write(said[1], "x", 1) == 1)
            pause();
        _exit(1);
    }
    close(said[1]);
    cr_assert_eq(read(said[0], &c, 1), 1);
    cr_assert_eq(files_left(), 0); /* already while it lives */
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    cr_assert_eq(files_left(), 0);
    spill_t *s = spill_small(0, 0);
    put(s, 1, "the next run", 12);
    spill_destroy(&s);
}

#if defined(__SANITIZE_ADDRESS__) /* its quarantine keeps 256 MiB of freed memory */
enum { RSS_KEYS = 10000, RSS_BOUND_MIB = 350 };
#else
enum { RSS_KEYS = 100000, RSS_BOUND_MIB = 40 };
#endif

static uint64_t rss_start, rss_most;

static void watch_rss(const char *doing) {
    uint64_t now = memory_rss_bytes();
    if (now > rss_most) rss_most = now;
    cr_assert_leq(rss_most, rss_start + ((uint64_t)RSS_BOUND_MIB << 20), "%s: %d MiB", doing,
                  (int)((rss_most - rss_start) >> 20));
}

Test(spill, memory_stays_bounded_however_much_is_written_and_read) {
    enum { LEN = 3000 }; /* 300 MB */
    spill_t *s = spill_small(0, 0);
    rss_start = memory_rss_bytes();
    for (uint64_t key = 0; key < RSS_KEYS; key++) {
        put(s, key, pattern(key, LEN), LEN);
        if (key % 100 == 0) watch_rss("writing");
    }
    flush(s);
    for (uint64_t i = 0; i < RSS_KEYS + RSS_KEYS / 5; i++) { /* in order, then in none */
        expect_pattern(s, i < RSS_KEYS ? i : i * 7919 % RSS_KEYS, LEN);
        if (i % 10 == 0) watch_rss("reading");
    }
    for (uint64_t key = 0; key < RSS_KEYS; key++) {
        cr_assert_eq(spill_remove(s, key, NULL), SDG_OK);
        if (key % 10 == 0) watch_rss("removing");
    }
    flush(s);
    cr_log_info("at most %d MiB more", (int)((rss_most - rss_start) >> 20));
    spill_destroy(&s);
}

Test(spill, agrees_with_a_slow_model) {
    enum { KEYS = 40 };
    for (uint64_t seed = 0; seed < 20; seed++) {
        char model[KEYS][16] = {{0}};
        bool there[KEYS] = {false};
        uint64_t count = 0, bytes = 0;
        rng_t rng;
        rng_seed(&rng, seed, 1);
        spill_t *s = spill_small(1 << 20, 0);
        for (int step = 0; step < 3000; step++) {
            uint64_t key = (uint64_t)rng_between(&rng, 0, KEYS - 1);
            int64_t what = rng_between(&rng, 0, 99);
            if (what < 40) {
                if (there[key]) bytes -= strlen(model[key]);
                count += !there[key];
                there[key] = true;
                snprintf(model[key], sizeof model[key], "%.*s", (int)rng_between(&rng, 0, 9), "0123456789");
                bytes += strlen(model[key]);
                put(s, key, model[key], strlen(model[key]));
            } else if (what < 70) {
                cr_assert_eq(spill_remove(s, key, NULL), there[key] ? SDG_OK : SDG_ENOTFOUND);
                if (there[key]) count--, bytes -= strlen(model[key]);
                there[key] = false;
            } else if (what < 95) {
                expect(s, key, there[key] ? model[key] : NULL);
            } else {
                flush(s);
            }
            expect_counts(s, count, bytes);
        }
        spill_destroy(&s);
    }
}
