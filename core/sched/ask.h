/* ask.h - the way of one question that the Python of a row asks an LLM (ctx.call_ai): one state, one table,
 * no I/O.
 *
 *     OVER -> (LOOKING_UP ->) CALLING -> (RECORDING ->) OVER
 *
 * A row in Python has a set of them beside PASSAGE_IN_PYTHON: ROW_ASKS_MAX are under way at a time, further
 * ones wait for their turn in the order in which they were asked. The events, facts and actions are those
 * that passage.h has for the call of a row; few of them concern an ask:
 *
 *     STARTED   its turn has come
 *     DROPPED   nobody waits for it any more: its Python has ended, or has given it up
 *     CALL_...  what the engine and the store say
 *
 * FEED gives the answer to Python. An ask that is OVER is forgotten, so it never begins again. An event that
 * the state does not expect is a bug of the caller (assert), unless it comes from the store, which may answer
 * late or twice: then it is ignored. */
#ifndef SDG_SCHED_ASK_H
#define SDG_SCHED_ASK_H

#include "core/sched/passage.h"

typedef enum ask_state {
    ASK_OVER,       /* has not begun, or is over */
    ASK_LOOKING_UP, /* the store looks whether the call was made before */
    ASK_CALLING,    /* the call is with the engine */
    ASK_RECORDING,  /* the answer is here, the store writes it down */
    ASK_STATES
} ask_state_t;

typedef struct ask {
    uint64_t row; /* for the log */
    ask_state_t state;
} ask_t; /* { row, ASK_OVER } to begin with */

/* What is to be done now that this has happened; of the facts, PASSAGE_HAS_JOURNAL and PASSAGE_ASKS count.
 * Logs each change of the state at debug level. */
uint32_t ask_next(ask_t *ask, passage_event_t event, uint32_t facts);

bool ask_expects(ask_state_t state, passage_event_t event); /* true: it means something in this state */

const char *ask_state_name(ask_state_t state); /* "looking up" */

#endif
