/* pipeline.h - a MABEL file, loaded, checked and compiled: everything a row needs, nothing a row changes.
 *
 * A pipeline belongs to one thread, because its values are not counted atomically; each worker loads its own
 * from the same bundle. The structs stand in the order of a file: models, images, blocks (ai, python, end),
 * connections, and the pipeline that holds them. */
#ifndef SDG_MABEL_PIPELINE_PIPELINE_H
#define SDG_MABEL_PIPELINE_PIPELINE_H

#include "core/base/error.h"
#include "core/base/value.h"
#include "core/llm/retry.h"
#include "core/mabel/logic/budget.h"
#include "core/mabel/mex/mex.h"
#include "core/mabel/text/assets.h"
#include "core/mabel/text/extract.h"
#include "core/mabel/text/template.h"
#include "core/mabel/yaml/diag.h"

struct logic_program; /* functions.logic and recurse functions (logic.h) */
struct logic_block;   /* one compiled logic block (logic.h) */

typedef struct model {
    str_t *name;
    str_t *api_model;
    char **base_urls; /* as written, with variables replaced; none: the default server */
    size_t url_count;
    char *api_key;         /* "" when absent or its variable is missing */
    char *missing_key_var; /* name of the missing variable; NULL: none is missing */
    bool all_loopback;     /* every base_url is on loopback */
    /* The id of its server (core/llm/endpoint.h): the same whether variables are set or not. */
    uint64_t endpoint_id;
    char **headers; /* "Name: value": headers, organization, extra_headers of request_defaults */
    size_t header_count;
    value_t params; /* request_defaults without our own keys, extra_body merged in */
    uint32_t timeout_ms;
    retry_policy_t retry;
} model_t;

/* An entry of images[]. Of path, url and base64 one is set, the others are NULL. */
typedef struct image_source {
    str_t *name;
    str_t *path, *url, *base64, *media_type;
} image_source_t;

typedef enum block_type { BLOCK_AI, BLOCK_LOGIC, BLOCK_PYTHON, BLOCK_END } block_type_t;
typedef enum on_error { ON_ERROR_FAIL, ON_ERROR_CONTINUE, ON_ERROR_RETRY } on_error_t;

typedef struct ai_output {
    str_t *name;
    extract_t extract;
    bool required; /* nothing found fails the block */
} ai_output_t;

/* What becomes of an answer that was cut (finish_reason length or content_filter). */
typedef enum on_truncated {
    ON_TRUNCATED_KEEP,
    ON_TRUNCATED_RETRY, /* asked once more, then as FAIL */
    ON_TRUNCATED_FAIL
} on_truncated_t;

typedef struct attachment {
    template_t *name;
    str_t *mime;
    template_t *content;
} attachment_t;

typedef struct ai_block {
    uint32_t model;     /* index into pipeline.models */
    template_t *system; /* NULL: no system message */
    template_t **prompts;
    size_t prompt_count;
    attachment_t *attachments;
    size_t attachment_count;
    /* Parameters of the request body: the model's merged with the block's, and response_format for `mode:
     * json`. */
    value_t params;
    char **headers; /* "Name: value", from params; NULL when there are none */
    size_t header_count;
    uint32_t timeout_ms; /* 0: the model's */
    retry_policy_t retry;
    bool has_retry; /* the block has params.retry; else the model's counts */
    on_truncated_t on_truncated;
    bool wants_reasoning; /* an output selects it */
    ai_output_t *outputs; /* at least one; the default is "full" */
    size_t output_count;
    struct {
        str_t *var, *output;
    } * save; /* save_to.vars */
    size_t save_count;
} ai_block_t;

/* An input of a python block: a name of the context, a template, a literal, or an expression. */
typedef struct py_input {
    str_t *param; /* keyword; NULL: positional */
    str_t *context_name;
    template_t *tpl;
    value_t literal;
    mex_t *mex;
} py_input_t;

typedef struct python_block {
    str_t *entrypoint;
    char *code;      /* source text; NULL: it is in a file */
    char *code_path; /* of that file, resolved; NULL: none */
    py_input_t *inputs;
    size_t input_count;
    bool positional; /* inputs was a list */
    str_t **outputs;
    size_t output_count;
    uint32_t timeout_ms;
    value_t ctx_access; /* null or list */
    uint32_t env;       /* index into pipeline.py_envs */
    bool v1;            /* of a file of version 1 */
} python_block_t;

/* runtime.python.limits: 0 for none, PYTHON_LIMIT_UNSAID where the file says nothing. */
typedef struct py_limits_spec {
    uint64_t memory_mb;    /* of each process */
    uint64_t processes;    /* of a host, threads included */
    uint64_t file_size_mb; /* of each file that is written */
    uint64_t open_files;   /* descriptors of each process */
} py_limits_spec_t;

typedef struct py_env_spec {
    char *interpreter, *venv; /* NULL when not given */
    value_t requirements, env;
    /* runtime.python.setup: commands for a shell, in order, run when the venv is made: before the
     * requirements are installed, and after. Lists of text, or null when there are none. */
    value_t pre_install, post_install;
    bool allow_network;
    py_limits_spec_t limits;
} py_env_spec_t;

typedef struct final_value {
    str_t *name;
    value_t literal; /* of a value that is no string: strings inside it are rendered when the row ends */
    template_t *tpl; /* of a string; NULL otherwise */
    type_hint_t hint;
} final_value_t;

typedef struct end_block {
    final_value_t *finals;
    size_t final_count;
    bool as_list; /* final_mode: list */
    str_t **include_vars;
    size_t include_count;
    template_t *reason; /* NULL when absent */
    str_t *exit_code;
} end_block_t;

/* An output of an earlier block that the running block sees under the name of the input. */
typedef struct connection {
    uint32_t from_block; /* index into pipeline.blocks */
    str_t *output;
    str_t *input;
} connection_t;

typedef struct block {
    block_type_t type;
    int64_t exec;
    uint32_t source_index; /* position in the file */
    str_t *label;          /* id, else name, else "blocks[i]": what messages say */
    str_t *id, *name;      /* NULL when absent */
    mex_t *run_if;         /* NULL: always */
    on_error_t on_error;
    /* Of on_error: retry. With has_retry it is also that of the requests of an ai block, instead of the
     * model's: attempts_max counts all requests of the block in a row. */
    retry_policy_t retry;
    bool has_retry; /* the block has `retry` */
    budget_t budget;
    connection_t *connections; /* into this block */
    size_t connection_count;
    bool feeds_connection; /* some connection reads its outputs */
    union {
        ai_block_t ai;
        struct logic_block *logic;
        python_block_t python;
        end_block_t end;
    };
} block_t;

typedef struct pipeline {
    char *path, *base_dir; /* as given; base_dir: where relative files are tried second */
    str_t *name;           /* mabel.name or id, "" */
    int major;             /* 1 or 2 */
    value_t consts, vars;  /* objects */
    budget_t budget;
    model_t *models;
    /* All models. The first `named_count` are those of the file; behind them stands one for each other
     * api_model that a block asks for with params.model, under the name of the model it is made of. */
    size_t model_count, named_count;
    assets_t assets; /* templates[] and files[] */
    image_source_t *images;
    size_t image_count;
    struct logic_program *logic;
    py_env_spec_t *py_envs;
    size_t py_env_count;
    block_t *blocks;
    size_t block_count; /* in running order */
    bool has_end;
    uint32_t ai_block_count, python_block_count;
    uint64_t digest; /* pipeline_digest of the file's text: tells whether bytes of a row belong to it */
} pipeline_t;

typedef struct pipeline_source {
    const char *path; /* name in messages */
    /* Relative files are tried from the working directory, then from here; NULL: the folder of `path`. */
    const char *folder;
    const char *bytes; /* the YAML text */
    size_t len;
    /* True: replace ${ENV.X} and check keys, for a process that uses them. False: leave them as written. */
    bool use_env;
    bool accept_python; /* false: a python block is refused with a message */
} pipeline_source_t;

/* NULL when there were errors; warnings do not prevent loading. All problems go to diags. Release it with
 * pipeline_destroy. */
pipeline_t *pipeline_load(const pipeline_source_t *source, diags_t *diags);
/* The digest of a file's text. */
uint64_t pipeline_digest(const char *bytes, size_t len);
void pipeline_destroy(pipeline_t **p);

/* Finds a file by the rule above (working directory, then the YAML's folder); the caller frees; NULL when in
 * neither. */
char *pipeline_resolve(const pipeline_t *p, const char *relative);
/* Where batch mode stops: the numbers of the blocks before which all rows wait for each other, ascending.
 * These are the ai and python blocks but the first; logic and end blocks run along with what stands before
 * them. Returns how many there are; the first `max` are written. */
size_t pipeline_stops(const pipeline_t *p, uint32_t *stops, size_t max);

#endif
