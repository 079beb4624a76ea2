/* validate.h - the verb validate: all problems of a pipeline file, without running it. */
#ifndef SDG_ACTORS_VERBS_VALIDATE_H
#define SDG_ACTORS_VERBS_VALIDATE_H

int validate_main(void *options);

#endif
