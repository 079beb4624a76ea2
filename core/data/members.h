/* members.h - which members of a packed file are whole: those whose checksum and length, at the member's end,
 * agree with their text. Only their text may be believed. */
#ifndef SDG_DATA_MEMBERS_H
#define SDG_DATA_MEMBERS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/data/stream.h"

typedef struct members {
    uint64_t whole_bytes; /* of the file: the end of the last whole member before torn or damaged bytes */
    bool torn;            /* the file stops inside the next member, or has zero bytes in its place */
} members_t;

/* Decodes the whole file once, in bounded memory, and keeps nothing. Moves the place of the descriptor.
 * SDG_EPARSE with a sentence: the file is damaged. What looks torn is damage as well when a whole member
 * stands behind it: a changed byte can make a decoder run over the end of its member. */
int members_check(int fd, const char *path, stream_coding_t coding, members_t *found, err_t *err);

#endif
