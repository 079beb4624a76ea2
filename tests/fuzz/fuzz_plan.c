/* fuzz_plan - any numbers as what a run is asked to be: the window, the shares of memory, the settings of
 * --auto-tune and the concurrency of batch mode stay within their bounds. */
#include "tests/fuzz/input.h"

#include "core/plan/batch_size.h"
#include "core/plan/memory_split.h"
#include "core/plan/stop_rules.h"
#include "core/plan/tune.h"
#include "core/plan/window.h"

/* Mostly small, sometimes as large as can be. */
static uint64_t number(fuzz_input_t *in) { return fuzz_number(in, fuzz_byte(in) % 9); }

static void check_window(fuzz_input_t *in) {
    window_wish_t wish = {.concurrency = number(in), .row_bytes = number(in), .max_pending = number(in)};
    window_t w;
    wish.chunk_size = number(in);
    wish.memory_bytes = number(in);
    wish.scheduling = fuzz_byte(in) & 1;
    if (wish.concurrency == 0) wish.concurrency = 1;
    window_choose(&wish, &w);
    CHECK(w.rows >= 1 && w.bytes >= 1 && w.chunk_rows >= 1, "%llu rows", (unsigned long long)w.rows);
    CHECK(w.chunk_rows <= w.rows, "%llu rows of a chunk", (unsigned long long)w.chunk_rows);
    CHECK(!wish.max_pending || w.rows == wish.max_pending, "%llu rows", (unsigned long long)w.rows);
}

static void check_memory(fuzz_input_t *in) {
    uint64_t limit = number(in), workers = number(in) % 5000 + 1;
    memory_split_t s = memory_split(limit, workers);
    if (limit == 0)
        CHECK(!s.window_bytes && !s.row_bytes_max && !s.worker_bytes && !s.store_bytes, "a share of nothing");
    else
        CHECK(s.worker_bytes <= limit / 2 / workers + 1 && s.store_bytes <= limit && s.window_bytes <= limit,
              "more than %llu", (unsigned long long)limit);
}

static void check_tune(fuzz_input_t *in) {
    tune_facts_t facts = {.rows = number(in), .row_bytes = number(in), .concurrency = number(in)};
    tune_t t;
    facts.max_pending = number(in);
    if (facts.concurrency == 0) facts.concurrency = 1;
    tune_choose(&facts, &t);
    CHECK(t.size <= TUNE_UNKNOWN, "%d", (int)t.size);
    CHECK(!t.scheduling || (t.max_pending >= 1 && t.chunk >= 1 && t.chunk <= t.max_pending), "%llu of %llu",
          (unsigned long long)t.chunk, (unsigned long long)t.max_pending);
    CHECK(t.memory_optimization || t.cache == 0, "%llu contexts", (unsigned long long)t.cache);
}

static void check_batch(fuzz_input_t *in) {
    batch_size_t b;
    uint64_t min = number(in), max = number(in);
    batch_size_init(&b, min ? min : 1, max ? max : 1, number(in));
    for (int i = 0; i < 20 && fuzz_more(in); i++) {
        batch_size_add(&b, number(in), number(in), number(in));
        CHECK(b.min >= 1 && b.min <= b.current && b.current <= b.max, "%llu", (unsigned long long)b.current);
    }
}

static void check_stop(fuzz_input_t *in) {
    stop_limits_t limits = {.failures = number(in), .failure_rate = fuzz_byte(in) / 200.0 - 0.1};
    uint64_t ok = number(in), failed = number(in);
    err_t why = {0};
    bool stops = stop_for_failures(&limits, ok, failed, &why);
    CHECK(!stops || (why.text[0] && failed > 0), "stopped without a reason");
    CHECK(stops || !limits.failures || failed <= limits.failures, "%llu failed", (unsigned long long)failed);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    fuzz_input_t in = {bytes, size};
    check_window(&in);
    check_memory(&in);
    check_tune(&in);
    check_stop(&in);
    check_batch(&in);
    return 0;
}
