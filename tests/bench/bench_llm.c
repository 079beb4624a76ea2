/* bench_llm.c - the requests of bench_curl_bare through the LLM engine: queue, permits, retries, answers
 * parsed.
 *
 * bench_llm --url http://127.0.0.1:8080/v1/chat/completions --requests 100000 --concurrency 64 --body
 * body.json The bar is requests/s >= 0.9 of bench_curl_bare in the same minute.
 */
#include <poll.h>

#include "core/http/engine.h"
#include "tests/bench/bench_common.h"

/* The engine builds the URL from a base; the benchmark is given the whole URL, to compare like with like. */
static char *base_of(const char *url) {
    const char *tail = strstr(url, "/chat/completions");
    if (!tail) bench_die("the URL must end in /chat/completions:", url);
    return xstrndup(url, (size_t)(tail - url));
}

int main(int argc, char **argv) {
    bench_args_t args = bench_args_read(argc, argv);
    err_t err;
    llm_engine_options_t options = {.seed = 1};
    llm_engine_t *engine = llm_engine_new(&options, &err);
    char *base = base_of(args.url);
    llm_route_options_t route = {.name = "bench",
                                 .base_urls = (const char *const[]){base},
                                 .url_count = 1,
                                 .api_key = "key",
                                 .retry = retry_policy_default()};
    permit_t permit = {.allowed = (uint32_t)args.concurrency};
    if (!engine || llm_engine_open_route(engine, &route, &err) < 0) bench_die("cannot start:", err.text);
    llm_engine_set_permits(engine, llm_engine_endpoint_id(engine, 0), (uint32_t)args.concurrency);
    bench_clock_t began = bench_clock();
    llm_request_t request = {.permit = &permit, .body = args.body, .body_len = args.body_len};
    uint64_t submitted = 0, done = 0;
    for (; submitted < args.concurrency && submitted < args.requests; submitted++)
        llm_engine_submit(engine, &request, submitted, &err);
    while (done < args.requests) {
        struct pollfd fd = {.fd = llm_engine_fd(engine), .events = POLLIN};
        int timeout = llm_engine_timeout_ms(engine, clock_now_ns());
        if (timeout != 0) poll(&fd, 1, timeout);
        llm_engine_drive(engine, clock_now_ns());
        for (llm_answer_t answer; llm_engine_next(engine, &answer); done++) {
            if (answer.cause != LLM_CAUSE_NONE) bench_die("call failed:", answer.error.text);
            value_free(answer.text);
            request.has_unit = answer.has_unit;
            if (submitted < args.requests) llm_engine_submit(engine, &request, submitted++, &err);
        }
    }
    bench_report("llm_engine", &args, began);
    llm_engine_destroy(&engine);
    free(base);
    return 0;
}
