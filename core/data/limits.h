/* limits.h - what bounds core/data: each limit with its reason, and what "full" does. */
#ifndef SDG_DATA_LIMITS_H
#define SDG_DATA_LIMITS_H

#include <stddef.h>
#include <stdint.h>

/* read(2) size */
#define DATA_READ_BYTES ((size_t)256 << 10)

/* as spreadsheets have; a header with more is refused */
#define CSV_COLUMNS_MAX 16384

/* one output line: as much as a message can carry */
#define RESULT_LINE_BYTES_MAX ((size_t)128 << 20)

/* buffered output that is written by itself */
#define WRITE_FLUSH_BYTES ((size_t)256 << 10)

/* a larger wish is cut to this */
#define WRITE_FLUSH_BYTES_MAX ((size_t)64 << 20)

/* text worth a gzip member or zstd frame of its own: below it compresses badly */
#define WRITE_MEMBER_BYTES_MIN ((size_t)64 << 10)

/* records looked at before a run (sdg doctor, --auto-tune): some milliseconds */
#define SURVEY_SAMPLE_ROWS 1000

/* bytes looked at before a run: rows may be large */
#define SURVEY_SAMPLE_BYTES ((size_t)16 << 20)

/* a larger JSONL file is estimated: newlines of a GiB take well below a second from memory */
#define SURVEY_COUNT_BYTES_MAX ((uint64_t)1 << 30)

/* a CSV or compressed file is parsed so far, then estimated: likewise */
#define SURVEY_READ_BYTES_MAX ((uint64_t)32 << 20)

#endif
