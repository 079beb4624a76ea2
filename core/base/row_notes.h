/* row_notes.h - what was odd about a row that went well: outputs that found nothing, values that counted as
 * 0. Counted by name, so that the summary of a run can say "ask.Question: nothing in 3 rows". The table is
 * bounded; it is part of a row's usage record and travels with it. */
#ifndef SDG_BASE_ROW_NOTES_H
#define SDG_BASE_ROW_NOTES_H

#include <stdint.h>

/* Also numbers on the wire and the index of row_notes_kind_name: new kinds go before ROW_NOTE_KINDS. */
typedef enum row_note_kind {
    ROW_NOTE_NOTHING,  /* an output that found nothing in its answer; named "<block>.<output>" */
    ROW_NOTE_ZERO,     /* a value that is no number and counted as 0; named "<block>" */
    ROW_NOTE_NOT_JSON, /* an answer that is not JSON, under `select: jsonpath`; named "<block>" */
    ROW_NOTE_NULLED,   /* a value that JSON has not (NaN, an infinity) and became null; named "<block>", or
                        * "input" */
    ROW_NOTE_REPLACED, /* a lone surrogate that became U+FFFD; named like ROW_NOTE_NULLED */
    ROW_NOTE_KINDS
} row_note_kind_t;

enum {
    ROW_NOTES_MAX = 8,      /* names of one row that are counted apart */
    ROW_NOTE_NAME_MAX = 48, /* bytes of a name, NUL included; a longer one is cut between characters */
};

typedef struct row_note {
    uint32_t kind; /* row_note_kind_t */
    uint32_t count;
    char name[ROW_NOTE_NAME_MAX]; /* zeros behind its end */
} row_note_t;

/* Further names of a kind are counted together, as "other": one slot more for each kind. All zero: empty. */
typedef struct row_notes {
    uint32_t count;
    row_note_t item[ROW_NOTES_MAX + ROW_NOTE_KINDS];
} row_notes_t;

/* Adds `count` of this kind and name. kind < ROW_NOTE_KINDS, asserted. */
void row_notes_add(row_notes_t *notes, row_note_kind_t kind, const char *name, uint32_t count);
/* "nothing", "zero", "not_json", "nulled", "replaced": the keys of a summary. kind < ROW_NOTE_KINDS,
 * asserted. */
const char *row_notes_kind_name(row_note_kind_t kind);

#endif
