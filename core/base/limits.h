/* limits.h - what bounds core/base: each limit with its reason, and what "full" does. */
#ifndef SDG_BASE_LIMITS_H
#define SDG_BASE_LIMITS_H

#include <stddef.h>
#include <stdint.h>

/* bytes of one string: far above any prompt, far below the 4 GiB that str_t.len can count; more is
 * asserted */
#define VALUE_STRING_MAX ((size_t)256 << 20)

/* seconds until a folder that has not got its name counts as left over: far longer than between its making
 * and its lock */
#define LEFTOVERS_AGE_S 60

/* entries of a temporary directory that are looked at when a run starts: some tens of milliseconds; those
 * behind are left for another run */
#define LEFTOVERS_ENTRIES_MAX 100000

/* digits of one integer: Python's own limit (sys.get_int_max_str_digits), so that each of them can be read by
 * a Python block; a longer one is read as a real, which is infinite */
#define INTEGER_DIGITS_MAX 4300

/* elements of one decoded list or object: eight times what an input line can hold; more is refused */
#define VALUE_COUNT_MAX ((size_t)1 << 28)

/* depth of nesting: json.org's own checker stops at 20, Python at 1000; deeper is refused */
#define JSON_DEPTH_MAX 128

/* levels of an output line: a value of JSON_DEPTH_MAX levels lies inside the objects of a result line */
#define JSON_CHECK_DEPTH_MAX (2 * JSON_DEPTH_MAX)

/* bytes of a block that small.c keeps for the next user: frames, and objects of a row's columns */
#define SMALL_BLOCK_MAX 1024

/* bytes that small.c keeps per thread and size (64 sizes, 256 KiB in all); more is given back */
#define SMALL_KEPT_BYTES_MAX ((size_t)4 << 10)

/* body of an LLM server's response; a longer one is an error of that call */
#define LLM_ANSWER_BYTES_MAX ((size_t)16 << 20)

/* one input line or CSV record; longer fails that row */
#define DATA_LINE_BYTES_MAX ((size_t)64 << 20)

/* one frame of a message: a row of DATA_LINE_BYTES_MAX with room */
#define MESSAGE_BYTES_MAX ((size_t)128 << 20)

/* bytes of finished rows in one message: about a millisecond of copying; a larger row goes alone */
#define RESULT_BATCH_BYTES_MAX ((size_t)8 << 20)

/* a gathering buffer larger than this is given back after its batch */
#define RESULT_BYTES_KEPT ((size_t)1 << 20)

/* processes whose memory is added up: 64 workers with a few Python hosts each; further ones are not counted
 */
#define MEMORY_PROCESSES_MAX 512

/* bytes of a host name, NUL included: DNS has at most 253 */
#define HOST_BYTES_MAX 256

/* seconds that the actors of a process may take to end once a signal has asked for the end: what they write
 * then is small, and a supervisor loses its patience after a minute and a half */
#define SIGNALS_END_S 30

/* ns; a SIGHUP so soon after another is the same: a terminal that goes sends it, and the shell on it, too */
#define SIGNALS_HANGUP_NS (UINT64_C(1000000000))

/* files and folders that are removed when a process ends at once: the sockets of a run, or what a test-run
 * shows; others stay where they are */
#define ENDING_PATHS_MAX 8

/* bytes that must be there for an abort not to be a shortage: jemalloc asks for 2 MiB at a time and more, a
 * thread for its stack */
#define ENDING_PROBE_BYTES ((size_t)16 << 20)

/* stack of the handler of faults: it calls nothing of weight */
#define ENDING_STACK_BYTES 65536

/* bytes of the path of one of them, NUL included: they are below /tmp */
#define ENDING_PATH_BYTES 128

/* bytes of the last error of an endpoint that are shown on a screen, with its end */
#define LLM_TROUBLE_TEXT_MAX 256

/* bytes of an endpoint's address that are shown on a screen, with its end; a longer one is cut */
#define ENDPOINT_SHOWN_MAX 128

#endif
