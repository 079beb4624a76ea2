/* fleet.h - the verbs serve, worker and status: the same actors as `sdg run`, each in a process of its
 * own. */
#ifndef SDG_ACTORS_VERBS_FLEET_H
#define SDG_ACTORS_VERBS_FLEET_H

int serve_main(void *options);  /* serve_options_t; these return the exit code */
int worker_main(void *options); /* worker_options_t */
int status_main(void *options); /* status_options_t */

#endif
