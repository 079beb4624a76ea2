/* mock_options.c - see mock_options.h: defaults, and the values that have a grammar of their own. */
#include "actors/mock/mock_options.h"

#include "actors/mock/limits.h"
#include "actors/mock/mock_rules.h"
#include "core/base/buf.h"

#include <stdlib.h>
#include <string.h>

#define ANSWER_DEFAULT "echo[{{model}}]: {{last_user}}"

static int number_read(const char *text, double lo, double hi, double *out, err_t *err) {
    char *end;
    double n = strtod(text, &end);
    if (end == text || *end || !(n >= lo && n <= hi))
        return err_set(err, SDG_EINVAL, "takes a number from %.15g to %.15g, not '%s'", lo, hi, text);
    *out = n;
    return SDG_OK;
}

/* "N" or "lognormal:MEDIAN:SIGMA". */
static int spread_read(const char *text, double hi, mock_spread_t *out, err_t *err) {
    static const char NAME[] = "lognormal:";
    *out = (mock_spread_t){0};
    if (strncmp(text, NAME, sizeof NAME - 1)) return number_read(text, 0, hi, &out->median, err);
    const char *median = text + sizeof NAME - 1, *colon = strchr(median, ':');
    if (!colon) return err_set(err, SDG_EINVAL, "takes a number or lognormal:MEDIAN:SIGMA, not '%s'", text);
    char part[32] = {0};
    size_t len = (size_t)(colon - median);
    if (len >= sizeof part)
        return err_set(err, SDG_EINVAL, "takes a number or lognormal:MEDIAN:SIGMA, not '%s'", text);
    memcpy(part, median, len);
    int rc = number_read(part, 0, hi, &out->median, err);
    return rc ? rc : number_read(colon + 1, 0, 10, &out->sigma, err);
}

/* The name of a kind of failure: a status, or reset, hang, slow, malformed, empty. */
static int fault_name_read(mock_fault_t *fault, err_t *err) {
    static const struct {
        const char *name;
        mock_fault_kind_t kind;
    } KINDS[] = {
        {"reset", MOCK_FAULT_RESET}, {"hang", MOCK_FAULT_HANG},           {"slow", MOCK_FAULT_SLOW},
        {"empty", MOCK_FAULT_EMPTY}, {"malformed", MOCK_FAULT_MALFORMED},
    };
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        if (strcmp(fault->name, KINDS[i].name)) continue;
        fault->kind = KINDS[i].kind;
        return SDG_OK;
    }
    double status;
    if (number_read(fault->name, 400, 599, &status, NULL) || strlen(fault->name) != 3)
        return err_set(
            err, SDG_EINVAL,
            "takes a status from 400 to 599 or one of reset, hang, slow, malformed, empty, not '%s'",
            fault->name);
    fault->kind = MOCK_FAULT_STATUS;
    fault->status = (unsigned)status;
    return SDG_OK;
}

/* One "NAME=RATE" of --fail. */
static int fault_read(mock_options_t *o, const char *item, err_t *err) {
    if (o->fault_count == MOCK_FAULTS_MAX)
        return err_set(err, SDG_ELIMIT, "takes at most %d kinds", MOCK_FAULTS_MAX);
    mock_fault_t *fault = &o->faults[o->fault_count];
    const char *eq = strchr(item, '=');
    if (!eq || eq == item || (size_t)(eq - item) >= sizeof fault->name)
        return err_set(err, SDG_EINVAL, "takes NAME=RATE, not '%s'", item);
    *fault = (mock_fault_t){0};
    memcpy(fault->name, item, (size_t)(eq - item));
    int rc = fault_name_read(fault, err);
    if (!rc) rc = number_read(eq + 1, 0, 1, &fault->rate, err);
    if (!rc) o->fault_count++;
    return rc;
}

int mock_faults_read(void *options, const char *text, err_t *err) {
    mock_options_t *o = options;
    char *copy = xstrdup(text), *rest = copy;
    int rc = SDG_OK;
    for (char *item; !rc && (item = strsep(&rest, ","));)
        if (*item) rc = fault_read(o, item, err);
    free(copy);
    double sum = 0;
    for (size_t i = 0; i < o->fault_count; i++)
        sum += o->faults[i].rate;
    if (!rc && sum > 1 + 1e-9) rc = err_set(err, SDG_EINVAL, "has rates that add up to %g, more than 1", sum);
    return rc;
}

static void answer_set(mock_options_t *o, const char *text, size_t len) {
    free(o->answer);
    o->answer = xmalloc(len + 1);
    memcpy(o->answer, text, len);
    o->answer[len] = '\0';
    o->answer_len = len;
}

int mock_answer_read(void *options, const char *text, err_t *err) {
    (void)err;
    answer_set(options, text, strlen(text));
    ((mock_options_t *)options)->answer_given = true;
    return SDG_OK;
}

int mock_answer_file_read(void *options, const char *path, err_t *err) {
    buf_t text;
    buf_init(&text, MOCK_FILE_BYTES_MAX);
    int rc = mock_file_read(path, &text, err);
    if (!rc) answer_set(options, text.data ? text.data : "", text.len);
    ((mock_options_t *)options)->answer_given = rc == SDG_OK;
    buf_free(&text);
    return rc;
}

int mock_tokens_read(void *options, const char *text, err_t *err) {
    return spread_read(text, MOCK_TOKENS_MAX, &((mock_options_t *)options)->tokens, err);
}

int mock_latency_read(void *options, const char *text, err_t *err) {
    return spread_read(text, MOCK_DELAY_MS_MAX, &((mock_options_t *)options)->latency_ms, err);
}

/* "N", "N/s" or "N/m". */
int mock_rate_read(void *options, const char *text, err_t *err) {
    mock_options_t *o = options;
    const char *slash = strchr(text, '/');
    bool minutes = slash && strcmp(slash, "/m") == 0;
    char number[32] = {0};
    size_t len = slash ? (size_t)(slash - text) : strlen(text);
    if (len == 0 || len >= sizeof number || (slash && !minutes && strcmp(slash, "/s") != 0))
        return err_set(err, SDG_EINVAL, "takes N/s or N/m, not '%s'", text);
    memcpy(number, text, len);
    int rc = number_read(number, 0.001, MOCK_COUNT_MAX, &o->rate, err);
    if (minutes) o->rate /= 60;
    return rc;
}

int mock_retry_after_check(const char *text, err_t *err) {
    double seconds;
    if (strcmp(text, "auto") == 0 || strcmp(text, "none") == 0) return SDG_OK;
    if (number_read(text, 0, 1e6, &seconds, NULL) == SDG_OK) return SDG_OK;
    return err_set(err, SDG_EINVAL, "takes a number of seconds, auto or none, not '%s'", text);
}

void mock_options_prepare(void *options) {
    mock_options_t *o = options;
    o->host = "127.0.0.1";
    o->port = 8000;
    o->models = "mock";
    o->slow_ms = 5000;
    o->queue_max = UINT32_MAX;
    o->conns_max = MOCK_CONNS_DEFAULT;
    answer_set(o, ANSWER_DEFAULT, strlen(ANSWER_DEFAULT));
}

void mock_options_release(void *options) {
    mock_options_t *o = options;
    free(o->answer);
    o->answer = NULL;
}
