/* mentions.h - which names the blocks of a pipeline mention, and which of them the pipeline itself supplies:
 * the rest must be columns. Pure.
 *
 * What is supplied is found by form, generously: outputs of blocks, globals, templates, files, inputs of
 * connections, and every name that stands in the file where names are given (var, bindings, init, with,
 * returns, args, save_to, quoted names in Python code). So a name is never called missing because of a form
 * of the language that this does not know; at worst a missing column goes unnoticed. */
#ifndef SDG_ACTORS_VERBS_MENTIONS_H
#define SDG_ACTORS_VERBS_MENTIONS_H

#include "core/mabel/pipeline/pipeline.h"

typedef enum mention_kind {
    MENTION_NAME,  /* a placeholder, or a name where names are read */
    MENTION_IMAGE, /* {name.img} */
    MENTION_TEXT,  /* what stands between braces and is no placeholder: it stays as written */
} mention_kind_t;

typedef struct mention {
    mention_kind_t kind;
    bool prompt;        /* in a text that goes to a model; else in a result, an input or an expression */
    char *name;         /* owned */
    char *block;        /* owned: label of the block (block_t.label) */
    uint32_t line, col; /* where the text with it begins in the file, 1-based */
    char *path;         /* owned: "blocks[3].prompts[0]" */
} mention_t;

typedef struct mentions {
    mention_t *items;
    size_t count, cap;
} mentions_t;

/* Reads the text of the pipeline's file once. *out: each name once among the prompts and once among the rest,
 * in the order of the file; names of a template count in place of the template. Freed with mentions_free.
 * *supplied: object name -> null. Owned by the caller. */
void mentions_find(const pipeline_t *p, const char *yaml, size_t len, mentions_t *out, value_t *supplied);
void mentions_free(mentions_t *m);

/* Does `names` have this name, or what stands before its first '.' or '['? */
bool mentions_have(value_t names, const char *name);

#endif
