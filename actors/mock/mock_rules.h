/* mock_rules.h - what a scripted rules file says to one chat request. Pure: no sockets, no time.
 *
 * A rules file is a list, JSON (when it starts with '[' or '{') or YAML. Rules are tried from the top; the
 * first one whose `match` holds and whose `times` is not used up answers. The format is described in `sdg
 * mock-llm --help`.
 */
#ifndef SDG_ACTORS_MOCK_MOCK_RULES_H
#define SDG_ACTORS_MOCK_MOCK_RULES_H

#include "core/base/buf.h"
#include "core/base/error.h"
#include "core/base/value.h"

/* One request as rules and templates see it. */
typedef struct mock_view {
    value_t body;  /* the parsed request, an object; borrowed */
    str_t *user;   /* text of the last user message; owned */
    str_t *system; /* text of the last system message; owned */
} mock_view_t;
void mock_view_init(mock_view_t *view, value_t body);
void mock_view_free(mock_view_t *view);

typedef enum mock_reply_kind {
    MOCK_REPLY_TEXT,     /* `text` is a template for the content of a completion */
    MOCK_REPLY_NULL,     /* a completion whose content is null */
    MOCK_REPLY_RAW_BODY, /* `text` is a template for the whole response body */
    MOCK_REPLY_BODY,     /* `text` is the whole response body, sent as it is */
    MOCK_REPLY_RESET,    /* the connection is reset, nothing is sent */
} mock_reply_kind_t;

typedef struct mock_rule {
    mock_reply_kind_t kind;
    char *text; /* owned; NULL means the server's default answer */
    size_t text_len;
    unsigned status;          /* HTTP status, 200..599 */
    value_t headers;          /* object name -> text, or null; owned */
    uint64_t delay_ns;        /* added to the server's latency */
    value_t usage;            /* replaces the usage object; null: counted */
    char *finish_reason;      /* owned */
    struct mock_match *match; /* owned */
    uint64_t times;           /* most hits; UINT64_MAX without `times` */
    uint64_t hits;            /* so far */
} mock_rule_t;

typedef struct mock_rules mock_rules_t;
int mock_rules_load(const char *path, mock_rules_t **rules, err_t *err);
int mock_rules_from_value(value_t list, mock_rules_t **rules, err_t *err);
void mock_rules_destroy(mock_rules_t **rules);

/* The rule that answers (its hit is counted), or NULL when none does. `rules` may be NULL. */
const mock_rule_t *mock_rules_choose(mock_rules_t *rules, const mock_view_t *view);

/* Appends `text` with {{last_user}} {{system}} {{model}} {{nth}} {{json:a.0.b}} replaced; an unknown one
 * stays as written. */
void mock_expand(buf_t *out, const char *text, size_t len, const mock_view_t *view, uint64_t nth);

/* Reads a file of at most MOCK_FILE_BYTES_MAX bytes into `out`. */
int mock_file_read(const char *path, buf_t *out, err_t *err);

#endif
