/* worker_jobs.c - the jobs a worker knows: each owns its pipeline, its routes to LLM servers and its Python
 * hosts, so that forgetting a job releases all of it. The LLM engine is the worker's: jobs that use the same
 * endpoint share its connections and permits. */
#include <stdlib.h>
#include <string.h>

#include "actors/loop/limits.h"
#include "actors/worker/limits.h"
#include "actors/worker/worker_contexts.h"
#include "actors/worker/worker_internal.h"
#include "actors/worker/worker_journal.h"
#include "actors/worker/worker_rows.h"
#include "core/base/limits.h"
#include "core/base/log.h"
#include "core/base/memory.h"

static worker_job_t *job_of(ring_node_t *node) { return RING_OWNER(node, worker_job_t, node); }

worker_job_t *worker_next_job(const worker_t *w, const worker_job_t *after) {
    ring_node_t *node = ring_next(&w->jobs, after ? &after->node : NULL);
    return node ? job_of(node) : NULL;
}

worker_job_t *worker_find_job(worker_t *w, uint64_t id) {
    RING_EACH(&w->jobs, node) {
        if (job_of(node)->id == id) return job_of(node);
    }
    return NULL;
}

worker_job_t *worker_add_job(worker_t *w, uint64_t id) {
    worker_job_t *job = xcalloc(1, sizeof *job);
    ring_init(&job->unit_queue);
    job->id = id;
    ring_add_first(&w->jobs, &job->node);
    return job;
}

static char *slice_text(slice_t s) { return xstrndup(s.data ? s.data : "", s.len); }

/* Makes job->pipeline; of one that does not load, err has all problems in words. */
static int load_pipeline(worker_t *w, worker_job_t *job, const MSG_JOB_SPEC *spec, err_t *err) {
    char *path = slice_text(spec->path), *folder = slice_text(spec->folder);
    pipeline_source_t source = {.path = path,
                                .folder = spec->folder.len ? folder : NULL,
                                .bytes = spec->bundle.data,
                                .len = spec->bundle.len,
                                .use_env = true,
                                .accept_python = w->args.accept_python};
    diags_t diags;
    diags_init(&diags, path, spec->bundle.data, spec->bundle.len);
    job->pipeline = pipeline_load(&source, &diags);
    if (!job->pipeline) {
        buf_t text;
        buf_init(&text, ERR_TEXT_MAX);
        diags_write(&diags, DIAG_ERROR, &text);
        err_set(err, SDG_EINVAL, "%s", text.len ? text.data : "the pipeline does not load");
        buf_free(&text);
    }
    diags_free(&diags);
    free(path);
    free(folder);
    return job->pipeline ? SDG_OK : SDG_EINVAL;
}

static int open_engine(worker_t *w, err_t *err) {
    if (w->llm) return SDG_OK;
    llm_engine_options_t options = {
        .in_flight_max = w->args.in_flight_max, .hold = true, .seed = w->instance};
    w->llm = llm_engine_new(&options, err);
    if (!w->llm) return err->code;
    actor_add_fd(&w->actor, llm_engine_fd(w->llm));
    return SDG_OK;
}

/* Opens the route from one model of the job to its endpoint. */
static int open_route(worker_t *w, worker_job_t *job, const model_t *model, err_t *err) {
    llm_route_options_t options = {.name = model->name->data,
                                   .endpoint_id = model->endpoint_id,
                                   .base_urls = (const char *const *)model->base_urls,
                                   .url_count = model->url_count,
                                   .api_key = model->api_key,
                                   .headers = (const char *const *)model->headers,
                                   .header_count = model->header_count,
                                   .http2 = job->options.http2,
                                   .timeout_ms = model->timeout_ms,
                                   .retry = model->retry};
    int n = llm_engine_open_route(w->llm, &options, err);
    if (n < 0) return n;
    job->routes[job->route_count++] = (uint32_t)n;
    return SDG_OK;
}

static int connect_models(worker_t *w, worker_job_t *job, err_t *err) {
    const pipeline_t *p = job->pipeline;
    if (p->model_count == 0) return SDG_OK;
    if (open_engine(w, err) != SDG_OK) return err->code;
    job->routes = xcalloc(p->model_count, sizeof *job->routes);
    for (size_t i = 0; i < p->model_count; i++) {
        if (open_route(w, job, &p->models[i], err) != SDG_OK) return err->code;
    }
    return SDG_OK;
}

static void close_routes(worker_t *w, worker_job_t *job) {
    while (job->route_count > 0) {
        llm_engine_close_route(w->llm, job->routes[--job->route_count]);
    }
    free(job->routes);
    job->routes = NULL;
}

/* The files that a block may use. Code that says with ctx_access what it needs gets no more; the code of
 * others, in a fleet, never more than its own. */
static py_files_t files_of(const worker_t *w, const python_block_t *b) {
    if (w->args.confine_python) return PY_FILES_OWN;
    if (b->ctx_access.kind != VALUE_LIST) return PY_FILES_ALL;
    py_files_t files = PY_FILES_OWN;
    for (size_t i = 0; i < list_count(b->ctx_access); i++) {
        value_t word = list_peek(b->ctx_access, i);
        if (word.kind != VALUE_STRING) continue;
        if (strcmp(word.string->data, "files.write") == 0) return PY_FILES_ALL;
        if (strcmp(word.string->data, "files.read") == 0) files = PY_FILES_READ;
    }
    return files;
}

static int add_env(worker_t *w, worker_job_t *job, const py_env_spec_t *e, py_files_t files, err_t *err) {
    const py_limits_spec_t *said = &e->limits;
    py_env_t env = {.interpreter = e->interpreter,
                    .venv = e->venv,
                    .requirements = e->requirements,
                    .pre_install = e->pre_install,
                    .post_install = e->post_install,
                    .env = e->env,
                    .allow_network = e->allow_network,
                    .in_scratch = w->args.confine_python,
                    .files = files,
                    .limits =
                        py_limits_of(said->memory_mb, said->processes, said->file_size_mb, said->open_files)};
    return pypool_add_env(job->python, &env, err);
}

enum { FILES_KINDS = PY_FILES_OWN + 1 };

/* Gives the code of a Python block to the pool; other blocks have none. `envs` has the pool's number of each
 * environment of the file with each choice of files, -1 until it is needed. */
static int add_function(worker_t *w, worker_job_t *job, size_t index, int *envs, err_t *err) {
    const block_t *block = &job->pipeline->blocks[index];
    if (block->type != BLOCK_PYTHON) return SDG_OK;
    const python_block_t *b = &block->python;
    const py_files_t files = files_of(w, b);
    int *env = &envs[b->env * FILES_KINDS + files];
    if (*env < 0) *env = add_env(w, job, &job->pipeline->py_envs[b->env], files, err);
    if (*env < 0) return *env;
    value_t outputs = value_list(b->output_count);
    for (size_t i = 0; i < b->output_count; i++) {
        list_push(&outputs, value_from_str(str_ref(b->outputs[i])));
    }
    py_function_t function = {.env = (uint32_t)*env,
                              .entrypoint = b->entrypoint->data,
                              .code = b->code,
                              .code_path = b->code_path,
                              .v1 = b->v1,
                              .ctx_access = b->ctx_access,
                              .outputs = outputs};
    int n = pypool_add_function(job->python, &function, err);
    value_free(outputs);
    if (n < 0) return n;
    job->functions[index] = (uint32_t)n;
    return SDG_OK;
}

static int add_functions(worker_t *w, worker_job_t *job, err_t *err) {
    const pipeline_t *p = job->pipeline;
    size_t count = p->py_env_count * FILES_KINDS;
    int *envs = xcalloc(count, sizeof *envs), rc = SDG_OK;
    for (size_t i = 0; i < count; i++) {
        envs[i] = -1;
    }
    job->functions = xcalloc(p->block_count, sizeof *job->functions);
    for (size_t i = 0; i < p->block_count && rc == SDG_OK; i++) {
        rc = add_function(w, job, i, envs, err);
    }
    free(envs);
    return rc;
}

/* Makes the pool of the job with its environments and functions; a job without Python blocks has none. */
static int start_python(worker_t *w, worker_job_t *job, err_t *err) {
    if (job->pipeline->python_block_count == 0) return SDG_OK;
    pypool_options_t options = {.hosts_max = w->args.python_hosts, .program = w->args.python_spawner};
    job->python = pypool_new(&options, err);
    if (!job->python) return err->code;
    if (add_functions(w, job, err) != SDG_OK) return err->code;
    actor_add_fd(&w->actor, pypool_fd(job->python));
    return SDG_OK;
}

/* A job names the endpoint, so it must not be able to name one elsewhere. */
static int connect_store(worker_t *w, worker_job_t *job, err_t *err) {
    const char *endpoint = job->options.store.endpoint;
    if (!endpoint) return SDG_OK;
    if (strncmp(endpoint, "inproc://", 9) != 0 && link_check_endpoint(endpoint, err) != SDG_OK)
        return err_prefix(err, "the job's context store");
    job->store = link_socket(ZMQ_DEALER, LINGER_MS, SOCKET_HWM);
    if (link_attach(job->store, LINK_CONNECT, endpoint, err) < 0)
        return err_prefix(err, "the job's context store");
    actor_add_socket(&w->actor, job->store);
    worker_journal_open(job);
    worker_contexts_open(job);
    return SDG_OK;
}

static void leave_store(worker_t *w, worker_job_t *job) {
    if (!job->store) return;
    worker_journal_close(job);
    worker_contexts_close(w, job);
    actor_remove_socket(&w->actor, job->store);
    zsock_destroy(&job->store);
}

/* Rows that stop, and rows without bytes, are with a store: options that want them without one are not a
 * client's of ours. */
static int check_passes(const worker_job_t *job, err_t *err) {
    const job_options_t *o = &job->options;
    if ((!o->row.stop_before && !o->store.batch) || (job->contexts && o->store.batch)) return SDG_OK;
    return err_set(err, SDG_EINVAL, "the job's options want passes, and have no store for their rows");
}

int worker_load_job(worker_t *w, worker_job_t *job, const MSG_JOB_SPEC *spec, err_t *err) {
    if (job_options_decode(spec->options.data, spec->options.len, &job->options, err) != SDG_OK ||
        load_pipeline(w, job, spec, err) != SDG_OK || connect_models(w, job, err) != SDG_OK ||
        start_python(w, job, err) != SDG_OK || connect_store(w, job, err) != SDG_OK ||
        check_passes(job, err) != SDG_OK) {
        job->state = JOB_BROKEN;
        return err->code;
    }
    job->options.row.files = w->args.files;
    if (job->options.memory_bytes && w->args.may_release) memory_release_eagerly();
    job->state = JOB_READY;
    return SDG_OK;
}

/* The job leaves the worker: its rows are dropped, and everything it owns ends with it. Its endpoints go with
 * the last job of the worker. */
void worker_forget_job(worker_t *w, worker_job_t *job) {
    worker_drop_rows(w, job);
    leave_store(w, job);
    ring_remove(&job->node);
    if (ring_empty(&w->jobs)) worker_endpoints_forget(w);
    if (job->python) actor_remove_fd(&w->actor, pypool_fd(job->python));
    close_routes(w, job);
    pypool_destroy(&job->python);
    pipeline_destroy(&job->pipeline);
    job_options_free(&job->options);
    free(job->functions);
    free(job->reported.items);
    free(job->refusal);
    outbox_forget(w->outbox, job->id);
    free(job);
}

void worker_forget_all_jobs(worker_t *w) { RING_EACH(&w->jobs, node) worker_forget_job(w, job_of(node)); }
