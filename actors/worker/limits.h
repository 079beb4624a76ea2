/* limits.h - what bounds actors/worker: each limit with its reason, and what "full" does. */
#ifndef SDG_ACTORS_WORKER_LIMITS_H
#define SDG_ACTORS_WORKER_LIMITS_H

#include <stddef.h>
#include <stdint.h>

/* meta of a finished row: reason, counters, ROW_LATENCIES_MAX latencies, ROW_NOTES_MAX notes */
#define USAGE_BYTES_MAX 2048

/* rows one worker holds: 4,096 calls in flight with plenty ready behind them */
#define WORKER_ROWS_MAX 16384

/* raw bytes of rows one worker holds */
#define WORKER_BYTES_MAX ((size_t)256 << 20)

/* --gc-interval: at most so often, however fast rows are */
#define HOUSEKEEPING_NS UINT64_C(1000000000)

/* what the Python of one row asks LLMs at a time: as many as an agent uses; further ones wait in order */
#define ROW_ASKS_MAX 16

/* a row that starts may take so many times its raw bytes: values, request, result */
#define MEMORY_ROW_FACTOR 4

/* a row of unknown size is taken for this part of the worker's share */
#define MEMORY_UNKNOWN_PARTS 8

/* journals of rows that are gone, kept for rows to come: as many rows as usually end in one wake-up */
#define JOURNALS_SPARE_MAX 64

/* one of them whose answers have taken more memory is not kept */
#define JOURNAL_SPARE_BYTES_MAX 4096

/* time a failed row waits until the call journal has its answers; then it is reported without: a store that
 * is there writes within a second, and one that cannot be reached must not hold the row for ever */
#define JOURNAL_HAND_IN_NS UINT64_C(5000000000)

/* the worker looks at the endpoints of its jobs at most so often: what is urgent is said within 500 ms */
#define REPORT_LOOK_NS UINT64_C(100000000)

/* a request without an answer for so long is worth a word: most answers take less */
#define REPORT_HANG_MS UINT64_C(5000)

/* a job that stops waits so long for calls behind a rate limit: who has pressed Ctrl-C waits at the keyboard
 */
#define STOP_PATIENCE_MS UINT64_C(5000)

/* ms of a drain at most: what a scheduler asks for; eleven days, as --drain-timeout has it */
#define DRAIN_MS_MAX UINT64_C(1000000000)

#endif
