/* fuzz_hist - any numbers as the histogram of a STATS: what it says adds up, percentiles do not fall, it
 * comes through another message unchanged, and it can be added to others and subtracted. */
#include "tests/fuzz/input.h"

#include "core/base/hist.h"

static uint64_t bucket_sum(const hist_t *h) {
    uint64_t sum = 0;
    for (size_t i = 0; i < HIST_BUCKETS; i++)
        sum += h->bucket[i];
    return sum;
}

static void check(const hist_t *h) {
    uint64_t before = 0;
    for (int p = 0; p <= 100; p += 5) {
        uint64_t us = hist_percentile(h, p);
        CHECK(us >= before && us <= h->max_us, "p%d is %llu", p, (unsigned long long)us);
        before = us;
    }
    before = 0;
    for (uint32_t power = 4; power <= 32; power++) {
        uint64_t n = hist_count_below(h, power);
        CHECK(n >= before && n <= h->count, "%llu below 2^%u", (unsigned long long)n, power);
        before = n;
    }
}

/* A list of numbers as a message may carry it; some are small, as places of buckets are. */
static hist_t hist_of(fuzz_input_t *in) {
    uint64_t numbers[HIST_NUMBERS_MAX + 8];
    size_t count = fuzz_number(in, 2) % (sizeof numbers / sizeof *numbers);
    hist_t h;
    for (size_t i = 0; i < count; i++) {
        uint8_t width = fuzz_byte(in) % 16;
        numbers[i] = width < 8 ? fuzz_number(in, 1 + width % 2) : fuzz_number(in, width - 7);
    }
    hist_from_numbers(&h, numbers, count);
    return h;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
    fuzz_input_t in = {bytes, len};
    uint64_t numbers[HIST_NUMBERS_MAX];
    hist_t a = hist_of(&in), b = hist_of(&in), again, difference;
    CHECK(a.count == bucket_sum(&a), "%llu values, but %llu in buckets", (unsigned long long)a.count,
          (unsigned long long)bucket_sum(&a));
    check(&a);
    hist_from_numbers(&again, numbers, hist_to_numbers(&a, numbers));
    CHECK(memcmp(&a, &again, sizeof a) == 0, "another histogram came back");
    hist_t sum = b;
    hist_merge(&sum, &a);
    hist_between(&b, &a,
                 &difference); /* totals that have fallen, after a restart say: any numbers, no crash */
    hist_percentile(&sum, 50);
    hist_percentile(&difference, 99);
    return 0;
}
