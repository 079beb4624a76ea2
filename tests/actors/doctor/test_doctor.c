/* What sdg doctor reads out of pipelines and of servers' answers. The verb itself: test_doctor.py. */
#include "actors/doctor/doctor_net.h"

#include <criterion/criterion.h>
#include <string.h>

/* ---- servers */

static void expect_load(bool (*read)(const char *, size_t, buf_t *), const char *text, const char *wanted) {
    buf_t out;
    buf_init(&out, 512);
    cr_assert_eq(read(text, strlen(text), &out), wanted != NULL, "%s", text);
    if (wanted) cr_assert_str_eq(out.data, wanted);
    buf_free(&out);
}

Test(doctor_net, models) {
    static const char *const none[] = {"", "<html>", "[]", "{\"data\": 3}", "{\"error\": {}}"};
    static const char some[] =
        "{\"object\": \"list\", \"data\": [{\"id\": \"a\"}, 3, {\"id\": 4}, {\"id\": \"b\"}]}";
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        cr_assert_eq(doctor_models_read(none[i], strlen(none[i])).kind, VALUE_NULL);
    value_t ids = doctor_models_read(some, strlen(some));
    cr_assert_eq(list_count(ids), 2);
    cr_assert_str_eq(list_peek(ids, 1).string->data, "b");
    value_free(ids);
}

Test(doctor_net, metrics_are_matched_by_their_whole_name_and_summed_over_engines) {
    expect_load(
        doctor_metrics_read,
        "# HELP vllm:num_requests_running Number\n# TYPE vllm:num_requests_running gauge\n"
        "vllm:num_requests_running{engine=\"0\",model_name=\"a}b\"} "
        "3.0\nvllm:num_requests_running{engine=\"1\"} 4\n"
        "vllm:num_requests_waiting{engine=\"0\"} 2\nvllm:num_requests_waiting_by_reason{reason=\"capacity\"} "
        "9\nvllm:kv_cache_usage_perc 0.25\n",
        "vLLM: 7 running, 2 waiting, 25 % of the KV cache in use");
    expect_load(doctor_metrics_read,
                "sglang:num_running_reqs{priority=\"\"} 5\nsglang:num_running_reqs{priority=\"1\"} "
                "5\nsglang:num_queue_reqs{tp_rank=\"0\"} 1\n",
                "SGLang: 5 running, 1 waiting");
    expect_load(doctor_metrics_read, "process_cpu_seconds_total 3\n", NULL);
    expect_load(doctor_metrics_read, "vllm:num_requests_running{engine=\"0\"\nvllm:num_requests_running",
                NULL);
    expect_load(doctor_metrics_read, "", NULL);
}

Test(doctor_net, loads_of_all_ranks) {
    expect_load(
        doctor_loads_read,
        "{\"loads\": [{\"num_running_reqs\": 3, \"num_waiting_reqs\": 1}, {\"num_running_reqs\": 2}]}",
        "SGLang: 5 running, 1 waiting");
    expect_load(doctor_loads_read, "[{\"num_running_reqs\": 3}]", "SGLang: 3 running");
    expect_load(doctor_loads_read, "{\"detail\": \"Not Found\"}", NULL);
    expect_load(doctor_loads_read, "null", NULL);
}
