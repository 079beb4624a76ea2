/* When HELLO is said, and what WELCOME and silence change: time and messages in, decisions out. */
#include "actors/loop/greeting.h"

#include <criterion/criterion.h>

#include "actors/loop/limits.h"
#include "core/base/clock.h"

enum { EPOCH = 7, OTHER_EPOCH = 8 };

static message_t welcome(uint64_t epoch, bool known) {
    return (message_t){.type = MESSAGE_WELCOME, .epoch = epoch, .WELCOME = {.known = known}};
}

static greeting_news_t hear_welcome(greeting_t *g, uint64_t epoch, bool known, uint64_t now) {
    message_t m = welcome(epoch, known);
    cr_assert(greeting_hear(g, &m, now));
    return greeting_take(g, &m);
}

static greeting_t welcomed(uint64_t now) {
    greeting_t g;
    greeting_init(&g, now);
    greeting_said(&g, now);
    cr_assert_eq(hear_welcome(&g, EPOCH, true, now), GREETING_WELCOME);
    return g;
}

/* Says HELLO when it is due and returns how long that was after `*now`, in steps of 10 ms. */
static uint64_t say_when_due(greeting_t *g, uint64_t *now) {
    uint64_t from = *now;
    while (!greeting_is_due(g, *now)) {
        *now += 10 * MILLISECOND;
        cr_assert_lt(*now - from, 60 * SECOND);
    }
    greeting_said(g, *now);
    return *now - from;
}

Test(greeting, hello_then_welcome_then_no_hello) {
    greeting_t g = welcomed(SECOND);
    cr_expect(g.welcome);
    cr_expect_eq(g.epoch, EPOCH);
    cr_expect_not(greeting_is_due(&g, 100 * SECOND));
}

Test(greeting, hello_is_repeated_with_a_back_off_that_doubles_up_to_a_maximum) {
    static const uint64_t waits_ms[] = {0, 200, 400, 800, 1600, 3200, 5000, 5000};
    greeting_t g;
    uint64_t now = SECOND;
    greeting_init(&g, now);
    for (size_t i = 0; i < sizeof waits_ms / sizeof *waits_ms; i++) {
        cr_expect_eq(say_when_due(&g, &now), waits_ms[i] * MILLISECOND, "HELLO %zu", i);
    }
    cr_expect_eq(g.wait_ns, HELLO_WAIT_MAX_NS);
}

Test(greeting, a_hello_that_was_not_handed_over_stays_due) {
    greeting_t g;
    greeting_init(&g, SECOND);
    cr_expect(greeting_is_due(&g, SECOND));
    cr_expect(greeting_is_due(&g, SECOND + 1));
}

Test(greeting, only_messages_of_the_epoch_are_handled_but_welcome_and_refused_always) {
    greeting_t g = welcomed(SECOND);
    message_t beat = {.type = MESSAGE_BEAT, .epoch = EPOCH},
              old = {.type = MESSAGE_BEAT, .epoch = OTHER_EPOCH};
    message_t refused = {.type = MESSAGE_REFUSED}, other = welcome(OTHER_EPOCH, true);
    cr_expect(greeting_hear(&g, &beat, SECOND));
    cr_expect_not(greeting_hear(&g, &old, SECOND));
    cr_expect(greeting_hear(&g, &refused, SECOND));
    cr_expect(greeting_hear(&g, &other, SECOND));
}

Test(greeting, a_scheduler_that_does_not_know_us_is_greeted_at_once) {
    greeting_t g = welcomed(SECOND);
    cr_expect_eq(hear_welcome(&g, EPOCH, false, 2 * SECOND), GREETING_UNKNOWN);
    cr_expect_not(g.welcome);
    cr_expect(greeting_is_due(&g, 2 * SECOND));
    greeting_said(&g, 2 * SECOND);
    cr_expect_not(greeting_is_due(&g, 2 * SECOND));
    cr_expect_eq(hear_welcome(&g, EPOCH, true, 2 * SECOND), GREETING_WELCOME);
}

Test(greeting, another_epoch_is_a_restart_known_or_not) {
    greeting_t g = welcomed(SECOND), unknown = g;
    cr_expect_eq(hear_welcome(&g, OTHER_EPOCH, true, SECOND), GREETING_RESTARTED);
    cr_expect(g.welcome && g.epoch == OTHER_EPOCH);
    cr_expect_eq(hear_welcome(&unknown, OTHER_EPOCH, false, SECOND), GREETING_RESTARTED);
    cr_expect(!unknown.welcome && greeting_is_due(&unknown, SECOND));
    cr_expect_eq(hear_welcome(&unknown, OTHER_EPOCH, true, SECOND), GREETING_WELCOME);
}

Test(greeting, silence_is_noticed_once_and_ends_with_any_message) {
    greeting_t g = welcomed(SECOND);
    message_t beat = {.type = MESSAGE_BEAT, .epoch = EPOCH};
    cr_expect_not(greeting_falls_silent(&g, SECOND + SILENCE_NS - 1));
    cr_expect(greeting_falls_silent(&g, SECOND + SILENCE_NS));
    cr_expect_not(greeting_falls_silent(&g, 100 * SECOND));
    greeting_hear(&g, &beat, 100 * SECOND);
    cr_expect_not(greeting_falls_silent(&g, 100 * SECOND + SILENCE_NS - 1));
    cr_expect(greeting_falls_silent(&g, 100 * SECOND + SILENCE_NS));
}

Test(greeting, in_silence_hello_is_said_at_once_and_every_five_seconds) {
    greeting_t g = welcomed(SECOND);
    uint64_t now = SECOND + SILENCE_NS;
    cr_assert(greeting_falls_silent(&g, now));
    cr_expect_eq(say_when_due(&g, &now), 0);
    cr_expect_eq(say_when_due(&g, &now), HELLO_WAIT_MAX_NS);
    cr_expect_eq(say_when_due(&g, &now), HELLO_WAIT_MAX_NS);
    cr_expect_eq(hear_welcome(&g, EPOCH, true, now), GREETING_WELCOME);
    cr_expect_not(greeting_is_due(&g, now + 100 * SECOND));
}

Test(greeting, silence_is_noticed_before_the_first_welcome_too) {
    greeting_t g;
    greeting_init(&g, SECOND);
    greeting_said(&g, SECOND);
    cr_expect(greeting_falls_silent(&g, SECOND + SILENCE_NS));
    cr_expect(greeting_is_due(&g, SECOND + SILENCE_NS));
}
