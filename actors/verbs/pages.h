/* pages.h - the verbs that print a page made from the table of flags: help, completion and config. */
#ifndef SDG_ACTORS_VERBS_PAGES_H
#define SDG_ACTORS_VERBS_PAGES_H

int help_main(void *options);       /* help_options_t; these return the exit code */
int completion_main(void *options); /* common_options_t: the shell is its word */
int config_main(void *options);     /* config_options_t */

#endif
