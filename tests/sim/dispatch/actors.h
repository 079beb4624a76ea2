/* actors.h - who stands around the dispatcher in sim_dispatch: the scheduler's shell (scheduler.c), workers
 * (workers.c) and clients (clients.c), each with the rules of proto/messages.def. */
#ifndef SDG_TESTS_SIM_DISPATCH_ACTORS_H
#define SDG_TESTS_SIM_DISPATCH_ACTORS_H

#include "tests/sim/dispatch/world.h"

/* scheduler.c */
void scheduler_act(sim_t *s); /* performs what the dispatcher wants now, and lets the judge look */
void scheduler_from_client(sim_t *s, const mail_t *m);
void scheduler_from_worker(sim_t *s, const mail_t *m);
void scheduler_client_gone(sim_t *s, uint64_t peer);
void scheduler_connection_gone(sim_t *s, uint64_t peer); /* it finds that nothing arrives there any more */
void scheduler_judge(sim_t *s);                          /* asks the books of endpoints whether jobs go on */

/* workers.c */
worker_t *worker_start(sim_t *s);           /* NULL: there were too many */
void worker_connect(sim_t *s, worker_t *w); /* on a new connection */
void worker_cut(sim_t *s, worker_t *w);     /* its connection breaks, which it does not notice itself */
void worker_crash(sim_t *s, worker_t *w);
void worker_bye(sim_t *s, worker_t *w);
void worker_message(sim_t *s, worker_t *w, const mail_t *m);
void worker_wake(sim_t *s, size_t who);
void worker_clear(worker_t *w); /* it is no more */

/* clients.c */
void client_begin(sim_t *s, client_t *c);
void client_connect(sim_t *s, client_t *c);
void client_die(sim_t *s, client_t *c);
void client_message(sim_t *s, client_t *c, const mail_t *m);
void client_wake(sim_t *s, size_t who);
void client_clear(client_t *c); /* the simulation is over */

#endif
