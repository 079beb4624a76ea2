/* main.c - who exists: the verbs of the one binary. What each takes is in the table of flags
 * (actors/verbs/flags_table.c); here it is read, and the verb's function starts the actors it needs
 * (runtime.c).
 *
 * `sdg --yaml ...` without a verb is `sdg run`, as in the Python original. To add a verb: a row in the table
 * of verbs, a row here. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "actors/doctor/doctor.h"
#include "actors/exit_codes.h"
#include "actors/mock/mock_llm.h"
#include "actors/runtime/runtime.h"
#include "actors/verbs/flags.h"
#include "actors/verbs/fleet.h"
#include "actors/verbs/init.h"
#include "actors/verbs/journal_verb.h"
#include "actors/verbs/limits.h"
#include "actors/verbs/pages.h"
#include "actors/verbs/run.h"
#include "actors/verbs/top.h"
#include "actors/verbs/validate.h"
#include "core/base/ending.h"
#include "core/base/log.h"
#include "core/base/secrets.h"
#include "core/base/signals.h"
#include "core/python/pyspawner.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SDG_SANITIZED
#endif

static const char BEFORE_ROWS[] = " before a row has begun; the same command begins again";

/* Each takes the options of its verb and returns the exit code. A signal that comes before the verb reads
 * signals itself ends it with that code and those words (core/base/signals.h); servers and viewers are ended
 * in no other way. */
static const struct {
    verb_t verb;
    int (*run)(void *options);
    int stopped_code;
    const char *stopped_words;
} mains[] = {
    {VERB_RUN, run_main, EXIT_STOPPED, BEFORE_ROWS},
    {VERB_TEST_RUN, test_run_main, EXIT_STOPPED, ""},
    {VERB_VALIDATE, validate_main, EXIT_STOPPED, ""},
    {VERB_DOCTOR, doctor_main, EXIT_STOPPED, ""},
    {VERB_SERVE, serve_main, EXIT_ALL_FINE, ""},
    {VERB_WORKER, worker_main, EXIT_ALL_FINE, ""},
    {VERB_SUBMIT, submit_main, EXIT_STOPPED, BEFORE_ROWS},
    {VERB_STATUS, status_main, EXIT_STOPPED, ""},
    {VERB_TOP, top_main, EXIT_ALL_FINE, ""},
    {VERB_JOURNAL, journal_main, EXIT_STOPPED, ""},
    {VERB_MOCK_LLM, mock_llm_main, EXIT_ALL_FINE, ""},
    {VERB_CONFIG, config_main, EXIT_STOPPED, ""},
    {VERB_COMPLETION, completion_main, EXIT_STOPPED, ""},
    {VERB_HELP, help_main, EXIT_STOPPED, ""},
    {VERB_INIT, init_main, EXIT_STOPPED, ""},
};

/* Signals are answered from here on. No library has started yet: all of them have constructors, which take
 * some milliseconds. Sanitizers have to be first themselves, there main does it. */
static void begin(void) {
    signals_init(EXIT_STOPPED);
    ending_init(EXIT_RUNTIME);
}
#ifndef SDG_SANITIZED
/* Stands before that of the C library. libzmq blocks all signals in its threads, and a fault that is blocked
 * ends the process without a word (core/base/ending.h), so faults are left out. */
__attribute__((visibility("default"))) int pthread_sigmask(int how, const sigset_t *set, sigset_t *old) {
    sigset_t without;
    if (!set || how == SIG_UNBLOCK) return sigprocmask(how, set, old) == 0 ? 0 : errno;
    without = *set;
    sigdelset(&without, SIGSEGV);
    sigdelset(&without, SIGBUS);
    return sigprocmask(how, &without, old) == 0 ? 0 : errno;
}

__attribute__((section(".preinit_array"), used)) static void (*const first_of_all)(void) = begin;
#endif

/* The help of a verb, or of the program (NULL). */
static void print_help(const verb_row_t *verb, bool japanese, FILE *to) {
    buf_t page;
    buf_init(&page, PAGE_BYTES_MAX);
    if (verb)
        flags_help(verb, japanese, &page);
    else
        flags_help_all(japanese, &page);
    fwrite(page.data, 1, page.len, to);
    buf_free(&page);
}

static int print_version(void) { return puts("sdg " SDG_VERSION) < 0 ? EXIT_DATA : EXIT_ALL_FINE; }

/* test-run shows one row and doctor its findings, alone on the screen, so both log only warnings. */
static log_level_t level_of(verb_t verb, const common_options_t *o) {
    if (verb == VERB_DOCTOR) return LEVEL_WARN;
    if (o->verbose) return LEVEL_DEBUG;
    return o->quiet || verb == VERB_TEST_RUN ? LEVEL_WARN : LEVEL_INFO;
}

static int call(const verb_row_t *verb, void *options) {
    for (size_t i = 0; i < sizeof mains / sizeof *mains; i++) {
        if (mains[i].verb != verb->verb) continue;
        ending_name(verb->name);
        signals_at_first(mains[i].stopped_code, mains[i].stopped_words);
        return mains[i].run(options);
    }
    return EXIT_RUNTIME;
}

/* Reads the flags of a verb and runs it, unless they ask for help or the version. */
static int run_verb(const verb_row_t *verb, int argc, char **argv) {
    void *options = xcalloc(1, verb->options_size);
    common_options_t *o = options;
    err_t err;
    int code = EXIT_ALL_FINE;
    if (flags_parse(verb, argc, argv, options, &err) != SDG_OK) {
        secrets_hide(err.text, strlen(err.text));
        fprintf(stderr, "sdg %s: %s\ntry: sdg %s --help\n", verb->name, err.text, verb->name);
        code = EXIT_USAGE;
    } else if (o->help) {
        print_help(verb, o->help_ja || o->locale == UI_LOCALE_JA, stdout);
    } else if (o->version) {
        code = print_version();
    } else {
        log_set_level(level_of(verb->verb, o));
        code = call(verb, options);
    }
    flags_release(verb, options);
    free(options);
    return code;
}

static bool is_one_of(const char *word, const char *a, const char *b) {
    return strcmp(word, a) == 0 || strcmp(word, b) == 0;
}

static int refuse_verb(const char *word) {
    const char *nearest = verb_nearest(word);
    if (word[0])
        fprintf(stderr, "sdg: unknown command '%s'%s%s%s\n\n", word, nearest ? "; did you mean '" : "",
                nearest ? nearest : "", nearest ? "'?" : "");
    print_help(NULL, false, stderr);
    return EXIT_USAGE;
}

static int run_words(int argc, char **argv) {
    const char *word = argc > 1 ? argv[1] : "";
    const verb_row_t *verb = verb_find(word);
    if (verb) return run_verb(verb, argc - 1, argv + 1);
    if (is_one_of(word, "--version", "-V") || strcmp(word, "version") == 0) return print_version();
    if (is_one_of(word, "--help", "-h") || strcmp(word, "--help.ja") == 0) {
        print_help(NULL, strcmp(word, "--help.ja") == 0, stdout);
        return EXIT_ALL_FINE;
    }
    return word[0] == '-' ? run_verb(verb_of(VERB_RUN), argc, argv) : refuse_verb(word);
}

/* Keys are in our environment and memory: other processes of this user, Python blocks among them, may not
 * look into them. Leak checkers have to. */
static void hide_memory(void) {
#ifndef SDG_SANITIZED
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

/* A name lookup that curl has given up on still runs in a thread that nobody joins (CURLOPT_QUICK_EXIT),
 * while exit() takes apart what it may be using. So the process ends without exit handlers, except where the
 * leak checker or the writer of coverage counts is one. */
int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], PY_SPAWNER_WORD) == 0) _exit(py_spawner_main());
    hide_memory();
#ifdef SDG_SANITIZED
    begin();
#endif
    int code = run_words(argc, argv);
    runtime_end();
    if (fflush(NULL) != 0 && code == 0) code = EXIT_DATA; /* the output on stdout is not complete */
#if defined(SDG_SANITIZED) || defined(SDG_COVERAGE)
    return code;
#else
    _exit(code);
#endif
}
