/* mex_eval_lines.c - evaluates MEX expressions, one per line, so that a test in another language can ask for
 * many of them.
 *
 *   mex_eval_lines < requests > answers
 *
 *   request   {"expr", "context", "vars", "consts"}
 *   answer    {"value", "vars"}, with the variables as the expression left them, or
 *             {"error"}, with "load": true when the expression was refused before it ran
 *
 * A line that is not a request ends the program.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/json.h"
#include "core/base/limits.h"
#include "core/mabel/mex/mex.h"

static void die(const char *text) {
    fprintf(stderr, "mex_eval_lines: %s\n", text);
    exit(1);
}

static value_t refusal(const char *text, bool load) {
    value_t answer = value_object(2);
    object_set_text(&answer, "error", value_text(text));
    if (load) object_set_text(&answer, "load", value_bool(true));
    return answer;
}

/* The object under a name of the request; an empty one if it is absent. */
static value_t part(value_t request, const char *name) {
    bool found;
    value_t v = object_get_peek(request, name, strlen(name), &found);
    return found ? value_ref(v) : value_object(0);
}

static value_t evaluate(const mex_t *m, value_t request) {
    value_t context = part(request, "context"), vars = part(request, "vars"),
            consts = part(request, "consts"), v;
    rng_t rng;
    rng_seed(&rng, 1, 2);
    scope_t scope = {.context = &context, .vars = &vars, .consts = consts, .rng = &rng};
    err_t err;
    value_t answer;
    if (mex_eval(m, &scope, &v, &err) == SDG_OK) {
        answer = value_object(2);
        object_set_text(&answer, "value", v);
        object_set_text(&answer, "vars", value_ref(vars));
    } else {
        answer = refusal(err.text, false);
    }
    value_free(context);
    value_free(vars);
    value_free(consts);
    return answer;
}

/* `anchor` is any node of `doc`: nodes made from JSON text take its position. */
static value_t answer_line(ydoc_t *doc, const ynode_t *anchor, const char *line, size_t len) {
    value_t request;
    err_t err;
    if (json_parse_text(line, len, &request, &err) != SDG_OK || request.kind != VALUE_OBJECT)
        die("a line is not a JSON object");
    const ynode_t *node = yaml_get(yaml_from_json(doc, line, len, anchor, &err), "expr");
    if (!node) die("a request has no expr");
    diags_t diags;
    diags_init(&diags, "request", NULL, 0);
    mex_t *m = mex_compile(doc, node, NULL, MEX_VALUE, &diags);
    value_t answer = m ? evaluate(m, request) : refusal(diags.count ? diags.items[0].message : "?", true);
    mex_destroy(&m);
    diags_free(&diags);
    value_free(request);
    return answer;
}

int main(void) {
    char *line = NULL;
    size_t size = 0;
    ssize_t len;
    buf_t out;
    buf_init(&out, VALUE_STRING_MAX);
    while ((len = getline(&line, &size, stdin)) > 0) {
        diags_t diags;
        diags_init(&diags, "line", NULL, 0);
        ydoc_t *doc = yaml_parse("{}", 2, &(yaml_options_t){0}, &diags);
        value_t answer = answer_line(doc, yaml_root(doc), line, (size_t)len);
        buf_reset(&out);
        json_write(&out, answer, JSON_COMPACT);
        fwrite(out.data, 1, out.len, stdout);
        putchar('\n');
        value_free(answer);
        yaml_doc_free(&doc);
        diags_free(&diags);
    }
    buf_free(&out);
    free(line);
    return 0;
}
