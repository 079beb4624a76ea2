/* fuzz_flag_value - any text as the value of any flag: refused in the rest of a sentence, or stored within
 * the bounds of its row; and a number, a size or a duration that was taken reads back from its own digits. */
#include "tests/fuzz/input.h"

#include <inttypes.h>

#include "actors/verbs/flags.h"

/* The first verb that takes the flag. */
static const verb_row_t *verb_with(const flag_row_t *row) {
    for (size_t i = 0; i < verb_count; i++)
        if (flag_is_taken(row, verb_rows[i].verb)) return &verb_rows[i];
    abort();
}

static uint64_t stored(const flag_row_t *row, const void *options) {
    uint64_t n = 0;
    const char *field = (const char *)options + row->place;
    memcpy(&n, field, row->size);
    return n;
}

static void check_again(const flag_row_t *row, void *options, uint64_t n, const char *unit) {
    char digits[40];
    err_t err = {0};
    snprintf(digits, sizeof digits, "%" PRIu64 "%s", n, unit);
    CHECK(flag_set(row, options, digits, &err) == SDG_OK, "--%s %s: %s", row->name, digits, err.text);
    uint64_t scale = row->kind == FLAG_DURATION ? 1000 : 1;
    CHECK(stored(row, options) == n * scale, "--%s %s became %" PRIu64, row->name, digits,
          stored(row, options));
}

static void check_real(const flag_row_t *row, const void *options) {
    double n;
    memcpy(&n, (const char *)options + row->place, sizeof n);
    CHECK(n >= (double)row->min && n <= (double)row->max, "--%s is %g", row->name, n);
}

static void check_stored(const flag_row_t *row, void *options) {
    if (row->kind == FLAG_REAL && row->size) check_real(row, options);
    if (row->kind != FLAG_NUMBER && row->kind != FLAG_SIZE && row->kind != FLAG_DURATION) return;
    if (row->size != 4 && row->size != 8) return;
    uint64_t n = stored(row, options);
    CHECK(n >= row->min && (!row->max || n <= row->max), "--%s is %" PRIu64, row->name, n);
    if (row->kind == FLAG_DURATION && n / 1000 * 1000 < row->min) return; /* its seconds alone are too few */
    check_again(row, options, row->kind == FLAG_DURATION ? n / 1000 : n,
                row->kind == FLAG_DURATION ? "s" : "");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    fuzz_input_t in = {bytes, size};
    const flag_row_t *row = &flag_rows[fuzz_byte(&in) % flag_count];
    const verb_row_t *verb = verb_with(row);
    char *text = fuzz_line(&in, NULL), *words[] = {(char *)verb->name, NULL};
    err_t err = {0};
    void *options = calloc(1, verb->options_size);
    flags_parse(verb, 1, words, options, &err); /* defaults; that something is missing does not matter here */
    bool names_file = row->unit && (strcmp(row->unit, "FILE") == 0 || strcmp(row->unit, "DIR") == 0);
    err = (err_t){0};
    if (!names_file && strlen(text) < 4096) {
        if (flag_set(row, options, text, &err) == SDG_OK)
            check_stored(row, options);
        else
            CHECK(err.text[0], "--%s refused without a word", row->name);
        if (row->kind != FLAG_READ) flag_set(row, NULL, text, NULL);
    }
    flags_release(verb, options);
    free(options);
    free(text);
    return 0;
}
