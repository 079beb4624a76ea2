/* signals.c - see signals.h. The handler does only what a handler may: it counts, sets an alarm, or ends the
 * process. */
#include "core/base/signals.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/ending.h"
#include "core/base/limits.h"

typedef enum signal_stage { STAGE_BEGINNING, STAGE_WORKING, STAGE_ENDING } signal_stage_t;

/* Signals come to the process, so this is the process's. Handlers read and write it. */
static volatile sig_atomic_t stage = STAGE_BEGINNING, taken, last, stopped_code, first_code, watch_hangup;
static const char *volatile first_words = "";
static volatile uint64_t hung_up_ns; /* the last SIGHUP; 0: none */

static const struct {
    int number;
    const char *name;
} names[] = {{SIGINT, "SIGINT"}, {SIGTERM, "SIGTERM"}, {SIGHUP, "SIGHUP"}};

static const char *name_of(int number) {
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (names[i].number == number) return names[i].name;
    }
    return "a signal";
}

static sigset_t watched_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGCHLD);
    if (watch_hangup) sigaddset(&set, SIGHUP);
    return set;
}

/* Does it ask for the end once more? A terminal that goes may say so twice, by the kernel and by the shell.
 */
static bool counts(int number) {
    if (number != SIGHUP) return true;
    uint64_t now = clock_now_ns(), before = hung_up_ns;
    hung_up_ns = now;
    return before == 0 || now - before > SIGNALS_HANGUP_NS;
}

/* strcat for a handler. */
static void add(char *text, size_t size, const char *more) {
    size_t at = strlen(text);
    for (; *more && at + 1 < size; at++) {
        text[at] = *more++;
    }
    text[at] = '\0';
}

static void on_signal(int number) {
    char words[160] = "stopped by ";
    if (!counts(number)) return;
    last = number;
    taken++;
    if (stage == STAGE_BEGINNING) {
        add(words, sizeof words, name_of(number));
        add(words, sizeof words, first_words);
        ending_now(first_code, words);
    }
    if (taken > 1) ending_now(stopped_code, "stopped at once, while it was ending");
    alarm(SIGNALS_END_S);
}

static void on_alarm(int number) {
    (void)number;
    ending_now(stopped_code, "the end has taken too long: stopped at once");
}

static void handle(int number, void (*handler)(int)) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        sigaddset(&action.sa_mask, names[i].number);
    }
    sigaction(number, &action, NULL);
}

void signals_init(int code) {
    struct sigaction hangup;
    stopped_code = first_code = code;
    watch_hangup = sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    handle(SIGALRM, on_alarm);
    handle(SIGINT, on_signal);
    handle(SIGTERM, on_signal);
    if (watch_hangup) handle(SIGHUP, on_signal);
    sigset_t set = watched_signals();
    sigaddset(&set, SIGALRM);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL); /* a parent may have started us with some of them blocked */
}

void signals_at_first(int code, const char *words) {
    first_code = code;
    first_words = words;
}

int signals_open(void) {
    sigset_t set = watched_signals(), before;
    pthread_sigmask(SIG_BLOCK, &set, &before);
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd >= 0)
        stage = STAGE_WORKING;
    else
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    return fd;
}

unsigned signals_take(int fd, bool *child) {
    struct signalfd_siginfo info;
    unsigned count = 0;
    while (read(fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD) {
            if (child) *child = true;
            continue;
        }
        if (!counts((int)info.ssi_signo)) continue;
        last = (int)info.ssi_signo;
        taken++;
        count++;
    }
    return count;
}

unsigned signals_taken(void) { return (unsigned)taken; }

const char *signals_last(void) { return name_of(last); }

/* What nobody has read yet comes to the handler as soon as it may. */
void signals_close(int *fd) {
    sigset_t set = watched_signals();
    if (*fd < 0) return;
    stage = STAGE_ENDING;
    if (taken > 0) alarm(SIGNALS_END_S);
    close(*fd);
    *fd = -1;
    sigdelset(&set, SIGCHLD);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
