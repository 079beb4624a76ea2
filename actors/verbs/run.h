/* run.h - the verbs run, submit and test-run: check everything first, then start the actors and wait. */
#ifndef SDG_ACTORS_VERBS_RUN_H
#define SDG_ACTORS_VERBS_RUN_H

int run_main(void *options); /* run_options_t, here and below; these return the exit code */
int submit_main(void *options);
int test_run_main(void *options);

#endif
