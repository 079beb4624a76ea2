/* Who goes on asking for /stats.json. */
#include "actors/monitor/readers.h"

#include <criterion/criterion.h>

static const uint64_t S = 1000000000;

Test(readers, a_page_is_open_until_it_is_told_or_silent) {
    readers_t readers = {0};
    cr_expect_null(readers_take(&readers, 0, S));
    cr_expect(!readers_are_open(&readers, S));
    reader_page_t *page = readers_take(&readers, 7, 10 * S);
    cr_expect(readers_are_open(&readers, 11 * S));
    cr_expect(!readers_are_open(&readers, 10 * S + METRICS_PAGE_OPEN_NS));
    cr_expect_eq(readers_take(&readers, 7, 20 * S), page);
    page->told_end = true;
    cr_expect(!readers_are_open(&readers, 20 * S));
}

Test(readers, the_page_that_was_silent_longest_makes_room) {
    readers_t readers = {0};
    for (uint64_t i = 0; i < METRICS_PAGES_MAX; i++)
        readers_take(&readers, i + 1, (i + 10) * S);
    reader_page_t *second = readers_take(&readers, 2, 100 * S);
    reader_page_t *taken = readers_take(&readers, 99, 101 * S);
    cr_expect_eq(taken, &readers.pages[0]);
    cr_expect_eq(taken->page, 99);
    cr_expect_eq(readers_take(&readers, 2, 102 * S), second);
}
