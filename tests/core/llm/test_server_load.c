/* What servers say of their load. */
#include "core/llm/server_load.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

typedef bool read_fn(const char *text, size_t len, server_load_t *load);

/* wanted NULL: the text says nothing. */
static void expect_load(read_fn *read, const char *text, const char *wanted) {
    server_load_t load;
    buf_t out;
    buf_init(&out, 512);
    cr_assert_eq(read(text, strlen(text), &load), wanted != NULL, "%s", text);
    if (wanted) server_load_write(&load, &out);
    if (wanted) cr_assert_str_eq(out.data, wanted);
    buf_free(&out);
}

Test(server_load, metrics_are_matched_by_their_whole_name_and_summed_over_engines) {
    expect_load(
        server_metrics_read,
        "# HELP vllm:num_requests_running Number\n# TYPE vllm:num_requests_running gauge\n"
        "vllm:num_requests_running{engine=\"0\",model_name=\"a}b\"} "
        "3.0\nvllm:num_requests_running{engine=\"1\"} 4\n"
        "vllm:num_requests_waiting{engine=\"0\"} 2\nvllm:num_requests_waiting_by_reason{reason=\"capacity\"} "
        "9\nvllm:kv_cache_usage_perc 0.25\n",
        "vLLM: 7 running, 2 waiting, 25 % of the KV cache in use");
    expect_load(server_metrics_read,
                "sglang:num_running_reqs{priority=\"\"} 5\nsglang:num_running_reqs{priority=\"1\"} "
                "5\nsglang:num_queue_reqs{tp_rank=\"0\"} 1\n",
                "SGLang: 5 running, 1 waiting");
    expect_load(server_metrics_read, "process_cpu_seconds_total 3\n", NULL);
    expect_load(server_metrics_read, "vllm:num_requests_running{engine=\"0\"\nvllm:num_requests_running",
                NULL);
    expect_load(server_metrics_read, "", NULL);
}

Test(server_load, a_cache_is_as_full_as_that_of_the_fullest_engine) {
    expect_load(server_metrics_read,
                "vllm:num_requests_waiting 1\nvllm:kv_cache_usage_perc{engine=\"0\"} 0.75\n"
                "vllm:kv_cache_usage_perc{engine=\"1\"} 0.5\n",
                "vLLM: 1 waiting, 75 % of the KV cache in use");
}

Test(server_load, numbers_that_are_none_are_unknown) {
    expect_load(server_metrics_read, "vllm:num_requests_running NaN\nvllm:num_requests_waiting +Inf\n", NULL);
    expect_load(server_metrics_read, "vllm:num_requests_running -1\nvllm:num_requests_waiting \n", NULL);
    expect_load(server_metrics_read, "vllm:num_requests_running 1e308\nvllm:num_requests_running 1e308\n",
                NULL);
    expect_load(server_metrics_read, "vllm:num_requests_running 2 1700000000000\n", "vLLM: 2 running");
}

Test(server_load, loads_of_all_ranks) {
    expect_load(
        server_loads_read,
        "{\"loads\": [{\"num_running_reqs\": 3, \"num_waiting_reqs\": 1}, {\"num_running_reqs\": 2}]}",
        "SGLang: 5 running, 1 waiting");
    expect_load(server_loads_read, "[{\"num_running_reqs\": 3}]", "SGLang: 3 running");
    expect_load(server_loads_read, "[{\"num_running_reqs\": -3}]", NULL);
    expect_load(server_loads_read, "{\"detail\": \"Not Found\"}", NULL);
    expect_load(server_loads_read, "null", NULL);
}
