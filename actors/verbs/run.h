/* run.h - the verbs run, submit and test-run: check everything first, then start the actors and wait. */
#ifndef SDG_ACTORS_VERBS_RUN_H
#define SDG_ACTORS_VERBS_RUN_H

int run_main(int argc, char **argv); /* argv[0] is the verb */
int submit_main(int argc, char **argv);
int test_run_main(int argc, char **argv);

#endif
