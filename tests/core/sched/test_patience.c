/* test_patience.c - how long a peer may be silent, whatever it claims. */
#include "core/sched/patience.h"

#include <criterion/criterion.h>

#include "core/base/clock.h"
#include "core/sched/limits.h"

Test(patience, a_peer_of_the_same_process_is_believed) {
    cr_expect_eq(patience_of_worker(false, 0), 0, "for ever");
    cr_expect_eq(patience_of_worker(false, 300), 300 * MILLISECOND);
    cr_expect_eq(patience_of_client(false, 0), 0);
    cr_expect_eq(patience_of_client(false, UINT64_MAX), 0, "more than can be counted");
}

Test(patience, another_process_gets_what_it_asks_for_up_to_a_limit) {
    const uint64_t worker = WORKER_PATIENCE_MAX_MS * MILLISECOND, client = CLIENT_PATIENCE_MS * MILLISECOND;
    cr_expect_eq(patience_of_worker(true, 5000), 5 * SECOND);
    cr_expect_eq(patience_of_worker(true, WORKER_PATIENCE_MAX_MS), worker);
    cr_expect_eq(patience_of_worker(true, WORKER_PATIENCE_MAX_MS + 1), worker);
    cr_expect_eq(patience_of_worker(true, UINT64_MAX), worker);
    cr_expect_eq(patience_of_worker(true, 0), worker, "for ever is not for others to claim");
    cr_expect_eq(patience_of_client(true, 0), client);
    cr_expect_eq(patience_of_client(true, UINT64_C(1) << 40), client);
    cr_expect_eq(patience_of_client(true, 1), MILLISECOND);
}
