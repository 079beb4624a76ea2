/* sim_passage.c - rows on their way through workers, with a journal and a store that lose, repeat and delay
 * messages and workers that crash, with a seed.
 *
 *   sim_passage [--seeds N] [--seed S] [-v]
 *
 * The real passage and asks (core/sched/passage.h, ask.h) decide; everything around them is a small model:
 * row machines that walk through scripts of calls, Python blocks, sleeps and stops; an engine that answers or
 * fails; a pool whose calls ask LLMs, several at once, give questions up, end while they ask, and are killed
 * and begin once more; a journal and a context store behind a mailbox. The judge: every row ends and is told
 * once; an answer is fed once, to the question it was given for; a call whose record was acknowledged is not
 * made again; where answers are written down late, all those of a failed row
 * are before it is told; what is released has nothing open.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/rng.h"
#include "core/sched/ask.h"
#include "tests/sim/sim.h"

enum {
    ROWS = 12,
    STEPS_MAX = 6, /* of a row's script */
    ASKS_MAX = 4,  /* questions of one Python call */
    QUESTIONS = STEPS_MAX * ASKS_MAX,
    MAIL_MAX = 200,
    CALLS_MAX = 200,   /* with the engine at once, those of dead workers included */
    PATIENCE = 60,     /* ticks until a question to the store is said again */
    CALM = 3000,       /* ticks with faults; afterwards everything must come to its end */
    TICKS_MAX = 60000, /* then a row that has not ended never will */
};

typedef enum step_kind { STEP_AI, STEP_PYTHON, STEP_SLEEP, STEP_YIELD, STEP_STOP } step_kind_t;

/* A row machine. Copied as a whole when it is put away. */
typedef struct machine {
    int at, attempt; /* in the script; of the step */
    bool called, asked, answered, answer_ok, python_over, failed;
    int question;  /* the one it has asked; of its row */
    uint64_t wake; /* of a sleep; 0: none */
} machine_t;

typedef struct answer {
    int row, question;
    bool ok;
} answer_t;

/* One row for the whole simulation: its script, and what has become of it. */
typedef struct plan {
    step_kind_t steps[STEPS_MAX];
    int count, asks[STEPS_MAX]; /* of a Python step */
    uint64_t wall;              /* ticks it may take; 0: any */
    int passes;                 /* 2: it stops once, in batch mode */
    int pass;
    bool again, ended;
    int told;
    bool recorded[QUESTIONS], acknowledged[QUESTIONS];
    bool shared_there, private_there;
    machine_t shared, private;
    uint64_t private_tag; /* of the message that put it there */
} plan_t;

/* What the Python of a row asks. */
typedef struct question {
    ask_t ask; /* OVER: the place is free */
    int question;
    uint64_t tag, sent;
    bool kept, fed;
    answer_t answer; /* kept */
} question_t;

typedef struct slot {
    bool used;
    int row;
    passage_t passage;
    uint32_t facts;
    bool here, kept;
    machine_t machine; /* meant while `here` */
    machine_t saved;   /* SAVING */
    answer_t answer;   /* kept */
    uint64_t started, call_tag, python_tag, context_tag, put_tag, sent, alarm;
    bool queued, turn;
    int asks_left, asks_begun; /* of the Python call */
    question_t asks[ASKS_MAX]; /* of it, under way */
    uint32_t owed;             /* a bit for each question whose answer is not written down */
} slot_t;

typedef enum mail_kind {
    M_LOOKUP,
    M_RECORD,
    M_PUT,
    M_SAVE,
    M_GET, /* to the store */
    M_FOUND,
    M_MISSING,
    M_RECORDED,
    M_CAME,
    M_LOST,
    M_SAVED /* to the worker */
} mail_kind_t;

typedef struct mail {
    mail_kind_t kind;
    uint64_t worker, tag, put_tag, due;
    int row, question;
    bool shared;
    uint32_t owed; /* M_RECORD of all these questions; 0: of `question` */
    machine_t machine;
} mail_t;

typedef struct engine_call {
    uint64_t worker, tag, due;
    int row, question;
    bool ok;
} engine_call_t;

typedef struct sim {
    uint64_t seed, now, tags;
    uint64_t worker; /* number of the one that lives now */
    rng_t rng;
    bool verbose, failed;
    double drop, repeat, loses, refuses, fails;
    bool journal, late, contexts, batch;
    plan_t plans[ROWS];
    slot_t slots[ROWS]; /* slot i is of row i */
    mail_t mail[MAIL_MAX];
    int mail_count;
    engine_call_t calls[CALLS_MAX];
    int call_count;
    uint64_t fed, put_away, found, lost, crashes, again;
} sim_t;

typedef struct move {
    answer_t *answer;
    passage_event_t event;
    passage_event_t next; /* PASSAGE_EVENTS: nothing follows */
    answer_t refusal;
    bool told; /* an event of Python is on its way */
} move_t;

/* ---- small things */

#define trace(s, ...) ((s)->verbose ? sim_trace((s)->now, __VA_ARGS__) : (void)0)
#define fail(s, ...) sim_fail(&(s)->failed, (s)->now, __VA_ARGS__)

static int between(sim_t *s, int lo, int hi) { return (int)rng_between(&s->rng, lo, hi); }
static bool chance(sim_t *s, double p) { return sim_chance(&s->rng, p); }
static bool is_calm(const sim_t *s) { return s->now >= CALM; }
static uint64_t new_tag(sim_t *s, int row) { return ++s->tags << 8 | (uint64_t)row; }

static void report(sim_t *s, slot_t *slot, passage_event_t event, answer_t *answer);

/* ---- mail: lost, repeated, late */

static void post(sim_t *s, mail_t m) {
    int copies = !is_calm(s) && chance(s, s->drop) ? 0 : !is_calm(s) && chance(s, s->repeat) ? 2 : 1;
    m.worker = s->worker;
    for (; copies > 0 && s->mail_count < MAIL_MAX; copies--) {
        m.due = s->now + (uint64_t)(chance(s, 0.2) ? between(s, 1, 120) : between(s, 1, 5));
        s->mail[s->mail_count++] = m;
    }
}

/* ---- row machines */

static uint64_t deadline(const sim_t *s, const slot_t *slot) {
    uint64_t wall = s->plans[slot->row].wall;
    return wall ? slot->started + wall : UINT64_MAX;
}

static void next_step(machine_t *m) {
    machine_t next = {.at = m->at + 1, .failed = m->failed};
    *m = next;
}

/* A question of the row: a call is found again under it. */
static int question_of(const slot_t *slot, int ask) { return slot->machine.at * ASKS_MAX + ask; }

static passage_event_t machine_ai(sim_t *s, slot_t *slot) {
    machine_t *m = &slot->machine;
    if (!m->asked) {
        m->asked = true;
        m->question = question_of(slot, 0);
        return PASSAGE_WANTS_LLM;
    }
    if (!m->answered) return PASSAGE_WANTS_TIME;
    bool again = !m->answer_ok && ++m->attempt < 4;
    m->answered = m->asked = false;
    if (again) {
        m->wake = s->now + (uint64_t)between(s, 1, 20);
        return PASSAGE_WANTS_TIME;
    }
    if (!m->answer_ok) m->failed = true;
    next_step(m);
    return PASSAGE_EVENTS;
}

static passage_event_t machine_python(slot_t *slot) {
    machine_t *m = &slot->machine;
    if (!m->called) {
        m->called = true;
        return PASSAGE_WANTS_PYTHON;
    }
    if (!m->python_over) return PASSAGE_WANTS_TIME;
    next_step(m);
    return PASSAGE_EVENTS;
}

static passage_event_t machine_run(sim_t *s, slot_t *slot) {
    const plan_t *plan = &s->plans[slot->row];
    machine_t *m = &slot->machine;
    for (;;) {
        if (s->now >= deadline(s, slot)) m->failed = true;
        if (m->failed && slot->owed) return PASSAGE_FAILS;
        if (m->failed || m->at == plan->count) return PASSAGE_FINISHES;
        if (m->wake && s->now < m->wake) return PASSAGE_WANTS_TIME;
        m->wake = 0;
        passage_event_t end = PASSAGE_EVENTS;
        switch (plan->steps[m->at]) {
        case STEP_AI: end = machine_ai(s, slot); break;
        case STEP_PYTHON: end = machine_python(slot); break;
        case STEP_SLEEP:
            next_step(m);
            m->wake = s->now + (uint64_t)between(s, 1, 30);
            return PASSAGE_WANTS_TIME;
        case STEP_YIELD: next_step(m); return PASSAGE_YIELDS;
        case STEP_STOP:
            if (plan->pass == 0) return PASSAGE_STOPS;
            next_step(m);
            break;
        }
        if (end != PASSAGE_EVENTS) return end;
    }
}

/* ---- what the passage wants done */

/* False: the engine does not take the call. */
static bool engine_takes(sim_t *s, const slot_t *slot, uint64_t tag, int question) {
    if (s->plans[slot->row].acknowledged[question])
        fail(s, "row %d: question %d is paid again, its record was acknowledged", slot->row, question);
    if (chance(s, s->refuses) && !is_calm(s)) return false;
    if (s->call_count == CALLS_MAX) abort();
    s->calls[s->call_count++] = (engine_call_t){.worker = s->worker,
                                                .tag = tag,
                                                .due = s->now + (uint64_t)between(s, 1, 40),
                                                .row = slot->row,
                                                .question = question,
                                                .ok = is_calm(s) || !chance(s, s->fails)};
    return true;
}

static void call(sim_t *s, slot_t *slot, move_t *move) {
    int question = slot->machine.question;
    if (!engine_takes(s, slot, slot->call_tag, question)) {
        move->refusal = (answer_t){.row = slot->row, .question = question};
        move->answer = &move->refusal;
        move->next = PASSAGE_CALL_REFUSED;
        return;
    }
    if (!s->contexts || chance(s, 0.3)) return;
    slot->put_tag = new_tag(s, slot->row);
    post(s, (mail_t){.kind = M_PUT, .row = slot->row, .put_tag = slot->put_tag, .machine = slot->machine});
    slot->facts &= ~(uint32_t)PASSAGE_SHARED;
    s->put_away++;
    move->next = PASSAGE_PUT_AWAY;
}

static bool cancel_call(sim_t *s, uint64_t tag) {
    for (int i = 0; i < s->call_count; i++) {
        if (s->calls[i].tag != tag || s->calls[i].worker != s->worker) continue;
        s->calls[i] = s->calls[--s->call_count];
        return true;
    }
    return false;
}

static void feed(sim_t *s, slot_t *slot, move_t *move) {
    machine_t *m = &slot->machine;
    if (!slot->here) fail(s, "row %d is fed while it is away", slot->row);
    if (!move->answer == !slot->kept) fail(s, "row %d: which answer is fed?", slot->row);
    answer_t answer = slot->kept ? slot->answer : *move->answer;
    slot->kept = false;
    move->answer = NULL;
    if (s->late && answer.ok && move->event != PASSAGE_CALL_FOUND) slot->owed |= 1u << answer.question;
    if (!m->asked || m->answered || answer.row != slot->row || answer.question != m->question)
        fail(s, "row %d waits for question %d%s and is fed question %d of row %d", slot->row, m->question,
             m->answered ? ", has its answer," : "", answer.question, answer.row);
    m->answered = true;
    m->answer_ok = answer.ok;
    s->fed++;
}

static void send_question(sim_t *s, slot_t *slot) {
    mail_t m = {.tag = slot->call_tag, .row = slot->row, .question = slot->machine.question};
    slot->sent = s->now;
    switch (slot->passage.state) {
    case PASSAGE_LOOKING_UP: m.kind = M_LOOKUP; break;
    case PASSAGE_RECORDING:
    case PASSAGE_RECORDING_AWAY:
        m.kind = M_RECORD;
        m.question = slot->answer.question;
        break;
    case PASSAGE_HANDING_IN:
        m.kind = M_RECORD;
        m.owed = slot->owed;
        break;
    case PASSAGE_FETCHING:
        m.kind = M_GET;
        m.tag = slot->context_tag;
        m.shared = slot->facts & PASSAGE_SHARED;
        break;
    case PASSAGE_SAVING:
        m.kind = M_SAVE;
        m.tag = slot->context_tag;
        m.machine = slot->saved;
        break;
    default: return;
    }
    post(s, m);
}

/* ---- what Python asks */

static question_t *find_ask(slot_t *slot, uint64_t tag) {
    for (int i = 0; i < ASKS_MAX; i++) {
        if (slot->asks[i].ask.state != ASK_OVER && slot->asks[i].tag == tag) return &slot->asks[i];
    }
    return NULL;
}

static int asks_open(const slot_t *slot) {
    int n = 0;
    for (int i = 0; i < ASKS_MAX; i++)
        n += slot->asks[i].ask.state != ASK_OVER;
    return n;
}

static void send_ask(sim_t *s, slot_t *slot, question_t *q) {
    mail_t m = {.kind = q->ask.state == ASK_RECORDING ? M_RECORD : M_LOOKUP,
                .tag = q->tag,
                .row = slot->row,
                .question = q->question};
    q->sent = s->now;
    if (q->ask.state == ASK_LOOKING_UP || q->ask.state == ASK_RECORDING) post(s, m);
}

static void feed_ask(sim_t *s, slot_t *slot, question_t *q, const answer_t *answer) {
    if (!slot->here || !slot->python_tag || slot->passage.state != PASSAGE_IN_PYTHON)
        fail(s, "row %d is not in Python, which gets an answer", slot->row);
    if (q->fed || !answer || answer->row != slot->row || answer->question != q->question)
        fail(s, "row %d: Python gets a wrong answer, or a second one", slot->row);
    q->fed = true;
    s->fed++;
}

static void report_ask(sim_t *s, slot_t *slot, question_t *q, passage_event_t event, answer_t *answer) {
    answer_t refusal = {.row = slot->row, .question = q->question};
    for (passage_event_t next; event != PASSAGE_EVENTS && !s->failed; event = next) {
        uint32_t todo = ask_next(&q->ask, event, slot->facts);
        trace(s, "row %d, question %d: -> %s (%s)", slot->row, q->question, ask_state_name(q->ask.state),
              passage_event_name(event));
        next = PASSAGE_EVENTS;
        if (todo & PASSAGE_CANCEL_CALL && !cancel_call(s, q->tag))
            fail(s, "row %d: no call of Python to cancel", slot->row);
        if (todo & PASSAGE_DROP_ANSWER) q->kept = false;
        if (todo & PASSAGE_KEEP) q->answer = *answer, q->kept = true;
        if (todo & PASSAGE_COUNT && event == PASSAGE_CALL_RECORDED)
            s->plans[slot->row].acknowledged[q->question] = true;
        if (todo & PASSAGE_ASK) q->tag = new_tag(s, slot->row);
        if (todo & (PASSAGE_LOOK_UP | PASSAGE_RECORD)) send_ask(s, slot, q);
        if (todo & PASSAGE_CALL && !engine_takes(s, slot, q->tag, q->question))
            answer = &refusal, next = PASSAGE_CALL_REFUSED;
        if (todo & PASSAGE_FEED) feed_ask(s, slot, q, q->kept ? &q->answer : answer);
    }
}

static void cancel_asks(sim_t *s, slot_t *slot) {
    for (int i = 0; i < ASKS_MAX; i++) {
        if (slot->asks[i].ask.state != ASK_OVER) report_ask(s, slot, &slot->asks[i], PASSAGE_DROPPED, NULL);
    }
}

/* ---- the way of a row */

static void release(sim_t *s, slot_t *slot, passage_event_t event) {
    plan_t *plan = &s->plans[slot->row];
    if (slot->kept || asks_open(slot) > 0 || slot->python_tag)
        fail(s, "row %d is released with something open", slot->row);
    if (cancel_call(s, slot->call_tag)) fail(s, "row %d is released while it calls", slot->row);
    if (event == PASSAGE_DROPPED) plan->again = true;
    plan->private_there = false;
    *slot = (slot_t){0};
}

static void end_pass(sim_t *s, slot_t *slot) {
    plan_t *plan = &s->plans[slot->row];
    for (int i = 0; slot->machine.failed && i < QUESTIONS; i++) {
        if (slot->owed >> i & 1 && !plan->recorded[i])
            fail(s, "row %d has failed and is told before answer %d is written down", slot->row, i);
    }
    if (plan->ended) fail(s, "row %d is told twice", slot->row);
    plan->told++;
    plan->again = false;
    if (++plan->pass == plan->passes) plan->ended = true;
    if (plan->ended && plan->told != plan->passes) fail(s, "row %d is told %d times", slot->row, plan->told);
}

static void end_python(slot_t *slot) { slot->asks_left = 0, slot->python_tag = 0; }

/* Does what one action of the passage says, as a worker would, in the state of the simulation. */
static void act(sim_t *s, slot_t *slot, uint32_t action, move_t *move) {
    plan_t *plan = &s->plans[slot->row];
    switch (action) {
    case PASSAGE_CANCEL_CALL:
        if (!cancel_call(s, slot->call_tag)) fail(s, "row %d: no call to cancel", slot->row);
        slot->call_tag = 0;
        break;
    case PASSAGE_CANCEL_ASKS: cancel_asks(s, slot); break;
    case PASSAGE_CANCEL_PYTHON: end_python(slot); break;
    case PASSAGE_DROP_ANSWER: slot->kept = false; break;
    case PASSAGE_KEEP:
        if (slot->kept || !move->answer) fail(s, "row %d: there is no answer to keep", slot->row);
        slot->answer = *move->answer;
        slot->kept = true;
        move->answer = NULL;
        break;
    case PASSAGE_COUNT:
        if (move->event == PASSAGE_CALL_RECORDED) plan->acknowledged[slot->answer.question] = true;
        break;
    case PASSAGE_SET_ALARM: {
        uint64_t end = deadline(s, slot);
        slot->alarm = slot->machine.wake && slot->machine.wake < end ? slot->machine.wake : end;
        if (slot->passage.state == PASSAGE_ASLEEP && slot->alarm == UINT64_MAX)
            fail(s, "row %d sleeps for ever", slot->row);
        break;
    }
    case PASSAGE_ASK: slot->call_tag = new_tag(s, slot->row); break;
    case PASSAGE_CALL: call(s, slot, move); break;
    case PASSAGE_CALL_PYTHON:
        slot->python_tag = new_tag(s, slot->row);
        slot->asks_left = plan->asks[slot->machine.at];
        slot->asks_begun = 0;
        if (chance(s, s->refuses) && !is_calm(s)) {
            move->told = true;
            move->next = PASSAGE_PYTHON_REFUSED;
        }
        break;
    case PASSAGE_HAND_IN: slot->call_tag = new_tag(s, slot->row); /* fall through */
    case PASSAGE_LOOK_UP:
    case PASSAGE_RECORD:
    case PASSAGE_FETCH: send_question(s, slot); break;
    case PASSAGE_FORGET: slot->here = false; break;
    case PASSAGE_PIN: break;
    case PASSAGE_QUEUE:
        slot->queued = true;
        slot->context_tag = new_tag(s, slot->row);
        break;
    case PASSAGE_FAIL:
        slot->here = true;
        slot->machine = (machine_t){.failed = true};
        break;
    case PASSAGE_SAVE:
        slot->saved = slot->machine;
        slot->here = false;
        slot->facts |= PASSAGE_SHARED;
        slot->context_tag = new_tag(s, slot->row);
        slot->alarm = UINT64_MAX;
        send_question(s, slot);
        break;
    case PASSAGE_GIVE_BACK: plan->again = true; break;
    case PASSAGE_REPORT:
    case PASSAGE_REPORT_PARKED: end_pass(s, slot); break;
    case PASSAGE_TAKE_TURN: slot->turn = true; break;
    case PASSAGE_FEED: feed(s, slot, move); break;
    case PASSAGE_TELL:
        if (!slot->here || !move->told) fail(s, "row %d is told nothing of Python", slot->row);
        slot->machine.python_over = true;
        end_python(slot);
        move->told = false;
        break;
    case PASSAGE_RUN: move->next = machine_run(s, slot); break;
    case PASSAGE_RELEASE: release(s, slot, move->event); break;
    case PASSAGE_IGNORE: break;
    default: abort();
    }
}

/* Gives an event to the passage and does what it says, until no further event follows. */
static void report(sim_t *s, slot_t *slot, passage_event_t event, answer_t *answer) {
    move_t move = {.answer = answer,
                   .told = event == PASSAGE_PYTHON_REFUSED || event == PASSAGE_PYTHON_ENDED};
    for (; event != PASSAGE_EVENTS && !s->failed; event = move.next) {
        passage_state_t before = slot->passage.state;
        uint32_t todo = passage_next(&slot->passage, event,
                                     slot->facts | (slot->kept ? PASSAGE_HAS_ANSWER : 0) | PASSAGE_HAS_UNIT);
        trace(s, "row %d: %s -> %s (%s)", slot->row, passage_state_name(before),
              passage_state_name(slot->passage.state), passage_event_name(event));
        move.event = event;
        move.next = PASSAGE_EVENTS;
        for (; todo && !s->failed; todo &= todo - 1) {
            act(s, slot, todo & -todo, &move);
        }
    }
    if (move.told) fail(s, "an event of Python is lost");
}

/* ---- the store */

static void store_takes(sim_t *s, const mail_t *m) {
    plan_t *plan = &s->plans[m->row];
    mail_t back = *m;
    switch (m->kind) {
    case M_LOOKUP: back.kind = plan->recorded[m->question] ? M_FOUND : M_MISSING; break;
    case M_RECORD:
        for (int i = 0; i < QUESTIONS; i++)
            plan->recorded[i] |= m->owed ? m->owed >> i & 1 : i == m->question;
        back.kind = M_RECORDED;
        break;
    case M_PUT:
        if (m->worker != s->worker) return; /* its owner is gone */
        plan->private = m->machine;
        plan->private_there = true;
        plan->private_tag = m->put_tag;
        return;
    case M_SAVE:
        if (!plan->ended) plan->shared = m->machine, plan->shared_there = true;
        back.kind = M_SAVED;
        break;
    case M_GET:
        if (!m->shared && !is_calm(s) && chance(s, s->loses)) plan->private_there = false;
        back.kind = (m->shared ? plan->shared_there : plan->private_there) ? M_CAME : M_LOST;
        back.machine = m->shared ? plan->shared : plan->private;
        back.put_tag = plan->private_tag;
        break;
    default: return;
    }
    uint64_t living = s->worker;
    s->worker = m->worker; /* the answer goes to who asked */
    post(s, back);
    s->worker = living;
}

/* What the store has is the row as it was put away last. */
static bool is_context(const slot_t *slot, const mail_t *m) {
    return m->kind == M_CAME && (m->shared || m->put_tag == slot->put_tag);
}

static void worker_hears(sim_t *s, const mail_t *m) {
    slot_t *slot = &s->slots[m->row];
    answer_t answer = {.row = m->row, .question = m->question, .ok = true};
    passage_event_t event = m->kind == M_FOUND      ? PASSAGE_CALL_FOUND
                            : m->kind == M_MISSING  ? PASSAGE_CALL_MISSING
                            : m->kind == M_RECORDED ? PASSAGE_CALL_RECORDED
                            : is_context(slot, m)   ? PASSAGE_CONTEXT_CAME
                            : m->kind != M_SAVED    ? PASSAGE_CONTEXT_LOST
                                                    : PASSAGE_CONTEXT_SAVED;
    uint64_t tag = event <= PASSAGE_CALL_RECORDED ? slot->call_tag : slot->context_tag;
    if (m->worker != s->worker || !slot->used) return;
    question_t *q = find_ask(slot, m->tag);
    if (q) report_ask(s, slot, q, event, m->kind == M_FOUND ? &answer : NULL);
    if (q || tag != m->tag) return;
    if (passage_expects(slot->passage.state, event)) {
        s->found += m->kind == M_FOUND;
        s->lost += event == PASSAGE_CONTEXT_LOST;
        if (event == PASSAGE_CONTEXT_CAME) slot->machine = m->machine, slot->here = true;
    }
    report(s, slot, event, m->kind == M_FOUND ? &answer : NULL);
}

static void deliver(sim_t *s) {
    for (int i = 0; i < s->mail_count && !s->failed;) {
        if (s->mail[i].due > s->now) {
            i++;
            continue;
        }
        mail_t m = s->mail[i];
        s->mail[i] = s->mail[--s->mail_count];
        if (m.kind <= M_GET)
            store_takes(s, &m);
        else
            worker_hears(s, &m);
    }
}

/* ---- the worker's loop */

static void engine_answers(sim_t *s) {
    for (int i = 0; i < s->call_count && !s->failed;) {
        engine_call_t c = s->calls[i];
        if (c.due > s->now) {
            i++;
            continue;
        }
        s->calls[i] = s->calls[--s->call_count];
        slot_t *slot = &s->slots[c.row];
        answer_t answer = {.row = c.row, .question = c.question, .ok = c.ok};
        passage_event_t event = c.ok ? PASSAGE_CALL_ANSWERED : PASSAGE_CALL_FAILED;
        if (c.worker != s->worker || !slot->used) continue;
        question_t *q = find_ask(slot, c.tag);
        if (q)
            report_ask(s, slot, q, event, &answer);
        else if (slot->call_tag == c.tag)
            report(s, slot, event, &answer);
    }
}

static void python_asks(sim_t *s, slot_t *slot) {
    for (int i = 0; i < ASKS_MAX; i++) {
        question_t *q = &slot->asks[i];
        if (q->ask.state != ASK_OVER) continue;
        *q = (question_t){.ask.row = (uint64_t)slot->row, .question = question_of(slot, slot->asks_begun++)};
        slot->asks_left--;
        report_ask(s, slot, q, PASSAGE_STARTED, NULL);
        return;
    }
}

static void python_gives_up(sim_t *s, slot_t *slot) {
    question_t *q = &slot->asks[between(s, 0, ASKS_MAX - 1)];
    if (q->ask.state != ASK_OVER) report_ask(s, slot, q, PASSAGE_DROPPED, NULL);
}

/* Its process is killed, and it asks everything once more: what the journal has is found there. */
static void python_again(sim_t *s, slot_t *slot) {
    cancel_asks(s, slot);
    if (s->journal) slot->facts |= PASSAGE_ASKS;
    slot->asks_left = s->plans[slot->row].asks[slot->machine.at];
    slot->asks_begun = 0;
    s->again++;
}

/* User code asks its questions, one after the other or at once; it ends when it has its answers, or before,
 * or dies. */
static void python_goes_on(sim_t *s, slot_t *slot) {
    if (!slot->python_tag || !chance(s, 0.3)) return;
    int open = asks_open(slot);
    if (slot->asks_left > 0 && (open == 0 || chance(s, 0.5)))
        python_asks(s, slot);
    else if ((slot->asks_left == 0 && open == 0) || chance(s, 0.03))
        report(s, slot, PASSAGE_PYTHON_ENDED, NULL);
    else if (chance(s, 0.05))
        python_gives_up(s, slot);
    else if (!is_calm(s) && chance(s, 0.03))
        python_again(s, slot);
}

static void say_again(sim_t *s, slot_t *slot) {
    for (int i = 0; i < ASKS_MAX; i++) {
        if (s->now - slot->asks[i].sent >= PATIENCE) send_ask(s, slot, &slot->asks[i]);
    }
    if (s->now - slot->sent >= PATIENCE) send_question(s, slot);
}

static void start(sim_t *s, int row) {
    plan_t *plan = &s->plans[row];
    slot_t *slot = &s->slots[row];
    bool stored = plan->pass > 0;
    *slot = (slot_t){
        .used = true, .row = row, .passage.row = (uint64_t)row, .started = s->now, .alarm = UINT64_MAX};
    if (s->journal) slot->facts |= PASSAGE_HAS_JOURNAL;
    if ((s->journal || s->late) && plan->again) slot->facts |= PASSAGE_ASKS;
    if (plan->pass + 1 < plan->passes) slot->facts |= PASSAGE_SAVES;
    if (stored) slot->facts |= PASSAGE_SHARED;
    slot->here = !stored;
    report(s, slot, stored ? PASSAGE_STARTED_STORED : PASSAGE_STARTED, NULL);
}

static void slot_goes_on(sim_t *s, slot_t *slot) {
    if (slot->used && slot->turn) {
        slot->turn = false;
        report(s, slot, PASSAGE_TURN, NULL);
    }
    if (slot->used && slot->alarm <= s->now) {
        slot->alarm = UINT64_MAX;
        report(s, slot, PASSAGE_WAKE, NULL);
    }
    if (slot->used && slot->queued && chance(s, 0.5)) {
        slot->queued = false;
        report(s, slot, PASSAGE_ROOM, NULL);
    }
    if (slot->used) python_goes_on(s, slot);
    if (slot->used) say_again(s, slot);
    if (slot->used && !is_calm(s) && chance(s, 0.0005)) report(s, slot, PASSAGE_DROPPED, NULL);
}

/* The worker is gone with all it had; another worker takes its rows over. */
static void crash(sim_t *s) {
    trace(s, "the worker crashes");
    s->crashes++;
    s->worker++;
    for (int row = 0; row < ROWS; row++) {
        s->plans[row].private_there = false;
        if (s->slots[row].used) s->plans[row].again = true;
        s->slots[row] = (slot_t){0};
    }
}

static bool tick(sim_t *s) {
    bool open = false;
    s->now++;
    deliver(s);
    engine_answers(s);
    for (int row = 0; row < ROWS && !s->failed; row++) {
        slot_goes_on(s, &s->slots[row]);
        if (!s->slots[row].used && !s->plans[row].ended && chance(s, 0.2)) start(s, row);
        open |= !s->plans[row].ended;
    }
    if (!is_calm(s) && chance(s, 0.002)) crash(s);
    return open && !s->failed;
}

/* ---- running */

static void make_plan(sim_t *s, plan_t *plan) {
    plan->count = between(s, 1, STEPS_MAX);
    plan->passes = s->batch ? 2 : 1;
    for (int i = 0; i < plan->count; i++) {
        plan->steps[i] = (step_kind_t)(chance(s, 0.5) ? STEP_AI : between(s, STEP_AI, STEP_YIELD));
        plan->asks[i] = between(s, 0, ASKS_MAX);
    }
    if (s->batch && chance(s, 0.7)) plan->steps[between(s, 0, plan->count - 1)] = STEP_STOP;
    plan->wall = chance(s, 0.3) ? (uint64_t)between(s, 10, 400) : 0;
}

static void setup(sim_t *s) {
    rng_seed(&s->rng, s->seed, 1);
    s->worker = 1;
    s->journal = chance(s, 0.7);
    s->contexts = chance(s, 0.6);
    s->batch = chance(s, 0.3);
    s->late = !s->journal && !s->batch && chance(s, 0.8);
    s->drop = chance(s, 0.7) ? rng_real(&s->rng) * 0.3 : 0;
    s->repeat = chance(s, 0.7) ? rng_real(&s->rng) * 0.3 : 0;
    s->loses = chance(s, 0.3) ? 0.1 : 0;
    s->refuses = chance(s, 0.3) ? 0.1 : 0;
    s->fails = chance(s, 0.5) ? 0.3 : 0;
    for (int row = 0; row < ROWS; row++) {
        make_plan(s, &s->plans[row]);
    }
}

static void judge_end(sim_t *s) {
    for (int row = 0; row < ROWS; row++) {
        if (!s->plans[row].ended)
            fail(s, "row %d has not ended, it is %s", row, passage_state_name(s->slots[row].passage.state));
    }
}

typedef struct totals {
    uint64_t passed, failed, fed, put_away, found, lost, crashes, again;
} totals_t;

static void run_seed(uint64_t seed, bool verbose, totals_t *t) {
    sim_t *s = calloc(1, sizeof *s);
    sim_set_seed(seed);
    s->seed = seed;
    s->verbose = verbose;
    setup(s);
    while (s->now < TICKS_MAX && tick(s)) {
    }
    judge_end(s);
    *(s->failed ? &t->failed : &t->passed) += 1;
    t->fed += s->fed;
    t->put_away += s->put_away;
    t->found += s->found;
    t->lost += s->lost;
    t->crashes += s->crashes;
    t->again += s->again;
    free(s);
}

int main(int argc, char **argv) {
    sim_seeds_t seeds = SIM_SEEDS;
    for (int at = 1; at < argc;) {
        if (!sim_seeds_read(&seeds, argc, argv, &at))
            return fprintf(stderr, "usage: sim_passage [--seeds N] [--seed S] [-v]\n"), 2;
    }
    sim_begin(NULL);
    totals_t t = {0};
    for (uint64_t seed = seeds.first; seed < seeds.first + seeds.count; seed++) {
        run_seed(seed, seeds.verbose, &t);
    }
    printf("%" PRIu64 " answers fed, %" PRIu64 " found in the journal, %" PRIu64 " rows put away, %" PRIu64
           " lost in the store, %" PRIu64 " crashes, %" PRIu64 " Python calls begun again\n",
           t.fed, t.found, t.put_away, t.lost, t.crashes, t.again);
    printf("%" PRIu64 " passed, %" PRIu64 " failed\n", t.passed, t.failed);
    return t.failed > 0;
}
