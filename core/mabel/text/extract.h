/* extract.h - outputs of an ai block: from the answer text to a value (select, join_with, type_hint; mabel.md
 * section 4). */
#ifndef SDG_MABEL_TEXT_EXTRACT_H
#define SDG_MABEL_TEXT_EXTRACT_H

#include "core/mabel/text/jsonpath.h"
#include "core/mabel/text/regex.h"

typedef enum select_kind {
    SELECT_FULL,
    SELECT_TAG,
    SELECT_REGEX,
    SELECT_JSONPATH,
    SELECT_REASONING,     /* reasoning that came beside the content, or its <think> block */
    SELECT_FINISH_REASON, /* why the server ended the answer */
    SELECT_KINDS
} select_kind_t;
typedef enum type_hint { HINT_NONE, HINT_STRING, HINT_NUMBER, HINT_BOOLEAN, HINT_JSON } type_hint_t;

typedef struct extract {
    select_kind_t select;
    str_t *tag;       /* TAG: name, any case. Owned, as everything here */
    pattern_t *regex; /* REGEX, compiled with REGEX_DOTALL */
    jsonpath_t *path; /* JSONPATH */
    str_t *join_with; /* NULL: the first hit; else all hits joined */
    type_hint_t hint;
} extract_t;

void extract_free(extract_t *e);

/* What an answer consists of; borrowed. */
typedef struct extract_source {
    value_t text;      /* the content */
    value_t reasoning; /* what came beside it; null: nothing */
    const char *finish_reason;
} extract_source_t;

/* The parts of an answer that are searched: what stands behind its thoughts, and all of it. */
typedef enum extract_part { EXTRACT_BEHIND, EXTRACT_WHOLE, EXTRACT_PARTS } extract_part_t;

typedef struct extract_json {
    value_t value;
    bool tried, is_json; /* parsing was tried; it succeeded */
} extract_json_t;

/* The answer parsed as JSON, kept across the outputs of one block. Starts as {0}. */
typedef struct extract_cache {
    extract_json_t json[EXTRACT_PARTS];
    bool not_json; /* a JSONPath has searched the answer, and there is no JSON in it */
} extract_cache_t;

/* *out: text, or a typed value with a hint; owned by the caller. No hit is "". *found: it is neither null nor
 * blank text. A conversion that fails is SDG_EINVAL with a sentence. */
int extract_run(const extract_t *e, const extract_source_t *source, extract_cache_t *cache, value_t *out,
                bool *found, err_t *err);
void extract_cache_free(extract_cache_t *cache);

/* The same conversion for `final` values and others: v (any kind) to the hinted type. */
int hint_convert(value_t v, type_hint_t hint, value_t *out, err_t *err);

#endif
