/* limits.h - what bounds core/sched: each limit with its reason, and what "full" does. */
#ifndef SDG_SCHED_LIMITS_H
#define SDG_SCHED_LIMITS_H

#include <stddef.h>
#include <stdint.h>

/* workers a row may take down with it before it fails */
#define LEASE_ATTEMPTS_MAX 3

/* a lease number: which registration of the worker above, count below */
#define LEASE_ERA_SHIFT 32

/* rows in one lease: a message stays small */
#define LEASE_ROWS_MAX 1024

/* raw bytes of the rows in one lease; a larger row goes alone */
#define LEASE_BYTES_MAX ((size_t)4 << 20)

/* lease numbers taken as seen in one message; the rest follows with the next beat */
#define LEASES_VOID_MAX 65536

/* work a worker holds beyond its share: 50 ms of it hides the round trip */
#define LEASE_AHEAD_NS (50 * UINT64_C(1000000))

/* a client that seems to be out of step is told its credit again at most so often */
#define CREDIT_CORRECTION_NS (100 * UINT64_C(1000000))

/* the rate at which a worker finishes rows is smoothed over about so long: shorter than its changes matter */
#define RATE_SMOOTH_NS (200 * UINT64_C(1000000))

/* that rate is taken anew at most so often: a shorter time holds too few rows */
#define RATE_STEP_NS (5 * UINT64_C(1000000))

/* rows of a job's turn at a worker, for each unit of its priority: 40 by default are worth a message, and
 * the next job waits for a moment only */
#define LEASE_TURN_ROWS 4

/* rows in one RESULTS or ROW_RESULTS message */
#define RESULT_BATCH_ROWS_MAX 1024

/* unacknowledged results are sent again after this, then after twice as long each time */
#define RESEND_NS (2 * UINT64_C(1000000000))

/* the longest wait before results are sent again: a peer that comes back gets them within it */
#define RESEND_NS_MAX (30 * UINT64_C(1000000000))

/* a worker sends at once when it has gathered so many finished rows */
#define RESULT_GATHER_ROWS 128

/* a worker sends what it has gathered so long after its last batch: each batch wakes three actors */
#define RESULT_GATHER_NS (4 * UINT64_C(1000000))

/* a chunk (or the end of the rows) that the scheduler does not have so long after it was sent was lost */
#define CHUNK_RESEND_NS UINT64_C(1000000000)

/* permits are absolute and not acknowledged: a lost one is healed by the next */
#define PERMITS_REPEAT_NS (5 * UINT64_C(1000000000))

/* what a job may ask for of anything that is counted (rows, bytes, units): sums of such numbers stay far
 * below 64 bits; more is cut to it */
#define JOB_NUMBER_MAX (UINT64_C(1) << 48)

/* endpoints of one job: models of a pipeline; more is refused */
#define JOB_ENDPOINTS_MAX 256

/* calls in flight a worker may have to an endpoint that nobody has limited: the units of jobs bound them */
#define ENDPOINT_CALLS_MAX UINT32_MAX

/* all rows of a job that wait with a refusal have to do so for so long: results on their way arrive meanwhile
 */
#define ENDPOINT_STUCK_NS (500 * UINT64_C(1000000))

/* rows that wait with a refusal while nothing is asked: workers have no room to begin others, or these
   compute for long */
#define ENDPOINT_QUIET_NS (10 * UINT64_C(1000000000))

/* refusals in a row without a good answer after which nobody hopes any more (one row that is wrong gives one)
 */
#define ENDPOINT_REFUSALS_MAX 16

/* an endpoint that answered a worker so short a time ago, and has refused it nothing since, is well */
#define ENDPOINT_ANSWERS_MS 5000

/* workers that take turns at an endpoint (its limit is smaller than their number) have it so long */
#define ENDPOINT_TURN_NS UINT64_C(1000000000)

/* a job all workers refuse waits so long for a better one to come back */
#define REFUSED_GRACE_NS (10 * UINT64_C(1000000000))

/* the end of a job is repeated so long, then the job is forgotten */
#define JOB_DONE_NS_MAX (60 * UINT64_C(1000000000))

/* one beat a second */
#define BEAT_NS UINT64_C(1000000000)

/* silence of a client of another process (a slow disk) before its job is dropped, whatever it claims */
#define CLIENT_PATIENCE_MS 60000

/* silence of a worker of another process before it is taken for dead, whatever it claims: three times what a
 * worker of a fleet asks for, so that a busy machine is not taken for a process that stands still */
#define WORKER_PATIENCE_MAX_MS 15000

/* a peer whose connection is gone has so long to come back on another: one that lives tries again after 100
 * ms, speaks within the second of a beat, and then has to hear that nobody knows it there */
#define RECONNECT_NS (2 * UINT64_C(1000000000))

/* beats a worker may miss before it is taken for dead */
#define BEATS_MISSED_MAX 5

/* jobs open in one scheduler */
#define JOBS_MAX 256

/* workers of one scheduler: a fleet of some hundred machines; further ones are refused */
#define WORKERS_MAX 4096

/* --priority: weight of a job when several take turns */
#define JOB_PRIORITY_DEFAULT 10

/* above it others would starve; refused */
#define JOB_PRIORITY_MAX 100

#endif
