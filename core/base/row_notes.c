/* row_notes.c - see row_notes.h. */
#include "core/base/row_notes.h"

#include <assert.h>
#include <string.h>

static const char OTHER[] = "other";

/* The length of the name, cut to what a note holds, not in the middle of a UTF-8 character. */
static size_t name_length(const char *name) {
    size_t len = strnlen(name, ROW_NOTE_NAME_MAX);
    if (len < ROW_NOTE_NAME_MAX) return len;
    len--;
    while (len > 0 && ((unsigned char)name[len] & 0xc0) == 0x80)
        len--;
    return len;
}

static row_note_t *note_find(row_notes_t *notes, row_note_kind_t kind, const char *name, size_t len) {
    for (uint32_t i = 0; i < notes->count; i++) {
        row_note_t *note = &notes->item[i];
        if (note->kind == kind && memcmp(note->name, name, len) == 0 && note->name[len] == '\0') return note;
    }
    return NULL;
}

void row_notes_add(row_notes_t *notes, row_note_kind_t kind, const char *name, uint32_t count) {
    assert(kind < ROW_NOTE_KINDS);
    size_t len = name_length(name);
    row_note_t *note = note_find(notes, kind, name, len);
    if (!note && notes->count >= ROW_NOTES_MAX) {
        name = OTHER;
        len = sizeof OTHER - 1;
        note = note_find(notes, kind, name, len);
    }
    if (!note) {
        note = &notes->item[notes->count++];
        *note = (row_note_t){.kind = kind};
        memcpy(note->name, name, len);
    }
    note->count = count < UINT32_MAX - note->count ? note->count + count : UINT32_MAX;
}

const char *row_notes_kind_name(row_note_kind_t kind) {
    static const char *const names[ROW_NOTE_KINDS] = {
        [ROW_NOTE_NOTHING] = "nothing", [ROW_NOTE_ZERO] = "zero",         [ROW_NOTE_NOT_JSON] = "not_json",
        [ROW_NOTE_NULLED] = "nulled",   [ROW_NOTE_REPLACED] = "replaced",
    };
    assert(kind < ROW_NOTE_KINDS);
    return names[kind];
}
