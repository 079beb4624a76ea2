/* ask.c - see ask.h. */
#include "core/sched/ask.h"

#include <assert.h>
#include <inttypes.h>

#include "core/base/log.h"

typedef struct way {
    ask_state_t next;
    uint32_t actions;
} way_t;

typedef struct cell {
    bool known;
    uint32_t fact; /* 0: `then` always */
    way_t then, otherwise;
} cell_t;

static const cell_t table[ASK_STATES][PASSAGE_EVENTS] = {
    [ASK_OVER] =
        {
            [PASSAGE_STARTED] = {true,
                                 PASSAGE_ASKS,
                                 {ASK_LOOKING_UP, PASSAGE_ASK | PASSAGE_LOOK_UP},
                                 {ASK_CALLING, PASSAGE_ASK | PASSAGE_CALL}},
        },
    [ASK_LOOKING_UP] =
        {
            [PASSAGE_CALL_FOUND] = {true, 0, {ASK_OVER, PASSAGE_COUNT | PASSAGE_FEED}, {0}},
            [PASSAGE_CALL_MISSING] = {true, 0, {ASK_CALLING, PASSAGE_CALL}, {0}},
            [PASSAGE_DROPPED] = {true, 0, {ASK_OVER, PASSAGE_DO_NOTHING}, {0}},
        },
    [ASK_CALLING] =
        {
            [PASSAGE_CALL_REFUSED] = {true, 0, {ASK_OVER, PASSAGE_FEED}, {0}},
            [PASSAGE_CALL_ANSWERED] = {true,
                                       PASSAGE_HAS_JOURNAL,
                                       {ASK_RECORDING, PASSAGE_KEEP | PASSAGE_RECORD},
                                       {ASK_OVER, PASSAGE_FEED}},
            [PASSAGE_CALL_FAILED] = {true, 0, {ASK_OVER, PASSAGE_FEED}, {0}},
            [PASSAGE_DROPPED] = {true, 0, {ASK_OVER, PASSAGE_CANCEL_CALL}, {0}},
        },
    [ASK_RECORDING] =
        {
            [PASSAGE_CALL_RECORDED] = {true, 0, {ASK_OVER, PASSAGE_COUNT | PASSAGE_FEED}, {0}},
            [PASSAGE_DROPPED] = {true, 0, {ASK_OVER, PASSAGE_DROP_ANSWER}, {0}},
        },
};

uint32_t ask_next(ask_t *ask, passage_event_t event, uint32_t facts) {
    const cell_t *cell = &table[ask->state][event];
    if (!cell->known) {
        assert(passage_is_late(event));
        return PASSAGE_IGNORE;
    }
    const way_t *way = !cell->fact || facts & cell->fact ? &cell->then : &cell->otherwise;
    log_debug("worker", "row %" PRIu64 ", asked by Python: %s -> %s (%s)", ask->row,
              ask_state_name(ask->state), ask_state_name(way->next), passage_event_name(event));
    ask->state = way->next;
    return way->actions;
}

bool ask_expects(ask_state_t state, passage_event_t event) { return table[state][event].known; }

const char *ask_state_name(ask_state_t state) {
    static const char *const names[ASK_STATES] = {"over", "looking up", "calling", "recording"};
    return names[state];
}
