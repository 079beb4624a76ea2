/* flags.h - the verbs of `sdg` and one table of all their flags.
 *
 * A flag is one row of flags_table.c: how it is written, what it takes, where its value goes, and what help
 * says of it in English and Japanese. The command line (flags.c), help, the man page and the completions of
 * three shells (flags_help.c, flags_man.c, flags_complete.c) and the service file (service_file.c) are made
 * from the rows. To add a flag: a row there, and whoever uses the field of the options. */
#ifndef SDG_ACTORS_VERBS_FLAGS_H
#define SDG_ACTORS_VERBS_FLAGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "actors/common_options.h"
#include "core/base/buf.h"
#include "core/base/error.h"

typedef enum verb {
    VERB_RUN = 1 << 0,
    VERB_SUBMIT = 1 << 1,
    VERB_TEST_RUN = 1 << 2,
    VERB_DOCTOR = 1 << 3, /* it takes every flag of run; its help shows only rows that name it */
    VERB_VALIDATE = 1 << 4,
    VERB_SERVE = 1 << 5,
    VERB_WORKER = 1 << 6,
    VERB_STATUS = 1 << 7,
    VERB_TOP = 1 << 8,
    VERB_JOURNAL = 1 << 9,
    VERB_MOCK_LLM = 1 << 10,
    VERB_CONFIG = 1 << 11,
    VERB_COMPLETION = 1 << 12,
    VERB_HELP = 1 << 13,
    VERB_INIT = 1 << 14,
    VERB_ANY = (1 << 15) - 1,
    SERVICE_VERBS = VERB_RUN | VERB_SERVE | VERB_WORKER /* verbs that take --config */
} verb_t;

typedef enum flag_kind {
    FLAG_TEXT,     /* const char *: borrowed; `check` may refuse it; twice with different values is refused */
    FLAG_NUMBER,   /* unsigned or uint64_t, from min to max */
    FLAG_REAL,     /* double, from min to max */
    FLAG_SIZE,     /* uint64_t of bytes, at least min: "256M", "2 GiB" */
    FLAG_DURATION, /* uint64_t of milliseconds, at least min: "90" (seconds), "90s", "15m", "24h" */
    FLAG_CHOICE,   /* an enum: one of `choices` */
    FLAG_SWITCH,   /* bool: takes no value, becomes true */
    FLAG_SWITCH_OFF, /* bool: takes no value, becomes false */
    FLAG_READ,       /* a grammar of its own: `read` takes the text */
} flag_kind_t;

typedef enum flag_group {
    GROUP_MAIN,
    GROUP_ROWS,
    GROUP_RESUME,
    GROUP_SPEED,
    GROUP_SCHEDULING,
    GROUP_MOCK_LISTEN,
    GROUP_MOCK_ANSWER,
    GROUP_MOCK_TIME,
    GROUP_MOCK_FAULTS,
    GROUP_SCREEN,
    GROUPS
} flag_group_t;

enum flag_trait {
    FLAG_HIDDEN = 1,     /* accepted, but in no help: another spelling, or without effect */
    FLAG_REPEATABLE = 2, /* each value adds to the ones before */
    FLAG_NO_EFFECT = 4, /* a flag of the Python original: accepted, checked, and said to have no effect yet */
};

typedef struct flag_choice {
    const char *name;
    unsigned value;
} flag_choice_t;

/* `check` and `read` refuse with the rest of a sentence that begins with the name of the flag: "takes A:B,
 * not 'x'". */
typedef struct flag_row {
    const char *name;
    char letter;    /* short form; 0: none */
    unsigned verbs; /* bits of verb_t */
    flag_group_t group;
    flag_kind_t kind;
    size_t place,
        size;       /* place and size of the field in the verb's options; size 0: the value is only checked */
    size_t present; /* place of a bool that becomes true when the flag is given; 0: none */
    uint64_t min, max;            /* bounds of a number, a real and a size; max 0: the largest that fits */
    const flag_choice_t *choices; /* ends with a row without a name */
    int (*check)(const char *text, err_t *err);
    int (*read)(void *options, const char *text, err_t *err);
    unsigned traits;
    const char *unit;               /* name of the value in help; FILE and DIR are completed by shells */
    const char *note;               /* with FLAG_NO_EFFECT: what happens instead; NULL: nothing */
    const char *key;                /* in the service file: "memory.limit"; NULL: not there */
    const char *sample;             /* value of the key in the example of a service file */
    bool sample_is_default;         /* false: the example has the key as a comment */
    const char *english, *japanese; /* what the flag does, for help; NULL when it is hidden */
} flag_row_t;

typedef struct verb_row {
    verb_t verb;
    const char *name;
    size_t options_size;            /* size of its struct of options, which begins with common_options_t */
    void (*prepare)(void *options); /* defaults, on zeroed memory; NULL: zeros do */
    int (*check)(verb_t verb, void *options,
                 err_t *err);               /* checks what no flag alone can tell; NULL: nothing to check */
    void (*release)(void *options);         /* frees what the options own; NULL: they own nothing */
    size_t words_min, words_max;            /* how many words may stand beside flags */
    const char *const *first_words;         /* what the first word may be; NULL: anything */
    const char *usage, *usage_japanese;     /* behind "sdg NAME " */
    const char *summary, *summary_japanese; /* in the list of verbs */
    const char *about, *about_japanese;     /* above the flags */
    const char *end, *end_japanese;         /* below them; NULL: nothing */
} verb_row_t;

extern const flag_row_t flag_rows[];
extern const size_t flag_count;
extern const verb_row_t verb_rows[];
extern const size_t verb_count;

const verb_row_t *verb_of(verb_t verb);
const verb_row_t *verb_find(const char *name); /* NULL: there is none */
const char *verb_nearest(const char *name);    /* the name somebody may have meant, or NULL */
bool flag_is_taken(const flag_row_t *row, verb_t verb);
bool flag_is_shown(const flag_row_t *row, verb_t verb); /* in help, man page and completion of that verb */
bool flag_has_value(const flag_row_t *row);

/* Stores one value, read as the row says, in `options`; NULL options: only checks it (not for
 * FLAG_READ). SDG_EINVAL with the rest
 * of a sentence that begins with the flag's name. text of a switch: "true" or "false". */
int flag_set(const flag_row_t *row, void *options, const char *text, err_t *err);

/* Reads the command line of a verb (argv[0] is its name) into `options`: verb->options_size bytes, set up
 * here and to be given to flags_release in any case. Values of --config are taken where no flag gives one.
 * Texts are borrowed from argv. SDG_EINVAL with a sentence (usage) that names the flag, what was given, what
 * is allowed. With --help or --version nothing is demanded. Prints nothing but notes about flags without
 * effect. */
int flags_parse(const verb_row_t *verb, int argc, char **argv, void *options, err_t *err);
void flags_release(const verb_row_t *verb, void *options);

/* The language of the environment: of LC_ALL, LC_MESSAGES and LANG the first that is set decides. */
bool flags_japanese_environment(void);

void flags_help(const verb_row_t *verb, bool japanese, buf_t *out);
void flags_help_all(bool japanese, buf_t *out); /* of the program: its verbs */
void flags_man(bool japanese, buf_t *out);      /* sdg(1), as roff */
/* A completion script; shell is "bash", "zsh" or "fish". */
void flags_complete(const char *shell, buf_t *out);

#endif
