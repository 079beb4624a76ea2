/* limits.h - what bounds core/store: each limit with its reason, and what "full" does. */
#ifndef SDG_STORE_LIMITS_H
#define SDG_STORE_LIMITS_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/limits.h"

/* bytes of one answer in the journal: the largest body of a server, and its counts; a longer one is not
 * kept */
#define JOURNAL_ANSWER_BYTES_MAX (LLM_ANSWER_BYTES_MAX + 1024)

/* calls in the index, which take 128 MiB; later ones are written but not found before a rerun */
#define JOURNAL_CALLS_MAX (4u << 20)

#ifdef SDG_FUZZ
/* the fuzzer's inputs are short: small blocks cut them, and cost no page faults */
#define JOURNAL_READ_BYTES ((size_t)512)
#else
/* bytes of one read(2) and write(2) of the journal: larger ones save nothing measurable */
#define JOURNAL_READ_BYTES ((size_t)256 << 10)
#endif

/* bytes of one context of a row: as much as a message can carry; a larger one is refused */
#define CONTEXT_BYTES_MAX MESSAGE_BYTES_MAX

/* the last row number: the other half of all numbers are keys of private contexts on disk; a larger one is
 * refused */
#define CONTEXTS_ROW_MAX (UINT64_MAX >> 1)

/* dead owners whose late messages are refused: four times WORKERS_MAX; the oldest is forgotten */
#define CONTEXTS_GONE_MAX 16384

/* bytes gathered for one transaction, with what LMDB copies for it; then it is written */
#define SPILL_BATCH_BYTES ((size_t)4 << 20)

/* bytes of the spill file's pages that may stay resident in this process; then they are given back */
#define SPILL_RESIDENT_BYTES ((size_t)8 << 20)

/* resident bytes that a look-up counts as: the kernel maps 64 KiB around each page that is touched */
#define SPILL_FAULT_BYTES ((size_t)128 << 10)

/* address space for the spill file at first: large enough that it is rarely doubled */
#define SPILL_MAP_BYTES (UINT64_C(1) << 30)

/* bytes of the spill file at most, to bound a runaway; then nothing more is evicted and the store says so */
#define SPILL_MAP_BYTES_MAX (UINT64_C(1) << 40)

/* entries of one LRU cache, so that numbers of nodes fit 31 bits; more is a bug of the caller */
#define LRU_SIZE_MAX ((size_t)1 << 30)

#endif
