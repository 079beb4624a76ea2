/* limits.h - what bounds actors/doctor: each limit with its reason, and what "full" does. */
#ifndef SDG_ACTORS_DOCTOR_LIMITS_H
#define SDG_ACTORS_DOCTOR_LIMITS_H

#include <stddef.h>
#include <stdint.h>

/* of a server to the question for its models: a healthy one needs milliseconds */
#define DOCTOR_ANSWER_MS 5000

/* addresses asked; of more replicas the rest is left out */
#define DOCTOR_PLACES_MAX 64

/* all findings: DIAG_MAX problems of a pipeline and some lines for each place */
#define DOCTOR_JSON_BYTES_MAX ((size_t)16 << 20)

/* for a Python to say its version */
#define DOCTOR_PROGRAM_NS (5 * UINT64_C(1000000000))

/* for the first row to come to its first LLM call */
#define DOCTOR_ROW_NS (5 * UINT64_C(1000000000))

/* one answer in the output: about 500 tokens */
#define DOCTOR_ANSWER_BYTES 2000

/* a disk with less is full */
#define DOCTOR_ROOM_BYTES_MIN ((uint64_t)64 << 20)

/* beside one per request: files, sockets between actors, Python */
#define DOCTOR_DESCRIPTORS_SPARE 128

/* larger wishes count as this: no machine has it, and estimates stay numbers */
#define DOCTOR_CONCURRENCY_MAX 10000000

/* a process of ours without rows */
#define DOCTOR_PROGRAM_BYTES ((uint64_t)32 << 20)

/* a request in flight: curl's handle and buffers, the row, the answer */
#define DOCTOR_CALL_BYTES ((uint64_t)64 << 10)

/* a Python process with a few modules */
#define DOCTOR_PYTHON_BYTES ((uint64_t)32 << 20)

#endif
