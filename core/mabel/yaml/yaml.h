/* yaml.h - a YAML file as a tree of nodes with positions, resolved as PyYAML's safe loader does (YAML 1.1).
 *
 *   booleans     yes, no, on, off, true, false
 *   integers     0x1F, 017, 0b1, 1_000, 1:30
 *   reals        1.5e+3, .5, .inf ("1e3" is text, as in PyYAML)
 *   timestamps   stay text
 *   << * &       merge keys, aliases and anchors work; alias expansion is bounded (YAML_NODES_MAX)
 *   duplicates   of a key: the last one wins, with a warning
 *
 * `${ENV.NAME}` inside string values is replaced after resolution, so that what was text stays text. A
 * variable that is not set is replaced by nothing and noted in the node. */
#ifndef SDG_MABEL_YAML_YAML_H
#define SDG_MABEL_YAML_YAML_H

#include "core/base/error.h"
#include "core/base/value.h"
#include "core/mabel/yaml/diag.h"

typedef enum ynode_kind { YNODE_SCALAR, YNODE_LIST, YNODE_MAP } ynode_kind_t;

typedef struct ynode ynode_t;
struct ynode {
    ynode_kind_t kind;
    uint32_t line, col;    /* 1-based */
    bool quoted;           /* scalar written with quotes or as a block scalar */
    bool brackets;         /* LIST, MAP: written in [] or {} */
    value_t scalar;        /* SCALAR: resolved value, owned by the document */
    size_t count;          /* LIST, MAP: entries */
    const ynode_t **items; /* LIST: items; MAP: values */
    const ynode_t **keys;  /* MAP: key nodes (scalars; always text, in text form) */
    /* SCALAR: the name of the first ${ENV.X} in it that was not set; NULL: there is none. Owned by the
     * document. */
    const char *missing_env;
    /* SCALAR: its text before ${ENV.X} was replaced; NULL: nothing was replaced. Owned by the document. */
    const char *as_written;
    /* SCALAR: how a plain scalar is written that became a number, a boolean or null; NULL: it is none. Owned
     * by the document. */
    const char *plain;
};

typedef struct ydoc ydoc_t; /* owns all nodes; nodes live as long as it */

typedef struct yaml_options {
    /* The value of an environment variable, or NULL when it is not set. Without this function ${ENV.X} stays
     * as written. */
    const char *(*env)(void *arg, const char *name);
    void *env_arg;
} yaml_options_t;

/* NULL only when nothing useful could be read (errors are in diags then). An empty file is an empty map. */
ydoc_t *yaml_parse(const char *bytes, size_t len, const yaml_options_t *options, diags_t *diags);
void yaml_doc_free(ydoc_t **doc); /* not yaml_free: libyaml exports that name */
const ynode_t *yaml_root(const ydoc_t *doc);
/* The scalars with a variable that was not set; *nodes is borrowed. The reader of the document decides how
 * bad that is. */
size_t yaml_missing_env(const ydoc_t *doc, const ynode_t *const **nodes);

/* Parses JSON text (of a `run_if: "{...}"` string) into nodes that carry the position of `at`; NULL if it is
 * not JSON. */
const ynode_t *yaml_from_json(ydoc_t *doc, const char *json, size_t len, const ynode_t *at, err_t *err);

const ynode_t *yaml_get(const ynode_t *map, const char *key);     /* NULL when absent or not a map */
const ynode_t *yaml_get_key(const ynode_t *map, const char *key); /* the key itself, for its place */
bool yaml_is_string(const ynode_t *n);
/* The bytes of a string scalar, NULL otherwise; len may be NULL. */
const char *yaml_text(const ynode_t *n, size_t *len);
const char *yaml_key(const ynode_t *map, size_t i); /* text of key i (scalars in text form) */
/* The whole subtree as a value, owned by the caller; null for a NULL node. */
value_t yaml_value(const ynode_t *n);
const char *yaml_kind_name(const ynode_t *n); /* "a list", "text", "a number", ... for messages */

#endif
