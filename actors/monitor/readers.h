/* readers.h - who goes on asking for /stats.json (a dashboard, `sdg top`), each by a number of its own, and
 * who of them has been told that the run has ended. Pure. */
#ifndef SDG_ACTORS_MONITOR_READERS_H
#define SDG_ACTORS_MONITOR_READERS_H

#include <stdbool.h>
#include <stdint.h>

#include "actors/monitor/limits.h"

typedef struct reader_page {
    uint64_t page;     /* its number; 0: this place is free */
    uint64_t asked_ns; /* last */
    bool told_end;     /* an answer that says that the run has ended was sent */
} reader_page_t;

typedef struct readers { /* all zero: nobody has asked */
    reader_page_t pages[METRICS_PAGES_MAX];
} readers_t;

/* The page asks now. Its place: that which it has, a free one, or that of the page that was silent for the
 * longest time. NULL for number 0. It stays valid, but may become another page's. */
reader_page_t *readers_take(readers_t *readers, uint64_t page, uint64_t now_ns);
/* Has anybody asked within METRICS_PAGE_OPEN_NS who has not been told the end? */
bool readers_are_open(const readers_t *readers, uint64_t now_ns);

#endif
