/* test_mock_plan.c - what request n is answered with, without a server. */
#include "actors/mock/mock_plan.h"
#include "actors/verbs/flags.h"
#include "core/base/json.h"

#include <criterion/criterion.h>

#include <string.h>

static const char REQUEST[] = "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}";

static value_t parse(const char *text) {
    value_t v;
    cr_assert_eq(json_parse_text(text, strlen(text), &v, NULL), SDG_OK);
    return v;
}

/* Options as from the command line; `flags` ends with NULL. */
static mock_options_t options_of(const char *const *flags) {
    const char *argv[16] = {"mock-llm"};
    int argc = 1;
    while (flags && *flags)
        argv[argc++] = *flags++;
    mock_options_t o;
    err_t err = {0};
    cr_assert_eq(flags_parse(verb_of(VERB_MOCK_LLM), argc, (char **)argv, &o, &err), SDG_OK, "%s", err.text);
    return o;
}

static void options_free(mock_options_t *o) { flags_release(verb_of(VERB_MOCK_LLM), o); }

static mock_plan_t plan_of(const mock_options_t *o, mock_rules_t *rules, uint64_t n) {
    mock_plan_t plan;
    value_t body = parse(REQUEST);
    mock_plan_make(&plan, o, rules, body, n);
    value_free(body);
    return plan;
}

Test(mock_plan, echo_at_once) {
    mock_options_t o = options_of(NULL);
    mock_plan_t plan = plan_of(&o, NULL, 1);
    cr_assert_eq(plan.status, 200);
    cr_assert_eq(plan.delay_ns, 0);
    cr_assert_eq(plan.fault, -1);
    cr_assert(strstr(plan.body.data, "\"content\": \"echo[m]: hi\""), "%s", plan.body.data);
    mock_plan_free(&plan);
    options_free(&o);
}

static void expect_content(const char *const *flags, const char *request, const char *want) {
    mock_options_t o = options_of(flags);
    mock_plan_t plan;
    value_t body = parse(request);
    mock_plan_make(&plan, &o, NULL, body, 1);
    cr_expect(strstr(plan.body.data, want), "%s is not in %s", want, plan.body.data);
    mock_plan_free(&plan);
    value_free(body);
    options_free(&o);
}

Test(mock_plan, tags_that_the_prompt_asks_for) {
    static const char asks[] =
        "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"Say how hard it is in <level> "
        "tags.\"},{\"role\":\"user\",\"content\":\"Ask about tea, inside <q></q>.\"}]}";
    expect_content(
        NULL, asks,
        "\"content\": \"<level>simulated level: Ask about tea, inside .</level>\\n<q>simulated q: Ask about "
        "tea, inside .</q>\"");
    expect_content((const char *[]){"--answer", "no tags", NULL}, asks, "\"content\": \"no tags\"");
    expect_content(NULL, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"is a <b a? <3\"}]}",
                   "\"content\": \"echo[m]: is a <b a? <3\"");
}

Test(mock_plan, delay_counts_latency_and_tokens) {
    mock_options_t o = options_of(
        (const char *[]){"--latency-ms", "7", "--ms-per-token", "2", "--answer-tokens", "10", NULL});
    mock_plan_t plan = plan_of(&o, NULL, 1);
    cr_assert_eq(plan.completion_tokens, 10);
    cr_assert_eq(plan.delay_ns, UINT64_C(27000000));
    mock_plan_free(&plan);
    options_free(&o);
}

Test(mock_plan, lognormal_latency_has_its_median) {
    mock_options_t o = options_of((const char *[]){"--latency", "lognormal:100:0.8", "--seed", "5", NULL});
    int below = 0;
    uint64_t least = UINT64_MAX, most = 0;
    for (uint64_t n = 1; n <= 4000; n++) {
        mock_plan_t plan = plan_of(&o, NULL, n);
        below += plan.delay_ns < UINT64_C(100000000);
        least = plan.delay_ns < least ? plan.delay_ns : least;
        most = plan.delay_ns > most ? plan.delay_ns : most;
        mock_plan_free(&plan);
    }
    cr_assert(below > 1850 && below < 2150, "%d of 4000 below the median", below);
    cr_assert(least < UINT64_C(20000000) && most > UINT64_C(500000000));
    options_free(&o);
}

Test(mock_plan, failures_have_their_rates_and_repeat) {
    mock_options_t o =
        options_of((const char *[]){"--fail", "429=0.25,hang=0.125,empty=0.125", "--seed", "9", NULL});
    int count[4] = {0};
    for (uint64_t n = 1; n <= 4000; n++) {
        mock_plan_t one = plan_of(&o, NULL, n), two = plan_of(&o, NULL, n);
        cr_assert_eq(one.fault, two.fault);
        count[one.fault + 1]++;
        mock_plan_free(&one);
        mock_plan_free(&two);
    }
    cr_assert(count[0] > 1850 && count[0] < 2150, "%d", count[0]);
    cr_assert(count[1] > 900 && count[1] < 1100, "%d", count[1]);
    cr_assert(count[2] > 420 && count[2] < 580 && count[3] > 420 && count[3] < 580);
    options_free(&o);
}

Test(mock_plan, a_failure_does_not_use_up_a_rule) {
    mock_options_t o = options_of((const char *[]){"--fail", "500=1", NULL});
    value_t list = parse("[{\"times\": 1, \"reply\": \"once\"}]");
    mock_rules_t *rules;
    cr_assert_eq(mock_rules_from_value(list, &rules, NULL), SDG_OK);
    mock_plan_t failed = plan_of(&o, rules, 1);
    cr_assert_eq(failed.status, 500);
    o.fault_count = 0;
    mock_plan_t first = plan_of(&o, rules, 2), second = plan_of(&o, rules, 3);
    cr_assert(strstr(first.body.data, "once"));
    cr_assert(strstr(second.body.data, "echo[m]"));
    mock_plan_free(&failed);
    mock_plan_free(&first);
    mock_plan_free(&second);
    mock_rules_destroy(&rules);
    value_free(list);
    options_free(&o);
}

Test(mock_plan, placeholders) {
    value_t body = parse("{\"model\":null,\"messages\":[],\"a\":[1,{\"b\":\"x\"}]}");
    mock_view_t view;
    mock_view_init(&view, body);
    buf_t out;
    buf_init(&out, 1000);
    const char *text = "{{model}}|{{json:a.1.b}}|{{json:a}}|{{json:a.7}}|{{nth}}|{{}}|{{a{{nth}}}}|{{";
    mock_expand(&out, text, strlen(text), &view, 3);
    cr_assert_str_eq(out.data, "None|x|[1, {\"b\": \"x\"}]|null|3|{{}}|{{a3}}|{{");
    buf_free(&out);
    mock_view_free(&view);
    value_free(body);
}
