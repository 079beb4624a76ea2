/* resume.h - what an existing output holds, and bringing it into a state that can be appended to.
 *
 * resume_scan only reads, and decides on a repair; resume_repair carries it out. A file that is not ours is
 * an error before anything is changed.
 *
 * Each line is read to its end. A line that is no result of this run is rejected: it moves to X.rejected, and
 * its row is done again. So is one of two lines of the same row; if the checksums (line_sums.h) do not tell
 * which of two different ones is right, both go. Text that has changed but still is a result is said and
 * kept: somebody may have edited it on purpose.
 */
#ifndef SDG_DATA_RESUME_H
#define SDG_DATA_RESUME_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/error.h"
#include "core/base/rangeset.h"
#include "core/data/line_sums.h"
#include "core/data/stream.h"

typedef enum resume_repair {
    REPAIR_NONE,
    REPAIR_CUT,         /* what follows keep_bytes goes */
    REPAIR_ADD_NEWLINE, /* the last row lacks only its newline */
    REPAIR_REWRITE, /* some lines go, or a newline is to be added to packed text: the file is written anew */
} resume_repair_t;

/* What to look for. */
typedef struct resume_how {
    bool retry_failed; /* rows with _error are done again */
    bool ours;         /* a run file says so: lines that are no results do not make it somebody else's file */
    const line_blocks_t *known; /* checksums of its lines; NULL: none */
    uint64_t rows_end;          /* rows from here on are not of the input; UINT64_MAX: not known */
} resume_how_t;

typedef struct resume {
    rangeset_t *finished; /* rows that are done */
    rangeset_t *failed;   /* those of them with _error */
    rangeset_t *rejected; /* numbers of the lines that go to X.rejected */
    line_sums_t sums;     /* of the lines that stay */
    uint64_t rows_ok, rows_failed, rows_retried;
    uint64_t lines_rejected;
    uint64_t lines_changed; /* in blocks that are not as they were written: they stay */
    uint64_t lines_missing; /* that were written, and are gone */
    buf_t words;            /* what a person should know of all that, one sentence a line */
    uint64_t torn_bytes;    /* bytes at the end of the file that are no whole line */
    uint64_t keep_bytes;    /* REPAIR_CUT: size the file is to have */
    uint64_t keep_text;     /* bytes of text up to the end of the last whole line */
    resume_repair_t repair;
} resume_t;

/* Reads the open file from its start and fills *found. On failure nothing is to be freed. */
int resume_scan(int fd, const char *path, stream_coding_t coding, const resume_how_t *how, resume_t *found,
                err_t *err);
void resume_free(resume_t *found);
/* Does what found->repair says. After a rewrite *fd is another file, locked and in the place of the old one,
 * which is closed. */
int resume_repair(int *fd, const char *path, stream_coding_t coding, bool retry_failed, const resume_t *found,
                  err_t *err);

#endif
