/* fuzz_command_line - any words as the command line of any verb, a word a line: refused in a sentence, or
 * options that are within their bounds; and the command that asks failed rows again is one line that a shell
 * takes back into the same words. */
#include "tests/fuzz/input.h"

#include "actors/verbs/command_line.h"
#include "actors/verbs/flags.h"
#include "core/base/log.h"

enum { WORDS_MAX = 40 };

/* Words that name a file outside would make the target depend on this machine. */
static bool is_place(const char *word) { return strchr(word, '/') && !strstr(word, "://"); }

static size_t words_of(fuzz_input_t *in, char **words) {
    size_t count = 1;
    while (fuzz_more(in) && count < WORDS_MAX) {
        words[count] = fuzz_line(in, NULL);
        if (is_place(words[count]))
            free(words[count]);
        else
            count++;
    }
    words[count] = NULL;
    return count;
}

/* What a shell makes of the next word: quotes go, and what is in them stays as it is. */
static const char *unquoted(const char *at, char *word) {
    for (bool quoted = false; *at && (quoted || *at != ' '); at++) {
        if (*at == '\'')
            quoted = !quoted;
        else if (!quoted && *at == '\\')
            *word++ = *++at;
        else
            *word++ = *at;
    }
    *word = '\0';
    return *at ? at + 1 : at;
}

static void check_again(char **words, size_t count) {
    buf_t given, again;
    buf_init(&given, (size_t)1 << 22);
    buf_init(&again, (size_t)1 << 24);
    for (size_t i = 0; i < count; i++)
        buf_add(&given, words[i], strlen(words[i]) + 1);
    command_line_write_again(given.data, given.len, &again);
    char *word = malloc(again.len + 1);
    const char *at = again.data;
    bool retries = false;
    for (size_t i = 0; i < count; i++) {
        if (strlen(words[i]) >= 4 && strncmp(words[i], "--overwrite", strlen(words[i])) == 0) continue;
        retries = retries || strcmp(words[i], "--retry-failed") == 0;
        at = unquoted(at, word);
        CHECK(strcmp(word, words[i]) == 0, "'%s' became '%s'", words[i], word);
    }
    CHECK(strcmp(at, retries ? "" : "--retry-failed") == 0, "%s", at);
    free(word);
    buf_free(&given);
    buf_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    fuzz_input_t in = {bytes, size};
    char *words[WORDS_MAX + 1] = {"sdg"};
    const verb_row_t *verb = &verb_rows[fuzz_byte(&in) % verb_count];
    size_t count = words_of(&in, words);
    void *options = calloc(1, verb->options_size);
    err_t err = {0};
    log_set_level(LEVEL_ERROR);
    int rc = flags_parse(verb, (int)count, words, options, &err);
    CHECK(rc == SDG_OK || err.text[0], "sdg %s: refused without a word", verb->name);
    const common_options_t *common = options;
    CHECK(common->word_count < count, "%zu words of %zu", common->word_count, count);
    flags_release(verb, options);
    check_again(words, count);
    for (size_t i = 1; i < count; i++)
        free(words[i]);
    free(options);
    return 0;
}
