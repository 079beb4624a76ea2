/* fuzz_mock - the simulated server: any rules (JSON or YAML), any request, any values of its flags, a line
 * each and the rest the rules. Rules are refused in words, or the plan for a request is one that a server can
 * carry out; the same request has the same plan. */
#include "tests/fuzz/input.h"

#include "actors/mock/mock_plan.h"
#include "core/base/json.h"

/* Sets what the values say; one that is refused changes nothing that is used here. */
static void set_options(mock_options_t *o, fuzz_input_t *in) {
    static int (*const reads[])(void *, const char *, err_t *) = {
        mock_faults_read, mock_answer_read, mock_tokens_read, mock_latency_read, mock_rate_read,
    };
    for (size_t i = 0; i < sizeof reads / sizeof *reads; i++) {
        char *text = fuzz_line(in, NULL);
        err_t err = {0};
        if (*text && reads[i](o, text, &err) != SDG_OK) CHECK(err.text[0], "refused without a word");
        free(text);
    }
    if (o->fault_count && o->faults[o->fault_count - 1].rate > 1) o->fault_count = 0;
}

static void check_plan(const mock_plan_t *plan) {
    CHECK(plan->delay_ns <= MOCK_DELAY_NS_MAX, "%llu ns", (unsigned long long)plan->delay_ns);
    CHECK(plan->ending == MOCK_RESET || plan->ending == MOCK_HANG ||
              (plan->status >= 200 && plan->status <= 599),
          "status %u", plan->status);
    CHECK(plan->headers.kind == VALUE_NULL || plan->headers.kind == VALUE_OBJECT, "headers");
    for (size_t i = 0; plan->headers.kind == VALUE_OBJECT && i < object_count(plan->headers); i++)
        CHECK(object_value_peek(plan->headers, i).kind == VALUE_STRING, "header %zu", i);
}

static void check_request(const mock_options_t *o, mock_rules_t *rules, value_t body) {
    mock_plan_t first, second;
    mock_plan_make(&first, o, NULL, body, 1);
    mock_plan_make(&second, o, NULL, body, 1);
    check_plan(&first);
    CHECK(first.body.len == second.body.len && first.delay_ns == second.delay_ns, "another plan");
    mock_plan_free(&first);
    mock_plan_free(&second);
    for (uint64_t n = 1; n < 4; n++) {
        mock_plan_make(&first, o, rules, body, n);
        check_plan(&first);
        mock_plan_free(&first);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    fuzz_input_t in = {bytes, size};
    mock_options_t options = {0};
    mock_rules_t *rules = NULL;
    value_t body;
    err_t err = {0};
    size_t len;
    mock_options_prepare(&options);
    set_options(&options, &in);
    char *request = fuzz_line(&in, &len), path[FUZZ_PATH_BYTES];
    if (json_parse_text(request, len, &body, NULL) != SDG_OK) body = value_null();
    free(request);
    int fd = fuzz_file(in.at, in.left, path);
    if (mock_rules_load(path, &rules, &err) != SDG_OK) CHECK(err.text[0] && !rules, "refused without a word");
    if (body.kind == VALUE_OBJECT) check_request(&options, rules, body);
    mock_rules_destroy(&rules);
    mock_options_release(&options);
    value_free(body);
    close(fd);
    return 0;
}
