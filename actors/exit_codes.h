/* exit_codes.h - what `sdg` ends with. */
#ifndef SDG_ACTORS_EXIT_CODES_H
#define SDG_ACTORS_EXIT_CODES_H

/* Exit codes of `sdg run` and `sdg submit`: documented in --help and docs/usage.md. */
enum {
    EXIT_ALL_FINE = 0,
    EXIT_ROWS_FAILED = 1, /* the run is complete, some rows have `_error` */
    EXIT_USAGE = 2,
    EXIT_PIPELINE = 3, /* the pipeline is not valid, or no worker can run it */
    EXIT_DATA = 4,     /* input or output cannot be used: not found, locked, another run's, disk full */
    EXIT_STOPPED = 5,  /* stopped before the end; a rerun continues */
    EXIT_RUNTIME = 6,  /* the runtime itself failed: no scheduler, no worker */
};

#endif
