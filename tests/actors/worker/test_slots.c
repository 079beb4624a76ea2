/* Slots and the tags of what their rows ask. */
#include "actors/worker/slots.h"

#include <criterion/criterion.h>

static struct worker_job *const job = (struct worker_job *)64; /* never looked into */

Test(slots, a_tag_finds_its_slot_while_that_is_in_use) {
    slots_t *slots = slots_new();
    slot_t *slot = slots_take(slots, job);
    slot->call.tag = slots_new_tag(slots, slot);
    cr_assert_neq(slot->call.tag, 0);
    cr_assert_eq(slots_of(slots, slot->call.tag), slot);
    cr_assert_null(slots_of(slots, slot->call.tag + 1)); /* there is one slot only */
    slots_release(slots, slot);
    cr_assert_null(slots_of(slots, slot->call.tag));
    slots_destroy(&slots);
    cr_assert_null(slots);
}

Test(slots, the_next_row_of_a_slot_is_not_taken_for_the_last_one) {
    slots_t *slots = slots_new();
    slot_t *slot = slots_take(slots, job);
    uint64_t old = slot->call.tag = slots_new_tag(slots, slot);
    slot->facts = 9;
    slots_release(slots, slot);
    slot_t *again = slots_take(slots, job);
    cr_assert_eq(again, slot);
    cr_assert(again->call.tag == 0 && again->facts == 0);
    again->call.tag = slots_new_tag(slots, again);
    cr_assert_neq(again->call.tag, old);
    slots_release(slots, again);
    slots_destroy(&slots);
}

Test(slots, they_stay_where_they_are_and_are_walked_in_order) {
    enum { COUNT = 1000 };
    slots_t *slots = slots_new();
    slot_t *all[COUNT];
    for (int i = 0; i < COUNT; i++)
        all[i] = slots_take(slots, job);
    for (int i = 0; i < COUNT; i += 2)
        slots_release(slots, all[i]);
    int seen = 1;
    for (slot_t *slot = slots_next(slots, NULL); slot; slot = slots_next(slots, slot)) {
        cr_assert_eq(slot, all[seen]);
        seen += 2;
        slots_release(slots, slot);
    }
    cr_assert_eq(seen, COUNT + 1);
    slots_destroy(&slots);
}
