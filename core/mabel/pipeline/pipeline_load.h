/* pipeline_load.h - shared by the pipeline_*.c files only: what is known while a file is being loaded, and
 * reading fields.
 *
 * Every kind of object in a file has a table of its keys (keyset_t). keys_check walks an object against its
 * table once and reports unknown keys, wrong kinds and missing fields; after that the `field_*` readers take
 * what fits and give the fallback for what does not, so no problem is reported twice. A key with the value
 * null counts as absent.
 */
#ifndef SDG_MABEL_PIPELINE_PIPELINE_LOAD_H
#define SDG_MABEL_PIPELINE_PIPELINE_LOAD_H

#include "core/mabel/pipeline/pipeline.h"
#include "core/mabel/yaml/name_check.h"

typedef struct load {
    const pipeline_source_t *source;
    pipeline_t *p;
    ydoc_t *doc;
    diags_t *diags;
    const ynode_t *root;
    const ynode_t *python_functions; /* functions.python, a list, or NULL */
    py_env_spec_t python_env;        /* runtime.python; copied to p->py_envs[0] when a python block is met */
    const ynode_t **judged;          /* scalars whose missing variable has been reported already */
    size_t judged_count, judged_cap;
    value_t keys_said; /* object: variables of keys that are not set and have been reported */
} load_t;

/* ---- keys */

typedef enum want {
    WANT_ANY,
    WANT_TEXT,   /* a scalar; numbers and booleans are taken in text form */
    WANT_NAME,   /* text only: name_check.h */
    WANT_OUTPUT, /* a name that becomes a key of the result row: name_check.h */
    WANT_SECRET, /* as WANT_TEXT; no message repeats it */
    WANT_NUMBER, /* also as text ("${ENV.X}") */
    WANT_BOOL,
    WANT_LIST,
    WANT_MAP,
    WANT_TEXTS, /* a list, or one text */
    WANT_LIST_OR_MAP,
} want_t;

typedef struct key_rule {
    const char *key;
    want_t want;
    bool required;
} key_rule_t;

typedef struct keyset {
    const char *what; /* "a model", for messages */
    const key_rule_t *rules;
    size_t count;
    const struct keyset *base; /* further rules, or NULL */
    bool open;                 /* further keys are allowed */
    const char *params;        /* the key under which parameters of requests stand, or NULL */
} keyset_t;
#define KEYSET(what_, rules_, base_) \
    { .what = (what_), .rules = (rules_), .count = sizeof(rules_) / sizeof((rules_)[0]), .base = (base_) }

/* Reports unknown keys, values of the wrong kind and missing fields. False when n is no map at all, which is
 * reported, too. */
bool keys_check(load_t *l, const ynode_t *n, const ypath_t *path, const keyset_t *set);

/* ---- fields */

/* Adds a problem at a node (NULL: the file as a whole). */
void complain(load_t *l, diag_level_t level, const ynode_t *at, const ypath_t *path, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
/* ", did you mean 'x'?" for the end of a message, or "". */
typedef struct meant {
    char text[96];
} meant_t;
meant_t meant(const char *word, const char *const *names, size_t count);

const ynode_t *field(const ynode_t *n, const char *key); /* NULL when absent or null */
str_t *scalar_text(const ynode_t *n);                    /* text form of a scalar; NULL when none. Owned */
str_t *field_text(const ynode_t *n, const char *key);    /* text form of a field; NULL when none. Owned */
char *field_chars(const ynode_t *n, const char *key);    /* the same text as a C string, owned */
bool field_bool(const ynode_t *n, const char *key, bool fallback);
/* A whole number between least and most; outside: an error and the fallback. */
uint64_t field_count(load_t *l, const ynode_t *n, const ypath_t *path, const char *key, uint64_t least,
                     uint64_t most, uint64_t fallback);
double field_number(const ynode_t *n, const char *key, double fallback);
/* Index of a word among `names`; an unknown word is an error that lists them, and gives the fallback. */
size_t field_choice(load_t *l, const ynode_t *n, const ypath_t *path, const char *key,
                    const char *const *names, size_t count, size_t fallback);
/* A list of texts, or one text. Returns how many; *out is owned by the caller. */
size_t field_texts(load_t *l, const ynode_t *n, const ypath_t *path, const char *key, str_t ***out);
void texts_free(str_t **texts, size_t count);
template_t *field_template(const ynode_t *n, const char *key); /* NULL when absent */
size_t list_length(const ynode_t *list);                       /* 0 when it is no list */

/* ---- sections and blocks, one file each */

/* The options of a call: request_defaults of a model or params of a block, split into what goes into the
 * request body (params) and our own keys. */
typedef struct call_options {
    value_t params;       /* object */
    const ynode_t *model; /* `model`, which is the caller's to judge; NULL: not given */
    char **headers;       /* "Name: value": of headers, extra_headers and organization */
    size_t header_count;
    uint32_t timeout_ms; /* 0: not given */
    retry_policy_t retry;
    bool has_retry;
} call_options_t;
void call_options_read(load_t *l, const ynode_t *n, const ypath_t *path, call_options_t *options);
void headers_free(char **headers, size_t count);
/* Is this a parameter of a request, and not a field of a model or block? */
bool params_have(const char *key);
/* What does here what this key of another program means, as half a sentence; NULL: the key is none of these.
 */
const char *params_instead(const char *key);
/* Warns of a plain scalar that looks like a number and is text to YAML 1.1: "1e-3", "-.5", "08". */
void params_number_check(load_t *l, const ynode_t *n, const ypath_t *path);
/* Warns of parameters of a request that will not do what they seem to. */
void params_check(load_t *l, const ynode_t *n, const ypath_t *path);

retry_policy_t retry_read(load_t *l, const ynode_t *n, const ypath_t *path, retry_policy_t base);
void models_load(load_t *l, const ynode_t *models);
/* The number of the model that is models[base] under the api_model that `name` (a scalar that is text) gives.
 */
uint32_t model_renamed(load_t *l, uint32_t base, const ynode_t *name);
void models_free(pipeline_t *p);

void assets_load(load_t *l); /* templates, files, images */
void assets_free(pipeline_t *p);

void python_runtime_load(load_t *l);
void python_block_load(load_t *l, const ynode_t *n, const ypath_t *path, block_t *b);
void python_block_free(python_block_t *b);
void py_env_free(py_env_spec_t *env);

void ai_block_load(load_t *l, const ynode_t *n, const ypath_t *path, block_t *b);
/* Frees what the block owns; the struct is part of its block. */
void ai_block_free(ai_block_t *b);

budget_t budget_read(load_t *l, const ynode_t *n, const ypath_t *path, budget_t base);
void blocks_load(load_t *l, const ynode_t *blocks);
void blocks_free(pipeline_t *p);
extern const keyset_t BLOCK_KEYS; /* what all blocks have */

void connections_load(load_t *l);
/* Warns of placeholders without quotes, of Jinja, and of words that are booleans. Comes last, because it adds
 * to no place a second message. */
void slips_check(load_t *l);
/* Hints: outputs that are never used, blocks that are never reached. */
void usage_check(load_t *l);

/* How many outputs a block has (0 when it is broken), and the name of one. */
size_t block_output_count(const block_t *b);
str_t *block_output_name(const block_t *b, size_t i);

#endif
