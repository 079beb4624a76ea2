/* pages.c - see pages.h. */
#include "actors/verbs/pages.h"

#include <stdio.h>

#include "actors/exit_codes.h"
#include "actors/verbs/limits.h"
#include "actors/verbs/options.h"
#include "actors/verbs/service_file.h"

static int print(buf_t *page, FILE *to) {
    fwrite(page->data, 1, page->len, to);
    buf_free(page);
    return EXIT_ALL_FINE;
}

static int refuse_verb(const char *word) {
    const char *nearest = verb_nearest(word);
    fprintf(stderr, "sdg help: there is no command '%s'%s%s%s\ntry: sdg help\n", word,
            nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
    return EXIT_USAGE;
}

/* The page of one verb, of the program, or the man page. */
int help_main(void *options) {
    const help_options_t *o = options;
    bool japanese = o->common.locale == UI_LOCALE_JA;
    const char *word = o->common.word_count ? o->common.words[0] : NULL;
    const verb_row_t *verb = word ? verb_find(word) : NULL;
    buf_t page;
    if (word && !verb) return refuse_verb(word);
    buf_init(&page, PAGE_BYTES_MAX);
    if (o->man)
        flags_man(japanese, &page);
    else if (verb)
        flags_help(verb, japanese, &page);
    else
        flags_help_all(japanese, &page);
    return print(&page, stdout);
}

int completion_main(void *options) {
    const common_options_t *o = options;
    buf_t page;
    buf_init(&page, PAGE_BYTES_MAX);
    flags_complete(o->words[0], &page);
    return print(&page, stdout);
}

int config_main(void *options) {
    const config_options_t *o = options;
    buf_t page;
    buf_init(&page, PAGE_BYTES_MAX);
    if (o->example) {
        service_file_example(o->common.japanese, &page);
        return print(&page, stdout);
    }
    bool fine = service_file_check(o->check, &page);
    if (fine) printf("%s: a valid service file\n", o->check);
    print(&page, stderr);
    return fine ? EXIT_ALL_FINE : EXIT_USAGE;
}
