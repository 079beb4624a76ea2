/* fleet.h - the verbs serve, worker and status: the same actors as `sdg run`, each in a process of its
 * own. */
#ifndef SDG_ACTORS_VERBS_FLEET_H
#define SDG_ACTORS_VERBS_FLEET_H

int serve_main(int argc, char **argv);
int worker_main(int argc, char **argv);
int status_main(int argc, char **argv);

#endif
