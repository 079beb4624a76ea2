/* Memory of processes: this one, and a child of a child. */
#include "core/base/memory.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

Test(memory, this_process_uses_some) {
    cr_assert_gt(memory_rss_bytes(), 1 << 18);
    cr_assert_geq(memory_peak_rss_bytes(), memory_rss_bytes() / 2);
}

Test(memory, a_tree_has_all_descendants_and_their_sum) {
    int up[2];
    pid_t grandchild = 0;
    memory_tree_t *tree = calloc(1, sizeof *tree);
    cr_assert_eq(pipe(up), 0);
    pid_t child = fork();
    if (child == 0) {
        pid_t own = fork();
        if (own == 0) pause();
        if (write(up[1], &own, sizeof own) < 0) _exit(1);
        pause();
    }
    cr_assert_eq(read(up[0], &grandchild, sizeof grandchild), sizeof grandchild);
    memory_tree_sample(tree, true);
    cr_assert_eq(tree->count, 3);
    cr_assert_eq(tree->process[0].pid, getpid());
    cr_assert_eq(tree->process[1].pid, child);
    cr_assert_eq(tree->process[2].pid, grandchild);
    cr_assert_eq(tree->rss_bytes,
                 tree->process[0].rss_bytes + tree->process[1].rss_bytes + tree->process[2].rss_bytes);
    cr_assert_gt(tree->pss_bytes, 0);
    cr_assert_leq(tree->pss_bytes, tree->rss_bytes);
    memory_tree_sample(tree, false);
    cr_assert_gt(tree->pss_bytes, 0, "kept from the sample before");
    tree->count = 0;
    memory_tree_sample(tree, false);
    cr_assert_eq(tree->pss_bytes, tree->rss_bytes, "never asked for");
    kill(grandchild, SIGKILL);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    free(tree);
}
