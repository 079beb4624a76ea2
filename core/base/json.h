/* json.h - JSON text to values and back. json_parse.cc reads, with simdjson's tokenizer; json_write.c writes.
 *
 * Integers keep all their digits; a number with '.', 'e' or 'E' is a real. A duplicate key: the last wins.
 * NUL bytes inside strings are kept.
 *
 * What Python writes although JSON has not got it is read, too: NaN, Infinity and -Infinity are null, as is a
 * number beyond all reals (1e400), and the escape of a lone surrogate is U+FFFD. Each is counted
 * (json_repairs_so_far). */
#ifndef SDG_BASE_JSON_H
#define SDG_BASE_JSON_H

#include "core/base/buf.h"
#include "core/base/error.h"
#include "core/base/value.h"

/* A parser keeps its scratch memory between calls; one per thread, reuse it. */
typedef struct json_parser json_parser_t;
json_parser_t *json_parser_new(void);
void json_parser_destroy(json_parser_t **parser);

/* Parses exactly one JSON value (surrounding white space allowed) of `len` bytes; depth is bounded by
 * JSON_DEPTH_MAX. The bytes need no padding and no NUL. On failure returns SDG_EPARSE, *out is null, err says
 * what and at which byte. */
int json_parse(json_parser_t *parser, const char *bytes, size_t len, value_t *out, err_t *err);
/* The same with a parser of the calling thread (made on first use, kept until the thread ends). */
int json_parse_text(const char *bytes, size_t len, value_t *out, err_t *err);

/* Called for each member of an object, in order: its key without escapes, and where the text of its value
 * begins. Behind the text of all follow NUL bytes. Valid during the call. */
typedef void json_member_fn(void *context, const char *key, size_t key_len, const char *value);
/* Is this text exactly one object, as json_parse reads it? Makes no values, so it costs a part of that.
 * Depth is bounded by JSON_CHECK_DEPTH_MAX. `visit` may be NULL; it is called before the whole text is known
 * to be fine, and must not use this thread's parser. */
int json_check_object(const char *bytes, size_t len, json_member_fn *visit, void *context, err_t *err);

/* What parsing had to replace since the calling thread began. Whoever wants to know about one text takes the
 * difference. */
typedef struct json_repairs {
    uint64_t nulls;      /* NaN, infinities and numbers beyond all reals */
    uint64_t characters; /* lone surrogates */
} json_repairs_t;
json_repairs_t json_repairs_so_far(void);
json_repairs_t json_repairs_since(json_repairs_t before);

typedef enum json_style {
    JSON_COMPACT, /* {"a":1,"b":[1,2]}: requests, messages */
    JSON_PYTHON,  /* {"a": 1, "b": [1, 2]} as json.dumps(ensure_ascii=False): result rows, MEX stringify */
} json_style_t;
/* Writes a value. Reals are written as Python's repr does (1.0, 1e+16), non-finite reals as null; strings as
 * UTF-8 with only the escapes that JSON demands, and U+FFFD for invalid UTF-8. */
void json_write(buf_t *out, value_t v, json_style_t style);
void json_write_string(buf_t *out, const char *bytes, size_t len); /* with the quotes */

#endif
