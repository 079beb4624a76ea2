/* flags.c - see flags.h: the command line, read by the table. The rows are in flags_table.c.
 *
 * The syntax is that of getopt_long: --name VALUE, --name=VALUE, -n VALUE, -nVALUE, letters in one word
 * (-qv), an unambiguous beginning of a name, and -- before words that begin with a dash. */
#include "actors/verbs/flags.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "actors/verbs/limits.h"
#include "actors/verbs/service_file.h"
#include "core/base/log.h"
#include "core/mabel/yaml/diag.h"

/* ---- verbs and rows */

const verb_row_t *verb_of(verb_t verb) {
    for (size_t i = 0; i < verb_count; i++) {
        if (verb_rows[i].verb == verb) return &verb_rows[i];
    }
    return NULL;
}

const verb_row_t *verb_find(const char *name) {
    for (size_t i = 0; i < verb_count; i++) {
        if (strcmp(verb_rows[i].name, name) == 0) return &verb_rows[i];
    }
    return NULL;
}

/* The only verb that begins with these letters, or NULL. */
static const char *verb_begun(const char *letters) {
    const char *found = NULL;
    for (size_t i = 0; i < verb_count; i++) {
        if (strncmp(verb_rows[i].name, letters, strlen(letters)) != 0) continue;
        if (found) return NULL;
        found = verb_rows[i].name;
    }
    return found;
}

const char *verb_nearest(const char *name) {
    const char **names = xcalloc(verb_count + 1, sizeof *names);
    for (size_t i = 0; i < verb_count; i++) {
        names[i] = verb_rows[i].name;
    }
    names[verb_count] = "version"; /* a flag that is taken as a word, too */
    const char *nearest = diag_nearest(name, names, verb_count + 1);
    free(names);
    return nearest ? nearest : verb_begun(name);
}

bool flag_is_taken(const flag_row_t *row, verb_t verb) {
    return (row->verbs & verb) != 0 || (verb == VERB_DOCTOR && (row->verbs & VERB_RUN));
}

bool flag_is_shown(const flag_row_t *row, verb_t verb) {
    return (row->verbs & verb) != 0 && !(row->traits & FLAG_HIDDEN);
}

bool flag_has_value(const flag_row_t *row) {
    return row->kind != FLAG_SWITCH && row->kind != FLAG_SWITCH_OFF;
}

/* ---- values */

static uint64_t largest(const flag_row_t *row) {
    return row->max ? row->max : row->size == sizeof(unsigned) ? UINT32_MAX : UINT64_MAX;
}

static int read_number(const flag_row_t *row, const char *text, uint64_t *out, err_t *err) {
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (errno || end == text || *end || strchr(text, '-'))
        return err_set(err, SDG_EINVAL, "takes a whole number, not '%s'", text);
    if (n < row->min) return err_set(err, SDG_EINVAL, "must be at least %" PRIu64 ", not %llu", row->min, n);
    if (n > largest(row))
        return err_set(err, SDG_EINVAL, "is at most %" PRIu64 ", not %llu", largest(row), n);
    *out = n;
    return SDG_OK;
}

static int read_real(const flag_row_t *row, const char *text, double *out, err_t *err) {
    char *end;
    double n = strtod(text, &end);
    if (end == text || *end || !(n >= (double)row->min && n <= (double)row->max))
        return err_set(err, SDG_EINVAL, "takes a number from %" PRIu64 " to %" PRIu64 ", not '%s'", row->min,
                       row->max, text);
    *out = n;
    return SDG_OK;
}

/* "256M", "2 GiB", "1000000": bytes; K, M, G and T are powers of 1024. */
static int read_size(const flag_row_t *row, const char *text, uint64_t *out, err_t *err) {
    static const char units[] = "KMGT";
    char *end;
    errno = 0;
    double n = strtod(text, &end);
    while (*end == ' ')
        end++;
    const char *unit = *end ? strchr(units, *end & ~0x20) : NULL;
    if (unit) n *= (double)(UINT64_C(1024) << 10 * (unit - units));
    if (unit && (end[1] == 'i' || end[1] == 'I') && (end[2] == 'B' || end[2] == 'b'))
        end += 2;
    else if (unit && (end[1] == 'B' || end[1] == 'b'))
        end++;
    if (errno || end == text || !(n >= 0) || n > 1e18 || (unit ? end[1] : *end))
        return err_set(err, SDG_EINVAL, "takes a size such as 256M or 2G, not '%s'", text);
    if ((uint64_t)n < row->min)
        return err_set(err, SDG_EINVAL, "must be at least %" PRIu64 "M, not '%s'", row->min >> 20, text);
    *out = (uint64_t)n;
    return SDG_OK;
}

/* "90", "90s", "15m", "1.5h": milliseconds. */
static int read_duration(const flag_row_t *row, const char *text, uint64_t *out, err_t *err) {
    char *end;
    errno = 0;
    double n = strtod(text, &end);
    double unit_s = *end == 'm' ? 60 : *end == 'h' ? 3600 : 1;
    bool has_unit = *end == 's' || *end == 'm' || *end == 'h';
    if (errno || end == text || end[has_unit] || !(n >= 0) || !(n * unit_s <= DURATION_S_MAX))
        return err_set(err, SDG_EINVAL, "takes seconds, or a time such as 90s, 15m or 24h, not '%s'", text);
    if (n * unit_s * 1000 < (double)row->min)
        return err_set(err, SDG_EINVAL, "must be at least %" PRIu64 " s, not '%s'", row->min / 1000, text);
    *out = (uint64_t)(n * unit_s * 1000);
    return SDG_OK;
}

/* "never, batch or always" */
static void list_choices(const flag_choice_t *choices, buf_t *out) {
    for (const flag_choice_t *c = choices; c->name; c++) {
        buf_addf(out, "%s%s", c == choices ? "" : c[1].name ? ", " : " or ", c->name);
    }
}

/* One of a fixed set of words; the error lists them all and names the nearest. */
static int read_choice(const flag_row_t *row, const char *text, unsigned *out, err_t *err) {
    const char *names[FLAG_CHOICES_MAX];
    size_t n = 0;
    buf_t list;
    for (const flag_choice_t *c = row->choices; c->name; c++) {
        *out = c->value;
        if (strcmp(c->name, text) == 0) return SDG_OK;
        if (n < FLAG_CHOICES_MAX) names[n++] = c->name;
    }
    const char *nearest = diag_nearest(text, names, n);
    buf_init(&list, ERR_TEXT_MAX);
    list_choices(row->choices, &list);
    err_set(err, SDG_EINVAL, "takes %s, not '%s'%s%s%s", list.data, text, nearest ? "; did you mean " : "",
            nearest ? nearest : "", nearest ? "?" : "");
    buf_free(&list);
    return SDG_EINVAL;
}

/* Stores a number in a field of 4 or 8 bytes. */
static void store_number(void *field, size_t size, uint64_t n) {
    unsigned narrow = (unsigned)n;
    memcpy(field, size == sizeof narrow ? (const void *)&narrow : &n, size);
}

/* The switch over kinds: each reads its text and stores a value of its type. */
int flag_set(const flag_row_t *row, void *options, const char *text, err_t *err) {
    void *field = options && row->size ? (char *)options + row->place : NULL;
    uint64_t n = 0;
    double real = 0;
    unsigned choice = 0;
    int rc = SDG_OK;
    switch (row->kind) {
    case FLAG_TEXT:
        if (row->check) rc = row->check(text, err);
        if (!rc && field) memcpy(field, &text, sizeof text);
        break;
    case FLAG_NUMBER:
        rc = read_number(row, text, &n, err);
        if (!rc && field) store_number(field, row->size, n);
        break;
    case FLAG_REAL:
        rc = read_real(row, text, &real, err);
        if (!rc && field) memcpy(field, &real, sizeof real);
        break;
    case FLAG_SIZE:
        rc = read_size(row, text, &n, err);
        if (!rc && field) store_number(field, row->size, n);
        break;
    case FLAG_DURATION:
        rc = read_duration(row, text, &n, err);
        if (!rc && field) store_number(field, row->size, n);
        break;
    case FLAG_CHOICE:
        rc = read_choice(row, text, &choice, err);
        if (!rc && field) memcpy(field, &choice, sizeof choice);
        break;
    case FLAG_SWITCH:
    case FLAG_SWITCH_OFF:
        if (field) *(bool *)field = (row->kind == FLAG_SWITCH) == (strcmp(text, "true") == 0);
        break;
    case FLAG_READ: rc = row->read(options, text, err); break;
    }
    if (!rc && options && row->present) *(bool *)((char *)options + row->present) = true;
    return rc;
}

/* ---- one command line */

/* A command line while it is read. */
typedef struct command_line {
    const verb_row_t *verb;
    int argc;
    int next; /* the word to look at */
    char **argv;
    common_options_t *options; /* first member of the verb's options */
    const char **given;        /* for each row of the table the value it was given here; NULL: none */
    err_t *err;
} command_line_t;

static bool shows_flag(verb_t verb, const char *name) {
    for (size_t i = 0; i < flag_count; i++) {
        if (flag_is_shown(&flag_rows[i], verb) && strcmp(flag_rows[i].name, name) == 0) return true;
    }
    return false;
}

/* Names of the verbs whose help shows a flag of this name, "sdg doctor or sdg test-run"; none: it is unknown.
 */
static void list_verbs(const char *name, buf_t *out) {
    for (size_t v = 0; v < verb_count; v++) {
        if (shows_flag(verb_rows[v].verb, name))
            buf_addf(out, "%ssdg %s", out->len ? " or " : "", verb_rows[v].name);
    }
}

static const flag_row_t *row_of_name(const char *name, verb_t verb) {
    for (size_t i = 0; i < flag_count; i++) {
        if (flag_is_taken(&flag_rows[i], verb) && strcmp(flag_rows[i].name, name) == 0) return &flag_rows[i];
    }
    return NULL;
}

/* The nearest of the names that help shows. */
static const char *nearest_flag(const command_line_t *r, const char *name) {
    const char **names = xcalloc(flag_count, sizeof *names);
    size_t n = 0;
    for (size_t i = 0; i < flag_count; i++) {
        if (flag_is_shown(&flag_rows[i], r->verb->verb)) names[n++] = flag_rows[i].name;
    }
    const char *nearest = diag_nearest(name, names, n);
    free(names);
    return nearest;
}

static int refuse_unknown(const command_line_t *r, const char *name) {
    const char *nearest = nearest_flag(r, name);
    if (nearest) return err_set(r->err, SDG_EINVAL, "unknown option --%s; did you mean --%s?", name, nearest);
    buf_t verbs;
    buf_init(&verbs, ERR_TEXT_MAX);
    list_verbs(name, &verbs);
    if (verbs.len)
        err_set(r->err, SDG_EINVAL, "unknown option --%s: %s takes it, sdg %s does not", name, verbs.data,
                r->verb->name);
    else
        err_set(r->err, SDG_EINVAL, "unknown option --%s", name);
    buf_free(&verbs);
    return SDG_EINVAL;
}

/* Do two flags mean the same field, so that either stands for both? */
static bool same_field(const flag_row_t *a, const flag_row_t *b) {
    return a == b || (a->size && b->size && a->place == b->place);
}

/* Does help show a flag whose name begins so? Flags that it does not show have to be written in full: whoever
 * writes less means another. */
static bool may_mean(const command_line_t *r, const flag_row_t *row, const char *name) {
    return flag_is_taken(row, r->verb->verb) && !(row->traits & FLAG_HIDDEN) &&
           strncmp(row->name, name, strlen(name)) == 0;
}

/* Finds the row with this name, or the only one whose name begins so; an error when there is none or several.
 */
static int find_row(const command_line_t *r, const char *name, const flag_row_t **row) {
    *row = row_of_name(name, r->verb->verb);
    for (size_t i = 0; !*row && i < flag_count; i++) {
        const flag_row_t *first = &flag_rows[i];
        if (!may_mean(r, first, name)) continue;
        for (size_t j = i + 1; j < flag_count; j++) {
            const flag_row_t *other = &flag_rows[j];
            if (may_mean(r, other, name) && !same_field(first, other))
                return err_set(r->err, SDG_EINVAL, "unknown option --%s: --%s or --%s?", name, first->name,
                               other->name);
        }
        *row = first;
    }
    return *row ? SDG_OK : refuse_unknown(r, name);
}

/* A file or an address that is given twice would silently lose one of the two. Of a setting the last one
 * counts, so that a script's settings can be overridden behind them. */
static int check_given_once(const command_line_t *r, const flag_row_t *row, const char *text) {
    const char *before = r->given[row - flag_rows];
    if (row->kind != FLAG_TEXT || !before || strcmp(before, text) == 0) return SDG_OK;
    return err_set(r->err, SDG_EINVAL,
                   "--%s is given twice, '%s' and '%s': it takes one value, leave one out", row->name, before,
                   text);
}

/* Stores one flag with its value ("true" for a switch). */
static int take_flag(command_line_t *r, const flag_row_t *row, const char *text) {
    err_t why;
    if (check_given_once(r, row, text) != SDG_OK) return SDG_EINVAL;
    r->given[row - flag_rows] = text;
    if (row->traits & FLAG_NO_EFFECT)
        log_warn("options", "--%s is accepted but has no effect yet%s%s", row->name, row->note ? ": " : "",
                 row->note ? row->note : "");
    if (flag_set(row, r->options, text, &why) == SDG_OK) return SDG_OK;
    return err_set(r->err, why.code, "--%s %s", row->name, why.text);
}

/* Takes the next word as the value of a flag. A flag in its place means that the value was forgotten. */
static int take_next(command_line_t *r, const flag_row_t *row, const char *shown) {
    const char *word = r->next < r->argc ? r->argv[r->next] : NULL;
    if (!word) return err_set(r->err, SDG_EINVAL, "%s takes a value", shown);
    if (strncmp(word, "--", 2) == 0 && row_of_name(word + 2, r->verb->verb))
        return err_set(r->err, SDG_EINVAL, "%s takes a value, and %s is a flag (--%s=%s if it is meant)",
                       shown, word, row->name, word);
    r->next++;
    return take_flag(r, row, word);
}

/* Takes --name or --name=VALUE; `word` is what follows the dashes. */
static int take_long(command_line_t *r, const char *word) {
    const flag_row_t *row;
    const char *value = strchr(word, '=');
    char *name = xstrndup(word, value ? (size_t)(value - word) : strlen(word));
    int rc = find_row(r, name, &row);
    free(name);
    if (rc != SDG_OK) return rc;
    if (!flag_has_value(row) && value)
        return err_set(r->err, SDG_EINVAL, "--%s takes no value, not '%s'", row->name, value + 1);
    if (!flag_has_value(row)) return take_flag(r, row, "true");
    if (value) return take_flag(r, row, value + 1);
    char *shown = xasprintf("--%s", row->name);
    rc = take_next(r, row, shown);
    free(shown);
    return rc;
}

static const flag_row_t *row_of_letter(const command_line_t *r, char letter) {
    for (size_t i = 0; i < flag_count; i++) {
        if (flag_rows[i].letter == letter && flag_is_taken(&flag_rows[i], r->verb->verb))
            return &flag_rows[i];
    }
    return NULL;
}

/* Takes -q, -qv, -n 5 or -n5; `letters` is what follows the dash. */
static int take_letters(command_line_t *r, const char *letters) {
    for (const char *c = letters; *c; c++) {
        const flag_row_t *row = row_of_letter(r, *c);
        const char shown[] = {'-', *c, '\0'};
        if (!row) return err_set(r->err, SDG_EINVAL, "unknown option -%c", *c);
        if (flag_has_value(row)) return c[1] ? take_flag(r, row, c + 1) : take_next(r, row, shown);
        if (take_flag(r, row, "true") != SDG_OK) return SDG_EINVAL;
    }
    return SDG_OK;
}

static void add_word(command_line_t *r, const char *word) {
    r->options->words[r->options->word_count++] = word;
}

/* Reads all words: flags, their values, and words that stand beside flags. */
static int take_words(command_line_t *r) {
    int rc = SDG_OK;
    while (rc == SDG_OK && r->next < r->argc) {
        const char *word = r->argv[r->next++];
        if (strcmp(word, "--") == 0)
            while (r->next < r->argc)
                add_word(r, r->argv[r->next++]);
        else if (strncmp(word, "--", 2) == 0)
            rc = take_long(r, word + 2);
        else if (word[0] == '-' && word[1])
            rc = take_letters(r, word + 1);
        else
            add_word(r, word);
    }
    return rc;
}

/* ---- after the last word */

static int check_first_word(const command_line_t *r) {
    const char *word = r->options->words[0];
    const char *const *allowed = r->verb->first_words;
    size_t n = 0;
    for (; allowed[n]; n++) {
        if (strcmp(allowed[n], word) == 0) return SDG_OK;
    }
    const char *nearest = diag_nearest(word, allowed, n);
    if (nearest) return err_set(r->err, SDG_EINVAL, "unknown word '%s'; did you mean %s?", word, nearest);
    return err_set(r->err, SDG_EINVAL, "unknown word '%s'; usage: sdg %s %s", word, r->verb->name,
                   r->verb->usage);
}

static int check_words(const command_line_t *r) {
    size_t n = r->options->word_count;
    if (n > r->verb->words_max)
        return err_set(r->err, SDG_EINVAL, "unexpected word '%s'", r->options->words[r->verb->words_max]);
    if (n && r->verb->first_words && check_first_word(r) != SDG_OK) return SDG_EINVAL;
    return n >= r->verb->words_min ? SDG_OK
                                   : err_set(r->err, SDG_EINVAL, "something is missing; usage: sdg %s %s",
                                             r->verb->name, r->verb->usage);
}

/* Takes keys of the service file as values of the flags that were not given. */
static int take_service_file(command_line_t *r) {
    common_options_t *o = r->options;
    if (!o->config) return SDG_OK;
    o->service = service_file_open(o->config, r->err);
    if (!o->service) return SDG_EINVAL;
    for (size_t i = 0; i < flag_count; i++) {
        const flag_row_t *row = &flag_rows[i];
        const char *text = row->key ? service_file_text(o->service, row->key) : NULL;
        bool given = r->given[i] != NULL;
        for (size_t j = 0; j < flag_count; j++) {
            given = given || (r->given[j] && same_field(row, &flag_rows[j]));
        }
        if (text && !given && flag_is_taken(row, r->verb->verb)) flag_set(row, o, text, NULL);
    }
    return SDG_OK;
}

bool flags_japanese_environment(void) {
    static const char *const names[] = {"LC_ALL", "LC_MESSAGES", "LANG"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (value && *value) return strncmp(value, "ja", 2) == 0 && strchr("_.@", value[2]);
    }
    return false;
}

static int complete_options(command_line_t *r) {
    common_options_t *o = r->options;
    o->japanese = o->locale ? o->locale == UI_LOCALE_JA : flags_japanese_environment();
    o->help = o->help || o->help_ja;
    if (o->help || o->version) return SDG_OK;
    if (check_words(r) != SDG_OK || take_service_file(r) != SDG_OK) return SDG_EINVAL;
    return r->verb->check ? r->verb->check(r->verb->verb, o, r->err) : SDG_OK;
}

int flags_parse(const verb_row_t *verb, int argc, char **argv, void *options, err_t *err) {
    command_line_t r = {.verb = verb, .argc = argc, .next = 1, .argv = argv, .options = options, .err = err};
    memset(options, 0, verb->options_size);
    if (verb->prepare) verb->prepare(options);
    r.options->words = xcalloc((size_t)argc + 1, sizeof *r.options->words);
    r.given = xcalloc(flag_count, sizeof *r.given);
    int rc = take_words(&r);
    if (rc == SDG_OK) rc = complete_options(&r);
    free(r.given);
    return rc;
}

void flags_release(const verb_row_t *verb, void *options) {
    common_options_t *o = options;
    if (verb->release) verb->release(options);
    service_file_close(&o->service);
    free(o->words);
    o->words = NULL;
}
