/* ending.h - how a process ends at once, in words: for a second signal, and when the machine has no more
 * memory, threads, processes or descriptors to give.
 *
 * What is on disk is safe whenever a process ends (as after kill -9), so nothing is closed and nobody is
 * asked. Any thread may call these functions, and handlers of signals may, too: they take no lock and no
 * memory. */
#ifndef SDG_BASE_ENDING_H
#define SDG_BASE_ENDING_H

/* Called first, by main: the exit code for a shortage. Without it (in a library, in a test) a shortage ends
 * in abort().
 *
 * Libraries below us answer a shortage with abort() (libzmq, czmq, the C++ library) or by reading what they
 * did not get (curl, the kernel for a stack that cannot grow). So with this an abort or a fault of the
 * process asks first: can memory, a descriptor and a process be had? If not, that is the end's reason, in
 * words, with this code. Otherwise it is a bug, and ends as such. */
void ending_init(int shortage_code);

/* Whose words they are: the name of the verb, which lives as long as the process. */
void ending_name(const char *verb);

/* A file or an empty folder that goes when the process ends at once: sockets, what is only shown. The path is
 * copied; at most ENDING_PATHS_MAX, further ones stay where they are. They are removed in the order in which
 * they were named. */
void ending_remove(const char *path);
void ending_keep(const char *path); /* no longer: it is gone, or no longer ours */

/* "sdg run: <words>" on stderr, then the process is gone. */
_Noreturn void ending_now(int code, const char *words);

/* Something cannot be had, as `what` says ("no memory for 4096 bytes"): says so,
 * and that the same command continues. */
_Noreturn void ending_short(const char *what) __attribute__((cold));
/* The same with the reason of an errno, "no thread (Resource temporarily unavailable)". For threads only: it
 * takes memory. */
_Noreturn void ending_short_of(const char *what, int error) __attribute__((cold));

#endif
