/* exit_codes.h - what `sdg` ends with. */
#ifndef SDG_ACTORS_EXIT_CODES_H
#define SDG_ACTORS_EXIT_CODES_H

/* One table for all verbs, documented in --help and docs/usage.md. A verb without an output ends with 0 or
 * one of 2 to 6. The code tells of the output, not of this start: a run that continues one with failed rows
 * ends with 1. */
enum {
    EXIT_ALL_FINE = 0,    /* complete, no failed row in the output */
    EXIT_ROWS_FAILED = 1, /* complete, the output holds rows with `_error` */
    EXIT_USAGE = 2,       /* wrong flags or service file */
    EXIT_PIPELINE = 3,    /* the pipeline is not valid, or workers may not run it */
    EXIT_DATA = 4,        /* input, output (disk full, too), or an unknown job or worker */
    EXIT_STOPPED = 5, /* stopped by somebody or a limit (signal, time, failures, give-up); the same command
                       * continues */
    EXIT_RUNTIME = 6, /* something outside must be repaired (endpoint final, quota, no scheduler, not
                       * admitted); the same command continues */
};

#endif
