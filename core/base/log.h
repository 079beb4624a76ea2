/* log.h - lines for people on stderr:
 *
 *     12:34:56.789 warn  scheduler: job 42: lease 7 expired (worker silent 5 s)
 *
 * A line names actor, id, what and why; never a key, never a prompt. Any thread may log. A line is one
 * write(2), so that lines of several processes do not mix. A progress line on a terminal is cleared and
 * redrawn around log lines (log_set_status_line).
 */
#ifndef SDG_BASE_LOG_H
#define SDG_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

typedef enum log_level { LEVEL_DEBUG, LEVEL_INFO, LEVEL_WARN, LEVEL_ERROR } log_level_t;

void log_set_level(log_level_t least); /* default LEVEL_INFO */
bool log_enabled(log_level_t level);
void log_write(log_level_t level, const char *who, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
#define log_debug(who, ...)                                                     \
    do {                                                                        \
        if (log_enabled(LEVEL_DEBUG)) log_write(LEVEL_DEBUG, who, __VA_ARGS__); \
    } while (0)
#define log_info(who, ...) log_write(LEVEL_INFO, who, __VA_ARGS__)
#define log_warn(who, ...) log_write(LEVEL_WARN, who, __VA_ARGS__)
#define log_error(who, ...) log_write(LEVEL_ERROR, who, __VA_ARGS__)

/* Draws a text without newline at the bottom of the terminal, again after each log line; NULL or "" removes
 * it. */
void log_set_status_line(const char *text);

/* True at most once per `every_ns` and `last`, which is 0 at first and may be shared by any number of
 * threads:
 *
 *     static uint64_t last;
 *     if (log_due(&last, now_ns, 10 * SECOND)) log_warn(...);
 */
bool log_due(uint64_t *last_ns, uint64_t now_ns, uint64_t every_ns);

#endif
