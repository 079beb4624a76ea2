/* doctor_net.c - checks of the LLM servers: each address of each model is asked for its models, and for
 * numbers of its load. All requests are under way at once through the engine that a run uses (same proxies,
 * same certificates), so all of them take DOCTOR_ANSWER_MS at most. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/doctor/doctor_internal.h"
#include "actors/doctor/limits.h"
#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/base/words.h"
#include "core/http/http.h"
#include "core/llm/endpoint.h"
#include "core/llm/model_list.h"
#include "core/llm/server_load.h"

typedef enum question { ASK_MODELS, ASK_METRICS, ASK_LOADS, QUESTIONS } question_t;

/* One request and what came of it. */
typedef struct probe {
    bool asked;
    bool answered; /* the fields below are valid */
    http_outcome_t outcome;
    http_fault_t fault;
    int os_error;
    long status;
    uint64_t latency_ns;
    buf_t body; /* of an answer with status 200 */
    char reason[200];
} probe_t;

/* One address of one model. */
typedef struct place {
    const model_t *model;
    const char *base_url;    /* NULL: the default */
    char *shown;             /* owned */
    http_headers_t *headers; /* owned */
    probe_t probe[QUESTIONS];
} place_t;

/* ---- asking */

/* Headers as the run sends them, the key included. */
static int headers_of(const model_t *m, bool use_key, http_headers_t **out, err_t *err) {
    endpoint_headers_t lines;
    int rc = endpoint_headers_make(use_key ? m->api_key : NULL, (const char *const *)m->headers,
                                   m->header_count, false, &lines, err);
    if (rc == SDG_OK) rc = http_headers_new(NULL, (const char *const *)lines.lines, lines.count, out, err);
    endpoint_headers_free(&lines);
    return rc;
}

/* Starts one request. False: the address cannot be used, and a finding says so. */
static bool ask(doctor_t *d, http_t *http, place_t *place, question_t q, size_t *open) {
    err_t err;
    static const endpoint_page_t pages[QUESTIONS] = {ENDPOINT_MODELS, ENDPOINT_METRICS, ENDPOINT_LOADS};
    char *url = endpoint_url(place->base_url, pages[q]);
    http_target_t *target = http_target_new(http, url, d->options->job.http2, &err);
    free(url);
    if (!target) {
        if (q == ASK_MODELS)
            doctor_say(d, DOCTOR_FAIL, "endpoint", "%s: %s", place->model->name->data, err.text);
        return false;
    }
    http_post_t get = {.target = target,
                       .headers = place->headers,
                       .timeout_ms = DOCTOR_ANSWER_MS,
                       .owner = &place->probe[q]};
    place->probe[q].asked = true;
    http_start(http, &get);
    ++*open;
    return true;
}

static void take_reply(const http_reply_t *reply) {
    probe_t *p = reply->owner;
    p->answered = true;
    p->outcome = reply->outcome;
    p->fault = reply->fault;
    p->os_error = reply->os_error;
    p->status = reply->status;
    p->latency_ns = reply->latency_ns;
    if (reply->outcome != HTTP_ANSWERED) snprintf(p->reason, sizeof p->reason, "%s", reply->reason);
    if (reply->status == 200) buf_add(&p->body, reply->body, reply->body_len);
}

/* Waits until all requests are answered. Each of them has a timeout, so this ends. */
static void wait_all(http_t *http, size_t open) {
    http_reply_t reply;
    http_flush(http);
    while (open > 0) {
        uint64_t due = http_due_ns(http), now = clock_now_ns();
        struct pollfd item = {.fd = http_fd(http), .events = POLLIN};
        poll(&item, 1, due == UINT64_MAX ? 1000 : due <= now ? 0 : (int)((due - now) / MILLISECOND) + 1);
        http_drive(http);
        for (; http_next(http, &reply); open--) {
            take_reply(&reply);
            http_release(http, reply.transfer);
        }
    }
}

/* ---- what they said */

/* The server cannot be reached: why, and what to do. */
static void say_broken(doctor_t *d, const char *what, const place_t *place, const probe_t *p) {
    bool refused = p->os_error == ECONNREFUSED;
    const char *words = p->outcome == HTTP_TIMEOUT ? "no answer in time"
                        : refused                  ? "connection refused"
                                                   : p->reason;
    doctor_say(d, DOCTOR_FAIL, what, "%s: %s%s", place->shown, p->fault == HTTP_FAULT_TLS ? "TLS: " : "",
               words);
    if (p->outcome == HTTP_TIMEOUT)
        doctor_advise(d, "is it overloaded or still loading its model? %d s were given",
                      DOCTOR_ANSWER_MS / 1000);
    else if (refused)
        doctor_advise(d, "nothing listens there: start the server, or correct base_url");
    else if (p->fault == HTTP_FAULT_TLS)
        doctor_advise(
            d, "name the certificate that vouches for it in CURL_CA_BUNDLE, or does it speak http:// only?");
    else if (p->fault == HTTP_FAULT_NAME)
        doctor_advise(d, "correct base_url; behind a proxy, set https_proxy");
    else
        doctor_advise(d, "look at the network between here and there, and at base_url");
}

/* The server answers the question for its models with an error. */
static void say_status(doctor_t *d, const char *what, const place_t *place, const probe_t *p) {
    bool keyed = place->model->api_key && place->model->api_key[0];
    bool denied = p->status == 401 || p->status == 403;
    doctor_say(d, denied ? DOCTOR_FAIL : DOCTOR_WARN, what, "%s: HTTP %ld for the list of models%s",
               place->shown, p->status,
               !denied ? ""
               : keyed ? ": the key is refused"
                       : ": it wants a key");
    if (denied)
        doctor_advise(d, keyed ? "is it this server's key, and is it still good?"
                               : "give the model an api_key: \"${ENV.NAME}\"");
    else if (p->status == 404)
        doctor_advise(
            d, "reachable; if calls get 404, too, correct base_url (it should end before /chat/completions)");
    else if (p->status >= 300 && p->status < 400)
        doctor_advise(d, "redirects are not followed: write the address it redirects to");
    else
        doctor_advise(d, "reachable, but not well: look at the server");
}

static const char *nearest(value_t ids, const char *name) {
    size_t count = list_count(ids);
    const char **names = xcalloc(count + 1, sizeof *names);
    for (size_t i = 0; i < count; i++)
        names[i] = list_peek(ids, i).string->data;
    const char *found = diag_nearest(name, names, count);
    free(names);
    return found;
}

static bool is_listed(value_t ids, const str_t *name) {
    for (size_t i = 0; i < list_count(ids); i++) {
        if (strcmp(list_peek(ids, i).string->data, name->data) == 0) return true;
    }
    return false;
}

/* A model that is not listed is a warning, because some servers take names they do not list; when its name
 * looks like a listed one, it is a typing error and a failure. */
static void say_model(doctor_t *d, const place_t *place, value_t ids) {
    char what[160];
    const char *name = place->model->api_model->data;
    snprintf(what, sizeof what, "model %s", place->model->name->data);
    if (is_listed(ids, place->model->api_model)) {
        doctor_say(d, DOCTOR_OK, what, "%s is listed", name);
        return;
    }
    const char *near = nearest(ids, name);
    doctor_say(d, near ? DOCTOR_FAIL : DOCTOR_WARN, what, "%s is not among the %zu %s of %s", name,
               list_count(ids), words_choose(list_count(ids), "model", "models"), place->shown);
    if (near)
        doctor_advise(d, "did you mean %s?", near);
    else if (list_count(ids))
        doctor_advise(d, "listed are %s%s; some servers take other names, too",
                      list_peek(ids, 0).string->data, list_count(ids) > 1 ? ", ..." : "");
}

/* Numbers of the load, from /metrics or else from /v1/loads; most servers have neither. */
static void say_load(doctor_t *d, const place_t *place) {
    const probe_t *metrics = &place->probe[ASK_METRICS], *loads = &place->probe[ASK_LOADS];
    char what[160];
    server_load_t load;
    buf_t words;
    buf_init(&words, 512);
    snprintf(what, sizeof what, "load of %s", place->model->name->data);
    bool of_metrics = metrics->status == 200 && metrics->body.len &&
                      server_metrics_read(metrics->body.data, metrics->body.len, &load);
    bool of_loads = !of_metrics && loads->status == 200 && loads->body.len &&
                    server_loads_read(loads->body.data, loads->body.len, &load);
    if (of_metrics || of_loads) server_load_write(&load, &words);
    if (words.len)
        doctor_say(d, DOCTOR_OK, what, "%s of %s", of_metrics ? "/metrics" : "/v1/loads", words.data);
    else
        doctor_say(d, DOCTOR_OK, what, "%s tells no numbers of its load (neither /metrics nor /v1/loads)",
                   place->shown);
    buf_free(&words);
}

/* Everything one address has answered. */
static void say_place(doctor_t *d, const place_t *place) {
    const probe_t *p = &place->probe[ASK_MODELS];
    char what[160];
    buf_t took;
    if (!p->answered) return;
    snprintf(what, sizeof what, "endpoint %s", place->model->name->data);
    if (p->outcome != HTTP_ANSWERED) {
        say_broken(d, what, place, p);
        return;
    }
    if (p->status != 200) {
        say_status(d, what, place, p);
        return;
    }
    value_t ids = p->body.len ? model_list_read(p->body.data, p->body.len) : value_null();
    buf_init(&took, 64);
    words_duration(&took, p->latency_ns);
    doctor_say(d, ids.kind == VALUE_LIST ? DOCTOR_OK : DOCTOR_WARN, what, "%s answers in %s%s", place->shown,
               took.data, ids.kind == VALUE_LIST ? "" : ", but not with a list of models");
    if (ids.kind != VALUE_LIST) doctor_advise(d, "is this an OpenAI-compatible server? Correct base_url");
    if (ids.kind == VALUE_LIST) say_model(d, place, ids);
    say_load(d, place);
    buf_free(&took);
    value_free(ids);
}

/* ---- all addresses */

/* All addresses of all models, up to DOCTOR_PLACES_MAX. An address with a variable that is not set is left
 * out: the check of the pipeline has said so. */
static size_t gather(const pipeline_t *p, place_t *places) {
    size_t n = 0;
    for (size_t i = 0; i < p->model_count; i++) {
        const model_t *m = &p->models[i];
        for (size_t k = 0; k < (m->url_count ? m->url_count : 1) && n < DOCTOR_PLACES_MAX; k++) {
            const char *base = m->url_count ? m->base_urls[k] : NULL;
            buf_t shown;
            if (base && strstr(base, "${")) continue;
            buf_init(&shown, 4096);
            endpoint_url_shown(base ? base : ENDPOINT_URL_DEFAULT, &shown);
            places[n++] = (place_t){.model = m, .base_url = base, .shown = buf_take(&shown, NULL)};
        }
    }
    return n;
}

/* Asks all addresses at once and waits for all answers. */
static void ask_all(doctor_t *d, http_t *http, place_t *places, size_t count) {
    size_t open = 0;
    err_t err;
    for (size_t i = 0; i < count; i++) {
        place_t *place = &places[i];
        for (int q = 0; q < QUESTIONS; q++)
            buf_init(&place->probe[q].body, LLM_ANSWER_BYTES_MAX);
        if (headers_of(place->model, d->pipeline, &place->headers, &err) != SDG_OK) {
            doctor_say(d, DOCTOR_FAIL, "endpoint", "%s: %s", place->model->name->data, err.text);
            continue;
        }
        for (int q = 0; q < QUESTIONS && ask(d, http, place, (question_t)q, &open); q++) {
        }
    }
    wait_all(http, open);
}

static void free_places(place_t *places, size_t count) {
    for (size_t i = 0; i < count; i++) {
        for (int q = 0; q < QUESTIONS; q++)
            buf_free(&places[i].probe[q].body);
        http_headers_free(places[i].headers);
        free(places[i].shown);
    }
    free(places);
}

/* Asks all servers that the pipeline names, unless --no-network. */
void doctor_check_endpoints(doctor_t *d) {
    const pipeline_t *p = doctor_structure(d);
    err_t err;
    if (!p || p->model_count == 0) return;
    if (d->options->no_network) {
        doctor_say(d, DOCTOR_OK, "endpoints", "not asked: --no-network");
        return;
    }
    http_t *http = http_new(&(http_options_t){0}, &err);
    if (!http) {
        doctor_say(d, DOCTOR_FAIL, "endpoints", "%s", err.text);
        return;
    }
    place_t *places = xcalloc(DOCTOR_PLACES_MAX, sizeof *places);
    size_t count = gather(p, places);
    ask_all(d, http, places, count);
    for (size_t i = 0; i < count; i++)
        say_place(d, &places[i]);
    http_destroy(&http);
    free_places(places, count);
}
