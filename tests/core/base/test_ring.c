/* Lists whose links live in their members: order, removal anywhere, and what does nothing. */
#include "core/base/ring.h"

#include <criterion/criterion.h>

typedef struct item {
    char name;
    ring_node_t node;
} item_t;

static void expect(const ring_t *ring, const char *names) {
    for (const ring_node_t *node = ring->head.next; node != &ring->head; node = node->next)
        cr_assert_eq(RING_OWNER(node, item_t, node)->name, *names++);
    cr_assert_eq(*names, '\0');
}

Test(ring, members_stand_in_their_order) {
    ring_t ring;
    item_t a = {.name = 'a'}, b = {.name = 'b'}, c = {.name = 'c'};
    ring_init(&ring);
    cr_assert(ring_empty(&ring) && !ring_first(&ring) && !ring_last(&ring) && !ring_next(&ring, NULL));
    ring_add_last(&ring, &b.node);
    ring_add_last(&ring, &c.node);
    ring_add_first(&ring, &a.node);
    expect(&ring, "abc");
    cr_assert(ring_first(&ring) == &a.node && ring_last(&ring) == &c.node);
    cr_assert(ring_next(&ring, NULL) == &a.node && ring_next(&ring, &a.node) == &b.node);
    cr_assert_null(ring_next(&ring, &c.node));
    ring_remove(&b.node);
    expect(&ring, "ac");
}

Test(ring, a_second_addition_or_removal_does_nothing) {
    ring_t ring, other;
    item_t a = {.name = 'a'}, b = {.name = 'b'};
    ring_init(&ring);
    ring_init(&other);
    ring_remove(&a.node);
    ring_add_last(&ring, &a.node);
    ring_add_last(&ring, &b.node);
    ring_add_last(&other, &a.node);
    cr_assert(ring_empty(&other), "a is in the first ring");
    expect(&ring, "ab");
    ring_remove(&a.node);
    ring_remove(&a.node);
    ring_add_last(&other, &a.node);
    expect(&ring, "b");
    expect(&other, "a");
}

Test(ring, the_current_member_may_leave_during_a_walk) {
    ring_t ring;
    item_t items[6];
    ring_init(&ring);
    for (size_t i = 0; i < 6; i++) {
        items[i] = (item_t){.name = (char)('a' + i)};
        ring_add_last(&ring, &items[i].node);
    }
    RING_EACH(&ring, node) {
        if (RING_OWNER(node, item_t, node)->name % 2) ring_remove(node);
    }
    expect(&ring, "bdf");
}
