/* test_row_notes.c - notes of rows: counted by kind and name, bounded. */
#include "core/base/row_notes.h"

#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

Test(row_notes, counts_by_kind_and_name) {
    row_notes_t notes = {0};
    row_notes_add(&notes, ROW_NOTE_NOTHING, "ask.Question", 1);
    row_notes_add(&notes, ROW_NOTE_ZERO, "ask.Question", 5);
    row_notes_add(&notes, ROW_NOTE_NOTHING, "ask.Question", 2);
    cr_assert_eq(notes.count, 2);
    cr_assert_eq(notes.item[0].kind, ROW_NOTE_NOTHING);
    cr_assert_str_eq(notes.item[0].name, "ask.Question");
    cr_assert_eq(notes.item[0].count, 3);
    cr_assert_eq(notes.item[1].count, 5);
}

Test(row_notes, a_count_stops_at_its_largest_number) {
    row_notes_t notes = {0};
    row_notes_add(&notes, ROW_NOTE_ZERO, "sum", UINT32_MAX - 1);
    row_notes_add(&notes, ROW_NOTE_ZERO, "sum", 5);
    cr_assert_eq(notes.item[0].count, UINT32_MAX);
}

Test(row_notes, further_names_are_counted_as_other_of_their_kind) {
    row_notes_t notes = {0};
    for (int i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof name, "b%d", i);
        for (int kind = 0; kind < ROW_NOTE_KINDS; kind++)
            row_notes_add(&notes, (row_note_kind_t)kind, name, 1);
    }
    cr_assert_eq(notes.count, ROW_NOTES_MAX + ROW_NOTE_KINDS);
    uint32_t sums[ROW_NOTE_KINDS] = {0};
    for (uint32_t i = 0; i < notes.count; i++) {
        sums[notes.item[i].kind] += notes.item[i].count;
        cr_assert_eq(strcmp(notes.item[i].name, "other") == 0, i >= ROW_NOTES_MAX);
    }
    for (int kind = 0; kind < ROW_NOTE_KINDS; kind++)
        cr_assert_eq(sums[kind], 100);
}

Test(row_notes, a_long_name_is_cut_between_characters) {
    row_notes_t notes = {0};
    char name[80] = "";
    for (int i = 0; i < 20; i++)
        strcat(name, "あ");
    row_notes_add(&notes, ROW_NOTE_NOTHING, name, 1);
    row_notes_add(&notes, ROW_NOTE_NOTHING, name, 1);
    cr_assert_eq(notes.count, 1);
    cr_assert_eq(strlen(notes.item[0].name), 45);
    cr_assert_eq(strncmp(notes.item[0].name, name, 45), 0);
}

Test(row_notes, kinds_have_names) {
    cr_assert_str_eq(row_notes_kind_name(ROW_NOTE_NOTHING), "nothing");
    cr_assert_str_eq(row_notes_kind_name(ROW_NOTE_ZERO), "zero");
    cr_assert_str_eq(row_notes_kind_name(ROW_NOTE_NOT_JSON), "not_json");
    cr_assert_str_eq(row_notes_kind_name(ROW_NOTE_NULLED), "nulled");
}
