/* What Python asks: short ways by hand, and all ways, with an account of what is open at every step. */
#include "core/sched/ask.h"

#include <criterion/criterion.h>
#include <signal.h>

static void expect(ask_t *a, passage_event_t event, uint32_t facts, ask_state_t state, uint32_t todo) {
    ask_state_t before = a->state;
    uint32_t got = ask_next(a, event, facts);
    cr_assert_eq(got, todo, "%s in %s: to do %x, not %x", passage_event_name(event), ask_state_name(before),
                 got, todo);
    cr_assert_eq(a->state, state, "%s in %s: %s", passage_event_name(event), ask_state_name(before),
                 ask_state_name(a->state));
}

/* ---- by hand */

Test(ask, a_question_is_called_and_answered) {
    ask_t a = {.row = 17};
    expect(&a, PASSAGE_STARTED, 0, ASK_CALLING, PASSAGE_ASK | PASSAGE_CALL);
    expect(&a, PASSAGE_CALL_ANSWERED, 0, ASK_OVER, PASSAGE_FEED);
}

Test(ask, with_a_journal_python_gets_the_answer_when_it_is_recorded) {
    ask_t a = {.state = ASK_CALLING};
    expect(&a, PASSAGE_CALL_ANSWERED, PASSAGE_HAS_JOURNAL, ASK_RECORDING, PASSAGE_KEEP | PASSAGE_RECORD);
    expect(&a, PASSAGE_CALL_RECORDED, PASSAGE_HAS_JOURNAL, ASK_OVER, PASSAGE_COUNT | PASSAGE_FEED);
    a.state = ASK_CALLING;
    expect(&a, PASSAGE_CALL_FAILED, PASSAGE_HAS_JOURNAL, ASK_OVER, PASSAGE_FEED);
}

Test(ask, what_may_have_been_asked_before_is_looked_up) {
    uint32_t facts = PASSAGE_HAS_JOURNAL | PASSAGE_ASKS;
    ask_t a = {.row = 17};
    expect(&a, PASSAGE_STARTED, facts, ASK_LOOKING_UP, PASSAGE_ASK | PASSAGE_LOOK_UP);
    ask_t missing = a;
    expect(&a, PASSAGE_CALL_FOUND, facts, ASK_OVER, PASSAGE_COUNT | PASSAGE_FEED);
    expect(&missing, PASSAGE_CALL_MISSING, facts, ASK_CALLING, PASSAGE_CALL);
    expect(&missing, PASSAGE_CALL_MISSING, facts, ASK_CALLING, PASSAGE_IGNORE); /* the answer came twice */
}

Test(ask, what_nobody_waits_for_is_given_up) {
    ask_t a = {.state = ASK_LOOKING_UP};
    expect(&a, PASSAGE_DROPPED, 0, ASK_OVER, PASSAGE_DO_NOTHING);
    a.state = ASK_CALLING;
    expect(&a, PASSAGE_DROPPED, 0, ASK_OVER, PASSAGE_CANCEL_CALL);
    a.state = ASK_RECORDING;
    expect(&a, PASSAGE_DROPPED, 0, ASK_OVER, PASSAGE_DROP_ANSWER);
    expect(&a, PASSAGE_CALL_RECORDED, 0, ASK_OVER, PASSAGE_IGNORE);
}

Test(ask, what_nobody_can_have_said_is_a_bug, .signal = SIGABRT) {
    ask_t a = {.state = ASK_RECORDING};
    ask_next(&a, PASSAGE_CALL_ANSWERED, 0);
}

Test(ask, each_state_has_a_name_of_its_own) {
    for (int a = 0; a < ASK_STATES; a++) {
        for (int b = 0; b < a; b++)
            cr_assert_str_neq(ask_state_name(a), ask_state_name(b));
    }
}

/* ---- all ways */

typedef struct account {
    bool call, lookup, record, kept; /* open */
    int calls, fed;
} account_t;

static void act(account_t *c, uint32_t facts, passage_event_t event, uint32_t todo) {
    bool answer = event >= PASSAGE_CALL_REFUSED && event <= PASSAGE_CALL_FAILED;
    cr_assert(!answer || c->call);
    if (answer) c->call = false;
    if (event == PASSAGE_CALL_FOUND || event == PASSAGE_CALL_MISSING) c->lookup = false;
    if (event == PASSAGE_CALL_RECORDED) c->record = false;
    cr_assert(!(todo & PASSAGE_CANCEL_CALL) || c->call);
    if (todo & PASSAGE_CANCEL_CALL) c->call = false;
    cr_assert(!(todo & PASSAGE_DROP_ANSWER) || c->kept);
    if (todo & PASSAGE_DROP_ANSWER) c->kept = false;
    cr_assert(!(todo & PASSAGE_KEEP) || (answer && !c->kept));
    if (todo & PASSAGE_KEEP) c->kept = true;
    cr_assert(!(todo & PASSAGE_COUNT) || event == PASSAGE_CALL_FOUND || c->kept);
    cr_assert(!(todo & PASSAGE_LOOK_UP) || facts & PASSAGE_ASKS);
    if (todo & PASSAGE_LOOK_UP) c->lookup = true;
    if (todo & PASSAGE_CALL) cr_assert_eq(c->calls++, 0);
    if (todo & PASSAGE_CALL) c->call = true;
    cr_assert(!(todo & PASSAGE_RECORD) || (c->kept && facts & PASSAGE_HAS_JOURNAL));
    if (todo & PASSAGE_RECORD) c->record = true;
    if (!(todo & PASSAGE_FEED)) return;
    cr_assert(c->kept || answer || event == PASSAGE_CALL_FOUND);
    cr_assert_eq(c->fed++, 0);
    c->kept = false;
}

static int ways, seen[ASK_STATES][PASSAGE_EVENTS];

/* May this happen now? By what is open, not by what the ask expects. */
static bool can_happen(const account_t *c, passage_event_t event) {
    switch (event) {
    case PASSAGE_CALL_REFUSED:
    case PASSAGE_CALL_ANSWERED:
    case PASSAGE_CALL_FAILED: return c->call;
    case PASSAGE_CALL_FOUND:
    case PASSAGE_CALL_MISSING: return c->lookup;
    case PASSAGE_CALL_RECORDED: return c->record;
    case PASSAGE_DROPPED: return true;
    default: return false;
    }
}

static void walk(ask_t a, account_t c, uint32_t facts, passage_event_t event) {
    cr_assert(ask_expects(a.state, event));
    seen[a.state][event]++;
    act(&c, facts, event, ask_next(&a, event, facts));
    if (a.state == ASK_OVER) {
        cr_assert(!c.call && !c.lookup && !c.record && !c.kept, "something is open after %s",
                  passage_event_name(event));
        cr_assert_eq(c.fed, event != PASSAGE_DROPPED);
        ways++;
        return;
    }
    cr_assert(c.call || c.lookup || c.record, "nobody owes the ask its next event");
    for (int next = 0; next < PASSAGE_EVENTS; next++) {
        account_t copy = c;
        if (next == PASSAGE_DROPPED) copy.lookup = copy.record = false; /* late from now on */
        if (can_happen(&c, next)) walk(a, copy, facts, next);
    }
}

Test(ask, every_way_ends_and_python_is_answered_once) {
    static const uint32_t worlds[] = {0, PASSAGE_HAS_JOURNAL, PASSAGE_HAS_JOURNAL | PASSAGE_ASKS,
                                      PASSAGE_ASKS};
    for (int i = 0; i < 4; i++)
        walk((ask_t){0}, (account_t){0}, worlds[i], PASSAGE_STARTED);
    cr_assert_gt(ways, 15);
    for (int state = 0; state < ASK_STATES; state++) {
        for (int event = 0; event < PASSAGE_EVENTS; event++)
            cr_assert_eq(seen[state][event] > 0, ask_expects(state, event), "%s in %s",
                         passage_event_name(event), ask_state_name(state));
    }
}
