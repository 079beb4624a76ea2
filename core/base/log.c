/* log.c - one line, one write(2).
 *
 * The level is atomic and read without a lock. Only the status line needs the mutex: clearing it, writing the
 * log line and drawing it again are a single write, so the output of other processes on the terminal comes
 * between such writes but never inside one. Control characters in a line (a server's error text
 * may hold any) become spaces.
 */
#include "core/base/log.h"

#include "core/base/buf.h"
#include "core/base/secrets.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    LINE_MAX_BYTES = 2048, /* a longer line is cut */
    STATUS_MAX_BYTES = 512,
};

static const char CLEAR_LINE[] = "\r\033[K";

/* A process has one stderr; this is the state that belongs to it. */
static _Atomic int least_level = LEVEL_INFO;
static pthread_mutex_t terminal = PTHREAD_MUTEX_INITIALIZER;
static char status[STATUS_MAX_BYTES]; /* under `terminal`; "" when there is none */

void log_set_level(log_level_t least) {
    atomic_store_explicit(&least_level, (int)least, memory_order_relaxed);
}

bool log_enabled(log_level_t level) {
    return (int)level >= atomic_load_explicit(&least_level, memory_order_relaxed);
}

/* Blocks until all is written or stderr is gone; a log that cannot be written is no reason to stop. */
static void write_all(const char *bytes, size_t len) {
    while (len > 0) {
        ssize_t n = write(STDERR_FILENO, bytes, len);
        if (n <= 0) return;
        bytes += n;
        len -= (size_t)n;
    }
}

static void add_time(buf_t *line) {
    struct timespec now;
    struct tm local;
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &local);
    buf_addf(line, "%02d:%02d:%02d.%03ld ", local.tm_hour, local.tm_min, local.tm_sec, now.tv_nsec / 1000000);
}

static void blank_controls(char *bytes, size_t len) {
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)bytes[i] < 0x20 || bytes[i] == 0x7F) bytes[i] = ' ';
}

static void write_line(const char *line, size_t len) {
    buf_t out;
    buf_init(&out, LINE_MAX_BYTES + STATUS_MAX_BYTES + 64);
    pthread_mutex_lock(&terminal);
    if (status[0]) buf_adds(&out, CLEAR_LINE);
    buf_add(&out, line, len);
    buf_addc(&out, '\n');
    buf_adds(&out, status);
    write_all(out.data, out.len);
    pthread_mutex_unlock(&terminal);
    buf_free(&out);
}

/* Formats the line aside, so that the terminal's mutex is held only while it is written. A line that is too
 * long is cut. */
void log_write(log_level_t level, const char *who, const char *fmt, ...) {
    static const char *const names[] = {"debug", "info ", "warn ", "error"};
    if (!log_enabled(level)) return;
    char text[LINE_MAX_BYTES - 128];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    secrets_hide(text, strlen(text));
    buf_t line;
    buf_init(&line, LINE_MAX_BYTES);
    add_time(&line);
    buf_addf(&line, "%s %.64s: ", names[level], who);
    buf_adds(&line, text);
    blank_controls(line.data, line.len);
    write_line(line.data, line.len);
    buf_free(&line);
}

void log_set_status_line(const char *text) {
    char out[sizeof CLEAR_LINE + STATUS_MAX_BYTES];
    pthread_mutex_lock(&terminal);
    bool shown = status[0] != '\0';
    snprintf(status, sizeof status, "%s", text ? text : "");
    blank_controls(status, strlen(status));
    int n = snprintf(out, sizeof out, "%s%s", CLEAR_LINE, status);
    if (shown || status[0]) write_all(out, (size_t)n);
    pthread_mutex_unlock(&terminal);
}

/* Of several threads that come at once one wins. A thread that read the clock before the last winner is not
 * due. */
bool log_due(uint64_t *last_ns, uint64_t now_ns, uint64_t every_ns) {
    uint64_t last = __atomic_load_n(last_ns, __ATOMIC_RELAXED);
    if (last && (now_ns < last || now_ns - last < every_ns)) return false;
    uint64_t next = now_ns ? now_ns : 1; /* 0 means never */
    return __atomic_compare_exchange_n(last_ns, &last, next, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}
