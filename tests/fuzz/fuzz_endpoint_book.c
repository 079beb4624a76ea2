/* fuzz_endpoint_book - any reports of endpoints by a few workers that come and go: the sum has each endpoint
 * once and is bounded, and a worker that is called unfit is one that spoke. */
#include "tests/fuzz/input.h"

#include "core/base/clock.h"
#include "core/sched/endpoint_book.h"
#include "proto/parts/endpoint_reports.h"

enum { WORKERS = 4, SUM_MAX = 32 };

static void check_sum(const endpoint_book_t *book, uint64_t now) {
    static endpoint_report_t sum[SUM_MAX];
    size_t count = endpoint_book_sum(book, now, sum, SUM_MAX);
    CHECK(count <= SUM_MAX, "%zu endpoints", count);
    for (size_t i = 0; i < count; i++)
        for (size_t j = i + 1; j < count; j++)
            CHECK(sum[i].endpoint != sum[j].endpoint, "endpoint %llx twice",
                  (unsigned long long)sum[i].endpoint);
}

static void check_verdict(endpoint_book_t *book, fuzz_input_t *in, const bool *spoke, uint64_t now) {
    endpoint_facts_t facts = {.rows_unfinished = fuzz_byte(in) % 20, .none_come = fuzz_byte(in) & 1};
    endpoint_ruling_t ruling = {0};
    endpoint_verdict_t verdict = endpoint_book_judge(book, &facts, now, &ruling);
    CHECK(verdict <= ENDPOINT_UNFIT_WORKER, "%d", (int)verdict);
    if (verdict == ENDPOINT_UNFIT_WORKER)
        CHECK(ruling.worker < WORKERS && spoke[ruling.worker], "worker %llu",
              (unsigned long long)ruling.worker);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    fuzz_input_t in = {bytes, size};
    endpoint_book_t *book = endpoint_book_new();
    bool spoke[WORKERS] = {0};
    uint64_t now = SECOND;
    while (fuzz_more(&in)) {
        uint64_t worker = fuzz_byte(&in) % WORKERS;
        now += fuzz_byte(&in) * (SECOND / 8);
        size_t len = fuzz_number(&in, 2), count = 0;
        endpoint_report_t *reports = NULL;
        if (len > in.left) len = in.left;
        char *said = fuzz_bytes(&in, len);
        if (len == 0) {
            endpoint_book_gone(book, worker);
            spoke[worker] = false;
        } else if (endpoint_reports_decode(said, len, &reports, &count, NULL) == SDG_OK) {
            endpoint_book_take(book, worker, reports, count, now);
            spoke[worker] = true;
        }
        check_sum(book, now);
        check_verdict(book, &in, spoke, now);
        free(reports);
        free(said);
    }
    endpoint_book_destroy(&book);
    return 0;
}
