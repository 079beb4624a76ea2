/* limits.h - the limits of proto/parts, each with its reason. */
#ifndef SDG_PROTO_PARTS_LIMITS_H
#define SDG_PROTO_PARTS_LIMITS_H

/* kinds of failures that are counted apart: the causes of one run are few, and STATS carries the table */
#define REASONS_MAX 24

/* notes of a run that are counted apart: a few for each output of a pipeline's blocks; further ones are
 * counted as "other" */
#define NOTES_MAX 64

/* bytes of the one message of a kind of failure that is shown at the end: as many as a row keeps of its
 * reason */
#define SAMPLE_BYTES_MAX 4096

/* endpoints in one report: as many as a job may name (JOB_ENDPOINTS_MAX); further ones are not said */
#define ENDPOINT_REPORTS_MAX 256

#endif
