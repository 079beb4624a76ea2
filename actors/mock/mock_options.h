/* mock_options.h - the flags of `sdg mock-llm` as a struct. Their rows are in actors/verbs/flags_table.c. */
#ifndef SDG_ACTORS_MOCK_MOCK_OPTIONS_H
#define SDG_ACTORS_MOCK_MOCK_OPTIONS_H

#include "actors/common_options.h"
#include "actors/mock/limits.h"
#include "core/base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* A fixed number (sigma 0) or a log-normal distribution. */
typedef struct mock_spread {
    double median;
    double sigma;
} mock_spread_t;

typedef enum mock_fault_kind {
    MOCK_FAULT_STATUS,    /* answered with `status` and an OpenAI-style error body */
    MOCK_FAULT_RESET,     /* TCP reset instead of an answer */
    MOCK_FAULT_HANG,      /* no answer until the client gives up */
    MOCK_FAULT_SLOW,      /* the body drips over slow_ms */
    MOCK_FAULT_MALFORMED, /* a 200 whose JSON is cut in the middle */
    MOCK_FAULT_EMPTY,     /* a completion with empty content */
} mock_fault_kind_t;

typedef struct mock_fault {
    mock_fault_kind_t kind;
    unsigned status; /* HTTP status of MOCK_FAULT_STATUS */
    double rate;     /* 0..1, of all chat requests */
    char name[16];   /* as written in --fail */
} mock_fault_t;

typedef struct mock_options {
    common_options_t common; /* quiet: no summary at the end */
    const char *host;
    unsigned port;         /* 0: any free one */
    const char *port_file; /* NULL: none */
    const char *models;    /* comma-separated ids for /v1/models */
    char *answer;          /* owned; template of the default answer */
    size_t answer_len;
    bool answer_given;      /* by --answer or --answer-file */
    const char *rules_file; /* NULL: no rules */
    const char *log_file;   /* NULL: no log */
    mock_spread_t latency_ms;
    double ms_per_token;
    mock_spread_t tokens; /* least completion tokens; median 0: as long as the answer is */
    mock_fault_t faults[MOCK_FAULTS_MAX];
    size_t fault_count;
    /* The Retry-After of its 429 and 503: seconds, "auto", or "none" and NULL: none. */
    const char *retry_after;
    double rate;    /* answers a second that its token bucket passes; 0: it has none */
    unsigned burst; /* tokens that the bucket holds; 0: what comes in a fifth of a second, at least 1 */
    double slow_ms;
    uint64_t seed;
    unsigned running_max; /* 0: no limit */
    unsigned queue_max;   /* beyond running_max; UINT32_MAX: no limit */
    unsigned conns_max;
} mock_options_t;

void mock_options_prepare(void *options); /* defaults, on zeroed memory */
void mock_options_release(void *options);

/* Values with a grammar of their own, stored in mock_options_t; SDG_EINVAL with the rest of a sentence that
 * begins with the flag's name. */
int mock_faults_read(void *options, const char *text, err_t *err); /* NAME=RATE,NAME=RATE */
int mock_answer_read(void *options, const char *text, err_t *err);
int mock_answer_file_read(void *options, const char *path, err_t *err);
int mock_tokens_read(void *options, const char *text, err_t *err);  /* N or lognormal:MEDIAN:SIGMA */
int mock_latency_read(void *options, const char *text, err_t *err); /* N or lognormal:MEDIAN:SIGMA, ms */
int mock_rate_read(void *options, const char *text, err_t *err);    /* N, N/s or N/m */
int mock_retry_after_check(const char *text, err_t *err);

#endif
