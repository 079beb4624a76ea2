/* limits.h - what bounds core/data: each limit with its reason, and what "full" does. */
#ifndef SDG_DATA_LIMITS_H
#define SDG_DATA_LIMITS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef SDG_FUZZ
/* the fuzzer's inputs are short: small blocks cut them, and cost no page faults */
#define DATA_READ_BYTES ((size_t)512)
#else
/* bytes asked of one read(2): larger ones save nothing measurable */
#define DATA_READ_BYTES ((size_t)256 << 10)
#endif

/* columns of a CSV file, as spreadsheets have; a header with more is refused */
#define CSV_COLUMNS_MAX 16384

/* bytes of one output line: as much as a message can carry; a longer one is an error */
#define RESULT_LINE_BYTES_MAX ((size_t)128 << 20)

/* bytes of buffered output that are written without being asked: enough for one efficient write(2) */
#define WRITE_FLUSH_BYTES ((size_t)256 << 10)

/* bytes of buffered output at most: a larger wish is cut to this, it would only cost memory */
#define WRITE_FLUSH_BYTES_MAX ((size_t)64 << 20)

/* bytes of an output that stops in its first member: twice what one write of a run leaves; a larger one was
 * packed by somebody and is refused, a smaller one begins anew */
#define TORN_FIRST_BYTES_MAX ((off_t)(2 * WRITE_FLUSH_BYTES))

/* text worth a gzip member or zstd frame of its own: less than this compresses badly */
#define WRITE_MEMBER_BYTES_MIN ((size_t)64 << 10)

/* lines of one checksum: what is said to have changed is a range of at most so many, for some 100 bytes of
 * X.sdg */
#define LINE_BLOCK_LINES 256

/* bytes of X.sdg: those of an output of some 10^12 lines; it is no bound that anybody meets */
#define RUN_FILE_BYTES_MAX ((size_t)1 << 40)

/* lines whose rows other lines have, too: they take 240 MiB while it is found out which of them stay; an
 * output with more is refused */
#define REPEATED_LINES_MAX ((size_t)4 << 20)

/* lines that are named one by one when they are rejected; the others are counted, and X.rejected has them all
 */
#define REJECTS_NAMED_MAX 5

/* ranges of changed lines that are named one by one; the others are counted */
#define CHANGES_NAMED_MAX 5

/* lines that may be rejected because one row number among them has changed: more are only said to be changed
 */
#define RENUMBERED_MAX 8

/* records looked at before a run (sdg doctor, --auto-tune): some milliseconds */
#define SURVEY_SAMPLE_ROWS 1000

/* bytes looked at before a run: rows may be large */
#define SURVEY_SAMPLE_BYTES ((size_t)16 << 20)

/* bytes of a JSONL file whose lines are counted, in well below a second from memory; a larger one is
 * estimated */
#define SURVEY_COUNT_BYTES_MAX ((uint64_t)1 << 30)

/* bytes of a CSV or compressed file that are parsed, in about as long; a larger one is estimated from them */
#define SURVEY_READ_BYTES_MAX ((uint64_t)32 << 20)

#endif
