/* The way of a row through a worker: short walks by hand, every state with every event, and a search of all
 * ways with a model that keeps account of what is open, which must be right at every step. */
#include "core/sched/passage.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { FACTS_ALL = 64, WAYS_MAX = 1 << 16 };

static void expect(passage_t *p, passage_event_t event, uint32_t facts, passage_state_t state,
                   uint32_t todo) {
    passage_state_t before = p->state;
    uint32_t got = passage_next(p, event, facts);
    cr_assert_eq(got, todo, "%s in %s: to do %x, not %x", passage_event_name(event),
                 passage_state_name(before), got, todo);
    cr_assert_eq(p->state, state, "%s in %s: %s", passage_event_name(event), passage_state_name(before),
                 passage_state_name(p->state));
}

/* ---- by hand */

Test(passage, a_row_calls_an_llm_and_ends) {
    passage_t p = {.row = 17};
    expect(&p, PASSAGE_STARTED, 0, PASSAGE_RUNNING, PASSAGE_RUN);
    expect(&p, PASSAGE_WANTS_LLM, 0, PASSAGE_CALLING, PASSAGE_SET_ALARM | PASSAGE_ASK | PASSAGE_CALL);
    expect(&p, PASSAGE_CALL_ANSWERED, 0, PASSAGE_RUNNING, PASSAGE_FEED | PASSAGE_RUN);
    expect(&p, PASSAGE_FINISHES, 0, PASSAGE_NONE, PASSAGE_REPORT | PASSAGE_RELEASE);
}

Test(passage, with_a_journal_an_answer_is_used_when_it_is_recorded) {
    uint32_t facts = PASSAGE_HAS_JOURNAL;
    passage_t p = {.state = PASSAGE_CALLING};
    expect(&p, PASSAGE_CALL_ANSWERED, facts, PASSAGE_RECORDING, PASSAGE_KEEP | PASSAGE_RECORD);
    facts |= PASSAGE_HAS_ANSWER;
    expect(&p, PASSAGE_CALL_RECORDED, facts, PASSAGE_RUNNING, PASSAGE_COUNT | PASSAGE_FEED | PASSAGE_RUN);
}

Test(passage, what_a_failed_row_was_answered_is_written_down_before_it_ends) {
    passage_t p = {.state = PASSAGE_RUNNING};
    expect(&p, PASSAGE_FAILS, 0, PASSAGE_HANDING_IN, PASSAGE_HAND_IN);
    expect(&p, PASSAGE_WAKE, 0, PASSAGE_HANDING_IN, PASSAGE_DO_NOTHING);
    passage_t unheard = p;
    expect(&p, PASSAGE_CALL_RECORDED, 0, PASSAGE_NONE, PASSAGE_REPORT | PASSAGE_RELEASE);
    expect(&unheard, PASSAGE_UNHEARD, 0, PASSAGE_NONE, PASSAGE_REPORT | PASSAGE_RELEASE);
}

Test(passage, a_failed_call_is_not_recorded) {
    passage_t p = {.state = PASSAGE_CALLING};
    expect(&p, PASSAGE_CALL_FAILED, PASSAGE_HAS_JOURNAL, PASSAGE_RUNNING, PASSAGE_FEED | PASSAGE_RUN);
}

Test(passage, what_may_have_been_called_before_is_looked_up) {
    uint32_t facts = PASSAGE_HAS_JOURNAL | PASSAGE_ASKS;
    passage_t p = {.state = PASSAGE_RUNNING};
    expect(&p, PASSAGE_WANTS_LLM, facts, PASSAGE_LOOKING_UP,
           PASSAGE_SET_ALARM | PASSAGE_ASK | PASSAGE_LOOK_UP);
    passage_t missing = p;
    expect(&p, PASSAGE_CALL_FOUND, facts, PASSAGE_RUNNING, PASSAGE_COUNT | PASSAGE_FEED | PASSAGE_RUN);
    expect(&missing, PASSAGE_CALL_MISSING, facts, PASSAGE_CALLING, PASSAGE_CALL);
    expect(&missing, PASSAGE_CALL_MISSING, facts, PASSAGE_CALLING,
           PASSAGE_IGNORE); /* the answer came twice */
}

Test(passage, a_row_waits_in_the_store_and_comes_back_with_its_answer) {
    uint32_t facts = PASSAGE_HAS_JOURNAL;
    passage_t p = {.state = PASSAGE_CALLING};
    expect(&p, PASSAGE_PUT_AWAY, facts, PASSAGE_CALLING_AWAY, PASSAGE_FORGET);
    expect(&p, PASSAGE_CALL_ANSWERED, facts, PASSAGE_RECORDING_AWAY,
           PASSAGE_KEEP | PASSAGE_RECORD | PASSAGE_PIN);
    facts |= PASSAGE_HAS_ANSWER;
    expect(&p, PASSAGE_CALL_RECORDED, facts, PASSAGE_WANTED, PASSAGE_COUNT | PASSAGE_QUEUE);
    expect(&p, PASSAGE_ROOM, facts, PASSAGE_FETCHING, PASSAGE_FETCH);
    passage_t lost = p;
    expect(&p, PASSAGE_CONTEXT_CAME, facts, PASSAGE_RUNNING, PASSAGE_FEED | PASSAGE_RUN);
    expect(&lost, PASSAGE_CONTEXT_LOST, facts, PASSAGE_NONE,
           PASSAGE_DROP_ANSWER | PASSAGE_GIVE_BACK | PASSAGE_RELEASE);
}

Test(passage, a_pass_of_batch_mode_begins_and_ends_in_the_store) {
    uint32_t facts = PASSAGE_SAVES | PASSAGE_SHARED;
    passage_t p = {0};
    expect(&p, PASSAGE_STARTED_STORED, facts, PASSAGE_WANTED, PASSAGE_QUEUE);
    expect(&p, PASSAGE_ROOM, facts, PASSAGE_FETCHING, PASSAGE_FETCH);
    passage_t lost = p;
    expect(&p, PASSAGE_CONTEXT_CAME, facts, PASSAGE_RUNNING, PASSAGE_RUN);
    expect(&p, PASSAGE_STOPS, facts, PASSAGE_SAVING, PASSAGE_SAVE);
    expect(&p, PASSAGE_CONTEXT_SAVED, facts, PASSAGE_NONE, PASSAGE_REPORT_PARKED | PASSAGE_RELEASE);
    expect(&lost, PASSAGE_CONTEXT_LOST, facts, PASSAGE_RUNNING, PASSAGE_FAIL | PASSAGE_RUN);
}

Test(passage, the_end_of_python_ends_what_it_asked) {
    passage_t p = {.state = PASSAGE_IN_PYTHON};
    expect(&p, PASSAGE_PYTHON_ENDED, 0, PASSAGE_RUNNING, PASSAGE_CANCEL_ASKS | PASSAGE_TELL | PASSAGE_RUN);
    p.state = PASSAGE_IN_PYTHON;
    expect(&p, PASSAGE_DROPPED, 0, PASSAGE_NONE,
           PASSAGE_CANCEL_ASKS | PASSAGE_CANCEL_PYTHON | PASSAGE_RELEASE);
}

Test(passage, a_row_out_of_time_gives_up_what_it_waits_for) {
    passage_t p = {.state = PASSAGE_CALLING};
    expect(&p, PASSAGE_WAKE, 0, PASSAGE_RUNNING, PASSAGE_CANCEL_CALL | PASSAGE_RUN);
    p.state = PASSAGE_RECORDING_AWAY;
    expect(&p, PASSAGE_WAKE, 0, PASSAGE_WANTED, PASSAGE_DROP_ANSWER | PASSAGE_QUEUE);
    p.state = PASSAGE_IN_PYTHON;
    expect(&p, PASSAGE_WAKE, 0, PASSAGE_RUNNING, PASSAGE_CANCEL_ASKS | PASSAGE_CANCEL_PYTHON | PASSAGE_RUN);
    expect(&p, PASSAGE_FINISHES, 0, PASSAGE_NONE, PASSAGE_REPORT | PASSAGE_RELEASE);
}

Test(passage, python_waits_for_a_unit) {
    passage_t p = {.state = PASSAGE_RUNNING};
    expect(&p, PASSAGE_WANTS_PYTHON, 0, PASSAGE_AWAITING_UNIT, PASSAGE_SET_ALARM | PASSAGE_AWAIT_UNIT);
    expect(&p, PASSAGE_UNIT, PASSAGE_HAS_UNIT, PASSAGE_IN_PYTHON, PASSAGE_CALL_PYTHON);
    p.state = PASSAGE_RUNNING;
    expect(&p, PASSAGE_WANTS_PYTHON, PASSAGE_HAS_UNIT, PASSAGE_IN_PYTHON,
           PASSAGE_SET_ALARM | PASSAGE_CALL_PYTHON);
}

Test(passage, a_row_that_can_never_go_on_here_goes_back) {
    passage_t p = {.state = PASSAGE_CALLING};
    expect(&p, PASSAGE_STUCK, 0, PASSAGE_NONE, PASSAGE_CANCEL_CALL | PASSAGE_GIVE_BACK | PASSAGE_RELEASE);
    p.state = PASSAGE_IN_PYTHON; /* all that it asks waits */
    expect(&p, PASSAGE_STUCK, 0, PASSAGE_NONE,
           PASSAGE_CANCEL_ASKS | PASSAGE_CANCEL_PYTHON | PASSAGE_GIVE_BACK | PASSAGE_RELEASE);
}

Test(passage, what_nobody_can_have_said_is_a_bug, .signal = SIGABRT) {
    passage_t p = {.state = PASSAGE_ASLEEP};
    passage_next(&p, PASSAGE_CALL_ANSWERED, 0);
}

/* ---- every state with every event */

Test(passage, an_answer_that_comes_late_changes_nothing) {
    int late = 0;
    for (int state = 0; state < PASSAGE_STATES; state++) {
        for (int event = 0; event < PASSAGE_EVENTS; event++) {
            if (passage_expects(state, event) || !passage_is_late(event)) continue;
            for (uint32_t facts = 0; facts < FACTS_ALL; facts++) {
                passage_t p = {.state = state};
                expect(&p, event, facts, state, PASSAGE_IGNORE);
                late++;
            }
        }
    }
    cr_assert_gt(late, 1000);
}

Test(passage, each_state_and_event_has_a_name_of_its_own) {
    for (int a = 0; a < PASSAGE_STATES; a++) {
        for (int b = 0; b < a; b++)
            cr_assert_str_neq(passage_state_name(a), passage_state_name(b));
    }
    for (int a = 0; a < PASSAGE_EVENTS; a++) {
        for (int b = 0; b < a; b++)
            cr_assert_str_neq(passage_event_name(a), passage_event_name(b));
    }
}

/* A row that may not go on by itself holds no unit; the one of a call is with the engine. */
Test(passage, units_follow_the_state) {
    for (int state = 0; state < PASSAGE_STATES; state++) {
        passage_unit_t unit =
            state == PASSAGE_NONE || state == PASSAGE_ASLEEP || state == PASSAGE_AWAITING_UNIT
                ? PASSAGE_UNIT_NONE
            : passage_expects(state, PASSAGE_CALL_ANSWERED) ? PASSAGE_UNIT_OF_CALL
                                                            : PASSAGE_UNIT_OF_ROW;
        cr_assert_eq(passage_unit(state), unit, "%s", passage_state_name(state));
    }
}

/* ---- all ways */

/* What is so of one row in one world, and does not change. */
typedef struct world {
    bool journal, asks, saves, contexts, stored, wall_time, scarce; /* scarce: of units */
    bool late; /* answers are written down when the row has failed */
} world_t;

/* A point on the way, with an account of everything that is open. Compared as bytes. */
typedef struct point {
    uint8_t state;
    uint8_t here, kept, shared;          /* the row and its answer in memory; what the store has is all */
    uint8_t calls;                       /* made for the question it has asked last */
    uint8_t call, lookup, record, fetch; /* open */
    uint8_t python, asks, save;          /* asks: of the Python call */
    uint8_t alarm, turn, queued, unit_queued;
    uint8_t owed;       /* answers that are not written down */
    uint8_t called_now; /* the call was made this moment: it may be refused, or the row put away */
    uint8_t told;       /* what the scheduler hears of its end */
} point_t;

typedef struct search {
    world_t world;
    point_t points[WAYS_MAX];
    int count, edge_count;
    struct {
        int from, to;
    } edges[WAYS_MAX];             /* without DROPPED */
    uint32_t seen[PASSAGE_STATES]; /* bit per event */
} search_t;

static bool runs(uint8_t state) { return state == PASSAGE_RUNNING; }
static bool in_python(uint8_t state) { return state == PASSAGE_IN_PYTHON; }

/* May this happen now? By what is open, not by what the passage expects. */
static bool can_happen(const world_t *w, const point_t *p, passage_event_t event) {
    if (runs(p->state)) {
        switch (event) {
        case PASSAGE_STOPS: return w->saves;
        case PASSAGE_YIELDS:
        case PASSAGE_WANTS_PYTHON:
        case PASSAGE_WANTS_LLM:
        case PASSAGE_WANTS_TIME:
        case PASSAGE_FINISHES: return true;
        case PASSAGE_FAILS: return p->owed;
        default: return false;
        }
    }
    bool fresh = p->call && p->called_now;
    switch (event) {
    case PASSAGE_STARTED: return p->state == PASSAGE_NONE && !p->told && !w->stored;
    case PASSAGE_STARTED_STORED: return p->state == PASSAGE_NONE && !p->told && w->stored;
    case PASSAGE_DROPPED: return p->state != PASSAGE_NONE;
    case PASSAGE_TURN: return p->turn;
    case PASSAGE_WAKE: return p->alarm;
    case PASSAGE_UNIT: return p->unit_queued;
    case PASSAGE_STUCK: return p->unit_queued || p->call || p->asks || p->state == PASSAGE_ASLEEP;
    case PASSAGE_ROOM: return p->queued;
    case PASSAGE_PUT_AWAY: return fresh && w->contexts && !in_python(p->state);
    case PASSAGE_CALL_REFUSED: return fresh;
    case PASSAGE_CALL_ANSWERED:
    case PASSAGE_CALL_FAILED: return p->call;
    case PASSAGE_PYTHON_REFUSED: return p->python && !p->asks;
    case PASSAGE_PYTHON_ENDED: return p->python;
    case PASSAGE_CALL_FOUND:
    case PASSAGE_CALL_MISSING: return p->lookup;
    case PASSAGE_CALL_RECORDED: return p->record;
    case PASSAGE_CONTEXT_CAME:
    case PASSAGE_CONTEXT_LOST: return p->fetch;
    case PASSAGE_CONTEXT_SAVED: return p->save;
    case PASSAGE_UNHEARD: return p->record && p->state == PASSAGE_HANDING_IN;
    default: return false;
    }
}

static uint32_t facts_of(const world_t *w, const point_t *p) {
    return (w->journal ? PASSAGE_HAS_JOURNAL : 0) | (w->asks ? PASSAGE_ASKS : 0) |
           (w->saves ? PASSAGE_SAVES : 0) | (p->kept ? PASSAGE_HAS_ANSWER : 0) |
           (p->shared ? PASSAGE_SHARED : 0) | (w->scarce ? 0 : PASSAGE_HAS_UNIT);
}

/* The event closes what it answers. */
static void close_asked(point_t *p, passage_event_t event) {
    p->called_now = 0;
    switch (event) {
    case PASSAGE_TURN: p->turn = 0; break;
    case PASSAGE_WAKE: p->alarm = 0; break;
    case PASSAGE_UNIT: p->unit_queued = 0; break;
    case PASSAGE_ROOM: p->queued = 0; break;
    case PASSAGE_CALL_REFUSED:
    case PASSAGE_CALL_ANSWERED:
    case PASSAGE_CALL_FAILED: p->call = 0; break;
    case PASSAGE_PYTHON_REFUSED:
    case PASSAGE_PYTHON_ENDED: p->python = 0; break;
    case PASSAGE_CALL_FOUND:
    case PASSAGE_CALL_MISSING: p->lookup = 0; break;
    case PASSAGE_CALL_RECORDED: p->record = 0; break;
    case PASSAGE_CONTEXT_CAME: p->here = 1; /* fall through */
    case PASSAGE_CONTEXT_LOST: p->fetch = 0; break;
    case PASSAGE_CONTEXT_SAVED: p->save = 0; break;
    case PASSAGE_STARTED: p->here = 1; break;
    case PASSAGE_STARTED_STORED: p->shared = 1; break;
    case PASSAGE_PUT_AWAY: p->shared = 0; break;
    default: break;
    }
}

static bool brings_answer(passage_event_t event) {
    return (event >= PASSAGE_CALL_REFUSED && event <= PASSAGE_CALL_FAILED) || event == PASSAGE_CALL_FOUND;
}

/* Does one action in the account; what is not possible is a mistake of the table. */
static void act(const world_t *w, point_t *p, passage_event_t event, uint32_t action, bool *answer,
                bool *told) {
    switch (action) {
    case PASSAGE_CANCEL_CALL:
        cr_assert(p->call);
        p->call = 0;
        break;
    case PASSAGE_CANCEL_PYTHON:
        cr_assert(p->python && !p->asks);
        p->python = 0;
        break;
    case PASSAGE_CANCEL_ASKS: p->asks = 0; break;
    case PASSAGE_DROP_ANSWER: p->kept = 0; break;
    case PASSAGE_KEEP:
        cr_assert(*answer && !p->kept);
        *answer = false;
        p->kept = 1;
        break;
    case PASSAGE_COUNT: cr_assert((w->journal || w->late) && (*answer || p->kept)); break;
    case PASSAGE_SET_ALARM:
        cr_assert(p->here);
        p->alarm = w->wall_time || p->state == PASSAGE_ASLEEP;
        break;
    case PASSAGE_ASK:
        cr_assert(p->here && !p->call && !p->kept);
        p->calls = p->lookup = p->record = 0;
        break;
    case PASSAGE_LOOK_UP:
        cr_assert(w->asks && p->calls == 0);
        p->lookup = 1;
        break;
    case PASSAGE_CALL:
        cr_assert(p->here && !p->call && p->calls == 0);
        cr_assert(!w->asks || event == PASSAGE_CALL_MISSING);
        p->call = p->calls = p->called_now = 1;
        break;
    case PASSAGE_CALL_PYTHON:
        cr_assert(p->here && !p->python);
        p->python = 1;
        break;
    case PASSAGE_RECORD:
        cr_assert(w->journal && p->kept);
        p->record = 1;
        break;
    case PASSAGE_HAND_IN:
        cr_assert(p->here && p->owed && !p->kept);
        p->record = 1;
        p->owed = 0;
        break;
    case PASSAGE_FORGET:
        cr_assert(p->here && p->call);
        p->here = 0;
        break;
    case PASSAGE_PIN: cr_assert(!p->here); break;
    case PASSAGE_AWAIT_UNIT:
        cr_assert(p->here && !p->python && !p->unit_queued);
        p->unit_queued = 1;
        break;
    case PASSAGE_QUEUE:
        cr_assert(!p->here && !p->queued && !p->fetch);
        p->queued = 1;
        break;
    case PASSAGE_FETCH:
        cr_assert(!p->here && !p->queued);
        p->fetch = 1;
        break;
    case PASSAGE_FAIL:
        cr_assert(!p->here && p->shared && !p->kept);
        p->here = 1;
        break;
    case PASSAGE_SAVE:
        cr_assert(p->here && w->saves && !p->kept);
        p->here = 0;
        p->save = p->shared = 1;
        break;
    case PASSAGE_GIVE_BACK:
        cr_assert(event == PASSAGE_STUCK || (!p->here && !p->shared));
        p->told++;
        break;
    case PASSAGE_REPORT:
        cr_assert(p->here && !w->saves);
        p->told++;
        break;
    case PASSAGE_REPORT_PARKED:
        cr_assert(w->saves);
        p->told++;
        break;
    case PASSAGE_TAKE_TURN:
        cr_assert(!p->turn);
        p->turn = 1;
        break;
    case PASSAGE_FEED:
        cr_assert(p->here && *answer != p->kept);
        if (w->late && event != PASSAGE_CALL_FOUND) p->owed = 1;
        *answer = false;
        p->kept = 0;
        break;
    case PASSAGE_TELL:
        cr_assert(p->here && *told && !p->asks);
        *told = false;
        break;
    case PASSAGE_RUN: cr_assert(p->here && runs(p->state)); break;
    case PASSAGE_RELEASE: {
        cr_assert(p->state == PASSAGE_NONE && !p->call && !p->python && !p->kept && !p->asks);
        cr_assert_eq(p->told + (event == PASSAGE_DROPPED), 1);
        *p = (point_t){.told = 1};
        break;
    }
    default: cr_assert_fail("action %x", action);
    }
}

/* Somebody owes the row its next event. */
static bool is_awaited(const point_t *p) {
    switch (p->state) {
    case PASSAGE_NONE: return p->told;
    case PASSAGE_RUNNING: return true;
    case PASSAGE_YIELDED: return p->turn;
    case PASSAGE_ASLEEP: return p->alarm;
    case PASSAGE_LOOKING_UP: return p->lookup;
    case PASSAGE_CALLING:
    case PASSAGE_CALLING_AWAY: return p->call;
    case PASSAGE_RECORDING:
    case PASSAGE_RECORDING_AWAY: return p->record;
    case PASSAGE_WANTED: return p->queued;
    case PASSAGE_FETCHING: return p->fetch;
    case PASSAGE_SAVING: return p->save;
    case PASSAGE_HANDING_IN: return p->record;
    case PASSAGE_AWAITING_UNIT: return p->unit_queued;
    case PASSAGE_IN_PYTHON: return p->python;
    default: return false;
    }
}

static void check_point(const point_t *p) {
    const char *name = passage_state_name(p->state);
    cr_assert(is_awaited(p), "nobody owes a row in %s its next event", name);
    cr_assert_eq(passage_is_here(p->state), p->here || p->fetch, "%s", name);
    cr_assert_eq(passage_expects(p->state, PASSAGE_CALL_ANSWERED), p->call, "%s", name);
    cr_assert_eq(in_python(p->state), p->python, "%s", name);
    cr_assert(!p->kept || p->state == PASSAGE_YIELDED || p->state == PASSAGE_WANTED ||
                  p->state == PASSAGE_FETCHING || passage_expects(p->state, PASSAGE_CALL_RECORDED),
              "a row in %s has an answer that nobody will feed", name);
}

static point_t take_step(const world_t *w, point_t p, passage_event_t event) {
    passage_t passage = {.state = p.state};
    bool handed_in = p.state == PASSAGE_HANDING_IN;
    bool answer = brings_answer(event),
         told = event == PASSAGE_PYTHON_REFUSED || event == PASSAGE_PYTHON_ENDED;
    cr_assert(passage_expects(p.state, event), "%s may happen in %s", passage_event_name(event),
              passage_state_name(p.state));
    close_asked(&p, event);
    uint32_t todo = passage_next(&passage, event, facts_of(w, &p));
    p.state = (uint8_t)passage.state;
    cr_assert_lt(todo, PASSAGE_IGNORE);
    for (uint32_t action = 1; action < PASSAGE_IGNORE; action <<= 1) {
        if (todo & action) act(w, &p, event, action, &answer, &told);
    }
    cr_assert(!runs(p.state) || todo & PASSAGE_RUN, "%s: its code does not run", passage_event_name(event));
    cr_assert_eq(event == PASSAGE_CALL_FOUND || (event == PASSAGE_CALL_RECORDED && !handed_in),
                 (todo & PASSAGE_COUNT) > 0);
    if (event >= PASSAGE_WANTS_LLM && event <= PASSAGE_WANTS_TIME)
        cr_assert(p.alarm || !w->wall_time, "%s: its wall time is not minded", passage_event_name(event));
    cr_assert(!answer && !told, "%s: nobody has taken what it brought", passage_event_name(event));
    if (p.state != PASSAGE_AWAITING_UNIT) p.unit_queued = 0;           /* it does not wait any more */
    if (!passage_expects(p.state, PASSAGE_CALL_MISSING)) p.lookup = 0; /* late from now on */
    if (!passage_expects(p.state, PASSAGE_CALL_RECORDED)) p.record = 0;
    check_point(&p);
    return p;
}

static int number_of(search_t *s, const point_t *p) {
    for (int i = 0; i < s->count; i++) {
        if (memcmp(&s->points[i], p, sizeof *p) == 0) return i;
    }
    cr_assert_lt(s->count, WAYS_MAX);
    s->points[s->count] = *p;
    return s->count++;
}

/* Every point there is, and from each a way to the end without being dropped or given back as stuck. */
static void search_all(search_t *s) {
    s->count = s->edge_count = 0;
    number_of(s, &(point_t){0});
    for (int from = 0; from < s->count; from++) {
        point_t asks = s->points[from];
        asks.asks = asks.python;
        number_of(s, &asks); /* ask.h: the same way, with something that Python asks beside it */
        for (int event = 0; event < PASSAGE_EVENTS; event++) {
            if (!can_happen(&s->world, &s->points[from], event)) continue;
            s->seen[s->points[from].state] |= 1u << event;
            point_t p = take_step(&s->world, s->points[from], event);
            int to = number_of(s, &p);
            cr_assert_lt(s->edge_count, WAYS_MAX);
            if (event != PASSAGE_DROPPED && event != PASSAGE_STUCK)
                s->edges[s->edge_count++] = (__typeof__(*s->edges)){from, to};
        }
    }
    bool *ends = calloc((size_t)s->count, sizeof *ends);
    for (bool more = true; more;) {
        more = false;
        for (int i = 0; i < s->edge_count; i++) {
            const point_t *to = &s->points[s->edges[i].to];
            bool good = ends[s->edges[i].to] || (to->state == PASSAGE_NONE && to->told);
            if (!good || ends[s->edges[i].from]) continue;
            more = ends[s->edges[i].from] = true;
        }
    }
    for (int i = 0; i < s->count; i++) {
        const point_t *p = &s->points[i];
        cr_assert(ends[i] || p->state == PASSAGE_NONE, "no way leads on from %s",
                  passage_state_name(p->state));
    }
    free(ends);
}

Test(passage, every_way_ends_and_nothing_is_lost_on_it, .timeout = 120) {
    search_t *s = calloc(1, sizeof *s);
    for (int bits = 0; bits < 256; bits++) {
        s->world = (world_t){.journal = bits & 1,
                             .asks = bits & 2,
                             .saves = bits & 4,
                             .contexts = bits & 8,
                             .stored = bits & 16,
                             .wall_time = bits & 32,
                             .scarce = bits & 64,
                             .late = bits & 128};
        const world_t *w = &s->world;
        if ((w->asks && !w->journal && !w->late) || (w->late && (w->journal || w->saves))) continue;
        search_all(s);
        cr_assert_gt(s->count, 10);
    }
    /* The table has no line that cannot happen. */
    for (int state = 0; state < PASSAGE_STATES; state++) {
        for (int event = 0; event < PASSAGE_EVENTS; event++) {
            bool seen = s->seen[state] >> event & 1;
            cr_assert_eq(seen, passage_expects(state, event), "%s in %s: %s", passage_event_name(event),
                         passage_state_name(state), seen ? "happens" : "cannot happen");
        }
    }
    free(s);
}
