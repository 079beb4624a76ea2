/* limits.h - what bounds core/store: each limit with its reason, and what "full" does. */
#ifndef SDG_STORE_LIMITS_H
#define SDG_STORE_LIMITS_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/limits.h"

/* one answer in the journal: whatever a server may say, and its counts */
#define JOURNAL_ANSWER_BYTES_MAX (LLM_ANSWER_BYTES_MAX + 1024)

/* calls in the index: 128 MiB; later ones are written but not found before a rerun */
#define JOURNAL_CALLS_MAX (4u << 20)

/* read(2) and write(2) size */
#define JOURNAL_READ_BYTES ((size_t)256 << 10)

/* one context of a row: as much as a message can carry; a larger one is refused */
#define CONTEXT_BYTES_MAX MESSAGE_BYTES_MAX

/* the last row number: the other half numbers private contexts on disk; refused */
#define CONTEXTS_ROW_MAX (UINT64_MAX >> 1)

/* dead owners whose late messages are refused: four times WORKERS_MAX; the oldest is forgotten */
#define CONTEXTS_GONE_MAX 16384

/* contexts gathered for one transaction, and about what LMDB copies for it; then it is written */
#define SPILL_BATCH_BYTES ((size_t)4 << 20)

/* pages of the spill file that this process may have read before it gives them back */
#define SPILL_RESIDENT_BYTES ((size_t)8 << 20)

/* what a look-up counts as: the kernel maps 64 KiB around each page that is touched */
#define SPILL_FAULT_BYTES ((size_t)128 << 10)

/* address space for the spill file at first: it only has to be asked for rarely */
#define SPILL_MAP_BYTES (UINT64_C(1) << 30)

/* the spill file at most; then nothing more is evicted and the store says so */
#define SPILL_MAP_BYTES_MAX (UINT64_C(1) << 40)

/* entries of one LRU cache: numbers of nodes fit 31 bits; more is a bug of the caller */
#define LRU_SIZE_MAX ((size_t)1 << 30)

#endif
