/* command_line.c - see command_line.h. */
#include "actors/verbs/command_line.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "actors/verbs/limits.h"

static bool is_plain(const char *word) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";
    return word[0] && strspn(word, plain) == strlen(word);
}

/* In single quotes where a shell would take anything in it for its own. */
static void write_word(const char *word, buf_t *out) {
    if (is_plain(word)) {
        buf_adds(out, word);
        return;
    }
    buf_addc(out, '\'');
    for (; *word; word++) {
        if (*word == '\'')
            buf_adds(out, "'\\''");
        else
            buf_addc(out, *word);
    }
    buf_addc(out, '\'');
}

static void write_words(const char *words, size_t len, buf_t *out) {
    for (size_t at = 0; at < len; at += strlen(words + at) + 1) {
        if (at) buf_addc(out, ' ');
        write_word(words + at, out);
    }
}

/* --overwrite, or a beginning of it that means no other flag. */
static bool is_overwrite(const char *word) {
    size_t len = strlen(word);
    return len >= sizeof "--ov" - 1 && strncmp(word, "--overwrite", len) == 0;
}

void command_line_write_again(const char *words, size_t len, buf_t *out) {
    bool retries = false;
    for (size_t at = 0; at < len; at += strlen(words + at) + 1) {
        const char *word = words + at;
        if (is_overwrite(word)) continue;
        if (strcmp(word, "--retry-failed") == 0) retries = true;
        if (at) buf_addc(out, ' ');
        write_word(word, out);
    }
    if (!retries) buf_adds(out, " --retry-failed");
}

/* What `write` makes of the words this process was started with. */
static char *written(void (*write)(const char *words, size_t len, buf_t *out)) {
    char words[COMMAND_LINE_BYTES_MAX];
    buf_t out;
    FILE *f = fopen("/proc/self/cmdline", "rb");
    size_t len = f ? fread(words, 1, sizeof words, f) : 0;
    if (f) fclose(f);
    if (len == 0 || len == sizeof words || words[len - 1] != '\0') return NULL;
    buf_init(&out, 8 * sizeof words);
    write(words, len, &out);
    return buf_take(&out, NULL);
}

char *command_line(void) { return written(write_words); }

char *command_line_again(void) { return written(command_line_write_again); }
