/* stats.h - positions of the numbers in STATS and SUMMARY, made from stats.def. */
#ifndef SDG_PROTO_STATS_H
#define SDG_PROTO_STATS_H

enum {
#define CLIENT_STAT(name) CLIENT_##name,
#define SCHEDULER_STAT(name)
#define STORE_STAT(name)
#include "proto/stats.def"
#undef CLIENT_STAT
#undef SCHEDULER_STAT
#undef STORE_STAT
    CLIENT_STATS
};

enum {
#define CLIENT_STAT(name)
#define SCHEDULER_STAT(name) SCHEDULER_##name,
#define STORE_STAT(name)
#include "proto/stats.def"
#undef CLIENT_STAT
#undef SCHEDULER_STAT
#undef STORE_STAT
    SCHEDULER_STATS
};

enum {
#define CLIENT_STAT(name)
#define SCHEDULER_STAT(name)
#define STORE_STAT(name) STORE_##name,
#include "proto/stats.def"
#undef CLIENT_STAT
#undef SCHEDULER_STAT
#undef STORE_STAT
    STORE_STATS
};

#endif
