/* What a thread keeps ends with it, the last first; also what is kept while a thread ends. */
#include "core/base/per_thread.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

static char ended[16]; /* names of what has ended, in order; read after the thread was joined */

static void note_end(void *name) { strcat(ended, name); }

static void keep_another(void *name) {
    note_end(name);
    per_thread_keep("d", note_end);
}

static void *keep_three(void *unused) {
    per_thread_keep("a", note_end);
    per_thread_keep("b", keep_another);
    per_thread_keep("c", note_end);
    cr_assert_str_empty(ended, "all live as long as the thread");
    return unused;
}

static void run_thread(void *(*body)(void *)) {
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, body, NULL), 0);
    pthread_join(thread, NULL);
}

Test(per_thread, what_a_thread_keeps_ends_with_it_the_last_first) {
    run_thread(keep_three);
    cr_assert_str_eq(ended, "cbad", "d was kept while the thread ended");
}

static void *keep_nothing(void *unused) { return unused; }

Test(per_thread, each_thread_keeps_its_own) {
    per_thread_keep("a", note_end);
    run_thread(keep_nothing);
    cr_assert_str_empty(ended, "another thread's end is not ours");
}
