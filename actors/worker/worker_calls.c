/* worker_calls.c - see worker_calls.h. */
#include "actors/worker/worker_calls.h"

#include <assert.h>
#include <stdlib.h>

int worker_call_submit(worker_t *w, slot_t *slot, slot_call_t *call, const llm_request_t *request,
                       uint64_t now, err_t *err) {
    llm_request_t handed = *request;
    handed.route = slot->job->routes[request->route];
    handed.permit = &slot->job->units;
    handed.has_unit = slot->has_unit;
    int rc = llm_engine_submit(w->llm, &handed, call->tag, err);
    if (rc != SDG_OK) return rc;
    slot->has_unit = false;
    call->since_ns = now;
    return SDG_OK;
}

void worker_call_cancel(worker_t *w, slot_call_t *call) {
    llm_engine_cancel(w->llm, call->tag);
    call->tag = 0;
}

void slot_call_keep(slot_call_t *call, llm_answer_t *take) {
    assert(!call->answer);
    call->answer = xmalloc(sizeof *call->answer);
    *call->answer = *take;
    take->text = take->reasoning = value_null();
}

void slot_call_drop(slot_call_t *call) {
    if (call->answer) llm_answer_clear(call->answer);
    free(call->answer);
    call->answer = NULL;
}

/* ---- time */

static uint64_t in_flight_ns(const slot_call_t *call, uint64_t waited_ns, uint64_t now) {
    uint64_t age = now > call->since_ns ? now - call->since_ns : 0;
    return age > waited_ns ? age - waited_ns : 0;
}

uint64_t worker_call_flight_ns(const worker_t *w, const slot_call_t *call, uint64_t now) {
    if (!w->llm || !call->tag) return 0;
    return in_flight_ns(call, llm_engine_waited_ns(w->llm, call->tag, now), now);
}

uint64_t worker_call_flown_ns(const slot_call_t *call, const llm_answer_t *answer, uint64_t now) {
    return in_flight_ns(call, answer->waited_ns, now);
}

void worker_wait_over(worker_t *w, slot_t *slot, uint64_t work_ns, uint64_t now) {
    uint64_t later = wait_clock_stop(&slot->wait, now, work_ns);
    if (later > 0 && slot->agenda.alarm)
        agenda_set_alarm(w->agenda, &slot->agenda, slot->agenda.alarm_ns + later);
}
