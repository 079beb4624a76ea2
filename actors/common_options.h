/* common_options.h - what every verb can be told: the first member of each verb's struct of options
 * (actors/verbs/options.h, actors/mock/mock_options.h), so that one row of the table of flags fits them all.
 */
#ifndef SDG_ACTORS_COMMON_OPTIONS_H
#define SDG_ACTORS_COMMON_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

typedef enum ui_locale { UI_LOCALE_OF_ENVIRONMENT, UI_LOCALE_EN, UI_LOCALE_JA } ui_locale_t;

typedef struct common_options {
    bool help, help_ja, version, verbose, quiet;
    ui_locale_t locale;           /* --ui-locale */
    bool japanese;                /* language of what is shown: --ui-locale, else the environment */
    const char *config;           /* --config; borrowed from argv; NULL: none */
    struct service_file *service; /* owned; what --config names: options borrow texts of it */
    const char **words; /* owned array of borrowed words: what is neither a flag nor a flag's value */
    size_t word_count;
} common_options_t;

#endif
