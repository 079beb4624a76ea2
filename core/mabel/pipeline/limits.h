/* limits.h - what bounds core/mabel/pipeline: each limit with its reason, and what "full" does. */
#ifndef SDG_MABEL_PIPELINE_LIMITS_H
#define SDG_MABEL_PIPELINE_LIMITS_H

#include <stdint.h>

/* timeout_sec in a file: 46 days, fits 32 bits in milliseconds */
#define LLM_TIMEOUT_S_MAX 4000000

/* timeout of one request when the file says none: an hour, because a long answer of a slow model is no error
 */
#define LLM_TIMEOUT_DEFAULT_MS (3600 * 1000)

/* max_attempts in a file: more is a typing error */
#define RETRY_ATTEMPTS_MAX 1000000

/* backoff factor in a file: more is a typing error */
#define RETRY_FACTOR_MAX 1000

/* attempts of a block with `on_error: retry` when the file says none: an error that is still there after the
 * third is there to stay */
#define BLOCK_ATTEMPTS_DEFAULT 3

/* wait before the second attempt of a block when the file says none, in milliseconds */
#define BLOCK_RETRY_MS_DEFAULT 1000

/* iterations of one loop when the file says none: a loop that never ends fails within a second */
#define LOOP_ITERS_DEFAULT 10000

/* calls inside calls when the file says none: recursion that never ends fails at once */
#define RECURSION_DEPTH_DEFAULT 256

/* what {{ }} of Jinja holds is looked for within so many bytes: a longer one is prose, and looking costs time
 */
#define JINJA_BYTES_MAX 256

/* a limit of runtime.python.limits that the file does not give: the pool's own holds */
#define PYTHON_LIMIT_UNSAID UINT64_MAX

/* memory_mb in a file: less than this and CPython does not start */
#define PYTHON_MEMORY_MB_MIN 64

/* memory_mb and file_size_mb in a file: a pebibyte; bytes fit into 64 bits */
#define PYTHON_MB_MAX (UINT64_C(1) << 30)

/* processes in a file: Linux numbers no more */
#define PYTHON_PROCESSES_MAX 4194304

/* open_files in a file: less than this and CPython does not start */
#define PYTHON_OPEN_FILES_MIN 16

/* open_files in a file: what Linux gives a process at most unless it is told otherwise */
#define PYTHON_OPEN_FILES_MAX 1048576

#endif
