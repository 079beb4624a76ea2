/* descriptors.h - how many descriptors this process may have (RLIMIT_NOFILE), how many its parts take, and
 * how many requests at a time that leaves room for.
 *
 * libzmq and czmq end the process when there is no descriptor for a socket, so it is counted before they are
 * asked for anything. What the parts take is measured (limits.h); tests/actors/test_shortage.py fails when a
 * part takes more. */
#ifndef SDG_ACTORS_RUNTIME_DESCRIPTORS_H
#define SDG_ACTORS_RUNTIME_DESCRIPTORS_H

#include <stdbool.h>
#include <stdint.h>

/* What a process is going to have. */
typedef struct descriptors_use {
    bool started;          /* runtime_init has been called already, and it listens for --metrics-listen */
    bool run;              /* client, monitor, store and their files: `sdg run` and `sdg submit` */
    bool scheduler;        /* one of its own */
    bool metrics;          /* --metrics-listen */
    unsigned workers;      /* threads */
    unsigned peers;        /* connections to other processes */
    unsigned python_hosts; /* of all its workers; 0: no Python */
} descriptors_use_t;

/* How many this takes, libzmq's own included, beside what is open already. */
uint64_t descriptors_needed(const descriptors_use_t *use);

/* Raises the soft limit to the hard one. */
void descriptors_raise(void);
/* `ulimit -n` as it is now. */
uint64_t descriptors_allowed(void);
/* How many can still be opened, at least; of a large number not all are counted. */
uint64_t descriptors_free(void);
/* Requests at a time when `left` descriptors are free before the parts are made: at least 1. */
uint32_t descriptors_requests(const descriptors_use_t *use, uint64_t left);

/* Is there room for the parts and for one request? If not, a sentence on stderr says what to do. */
bool descriptors_suffice(const char *who, const descriptors_use_t *use);

#endif
