/* journal_verb.h - `sdg journal stats FILE` and `sdg journal export FILE`: what a call journal holds. Reads
 * only; a run may be using it. */
#ifndef SDG_ACTORS_VERBS_JOURNAL_VERB_H
#define SDG_ACTORS_VERBS_JOURNAL_VERB_H

int journal_main(void *options);

#endif
