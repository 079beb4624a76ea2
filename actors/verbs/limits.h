/* limits.h - what bounds actors/verbs: each limit with its reason, and what "full" does. */
#ifndef SDG_ACTORS_VERBS_LIMITS_H
#define SDG_ACTORS_VERBS_LIMITS_H

#include <stddef.h>
#include <stdint.h>

/* records of the input that are measured at most to choose the window */
#define WINDOW_SAMPLE_ROWS 100

/* bytes of the input that are read at most to choose the window: milliseconds at the start */
#define WINDOW_SAMPLE_BYTES ((size_t)4 << 20)

/* rows of the input that `sdg test-run --random-input` chooses from, as documented */
#define RANDOM_ROWS_MAX 100

/* --max-cache-size, as documented */
#define CONTEXTS_CACHED_DEFAULT 500

/* --target-latency-ms, as documented */
#define TARGET_LATENCY_MS_DEFAULT 3000

/* --gc-interval, as documented */
#define GC_INTERVAL_DEFAULT 100

/* below it not even one batch of results fits everywhere; refused */
#define MEMORY_LIMIT_MIN ((uint64_t)16 << 20)

/* values of one flag of a fixed set: for the nearest one when a word is none of them */
#define FLAG_CHOICES_MAX 16

/* a service file (--config): a hundred times what all keys with comments take; larger is refused */
#define SERVICE_FILE_BYTES_MAX ((size_t)64 << 10)

/* keys of the service file, its sections included; one more row with a key would stop every program at once
 */
#define SERVICE_KEYS_MAX 48

/* name of a section of the service file, with its end */
#define SERVICE_NAME_BYTES_MAX 24

/* one line of libcyaml's log that is looked at; longer is cut */
#define SERVICE_COMPLAINT_BYTES_MAX 256

/* --drain-timeout of a run, unless given: an LLM call takes seconds, a slow one a minute, and what is not
 * finished then is asked again */
#define RUN_DRAIN_SECONDS 120

/* --drain-timeout of a worker, unless given: its rows go to others, and a supervisor waits no longer */
#define WORKER_DRAIN_SECONDS 30

/* --drain-timeout: eleven days; its milliseconds still fit into 32 bits */
#define DRAIN_SECONDS_MAX 1000000

/* ms; `sdg status` waits so long for each word of the scheduler */
#define STATUS_WAIT_MS 5000

/* ms; `sdg status` ends at most so much later for its BYE to leave */
#define STATUS_LINGER_MS 200

/* a page made from the table of flags: ten times what the largest, a completion, takes */
#define PAGE_BYTES_MAX ((size_t)1 << 20)

/* seconds of a time that a flag takes: some 30 years, and milliseconds of it fit anywhere */
#define DURATION_S_MAX 1e9

/* what stands between braces may be the name of a column up to so many bytes; longer texts are prose */
#define BRACES_BYTES_MAX 200

/* the path of a place in a pipeline, for messages; a longer one is cut */
#define MENTION_PATH_BYTES_MAX 4096
/* bytes of the command line that the summary of a run repeats; of a longer one it says nothing */
#define COMMAND_LINE_BYTES_MAX 4096

/* s; --metrics-linger: longer than a day nobody looks at the end of a run */
#define METRICS_LINGER_S_MAX 86400

/* endpoints that `sdg top` shows, those with a trouble first: a view fits on a screen */
#define TOP_ENDPOINTS_MAX 8

/* peers of `sdg serve` for which there must be descriptors: fewer are no fleet */
#define SERVE_PEERS_MIN 4

#endif
