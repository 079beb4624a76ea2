/* passage.c - see passage.h.
 *
 * The table is the module: a line says what an event means in a state. Two ways are told apart by one fact.
 * What the table does not name cannot happen, or comes too late.
 *
 * A row that is woken while it waits for an answer is out of time by its own words, so the answer is given up
 * at once, wherever the row is; it runs once more, and that run ends it.
 *
 * To add a state: a name in both lists, its line of events here, its place in passage_is_here and
 * passage_unit; tests/core/sched/test_passage.c walks all ways and says what was forgotten.
 */
#include "core/sched/passage.h"

#include <assert.h>
#include <inttypes.h>
#include <stddef.h>

#include "core/base/log.h"

typedef struct way {
    passage_state_t next;
    uint32_t actions;
} way_t;

typedef struct cell {
    bool known;
    uint32_t fact; /* 0: `then` always */
    way_t then, otherwise;
} cell_t;

#define GO(next, actions)                         \
    {                                             \
        true, 0, {PASSAGE_##next, actions}, { 0 } \
    }
#define IF(fact, next, actions, other_next, other_actions)                                       \
    {                                                                                            \
        true, PASSAGE_##fact, {PASSAGE_##next, actions}, { PASSAGE_##other_next, other_actions } \
    }
#define STAY(state) GO(state, PASSAGE_DO_NOTHING)
#define DO(action) PASSAGE_##action

enum {
    FEED_AND_RUN = PASSAGE_FEED | PASSAGE_RUN,
    TELL_AND_RUN = PASSAGE_TELL | PASSAGE_RUN,
    NEW_CALL = PASSAGE_SET_ALARM | PASSAGE_ASK,
    STOP_PYTHON = PASSAGE_CANCEL_ASKS | PASSAGE_CANCEL_PYTHON,
    END = PASSAGE_REPORT | PASSAGE_RELEASE,
};

static const cell_t table[PASSAGE_STATES][PASSAGE_EVENTS] = {
    [PASSAGE_NONE] =
        {
            [PASSAGE_STARTED] = GO(RUNNING, DO(RUN)),
            [PASSAGE_STARTED_STORED] = GO(WANTED, DO(QUEUE)),
        },
    [PASSAGE_RUNNING] =
        {
            [PASSAGE_YIELDS] = GO(YIELDED, DO(TAKE_TURN)),
            [PASSAGE_WANTS_LLM] = IF(ASKS, LOOKING_UP, NEW_CALL | DO(LOOK_UP), CALLING, NEW_CALL | DO(CALL)),
            [PASSAGE_WANTS_PYTHON] = IF(HAS_UNIT, IN_PYTHON, DO(SET_ALARM) | DO(CALL_PYTHON), AWAITING_UNIT,
                                        DO(SET_ALARM) | DO(AWAIT_UNIT)),
            [PASSAGE_WANTS_TIME] = GO(ASLEEP, DO(SET_ALARM)),
            [PASSAGE_STOPS] = GO(SAVING, DO(SAVE)),
            [PASSAGE_FINISHES] = IF(SAVES, SAVING, DO(SAVE), NONE, END),
            [PASSAGE_FAILS] = GO(HANDING_IN, DO(HAND_IN)),
        },
    [PASSAGE_YIELDED] =
        {
            [PASSAGE_TURN] = IF(HAS_ANSWER, RUNNING, FEED_AND_RUN, RUNNING, DO(RUN)),
            [PASSAGE_WAKE] = STAY(YIELDED), /* it looks at the time itself when it runs */
            [PASSAGE_DROPPED] = GO(NONE, DO(DROP_ANSWER) | DO(RELEASE)),
        },
    [PASSAGE_ASLEEP] =
        {
            [PASSAGE_WAKE] = GO(RUNNING, DO(RUN)),
            [PASSAGE_STUCK] = GO(NONE, DO(GIVE_BACK) | DO(RELEASE)),
            [PASSAGE_DROPPED] = GO(NONE, DO(RELEASE)),
        },
    [PASSAGE_AWAITING_UNIT] =
        {
            [PASSAGE_UNIT] = GO(IN_PYTHON, DO(CALL_PYTHON)),
            [PASSAGE_WAKE] = GO(RUNNING, DO(RUN)),
            [PASSAGE_STUCK] = GO(NONE, DO(GIVE_BACK) | DO(RELEASE)),
            [PASSAGE_DROPPED] = GO(NONE, DO(RELEASE)),
        },
    [PASSAGE_LOOKING_UP] =
        {
            [PASSAGE_CALL_FOUND] = GO(RUNNING, DO(COUNT) | FEED_AND_RUN),
            [PASSAGE_CALL_MISSING] = GO(CALLING, DO(CALL)),
            [PASSAGE_WAKE] = GO(RUNNING, DO(RUN)),
            [PASSAGE_DROPPED] = GO(NONE, DO(RELEASE)),
        },
    [PASSAGE_CALLING] =
        {
            [PASSAGE_CALL_REFUSED] = GO(YIELDED, DO(KEEP) | DO(TAKE_TURN)),
            [PASSAGE_PUT_AWAY] = GO(CALLING_AWAY, DO(FORGET)),
            [PASSAGE_CALL_ANSWERED] =
                IF(HAS_JOURNAL, RECORDING, DO(KEEP) | DO(RECORD), RUNNING, FEED_AND_RUN),
            [PASSAGE_CALL_FAILED] = GO(RUNNING, FEED_AND_RUN),
            [PASSAGE_WAKE] = GO(RUNNING, DO(CANCEL_CALL) | DO(RUN)),
            [PASSAGE_STUCK] = GO(NONE, DO(CANCEL_CALL) | DO(GIVE_BACK) | DO(RELEASE)),
            [PASSAGE_DROPPED] = GO(NONE, DO(CANCEL_CALL) | DO(RELEASE)),
        },
    [PASSAGE_CALLING_AWAY] =
        {
            [PASSAGE_CALL_ANSWERED] = IF(HAS_JOURNAL, RECORDING_AWAY, DO(KEEP) | DO(RECORD) | DO(PIN), WANTED,
                                         DO(KEEP) | DO(QUEUE)),
            [PASSAGE_CALL_FAILED] = GO(WANTED, DO(KEEP) | DO(QUEUE)),
            [PASSAGE_WAKE] = GO(WANTED, DO(CANCEL_CALL) | DO(QUEUE)),
            [PASSAGE_STUCK] = GO(NONE, DO(CANCEL_CALL) | DO(GIVE_BACK) | DO(RELEASE)),
            [PASSAGE_DROPPED] = GO(NONE, DO(CANCEL_CALL) | DO(RELEASE)),
        },
    [PASSAGE_RECORDING] =
        {
            [PASSAGE_CALL_RECORDED] = GO(RUNNING, DO(COUNT) | FEED_AND_RUN),
            [PASSAGE_WAKE] = GO(RUNNING, DO(DROP_ANSWER) | DO(RUN)),
            [PASSAGE_DROPPED] = GO(NONE, DO(DROP_ANSWER) | DO(RELEASE)),
        },
    [PASSAGE_RECORDING_AWAY] =
        {
            [PASSAGE_CALL_RECORDED] = GO(WANTED, DO(COUNT) | DO(QUEUE)),
            [PASSAGE_WAKE] = GO(WANTED, DO(DROP_ANSWER) | DO(QUEUE)),
            [PASSAGE_DROPPED] = GO(NONE, DO(DROP_ANSWER) | DO(RELEASE)),
        },
    [PASSAGE_WANTED] =
        {
            [PASSAGE_ROOM] = GO(FETCHING, DO(FETCH)),
            [PASSAGE_WAKE] = STAY(WANTED),
            [PASSAGE_DROPPED] = GO(NONE, DO(DROP_ANSWER) | DO(RELEASE)),
        },
    [PASSAGE_FETCHING] =
        {
            [PASSAGE_CONTEXT_CAME] = IF(HAS_ANSWER, RUNNING, FEED_AND_RUN, RUNNING, DO(RUN)),
            [PASSAGE_CONTEXT_LOST] =
                IF(SHARED, RUNNING, DO(FAIL) | DO(RUN), NONE, DO(DROP_ANSWER) | DO(GIVE_BACK) | DO(RELEASE)),
            [PASSAGE_WAKE] = STAY(FETCHING),
            [PASSAGE_DROPPED] = GO(NONE, DO(DROP_ANSWER) | DO(RELEASE)),
        },
    [PASSAGE_SAVING] =
        {
            [PASSAGE_CONTEXT_SAVED] = GO(NONE, DO(REPORT_PARKED) | DO(RELEASE)),
            [PASSAGE_WAKE] = STAY(SAVING),
            [PASSAGE_DROPPED] = GO(NONE, DO(RELEASE)),
        },
    [PASSAGE_HANDING_IN] =
        {
            [PASSAGE_CALL_RECORDED] = GO(NONE, END),
            [PASSAGE_WAKE] = STAY(HANDING_IN),
            [PASSAGE_UNHEARD] = GO(NONE, END),
            [PASSAGE_DROPPED] = GO(NONE, DO(RELEASE)),
        },
    [PASSAGE_IN_PYTHON] =
        {
            [PASSAGE_PYTHON_REFUSED] = GO(YIELDED, DO(TELL) | DO(TAKE_TURN)),
            [PASSAGE_PYTHON_ENDED] = GO(RUNNING, DO(CANCEL_ASKS) | TELL_AND_RUN),
            [PASSAGE_WAKE] = GO(RUNNING, STOP_PYTHON | DO(RUN)),
            [PASSAGE_STUCK] = GO(NONE, STOP_PYTHON | DO(GIVE_BACK) | DO(RELEASE)),
            [PASSAGE_DROPPED] = GO(NONE, STOP_PYTHON | DO(RELEASE)),
        },
};

/* The only place that changes a state. */
static void set_state(passage_t *passage, passage_state_t next, passage_event_t event) {
    if (next == passage->state) return;
    log_debug("worker", "row %" PRIu64 ": %s -> %s (%s)", passage->row, passage_state_name(passage->state),
              passage_state_name(next), passage_event_name(event));
    passage->state = next;
}

uint32_t passage_next(passage_t *passage, passage_event_t event, uint32_t facts) {
    const cell_t *cell = &table[passage->state][event];
    if (!cell->known) {
        assert(passage_is_late(event));
        return PASSAGE_IGNORE;
    }
    const way_t *way = !cell->fact || facts & cell->fact ? &cell->then : &cell->otherwise;
    set_state(passage, way->next, event);
    return way->actions;
}

bool passage_expects(passage_state_t state, passage_event_t event) { return table[state][event].known; }

bool passage_is_late(passage_event_t event) {
    return event >= PASSAGE_CALL_FOUND && event <= PASSAGE_CONTEXT_SAVED;
}

bool passage_is_here(passage_state_t state) {
    switch (state) {
    case PASSAGE_NONE:
    case PASSAGE_CALLING_AWAY:
    case PASSAGE_RECORDING_AWAY:
    case PASSAGE_WANTED:
    case PASSAGE_SAVING: return false;
    default: return true;
    }
}

passage_unit_t passage_unit(passage_state_t state) {
    switch (state) {
    case PASSAGE_NONE:
    case PASSAGE_ASLEEP:
    case PASSAGE_AWAITING_UNIT: return PASSAGE_UNIT_NONE;
    case PASSAGE_CALLING:
    case PASSAGE_CALLING_AWAY: return PASSAGE_UNIT_OF_CALL;
    default: return PASSAGE_UNIT_OF_ROW;
    }
}

const char *passage_state_name(passage_state_t state) {
    static const char *const names[PASSAGE_STATES] = {
        [PASSAGE_NONE] = "none",
        [PASSAGE_RUNNING] = "running",
        [PASSAGE_YIELDED] = "yielded",
        [PASSAGE_ASLEEP] = "asleep",
        [PASSAGE_LOOKING_UP] = "looking up",
        [PASSAGE_CALLING] = "calling",
        [PASSAGE_CALLING_AWAY] = "calling away",
        [PASSAGE_RECORDING] = "recording",
        [PASSAGE_RECORDING_AWAY] = "recording away",
        [PASSAGE_WANTED] = "wanted",
        [PASSAGE_FETCHING] = "fetching",
        [PASSAGE_SAVING] = "saving",
        [PASSAGE_HANDING_IN] = "handing in",
        [PASSAGE_AWAITING_UNIT] = "awaiting a unit",
        [PASSAGE_IN_PYTHON] = "in Python",
    };
    return names[state];
}

const char *passage_event_name(passage_event_t event) {
    static const char *const names[PASSAGE_EVENTS] = {
        [PASSAGE_STARTED] = "STARTED",
        [PASSAGE_STARTED_STORED] = "STARTED_STORED",
        [PASSAGE_DROPPED] = "DROPPED",
        [PASSAGE_STUCK] = "STUCK",
        [PASSAGE_YIELDS] = "YIELDS",
        [PASSAGE_WANTS_LLM] = "WANTS_LLM",
        [PASSAGE_WANTS_PYTHON] = "WANTS_PYTHON",
        [PASSAGE_WANTS_TIME] = "WANTS_TIME",
        [PASSAGE_STOPS] = "STOPS",
        [PASSAGE_FINISHES] = "FINISHES",
        [PASSAGE_FAILS] = "FAILS",
        [PASSAGE_TURN] = "TURN",
        [PASSAGE_WAKE] = "WAKE",
        [PASSAGE_UNIT] = "UNIT",
        [PASSAGE_ROOM] = "ROOM",
        [PASSAGE_PUT_AWAY] = "PUT_AWAY",
        [PASSAGE_CALL_REFUSED] = "CALL_REFUSED",
        [PASSAGE_CALL_ANSWERED] = "CALL_ANSWERED",
        [PASSAGE_CALL_FAILED] = "CALL_FAILED",
        [PASSAGE_PYTHON_REFUSED] = "PYTHON_REFUSED",
        [PASSAGE_PYTHON_ENDED] = "PYTHON_ENDED",
        [PASSAGE_CALL_FOUND] = "CALL_FOUND",
        [PASSAGE_CALL_MISSING] = "CALL_MISSING",
        [PASSAGE_CALL_RECORDED] = "CALL_RECORDED",
        [PASSAGE_CONTEXT_CAME] = "CONTEXT_CAME",
        [PASSAGE_CONTEXT_LOST] = "CONTEXT_LOST",
        [PASSAGE_CONTEXT_SAVED] = "CONTEXT_SAVED",
        [PASSAGE_UNHEARD] = "UNHEARD",
    };
    return names[event];
}
