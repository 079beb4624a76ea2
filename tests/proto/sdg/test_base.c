/* test_base.c - the public functions of libsdg: what they add to the inner parts, which have tests of their
 * own. */
#include <sdg/sdg.h>

#include <string.h>

#include <criterion/criterion.h>

Test(base, versions_agree) {
    cr_assert_str_eq(sdg_version(), SDG_VERSION);
    cr_assert_eq(strncmp(SDG_VERSION, "0.", 2), 0);
}

Test(base, every_code_has_a_name) {
    cr_assert_str_eq(sdg_code_name(SDG_OK), "SDG_OK");
    for (int code = SDG_EPARSE; code < SDG_OK; code++)
        cr_expect_eq(strncmp(sdg_code_name(code), "SDG_E", 5), 0, "%d", code);
    cr_assert_str_eq(sdg_code_name(SDG_EPARSE - 1), "unknown code");
    cr_assert_str_eq(sdg_code_name(1), "unknown code");
}

Test(base, a_struct_without_its_size_is_refused) {
    sdg_error_t error = {0};
    sdg_llm_options_t llm_options = {.connections_max = 3};
    sdg_contexts_options_t contexts_options = {.max_cached = 1};
    cr_assert_null(sdg_llm_new(&llm_options, &error));
    cr_assert_eq(error.code, SDG_EINVAL);
    error.code = 0;
    cr_assert_null(sdg_contexts_new(&contexts_options, &error));
    cr_assert_eq(error.code, SDG_EINVAL);
    cr_assert_str_eq(error.text, "options of contexts: size is not set");
    cr_assert_null(sdg_contexts_new(&contexts_options, NULL), "nobody need ask why");
}

/* A program that was compiled with fewer fields: what lies behind its struct is neither read nor written. */
Test(base, a_shorter_struct_is_read_and_written_as_far_as_it_goes) {
    sdg_contexts_options_t options = {.size = offsetof(sdg_contexts_options_t, max_bytes),
                                      .max_cached = 7,
                                      .max_bytes = 99,
                                      .spill_path = "not looked at"};
    sdg_contexts_stats_t stats;
    memset(&stats, 0x55, sizeof stats);
    stats.size = offsetof(sdg_contexts_stats_t, cached_bytes);
    sdg_contexts_t *contexts = sdg_contexts_new(&options, NULL);
    sdg_contexts_get_stats(contexts, &stats);
    cr_assert_eq(stats.cached, 0);
    cr_assert_eq(stats.max_cached, 7);
    cr_assert_eq(stats.cached_bytes, UINT64_C(0x5555555555555555));
    cr_assert_eq(stats.size, offsetof(sdg_contexts_stats_t, cached_bytes));
    stats.size = sizeof stats;
    sdg_contexts_get_stats(contexts, &stats);
    cr_assert_eq(stats.max_bytes, 0, "max_bytes lay behind the options");
    sdg_contexts_destroy(&contexts);
    cr_assert_null(contexts);
    sdg_contexts_destroy(&contexts);
}

/* A program that was compiled with more fields than this library has. */
Test(base, a_longer_struct_keeps_its_tail) {
    struct {
        sdg_cache_stats_t known;
        uint64_t later;
    } stats = {.known.size = sizeof stats, .later = 5};
    sdg_cache_t *cache = sdg_cache_new(3, NULL);
    sdg_cache_get_stats(cache, &stats.known);
    cr_assert_eq(stats.known.max_size, 3);
    cr_assert_eq(stats.later, 5);
    cr_assert_eq(stats.known.size, sizeof stats);
    sdg_cache_destroy(&cache);
    cr_assert_null(cache);
    sdg_cache_destroy(&cache);
}

Test(cache, has_a_size_that_can_be) {
    sdg_error_t error = {0};
    cr_assert_null(sdg_cache_new(0, &error));
    cr_assert_eq(error.code, SDG_EINVAL);
    cr_assert_str_eq(error.text, "a cache holds 1 to 1073741824 values");
    cr_assert_null(sdg_cache_new(SIZE_MAX, NULL));
}

Test(cache, hands_back_what_it_pushes_out) {
    int a, b, c;
    sdg_cache_entry_t entry;
    sdg_cache_t *cache = sdg_cache_new(2, NULL);
    cr_assert_not(sdg_cache_oldest(cache, &entry));
    cr_assert_not(sdg_cache_put(cache, 1, &a, &entry));
    cr_assert_not(sdg_cache_put(cache, 2, &b, &entry));
    cr_assert_eq(sdg_cache_get(cache, 1), &a);
    cr_assert_eq(sdg_cache_peek(cache, 2), &b);
    cr_assert(sdg_cache_oldest(cache, &entry) && entry.key == 2);
    cr_assert(sdg_cache_put(cache, 3, &c, &entry));
    cr_assert(entry.key == 2 && entry.value == &b);
    cr_assert_eq(sdg_cache_remove(cache, 3), &c);
    sdg_cache_clear(cache);
    cr_assert_null(sdg_cache_get(cache, 1));
    sdg_cache_destroy(&cache);
}

Test(contexts, failures_say_why) {
    sdg_error_t error = {0};
    const void *bytes;
    size_t len;
    bool created;
    sdg_contexts_t *contexts = sdg_contexts_new(NULL, NULL);
    cr_assert_eq(
        sdg_contexts_get_or_create(contexts, 1, SDG_CONTEXT_SHARED, 9, NULL, 0, &bytes, &len, NULL, &error),
        SDG_ENOTFOUND);
    cr_assert_eq(error.code, SDG_ENOTFOUND);
    cr_assert(error.text[0]);
    cr_assert_null(bytes);
    cr_assert_eq(sdg_contexts_get_or_create(contexts, 1, SDG_CONTEXT_PRIVATE, 9, "abc", 3, &bytes, &len,
                                            &created, &error),
                 SDG_OK);
    cr_assert(created && len == 3 && memcmp(bytes, "abc", 3) == 0);
    cr_assert_eq(sdg_contexts_unpin(contexts, 1, 9, &error), SDG_OK);
    cr_assert_eq(sdg_contexts_unpin(contexts, 1, 9, &error), SDG_ENOTFOUND);
    cr_assert_eq(sdg_contexts_pin(contexts, 1, 9, NULL), SDG_OK);
    cr_assert_eq(sdg_contexts_release(contexts, 1, 9, NULL), SDG_OK);
    cr_assert_eq(sdg_contexts_pin(contexts, 1, 9, NULL), SDG_ENOTFOUND);
    cr_assert_eq(sdg_contexts_owner_gone(contexts, 9, NULL), SDG_OK);
    cr_assert_eq(sdg_contexts_put(contexts, 1, SDG_CONTEXT_PRIVATE, 9, "x", 1, NULL), SDG_ECANCELLED);
    sdg_contexts_owner_back(contexts, 9);
    cr_assert_eq(sdg_contexts_put(contexts, 1, SDG_CONTEXT_PRIVATE, 9, "x", 1, NULL), SDG_OK);
    cr_assert_eq(sdg_contexts_flush(contexts, NULL), SDG_OK);
    cr_assert_eq(sdg_contexts_complete(contexts, 1, NULL), SDG_OK);
    cr_assert_eq(sdg_contexts_put(contexts, 1, SDG_CONTEXT_SHARED, 9, "x", 1, &error), SDG_ECANCELLED);
    sdg_contexts_release_all(contexts);
    cr_assert_eq(sdg_contexts_put(contexts, 1, SDG_CONTEXT_SHARED, 9, "x", 1, &error), SDG_OK);
    sdg_contexts_destroy(&contexts);
}

static void expect_body(char *body, const char *wanted) {
    cr_assert_str_eq(body, wanted);
    sdg_free(body);
}

Test(llm, a_chat_request_is_json) {
    expect_body(sdg_chat_request("m", NULL, "a \"b\"\n", NULL, NULL),
                "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"a \\\"b\\\"\\n\"}]}");
    expect_body(sdg_chat_request("m", "be kind", "hi", "{\"temperature\": 0, \"model\": \"other\"}", NULL),
                "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"be kind\"},"
                "{\"role\":\"user\",\"content\":\"hi\"}],\"temperature\":0}");
}

Test(llm, wrong_parameters_of_a_chat_request_are_refused) {
    sdg_error_t error = {0};
    cr_assert_null(sdg_chat_request("m", NULL, "hi", "{\"temperature\":", &error));
    cr_assert_eq(error.code, SDG_EPARSE);
    cr_assert_eq(strncmp(error.text, "params: ", 8), 0);
    cr_assert_null(sdg_chat_request("m", NULL, "hi", "[1]", &error));
    cr_assert_eq(error.code, SDG_EINVAL);
    cr_assert_null(sdg_chat_request("m", NULL, "hi", "[1]", NULL));
}

Test(llm, wrong_endpoints_and_calls_are_refused) {
    sdg_error_t error = {0};
    const char *url = "no such scheme://";
    sdg_endpoint_t endpoint = {.size = sizeof endpoint, .urls = &url, .url_count = 1};
    sdg_llm_t *llm = sdg_llm_new(NULL, &error);
    cr_assert(llm, "%s", error.text);
    cr_assert_eq(sdg_llm_add_endpoint(llm, &endpoint, &error), SDG_EINVAL);
    cr_assert(error.text[0]);
    cr_assert_eq(sdg_llm_submit(llm, 0, "{}", 2, 1, &error), SDG_EINVAL, "there is no endpoint 0");
    cr_assert_null(sdg_llm_next(llm));
    sdg_llm_destroy(&llm);
    cr_assert_null(llm);
}

/* No server is needed for it: nothing is sent before the first sdg_llm_drive. */
Test(llm, a_cancelled_call_is_answered) {
    const char *url = "http://127.0.0.1:9";
    sdg_endpoint_t endpoint = {.size = sizeof endpoint, .urls = &url, .url_count = 1};
    sdg_llm_load_t load = {.size = sizeof load};
    sdg_llm_t *llm = sdg_llm_new(NULL, NULL);
    cr_assert_eq(sdg_llm_add_endpoint(llm, &endpoint, NULL), 0);
    sdg_llm_set_permits(llm, 0, 3);
    cr_assert_eq(sdg_llm_submit(llm, 0, "{}", 2, 42, NULL), SDG_OK);
    sdg_llm_get_load(llm, 0, &load);
    cr_assert(load.permits == 3 && load.queued == 1);
    sdg_llm_cancel(llm, 42);
    cr_assert_geq(sdg_llm_fd(llm), 0);
    cr_assert_eq(sdg_llm_timeout_ms(llm), 0);
    sdg_llm_drive(llm);
    sdg_answer_t *answer = sdg_llm_next(llm);
    cr_assert(answer && answer->tag == 42 && answer->cause == SDG_CAUSE_CANCELLED);
    cr_assert(answer->text[0] == '\0' && answer->text_len == 0 && answer->error[0]);
    sdg_answer_destroy(&answer);
    cr_assert_null(answer);
    sdg_answer_destroy(&answer);
    sdg_llm_destroy(&llm);
}

Test(llm, every_cause_has_a_name) {
    for (int cause = SDG_CAUSE_NONE; cause <= SDG_CAUSE_DECLINED; cause++)
        cr_expect_str_neq(sdg_cause_name((sdg_cause_t)cause), "unknown cause");
    cr_assert_str_eq(sdg_cause_name((sdg_cause_t)(SDG_CAUSE_DECLINED + 1)), "unknown cause");
}
