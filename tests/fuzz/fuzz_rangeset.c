/* fuzz_rangeset - any numbers added to a set of rows, against a set that is an array of bits: the two agree
 * on what is in, what comes next and how many there are. */
#include "tests/fuzz/input.h"

#include "core/base/rangeset.h"

enum { ROWS = 256 };

static void check(const rangeset_t *set, const bool *has, uint64_t base, uint64_t from) {
    uint64_t next, absent = from, present = from;
    while (absent < ROWS && has[absent])
        absent++;
    while (present < ROWS && !has[present])
        present++;
    CHECK(rangeset_has(set, base + from) == has[from], "row %llu", (unsigned long long)from);
    CHECK(rangeset_first_absent(set, base + from) == base + absent, "absent from %llu",
          (unsigned long long)from);
    bool some = rangeset_next(set, base + from, &next);
    CHECK(some == (present < ROWS), "next from %llu", (unsigned long long)from);
    CHECK(!some || next == base + present, "next from %llu", (unsigned long long)from);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
    fuzz_input_t in = {bytes, len};
    rangeset_t *set = rangeset_new();
    bool has[ROWS] = {0};
    uint64_t count = 0, base = fuzz_byte(&in) & 1 ? UINT64_MAX - ROWS : 0;
    while (fuzz_more(&in)) {
        uint8_t row = fuzz_byte(&in);
        CHECK(rangeset_add(set, base + row) == !has[row], "adding %u", row);
        count += !has[row];
        has[row] = true;
        check(set, has, base, fuzz_byte(&in));
        CHECK(rangeset_count(set) == count && rangeset_runs(set) <= count, "%llu rows",
              (unsigned long long)count);
    }
    rangeset_destroy(&set);
    return 0;
}
