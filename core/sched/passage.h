/* passage.h - the way of one row through a worker: one state, one table, no I/O.
 *
 * A worker reports what happens to a row (its code wants an LLM, the store has the record, its time is over)
 * and gets back what is to be done; only this module says what comes next. A row is in exactly one state:
 *
 *     an ai block with a call journal
 *         RUNNING -> LOOKING_UP -> CALLING -> RECORDING -> RUNNING
 *     the same while the row waits in the context store
 *         CALLING -> CALLING_AWAY -> RECORDING_AWAY -> WANTED -> FETCHING -> RUNNING
 *     a row whose answers are written down only because it has failed
 *         RUNNING -> CALLING -> RUNNING -> HANDING_IN -> NONE
 *     a Python block; what its code asks LLMs with ctx.call_ai goes its own ways beside it (ask.h)
 *         RUNNING -> (AWAITING_UNIT ->) IN_PYTHON -> RUNNING
 *     a long loop, a retry of a block
 *         RUNNING -> YIELDED -> RUNNING, RUNNING -> ASLEEP -> RUNNING
 *     the end of a pass of batch mode
 *         RUNNING -> SAVING -> NONE
 *
 * An event that the state does not expect is a bug of the caller (assert), unless it comes from another
 * actor: the context store may answer late or twice, and such an answer is ignored. */
#ifndef SDG_SCHED_PASSAGE_H
#define SDG_SCHED_PASSAGE_H

#include <stdbool.h>
#include <stdint.h>

typedef enum passage_state {
    PASSAGE_NONE,           /* has not begun, or is over */
    PASSAGE_RUNNING,        /* its code runs; never between two wake-ups of the worker */
    PASSAGE_YIELDED,        /* waits for its turn to run on */
    PASSAGE_ASLEEP,         /* until its time comes */
    PASSAGE_LOOKING_UP,     /* the store looks whether the call was made before */
    PASSAGE_CALLING,        /* the LLM call is with the engine */
    PASSAGE_CALLING_AWAY,   /* the LLM call is with the engine, the row waits in the store */
    PASSAGE_RECORDING,      /* the answer is here, the store writes it down */
    PASSAGE_RECORDING_AWAY, /* the store writes the answer down, the row waits there, too */
    PASSAGE_WANTED,         /* in the store; is to be fetched as soon as there is room */
    PASSAGE_FETCHING,       /* the store was asked for it */
    PASSAGE_SAVING,         /* its pass is over; its bytes are here until the store has them */
    PASSAGE_HANDING_IN,     /* it has failed; the store writes down the answers that it had */
    PASSAGE_AWAITING_UNIT,  /* its Python call waits for a unit of the job's permit */
    PASSAGE_IN_PYTHON,      /* the Python call is with the pool */
    PASSAGE_STATES
} passage_state_t;

typedef enum passage_event {
    /* the worker begins with the row, or drops it */
    PASSAGE_STARTED,
    PASSAGE_STARTED_STORED, /* its bytes are in the store, from the pass before */
    PASSAGE_DROPPED,
    PASSAGE_STUCK, /* it waits for a unit or a permit that nobody will give to this worker */
    /* what its code says at the end of a run */
    PASSAGE_YIELDS,
    PASSAGE_WANTS_LLM,
    PASSAGE_WANTS_PYTHON,
    PASSAGE_WANTS_TIME,
    PASSAGE_STOPS,
    PASSAGE_FINISHES,
    PASSAGE_FAILS, /* it is finished, has failed, and had answers that are not written down yet */
    /* the worker's agenda */
    PASSAGE_TURN, /* of a row that yielded */
    PASSAGE_WAKE, /* the time has come that the row named when it began to wait: of a row that waits for an
                   * answer, its wall time is over */
    PASSAGE_UNIT, /* the row has got the unit it waited for */
    PASSAGE_ROOM, /* there is memory for a row that is wanted */
    /* the engine and the pool */
    PASSAGE_PUT_AWAY,     /* the row's bytes are on their way to the store, for the time of the call */
    PASSAGE_CALL_REFUSED, /* the engine did not take the call; its answer says why */
    PASSAGE_CALL_ANSWERED,
    PASSAGE_CALL_FAILED,
    PASSAGE_PYTHON_REFUSED, /* the pool did not take the call */
    PASSAGE_PYTHON_ENDED,
    /* the store: these may come late or twice */
    PASSAGE_CALL_FOUND,
    PASSAGE_CALL_MISSING,
    PASSAGE_CALL_RECORDED,
    PASSAGE_CONTEXT_CAME,
    PASSAGE_CONTEXT_LOST,
    PASSAGE_CONTEXT_SAVED,
    PASSAGE_UNHEARD, /* the store says nothing at all: what it was to write down is given up */
    PASSAGE_EVENTS
} passage_event_t;

/* What is so of a row and decides between two ways. */
enum {
    PASSAGE_HAS_JOURNAL = 1, /* its answers are recorded before it goes on */
    PASSAGE_ASKS = 2,        /* its calls may have been recorded before: the store is asked first */
    PASSAGE_SAVES = 4,       /* batch mode: the end of this pass is not the row's end */
    PASSAGE_HAS_ANSWER = 8,  /* the answer to its call is here and has not been fed */
    PASSAGE_SHARED = 16,     /* what the store has of it is all there is: it cannot start again */
    PASSAGE_HAS_UNIT = 32,   /* the row holds a unit of the job's permit */
};

/* What to do, in this order. */
enum { PASSAGE_ACTIONS = 29 };
enum {
    PASSAGE_DO_NOTHING = 0,
    PASSAGE_CANCEL_CALL = 1 << 0,    /* nobody waits for the LLM any more */
    PASSAGE_CANCEL_ASKS = 1 << 1,    /* nor for anything that its Python call has asked */
    PASSAGE_CANCEL_PYTHON = 1 << 2,  /* nor for Python */
    PASSAGE_DROP_ANSWER = 1 << 3,    /* nor for the answer that is kept, if there is one */
    PASSAGE_KEEP = 1 << 4,           /* the answer that came is fed later */
    PASSAGE_COUNT = 1 << 5,          /* this question has had one more answer */
    PASSAGE_SET_ALARM = 1 << 6,      /* WAKE it at the time it names */
    PASSAGE_ASK = 1 << 7,            /* a new question: an answer to an older one is not for it */
    PASSAGE_LOOK_UP = 1 << 8,        /* ask the store whether it has the answer */
    PASSAGE_CALL = 1 << 9,           /* CALL_REFUSED or PUT_AWAY may follow at once */
    PASSAGE_CALL_PYTHON = 1 << 10,   /* PYTHON_REFUSED may follow at once */
    PASSAGE_RECORD = 1 << 11,        /* the store is to write the answer down */
    PASSAGE_FORGET = 1 << 12,        /* the row in memory: the store's copy is the row now */
    PASSAGE_PIN = 1 << 13,           /* the store may get it ready: it will be fetched soon */
    PASSAGE_QUEUE = 1 << 14,         /* for ROOM */
    PASSAGE_FETCH = 1 << 15,         /* ask the store for it */
    PASSAGE_FAIL = 1 << 16,          /* the row is now one that has failed, because its bytes are lost */
    PASSAGE_SAVE = 1 << 17,          /* give it to the store to keep, and forget it in memory */
    PASSAGE_GIVE_BACK = 1 << 18,     /* to the scheduler: it starts again somewhere */
    PASSAGE_REPORT = 1 << 19,        /* its result */
    PASSAGE_REPORT_PARKED = 1 << 20, /* that its pass is over */
    PASSAGE_TAKE_TURN = 1 << 21,     /* TURN comes when the others have had theirs */
    PASSAGE_FEED = 1 << 22,          /* the row, or Python, gets the answer that came, or was kept */
    PASSAGE_TELL = 1 << 23,          /* the row gets the event of Python */
    PASSAGE_RUN = 1 << 24,           /* its end is the next event */
    PASSAGE_RELEASE = 1 << 25,       /* everything the worker holds of it */
    PASSAGE_AWAIT_UNIT = 1 << 26,    /* UNIT comes when the job has one to spare */
    PASSAGE_HAND_IN = 1 << 27,       /* the store is to write down all answers of the row */
    PASSAGE_IGNORE = 1 << 28,        /* the event came too late; nothing has changed */
};

typedef struct passage {
    uint64_t row; /* for the log */
    passage_state_t state;
} passage_t; /* { row, PASSAGE_NONE } to begin with */

/* What is to be done now that this has happened. Logs each change of the state at debug level. */
uint32_t passage_next(passage_t *passage, passage_event_t event, uint32_t facts);

/* True: this event means something in this state. */
bool passage_expects(passage_state_t state, passage_event_t event);
bool passage_is_late(passage_event_t event); /* true: it comes from another actor, late or twice perhaps */

/* The row is in memory, or its room there is taken because it is being fetched. */
bool passage_is_here(passage_state_t state);

/* Who holds the unit of the job's permit that the row takes. */
typedef enum passage_unit {
    PASSAGE_UNIT_NONE,    /* it has not begun, sleeps, waits for a unit, or is over */
    PASSAGE_UNIT_OF_ROW,  /* it runs code, is in Python, or waits for the store */
    PASSAGE_UNIT_OF_CALL, /* the engine: a call that waits for a permit or a retry has none */
} passage_unit_t;
passage_unit_t passage_unit(passage_state_t state);

const char *passage_state_name(passage_state_t state); /* "calling away" */
const char *passage_event_name(passage_event_t event); /* "CALL_RECORDED" */

#endif
