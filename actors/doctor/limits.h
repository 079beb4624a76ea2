/* limits.h - what bounds actors/doctor: each limit with its reason, and what "full" does. */
#ifndef SDG_ACTORS_DOCTOR_LIMITS_H
#define SDG_ACTORS_DOCTOR_LIMITS_H

#include <stddef.h>
#include <stdint.h>

/* ms; a server may take so long to name its models: a healthy one needs milliseconds */
#define DOCTOR_ANSWER_MS 5000

/* addresses that are asked; further ones are left out */
#define DOCTOR_PLACES_MAX 64

/* all findings: DIAG_MAX problems of a pipeline and some lines for each place */
#define DOCTOR_JSON_BYTES_MAX ((size_t)16 << 20)

/* a Python may take so long to say its version */
#define DOCTOR_PROGRAM_NS (5 * UINT64_C(1000000000))

/* the first row may take so long to come to its first LLM call */
#define DOCTOR_ROW_NS (5 * UINT64_C(1000000000))

/* estimate of one answer in the output: about 500 tokens */
#define DOCTOR_ANSWER_BYTES 2000

/* a disk with less room counts as full */
#define DOCTOR_ROOM_BYTES_MIN ((uint64_t)64 << 20)

/* descriptors beside one for each request: files, sockets between actors, Python */
#define DOCTOR_DESCRIPTORS_SPARE 128

/* a larger --max-concurrent counts as this one: no machine can do it, and estimates stay numbers */
#define DOCTOR_CONCURRENCY_MAX 10000000

/* estimate of a process of the program without rows */
#define DOCTOR_PROGRAM_BYTES ((uint64_t)32 << 20)

/* estimate of a request in flight: curl's handle and buffers, the row, the answer */
#define DOCTOR_CALL_BYTES ((uint64_t)64 << 10)

/* estimate of a Python process with a few modules */
#define DOCTOR_PYTHON_BYTES ((uint64_t)32 << 20)

#endif
