/* readers.c - see readers.h. */
#include "actors/monitor/readers.h"

#include <stddef.h>

reader_page_t *readers_take(readers_t *readers, uint64_t page, uint64_t now_ns) {
    reader_page_t *place = &readers->pages[0];
    if (page == 0) return NULL;
    for (size_t i = 0; i < METRICS_PAGES_MAX; i++) {
        if (readers->pages[i].page == page) {
            place = &readers->pages[i];
            break;
        }
        if (readers->pages[i].asked_ns < place->asked_ns) place = &readers->pages[i];
    }
    if (place->page != page) *place = (reader_page_t){.page = page};
    place->asked_ns = now_ns;
    return place;
}

bool readers_are_open(const readers_t *readers, uint64_t now_ns) {
    for (size_t i = 0; i < METRICS_PAGES_MAX; i++) {
        const reader_page_t *r = &readers->pages[i];
        if (r->page && !r->told_end && now_ns - r->asked_ns < METRICS_PAGE_OPEN_NS) return true;
    }
    return false;
}
