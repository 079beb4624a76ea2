/* init.h - `sdg init`: writes a first pipeline with its data, to be tried and changed. */
#ifndef SDG_ACTORS_VERBS_INIT_H
#define SDG_ACTORS_VERBS_INIT_H

/* Writes the files of a template into a folder, which is made when it is not there, and says what to do next.
 * No file that is there is touched: then nothing is written and the exit code is EXIT_DATA. options:
 * init_options_t. */
int init_main(void *options);

#endif
