/* signals.h - what SIGINT, SIGTERM and SIGHUP do to this process, at each moment of its life.
 *
 *   beginning  signals_init   a handler ends the process at once, in words: nothing has begun that would have
 *                             to be finished
 *   working    signals_open   blocked in all threads; main reads them from a descriptor and decides
 *   ending     signals_close  a handler again: nothing of the work is left, so the first signal lets the end
 *                             go on, for SIGNALS_END_S at most, and the second ends the process at once
 *
 * So there is no moment at which a signal is not answered, whatever main waits for. A process that is started
 * with SIGHUP ignored (nohup) keeps ignoring it. SIGPIPE and SIGXFSZ never end the process: the write says
 * what is wrong. SIGTSTP, SIGCONT and SIGQUIT are the kernel's.
 */
#ifndef SDG_BASE_SIGNALS_H
#define SDG_BASE_SIGNALS_H

#include <stdbool.h>

/* First of all, before main: the exit code after a signal, in the beginning and at the second. */
void signals_init(int stopped_code);

/* What a signal in the beginning says ("stopped by SIGTERM" and this), and its exit code: for a server a
 * signal is the usual end. `words` lives as long as the process. */
void signals_at_first(int code, const char *words);

/* Blocks the signals, and SIGCHLD, in this thread and those it starts. Returns the descriptor to poll for
 * reading, or -1 and errno: then nothing has changed. */
int signals_open(void);

/* Reads what came: how many asked for the end; *child (may be NULL) is set when a child may have died. */
unsigned signals_take(int fd, bool *child);
/* How many asked for the end since signals_open, and the name of the last, "SIGTERM". */
unsigned signals_taken(void);
const char *signals_last(void);

/* From here on the process ends. *fd is closed and set to -1. */
void signals_close(int *fd);

#endif
