/* yaml_doc.h - inside of a YAML document, shared by yaml.c (reading it) and yaml_compose.c (making it). */
#ifndef SDG_MABEL_YAML_YAML_DOC_H
#define SDG_MABEL_YAML_YAML_DOC_H

#include "core/mabel/yaml/yaml.h"

/* A node with what only the document knows of it. `node` is the first member, so that a pointer to the node
 * is a pointer to its box (ybox_of). */
typedef struct ybox {
    ynode_t node;
    struct ybox *next; /* all nodes of the document */
    size_t expanded;   /* nodes of the subtree, aliases counted each time */
    uint32_t height;   /* levels of the subtree, 1 for a scalar */
    char *missing_env; /* owner of node.missing_env */
    char *as_written;  /* owner of node.as_written */
    char *plain;       /* owner of node.plain */
} ybox_t;

struct ydoc {
    ybox_t *nodes;
    const ynode_t *root;
    size_t expanded; /* of everything composed so far: at most YAML_NODES_MAX */
    const ynode_t **missing;
    size_t missing_count, missing_cap;
};

static inline ybox_t *ybox_of(const ynode_t *n) { return (ybox_t *)(uintptr_t)n; }

/* A new node that belongs to the document. */
ynode_t *ydoc_node(ydoc_t *doc, ynode_kind_t kind, uint32_t line, uint32_t col);
ynode_t *ydoc_scalar(ydoc_t *doc, value_t take, uint32_t line, uint32_t col);
/* Remembers that a scalar mentions a variable that is not set; only the first one of a scalar counts. */
void ydoc_note_missing(ydoc_t *doc, ynode_t *n, const char *name, size_t len);

/* A list or map under construction. */
typedef struct yentries {
    const ynode_t **keys; /* maps only */
    const ynode_t **items;
    size_t count, cap, key_cap;
} yentries_t;
void yentries_add(yentries_t *e, const ynode_t *key, const ynode_t *item);
void yentries_free(yentries_t *e);
/* Moves the entries into the node and sums up its size and height. */
void yentries_finish(yentries_t *e, ynode_t *n);

#endif
