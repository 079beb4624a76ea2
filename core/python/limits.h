/* limits.h - what bounds core/python: each limit with its reason, and what "full" does. */
#ifndef SDG_PYTHON_LIMITS_H
#define SDG_PYTHON_LIMITS_H

#include <stddef.h>
#include <stdint.h>

/* processes per pool when nobody says: two keep a row of Python going while the other starts */
#define PY_HOSTS_DEFAULT 2

/* processes per pool: as many as cores of a large machine; more is refused when the pool is made */
#define PY_HOSTS_MAX 256

/* further processes while others only wait for ctx.call_ai; then calls wait */
#define PY_AI_HOSTS_MAX 32

/* questions that one call may have open at a time: far above what an agent asks. host.py (ASKS_OPEN_MAX)
 * raises an error beyond it; a process that asks more all the same is ended */
#define PY_ASKS_OPEN_MAX 4096

/* bytes of the questions that one call has open: 4,096 of 64 KiB; a call that asks more is ended */
#define PY_ASKS_BYTES_MAX ((size_t)256 << 20)

/* processes that a call may lose to somebody who kills them (mostly the kernel, out of memory); then the call
 * fails, because it is the likely cause */
#define PY_DEATHS_MAX 3

/* environments per pool: each in use keeps one process; more are refused */
#define PY_ENVS_MAX 64

/* functions per pool: far above any pipeline; more are refused */
#define PY_FUNCTIONS_MAX 4096

/* calls in a pool, waiting or running: above any worker's row window; more are refused */
#define PY_TASKS_MAX 65536

/* bytes of one call or result as JSON: as much as an input line; a larger one fails that call */
#define PY_FRAME_BYTES_MAX ((size_t)64 << 20)

/* bytes of an empty buffer that is kept: most frames fit; a larger one is given back */
#define PY_BUFFER_KEPT ((size_t)1 << 20)

/* unsent bytes of a host above which it gets no further call: it does not keep up */
#define PY_OUT_BYTES ((size_t)1 << 20)

/* calls sent to one host at a time: hides the wake-up of both sides */
#define PY_WINDOW_TASKS 64

/* expected time of the calls sent to one host: what a call may wait behind others */
#define PY_WINDOW_US 2000

/* bytes of a printed line that is passed on in one piece; a longer one is cut into several */
#define PY_LOG_LINE_MAX 4096

/* lines printed while no call runs (by threads of user code), which nobody asked for; further ones are
 * dropped */
#define PY_STRAY_LINES_MAX 100

/* log events not yet taken, so that a chatty call does not fill the memory; further ones are dropped and
 * counted */
#define PY_LOG_EVENTS_MAX 1024

/* time until a host says hello (a cold disk, a slow shim); then it is killed */
#define PY_START_MS_MAX 60000

/* time to create a virtual environment with requirements (large wheels, slow index); then the installer is
 * killed */
#define PY_INSTALL_MS_MAX 1800000

/* bytes of requirements, their files and setup commands that are compared with what was installed; a change
 * behind them is not seen */
#define PY_REQUIREMENTS_BYTES_MAX ((size_t)1 << 20)

/* starts failed in a row, after which waiting calls of that environment fail: one may be bad luck */
#define PY_START_FAILURES_MAX 3

/* first time to wait when the system is short of descriptors, memory or processes, doubled each time: others
 * give back what they do not need */
#define PY_SHORT_MS UINT64_C(250)

/* time that an idle host above hosts_max is kept, because it may be needed again at once; then it is ended */
#define PY_IDLE_MS 10000

/* time in which a cancelled call may still finish, which saves a start; then its host is killed */
#define PY_CANCEL_MS 1000

/* time in which a process whose socket has ended has to end, too, which it nearly always does at once; then
 * it is killed */
#define PY_CLOSED_MS 1000

/* time between warnings that log lines are dropped: often enough to be seen, too rare to fill the log */
#define PY_DROP_WARNING_NS UINT64_C(10000000000)

/* the longest sleep that pypool_timeout_ms grants: it keeps the number far from overflow */
#define PY_SLEEP_MS_MAX 60000

/* private memory of one process of a host when runtime.python.limits does not say: far above what rows take,
 * and a fraction of a machine */
#define PY_MEMORY_BYTES ((uint64_t)2 << 30)

/* processes and threads of a host: a numerical library takes a thread for each of many processors */
#define PY_PROCESSES 256

/* size of a file that a host writes: a disk is not filled by one call */
#define PY_FILE_BYTES ((uint64_t)1 << 30)

/* descriptors of each process of a host: the usual soft limit of a login */
#define PY_OPEN_FILES 1024

/* modules of the working folder that a confined host may import: more than a folder of code has; more are not
 * found */
#define PY_MODULES_MAX 1000

/* /dev/shm of a host that may not use other files: semaphores and arrays that its processes share */
#define PY_SHM_OPTIONS "mode=1777,size=64m"

/* bytes of an order to the spawner: arguments, environment (the kernel takes 2 MiB at most) and folders */
#define PY_ORDER_BYTES_MAX ((size_t)8 << 20)

/* hosts of one spawner: above the places of a pool (PY_HOSTS_MAX and what may wait for answers, twice) */
#define PY_KEEPERS_MAX 1024

/* time in which a killed host has to be gone with all that it started; then its keeper is killed, too */
#define PY_KILL_MS 5000

/* time in which a trial of the sandbox has to start: a start takes some milliseconds */
#define PY_PROBE_MS UINT64_C(5000)

/* time that a host may be stopped (SIGSTOP): somebody may be looking at it; then it is killed, because its
 * row would wait for ever */
#define PY_STOPPED_MS UINT64_C(10000)

/* time that a spawner waits for the last hosts when its pool has ended */
#define PY_SPAWNER_END_MS 10000

/* entries of a scratch folder that are removed: a call that leaves more has left them on purpose, and they
 * stay */
#define PY_SCRATCH_ENTRIES_MAX 10000000

/* comparisons of one version requirement, e.g. ">=3.10,<3.13"; more is refused */
#define PY_CONSTRAINTS_MAX 4

#endif
