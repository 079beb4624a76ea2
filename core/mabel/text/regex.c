/* regex.c - PCRE2 with the conventions of Python's re.
 *
 * Every match runs with a step limit and a heap limit, so that a catastrophic pattern costs milliseconds and
 * gives a sentence. The JIT is used where it can be. When its stack does not suffice, the interpreter takes
 * over, whose memory is bounded by the heap limit. Texts that are not UTF-8 are searched, too: nothing
 * matches across a broken byte. */
#include "core/mabel/text/regex.h"

#include "core/base/buf.h"
#include "core/base/ending.h"
#include "core/base/per_thread.h"
#include "core/base/text.h"
#include "core/mabel/text/limits.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

static const char NO_MEMORY[] = "no memory for a regular expression";

enum {
    JIT_STACK_FIRST = 32 * 1024, /* bytes of the JIT stack at once */
    CACHE_SLOTS = 64,      /* computed patterns of a thread, direct-mapped: a collision compiles again */
    GROUP_NAME_MAX = 64,   /* bytes of a group's name in a replacement, with its NUL */
    ERROR_TEXT_MAX = 160,  /* bytes of a sentence of PCRE2 */
    SPAN_GROUPS_MAX = 100, /* groups that findall and replacements can see */
};

struct pattern {
    pcre2_code *code;
    pcre2_match_data *data; /* where matches are written: a pattern belongs to one thread */
    uint32_t groups;
};

/* ---- what a thread keeps */

typedef struct cached {
    str_t *pattern; /* NULL: empty slot */
    int flags;
    pattern_t *re;
} cached_t;

typedef struct thread_state {
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
    cached_t cache[CACHE_SLOTS];
} thread_state_t;

static _Thread_local thread_state_t *state_of_thread;

static void free_state(void *arg) {
    thread_state_t *t = arg;
    for (int i = 0; i < CACHE_SLOTS; i++) {
        str_free(t->cache[i].pattern);
        regex_destroy(&t->cache[i].re);
    }
    pcre2_jit_stack_free(t->stack);
    pcre2_match_context_free(t->context);
    free(t);
    state_of_thread = NULL;
}

static thread_state_t *thread_state(void) {
    if (state_of_thread) return state_of_thread;
    thread_state_t *t = xcalloc(1, sizeof *t);
    t->context = pcre2_match_context_create(NULL);
    t->stack = pcre2_jit_stack_create(JIT_STACK_FIRST, REGEX_JIT_STACK_MAX, NULL);
    if (!t->context || !t->stack) ending_short(NO_MEMORY);
    pcre2_set_match_limit(t->context, REGEX_MATCH_LIMIT);
    pcre2_set_heap_limit(t->context, REGEX_HEAP_KIB_MAX);
    pcre2_jit_stack_assign(t->context, NULL, t->stack);
    per_thread_keep(t, free_state);
    return state_of_thread = t;
}

/* ---- compile */

static size_t hex_digits(const char *at, const char *end, size_t max) {
    size_t n = 0;
    while (n < max && at + n < end && isxdigit((unsigned char)at[n]))
        n++;
    return n;
}

/* Python's \uXXXX and \UXXXXXXXX as PCRE's \x{...}, and \Z, the very end, as PCRE's \z (whose own \Z takes a
 * line end before it, too); everything else as it is. */
static void translate(buf_t *out, const char *pattern, size_t len) {
    const char *at = pattern, *end = pattern + len;
    while (at < end) {
        if (*at != '\\' || at + 1 == end) {
            buf_addc(out, *at++);
            continue;
        }
        size_t want = at[1] == 'u' ? 4 : at[1] == 'U' ? 8 : 0;
        if (want && hex_digits(at + 2, end, want) == want) {
            buf_addf(out, "\\x{%.*s}", (int)want, at + 2);
            at += 2 + want;
        } else if (at[1] == 'Z') {
            buf_add(out, "\\z", 2);
            at += 2;
        } else {
            buf_add(out, at, 2);
            at += 2;
        }
    }
}

static int compile_error(const char *pattern, size_t len, int code, size_t offset, err_t *err) {
    PCRE2_UCHAR why[ERROR_TEXT_MAX];
    if (pcre2_get_error_message(code, why, sizeof why) < 0) why[0] = '\0';
    size_t character = utf8_length(pattern, offset < len ? offset : len) + 1;
    return err_set(err, SDG_EINVAL, "not a regular expression: %s (at character %zu)", (const char *)why,
                   character);
}

pattern_t *regex_compile(const char *pattern, size_t len, int flags, err_t *err) {
    if (len > REGEX_PATTERN_BYTES_MAX) {
        err_set(err, SDG_ELIMIT, "a regular expression of more than %d bytes", REGEX_PATTERN_BYTES_MAX);
        return NULL;
    }
    buf_t text;
    buf_init(&text, 4 * REGEX_PATTERN_BYTES_MAX);
    translate(&text, pattern, len);
    uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C;
    if (flags & REGEX_DOTALL) options |= PCRE2_DOTALL;
    int code;
    PCRE2_SIZE offset;
    const char *bytes = text.data ? text.data : "";
    pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)bytes, text.len, options, &code, &offset, NULL);
    if (!compiled && code == PCRE2_ERROR_HEAP_FAILED) ending_short(NO_MEMORY);
    if (!compiled) {
        compile_error(bytes, text.len, code, offset, err);
        buf_free(&text);
        return NULL;
    }
    buf_free(&text);
    pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE); /* a pattern it cannot do is interpreted */
    pattern_t *re = xcalloc(1, sizeof *re);
    re->code = compiled;
    re->data = pcre2_match_data_create_from_pattern(compiled, NULL);
    if (!re->data) ending_short(NO_MEMORY);
    pcre2_pattern_info(compiled, PCRE2_INFO_CAPTURECOUNT, &re->groups);
    return re;
}

void regex_destroy(pattern_t **re) {
    if (!*re) return;
    pcre2_match_data_free((*re)->data);
    pcre2_code_free((*re)->code);
    free(*re);
    *re = NULL;
}

uint32_t regex_groups(const pattern_t *re) { return re->groups; }

pattern_t *regex_cached(const char *pattern, size_t len, int flags, err_t *err) {
    cached_t *slot = &thread_state()->cache[(str_hash_bytes(pattern, len) + (uint32_t)flags) % CACHE_SLOTS];
    if (slot->pattern && slot->flags == flags && slot->pattern->len == len &&
        memcmp(slot->pattern->data, pattern, len) == 0)
        return slot->re;
    pattern_t *re = regex_compile(pattern, len, flags, err);
    if (!re) return NULL;
    str_free(slot->pattern);
    regex_destroy(&slot->re);
    *slot = (cached_t){str_new(pattern, len), flags, re};
    return re;
}

/* ---- match */

static int match_error(int rc, err_t *err) {
    if (rc == PCRE2_ERROR_MATCHLIMIT || rc == PCRE2_ERROR_DEPTHLIMIT || rc == PCRE2_ERROR_HEAPLIMIT)
        return err_set(err, SDG_ELIMIT,
                       "the regular expression takes too many steps on this text (nested repetition?)");
    PCRE2_UCHAR why[ERROR_TEXT_MAX];
    if (pcre2_get_error_message(rc, why, sizeof why) < 0) why[0] = '\0';
    return err_set(err, SDG_EINVAL, "the regular expression failed: %s", (const char *)why);
}

/* One match from byte offset `from`, as regex_match tells it. A match that exceeds the JIT stack is tried
 * again by the interpreter. */
static int match_at(pattern_t *re, const char *text, size_t len, size_t from, uint32_t options, size_t *span,
                    size_t span_max, err_t *err) {
    assert(span_max >= 2 && from <= len);
    pcre2_match_context *context = thread_state()->context;
    PCRE2_SPTR subject = (PCRE2_SPTR)(text ? text : "");
    int rc = pcre2_match(re->code, subject, len, from, options, re->data, context);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
        rc = pcre2_match(re->code, subject, len, from, options | PCRE2_NO_JIT, re->data, context);
    if (rc == PCRE2_ERROR_NOMATCH) return 0;
    if (rc == PCRE2_ERROR_NOMEMORY) ending_short(NO_MEMORY);
    if (rc < 0) return match_error(rc, err);
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(re->data);
    for (size_t i = 0; i + 1 < span_max && i / 2 <= re->groups; i += 2) {
        bool set = i / 2 < (size_t)rc && at[i] != PCRE2_UNSET;
        span[i] = set ? at[i] : SIZE_MAX;
        span[i + 1] = set ? at[i + 1] : SIZE_MAX;
    }
    if (span[0] > span[1] || span[1] < from)
        return err_set(err, SDG_EINVAL, "\\K moved the start of a match behind its end");
    return 1;
}

int regex_match(pattern_t *re, const char *text, size_t len, size_t from, size_t *span, size_t span_max,
                err_t *err) {
    return match_at(re, text, len, from, 0, span, span_max, err);
}

int regex_next(regex_walk_t *walk, size_t *span, size_t span_max, err_t *err) {
    uint32_t options = walk->after_empty ? PCRE2_NOTEMPTY_ATSTART : 0;
    int rc = match_at(walk->re, walk->text, walk->len, walk->from, options, span, span_max, err);
    if (rc <= 0) return rc;
    walk->from = span[1];
    walk->after_empty = span[0] == span[1];
    return 1;
}

/* ---- findall */

static value_t group_text(const char *text, const size_t *span, size_t group) {
    if (span[2 * group] == SIZE_MAX) return value_text("");
    return value_string(text + span[2 * group], span[2 * group + 1] - span[2 * group]);
}

/* One hit of findall; *bytes grows by the length of its texts. */
static value_t hit_value(const char *text, const size_t *span, size_t groups, size_t *bytes) {
    if (groups <= 1) {
        value_t v = group_text(text, span, groups);
        *bytes += v.string->len;
        return v;
    }
    value_t list = value_list(groups);
    for (size_t i = 1; i <= groups; i++) {
        value_t v = group_text(text, span, i);
        *bytes += v.string->len;
        list_push(&list, v);
    }
    return list;
}

int regex_findall(pattern_t *re, const char *text, size_t len, size_t count_max, value_t *out, err_t *err) {
    size_t span[2 * SPAN_GROUPS_MAX];
    size_t groups = re->groups < SPAN_GROUPS_MAX ? re->groups : SPAN_GROUPS_MAX - 1;
    regex_walk_t walk = {.re = re, .text = text, .len = len};
    size_t bytes = 0;
    int rc = 0;
    *out = value_list(0);
    while (list_count(*out) < count_max && (rc = regex_next(&walk, span, 2 * SPAN_GROUPS_MAX, err)) > 0) {
        list_push(out, hit_value(text, span, groups, &bytes));
        if (bytes > REGEX_HITS_BYTES_MAX) {
            rc = err_set(err, SDG_ELIMIT, "the hits of the regular expression are longer than %zu bytes",
                         REGEX_HITS_BYTES_MAX);
            break;
        }
    }
    if (rc < 0) value_clear(out);
    return rc < 0 ? rc : SDG_OK;
}

/* ---- replace */

typedef struct replacing {
    pattern_t *re;
    const char *text;
    const size_t *span;
    buf_t out;
    err_t *err;
} replacing_t;

static int add_group(replacing_t *r, size_t group) {
    if (group > r->re->groups || group >= SPAN_GROUPS_MAX)
        return err_set(r->err, SDG_EINVAL, "the replacement names group %zu, but the pattern has %u", group,
                       r->re->groups);
    if (r->span[2 * group] != SIZE_MAX)
        buf_add(&r->out, r->text + r->span[2 * group], r->span[2 * group + 1] - r->span[2 * group]);
    return SDG_OK;
}

/* Writes the group of \g<name> or \g<1>; *at stands behind "\g<" and moves behind the ">". */
static int add_named(replacing_t *r, const char **at, const char *end) {
    const char *close = memchr(*at, '>', (size_t)(end - *at));
    size_t len = close ? (size_t)(close - *at) : 0;
    if (len == 0 || len >= GROUP_NAME_MAX)
        return err_set(r->err, SDG_EINVAL, "the replacement has a broken \\g<...>");
    char name[GROUP_NAME_MAX];
    memcpy(name, *at, len);
    name[len] = '\0';
    *at = close + 1;
    if (strspn(name, "0123456789") == len) return add_group(r, (size_t)strtoul(name, NULL, 10));
    int group = pcre2_substring_number_from_name(r->re->code, (PCRE2_SPTR)name);
    if (group < 0)
        return err_set(r->err, SDG_EINVAL, "the replacement names group \"%s\", which the pattern has not",
                       name);
    return add_group(r, (size_t)group);
}

/* Writes what a backslash and the characters from *at on stand for; *at is before end and moves behind them.
 */
static int add_escape(replacing_t *r, const char **at, const char *end) {
    static const char letters[] = "ntrfva\\", bytes[] = "\n\t\r\f\v\a\\";
    char c = *(*at)++;
    if (c >= '0' && c <= '9') {
        size_t group = (size_t)(c - '0');
        if (*at < end && isdigit((unsigned char)**at)) group = group * 10 + (size_t)(*(*at)++ - '0');
        return add_group(r, group);
    }
    if (c == 'g' && *at < end && **at == '<') {
        ++*at;
        return add_named(r, at, end);
    }
    const char *letter = c ? strchr(letters, c) : NULL;
    if (letter) {
        buf_addc(&r->out, bytes[letter - letters]);
    } else {
        buf_addc(&r->out, '\\');
        buf_addc(&r->out, c);
    }
    return SDG_OK;
}

static int add_replacement(replacing_t *r, const char *with, size_t with_len) {
    const char *at = with, *end = with + with_len;
    int rc = SDG_OK;
    while (at < end && rc == SDG_OK) {
        if (*at == '\\' && at + 1 < end) {
            at++;
            rc = add_escape(r, &at, end);
        } else {
            buf_addc(&r->out, *at++);
        }
    }
    return rc;
}

int regex_replace(pattern_t *re, const char *text, size_t len, const char *with, size_t with_len,
                  value_t *out, err_t *err) {
    size_t span[2 * SPAN_GROUPS_MAX];
    replacing_t r = {.re = re, .text = text, .span = span, .err = err};
    buf_init(&r.out, MEX_TEXT_BYTES_MAX);
    regex_walk_t walk = {.re = re, .text = text, .len = len};
    size_t copied = 0;
    int rc;
    *out = value_null();
    while ((rc = regex_next(&walk, span, 2 * SPAN_GROUPS_MAX, err)) > 0) {
        if (span[0] > copied) buf_add(&r.out, text + copied, span[0] - copied);
        copied = span[1];
        rc = add_replacement(&r, with, with_len);
        if (rc != SDG_OK || r.out.full) break;
    }
    if (rc >= 0 && len > copied) buf_add(&r.out, text + copied, len - copied);
    if (rc >= 0 && r.out.full)
        rc = err_set(err, SDG_ELIMIT, "the text is longer than %zu bytes after the replacement",
                     MEX_TEXT_BYTES_MAX);
    if (rc >= 0) *out = value_string(r.out.data ? r.out.data : "", r.out.len);
    buf_free(&r.out);
    return rc < 0 ? rc : SDG_OK;
}
