/* slow_words.c - LD_PRELOAD for tests/actors/test_signals.py: holds a thread as a busy machine may hold it.
 *
 * SLOW_WORD=STOP SLOW_MS=1500: whoever sends a message that begins with this word waits before it is sent.
 * SLOW_CLOSE_MS=1500: whoever closes a socket waits before, so that actors end late. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void wait_for(const char *variable) {
    const char *ms = getenv(variable);
    if (ms) usleep((useconds_t)atoi(ms) * 1000);
}

int zmq_send(void *socket, const void *bytes, size_t len, int flags) {
    static int (*real)(void *, const void *, size_t, int);
    const char *word = getenv("SLOW_WORD");
    if (!real) real = (int (*)(void *, const void *, size_t, int))dlsym(RTLD_NEXT, "zmq_send");
    if (word && len >= strlen(word) && memcmp(bytes, word, strlen(word)) == 0) wait_for("SLOW_MS");
    return real(socket, bytes, len, flags);
}

int zmq_close(void *socket) {
    static int (*real)(void *);
    if (!real) real = (int (*)(void *))dlsym(RTLD_NEXT, "zmq_close");
    wait_for("SLOW_CLOSE_MS");
    return real(socket);
}
