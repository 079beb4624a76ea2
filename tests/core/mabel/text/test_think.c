/* test_think.c - where the thoughts of an answer end. */
#include "core/mabel/text/think.h"

#include <criterion/criterion.h>
#include <string.h>

static void expect(const char *text, think_kind_t kind, const char *thoughts, const char *behind) {
    think_t t = think_find((span_t){text, strlen(text)});
    cr_expect_eq(t.kind, kind, "%s", text);
    cr_expect(t.thoughts.len == strlen(thoughts) && memcmp(t.thoughts.bytes, thoughts, t.thoughts.len) == 0,
              "%s", text);
    cr_expect(t.behind.len == strlen(behind) && memcmp(t.behind.bytes, behind, t.behind.len) == 0, "%s",
              text);
}

Test(think, a_block_at_the_front) {
    expect("<think>a</think>b", THINK_BLOCK, "a", "b");
    expect(" \n\t<THINK >a</ Think >b", THINK_BLOCK, "a", "b");
    expect("<think>a</think>b</think>c", THINK_BLOCK, "a</think>b", "c");
    expect("<think></think>", THINK_BLOCK, "", "");
}

Test(think, a_block_that_never_ends) {
    expect("<think>a", THINK_ENDLESS, "a", "");
    expect("<think>", THINK_ENDLESS, "", "");
    expect("<think>a</think", THINK_ENDLESS, "a</think", "");
}

Test(think, a_lone_closing_tag) {
    expect("a</think>b", THINK_LONE, "a", "b");
    expect("</think>", THINK_LONE, "", "");
    expect("a</think>b<think>c</think>d", THINK_LONE, "a</think>b<think>c", "d");
}

Test(think, no_thoughts) {
    static const char *const plain[] = {
        "",       "a",         "<thinking>a</thinking>b",   "a <think>b</think>c",
        "<think", "<think/>a", "<q>1</q> <think>2</think>", "< 3 </thinks>"};
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        expect(plain[i], THINK_NONE, "", plain[i]);
}

Test(think, the_name_in_any_case) {
    cr_expect(think_is_name((span_t){"Think", 5}));
    cr_expect_not(think_is_name((span_t){"thinking", 8}));
}
