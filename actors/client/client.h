/* client.h - the durable end of a run: reads the dataset, submits it, appends results to the output file,
 * then acknowledges them.
 *
 * Alone owns: the input reader, the output file, the set of finished rows, the raw rows that are not finished
 * yet (to submit them again should the scheduler restart), the exact totals of the run. Sockets: one DEALER
 * to the scheduler, one PUSH to the monitor (optional), one DEALER to the context store (optional).
 *
 * Takes   WELCOME         answers JOB_OPEN
 *         JOB_ACCEPTED    answers RESULT_CREDIT
 *         INGEST_CREDIT   answers ROWS, at last ROWS_END
 *         RESULTS         answers RESULTS_ACK and RESULT_CREDIT when the output has them
 *         JOB_DONE        answers BYE, or JOB_OPEN of the next pass of batch mode
 *         ENDPOINT_REPORT tells the monitor
 *         REFUSED, BEAT, SYNC; from the store SYNCED
 * Sends   HELLO, JOB_OPEN, ROWS, ROWS_END, RESULT_CREDIT, RESULTS_ACK, JOB_LIMIT, JOB_STOP, BEAT, BYE,
 * SYNCED; to the monitor STATS, ENDPOINT_REPORT and SUMMARY; to the store JOB_OPENED, ROWS_FINISHED, CTX_PUT,
 * CTX_COMPLETE, SYNC and JOB_CLOSED
 *
 * Limits: unfinished rows <= window_rows and about window_bytes (a slow output or, with `ordered`, a slow row
 * stops the reading). Dies: after JOB_DONE, or when the output cannot be written (everything on disk stays; a
 * rerun continues), or on "ABORT", or when a stop has taken drain_ms, whoever is silent. What is lost: rows
 * in progress; they are done again by a rerun. */
#ifndef SDG_ACTORS_CLIENT_CLIENT_H
#define SDG_ACTORS_CLIENT_CLIENT_H

#include <czmq.h>
#include <stdint.h>

#include "actors/exit_codes.h"
#include "core/data/reader.h"
#include "core/data/writer.h"
#include "core/mabel/pipeline/pipeline.h"
#include "core/plan/stop_rules.h"
#include "proto/parts/job.h"

typedef struct client_args {
    const char *endpoint;  /* scheduler */
    const char *monitor;   /* NULL: none */
    int monitor_queue_max; /* messages in the queue to it, above which the next are dropped; 0: SOCKET_HWM */
    const char *store;     /* the context store (call journal, contexts); NULL: none */
    const char *name;
    const char *pipeline_path;   /* shown in messages */
    const char *pipeline_folder; /* where relative files of the pipeline are looked up */
    const char *pipeline_bytes;
    size_t pipeline_len;
    const job_options_t *options;
    reader_t *reader; /* taken over */
    writer_t *writer; /* taken over */
    writer_resumed_t resumed;
    uint64_t window_rows, window_bytes, chunk_rows, concurrency;
    uint64_t priority;         /* 0: the default */
    bool needs_python;         /* the pipeline has python blocks */
    const uint64_t *endpoints; /* ids of the endpoints its models call (model_t.endpoint_id), each once */
    size_t endpoint_count;
    uint64_t first_row;     /* rows below it are skipped (test-run --row) */
    uint64_t rows_max;      /* --max-inputs: rows of the input to look at from row 0; UINT64_MAX: all */
    uint64_t memory_limit;  /* --memory-limit, shown by the monitor; 0: none */
    uint64_t row_bytes_max; /* a larger row fails: it alone is too much for the memory limit; 0: none */
    const uint32_t *stops;  /* --batch-mode: numbers of blocks before which all rows stop, ascending */
    size_t stop_count;      /* 0: no batch mode */
    uint64_t batch_min, target_latency_ms; /* --batch-mode; `concurrency` is the most */
    stop_limits_t limits;                  /* when it ends by itself although rows are left */
    uint64_t drain_ms; /* how long a stop waits for rows in progress, after that they stay unwritten */
    bool ordered;
    bool fleet; /* over a network: a missing scheduler or worker is waited for, not an error */
} client_args_t;

/* zactor function; args is a client_args_t* that lives as long as the actor. Commands: "STOP" (drain),
 * "ABORT", "FAIL <reason>" (the runtime cannot go on), "LOST <exit code>" (an actor this run needs has ended
 * and has said why), "$TERM". "END <exit code>" at the end. */
void client_actor(zsock_t *pipe, void *args);

#endif
