/* Words on the pipe of an actor: they never wait, whoever is at the other end. */
#include "actors/loop/actor.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "actors/loop/limits.h"
#include "core/base/clock.h"

enum { MANY = 100000 };

static void begin(void) {
    zsys_handler_set(NULL);
    zsys_init();
}

static void end(void) { zsys_shutdown(); }

TestSuite(actor, .init = begin, .fini = end, .timeout = 120);

/* Ends by itself as soon as it is told anything. */
static void on_command(void *self, const char *command, uint64_t now) {
    (void)now;
    if (strcmp(command, "NOTHING") != 0) actor_finish(self, 7);
}

static uint64_t after(void *self, uint64_t now) {
    (void)self, (void)now;
    return UINT64_MAX;
}

static const actor_ops_t ops = {.on_command = on_command, .after = after};

static void short_lived(zsock_t *pipe, void *args) {
    actor_t a;
    (void)args;
    actor_init(&a, "short", &ops, &a, pipe);
    actor_run(&a);
    actor_free(&a);
}

/* Reads nothing until it is let go, then all. */
static void deaf(zsock_t *pipe, void *args) {
    zsock_signal(pipe, 0);
    while (!__atomic_load_n((bool *)args, __ATOMIC_ACQUIRE)) {
        zclock_sleep(1);
    }
    for (bool term = false; !term;) {
        char *words = zstr_recv(pipe);
        term = words && streq(words, "$TERM");
        zstr_free(&words);
    }
}

static char *hear_soon(zsock_t *pipe) {
    for (;;) {
        char *words = actor_hear(pipe);
        if (words) return words;
        zclock_sleep(1);
    }
}

Test(actor, says_its_end_and_then_takes_no_words) {
    actor_thread_t *t = actor_spawn(short_lived, NULL);
    cr_expect_null(actor_hear(t->pipe));
    cr_expect(actor_tell(t->pipe, "NOTHING"));
    cr_expect(actor_tell(t->pipe, "%s %d", "STOP", 1));
    char *words = hear_soon(t->pipe);
    cr_expect_str_eq(words, "END 7");
    free(words);
    while (actor_tell(t->pipe, "STOP")) /* until its end of the pipe is closed */
        zclock_sleep(1);
    actor_join(&t);
    cr_expect_null(t);
}

Test(actor, words_to_one_that_ends_at_that_moment_are_lost_and_nobody_waits) {
    for (int i = 0; i < 200; i++) {
        actor_thread_t *t = actor_spawn(short_lived, NULL);
        actor_tell(t->pipe, "END YOURSELF");
        for (int k = 0; k < i; k++) {
            actor_tell(t->pipe, "STOP");
        }
        actor_join(&t);
    }
}

Test(actor, a_full_pipe_takes_no_more_and_the_end_is_told_later) {
    bool go = false;
    size_t taken = 0;
    actor_thread_t *t = actor_spawn(deaf, &go);
    while (taken < MANY && actor_tell(t->pipe, "NOTHING")) {
        taken++;
    }
    cr_expect_gt(taken, 100);
    cr_expect_lt(taken, MANY, "the pipe has a bound");
    __atomic_store_n(&go, true, __ATOMIC_RELEASE);
    actor_join(&t);
}
