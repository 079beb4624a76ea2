/* memory.c - see memory.h. A file of /proc is read with one open, read and close: about 10 us per process. */
#include "core/base/memory.h"

#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/error.h"

/* Reads a small file of /proc; the length, 0 when there is nothing. */
static size_t read_small(const char *path, char *text, size_t size) {
    text[0] = '\0';
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t n = read(fd, text, size - 1);
    close(fd);
    if (n <= 0) return 0;
    text[n] = '\0';
    return (size_t)n;
}

/* The number behind `key`, in bytes. */
static uint64_t kib_in(const char *path, const char *key) {
    char text[4096];
    if (!read_small(path, text, sizeof text)) return 0;
    const char *at = strstr(text, key);
    return at ? strtoull(at + strlen(key), NULL, 10) * 1024 : 0;
}

static uint64_t status_kib(const char *key) { return kib_in("/proc/self/status", key); }

uint64_t memory_rss_bytes(void) { return status_kib("VmRSS:"); }
uint64_t memory_peak_rss_bytes(void) { return status_kib("VmHWM:"); }

/* ---- giving back */

/* jemalloc's, when the program is linked with it. */
extern int mallctl(const char *name, void *old, size_t *old_len, void *new, size_t new_len)
    __attribute__((weak));
enum {
    ALL_ARENAS = 4096,      /* jemalloc's MALLCTL_ARENAS_ALL, whose header is not needed to build */
    EAGER_BYTES = 128 << 10 /* glibc's first thresholds, which it raises by itself unless they are set */
};

void memory_release(void) {
    char name[32];
    snprintf(name, sizeof name, "arena.%d.purge", ALL_ARENAS);
    if (mallctl)
        mallctl(name, NULL, NULL, NULL, 0);
    else
        malloc_trim(0);
}

/* jemalloc: no decay time, for the arenas there are and those to come. glibc: fixed thresholds. */
void memory_release_eagerly(void) {
    char name[48];
    unsigned arenas = 0;
    size_t len = sizeof arenas;
    ssize_t now = 0;
    if (!mallctl) {
        mallopt(M_TRIM_THRESHOLD, EAGER_BYTES);
        mallopt(M_MMAP_THRESHOLD, EAGER_BYTES);
        return;
    }
    mallctl("arenas.dirty_decay_ms", NULL, NULL, &now, sizeof now); /* of arenas to come */
    mallctl("arenas.muzzy_decay_ms", NULL, NULL, &now, sizeof now);
    if (mallctl("arenas.narenas", &arenas, &len, NULL, 0) != 0) return;
    for (unsigned i = 0; i < arenas; i++) {
        snprintf(name, sizeof name, "arena.%u.dirty_decay_ms", i);
        mallctl(name, NULL, NULL, &now, sizeof now);
    }
}

/* ---- a tree of processes */

/* "sdg worker --name worker-0 ..." -> "sdg worker-0"; others by the name of their program. */
static void name_process(memory_process_t *p, const char *folder) {
    char path[64], args[1024];
    snprintf(path, sizeof path, "%s/cmdline", folder);
    size_t len = read_small(path, args, sizeof args);
    const char *slash = strrchr(args, '/'), *shown = slash ? slash + 1 : args, *option = NULL;
    for (size_t at = 0; at < len; at += strlen(args + at) + 1) {
        if (option) {
            snprintf(p->name, sizeof p->name, "sdg %.27s", args + at);
            return;
        }
        if (strcmp(args + at, "--name") == 0) option = args + at;
    }
    snprintf(p->name, sizeof p->name, "%.31s", shown[0] ? shown : "?");
}

/* The PSS that the process had in the sample before; 0 if it was not there. */
static uint64_t pss_before(const memory_process_t *before, size_t count, pid_t pid) {
    for (size_t i = 0; i < count; i++) {
        if (before[i].pid == pid) return before[i].pss_bytes;
    }
    return 0;
}

typedef struct sampling {
    memory_tree_t *tree;
    const memory_process_t *before; /* NULL: PSS is asked for */
    size_t before_count;
} sampling_t;

/* Adds one process to the tree, unless it has ended or the tree is full. */
static void add_process(sampling_t *s, pid_t pid) {
    char folder[32], path[64];
    memory_tree_t *tree = s->tree;
    if (tree->count == MEMORY_PROCESSES_MAX) return;
    memory_process_t *p = &tree->process[tree->count];
    *p = (memory_process_t){.pid = pid};
    snprintf(folder, sizeof folder, "/proc/%d", (int)pid);
    snprintf(path, sizeof path, "%s/status", folder);
    p->rss_bytes = kib_in(path, "VmRSS:");
    if (p->rss_bytes == 0) return; /* gone, or a zombie */
    snprintf(path, sizeof path, "%s/smaps_rollup", folder);
    p->pss_bytes = s->before ? pss_before(s->before, s->before_count, pid) : kib_in(path, "Pss:");
    if (p->pss_bytes == 0) p->pss_bytes = p->rss_bytes;
    name_process(p, folder);
    tree->rss_bytes += p->rss_bytes;
    tree->pss_bytes += p->pss_bytes;
    tree->count++;
}

/* Children belong to the thread that made them, so each thread of the process is asked. */
static void add_children(sampling_t *s, pid_t pid) {
    char path[64], list[8192], *at = list, *end;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    if (!tasks) return;
    for (const struct dirent *task; (task = readdir(tasks));) {
        long thread = strtol(task->d_name, NULL, 10);
        if (thread <= 0) continue;
        snprintf(path, sizeof path, "/proc/%d/task/%ld/children", (int)pid, thread);
        read_small(path, list, sizeof list);
        for (at = list; (thread = strtol(at, &end, 10)) > 0; at = end) {
            add_process(s, (pid_t)thread);
        }
    }
    closedir(tasks);
}

/* The tree is its own queue: each process in it adds its children behind the others. */
void memory_tree_sample(memory_tree_t *tree, bool with_pss) {
    sampling_t s = {.tree = tree, .before_count = tree->count};
    memory_process_t *before = NULL;
    if (!with_pss) {
        before = xmalloc((tree->count + 1) * sizeof *before);
        memcpy(before, tree->process, tree->count * sizeof *before);
    }
    s.before = before;
    tree->count = 0;
    tree->rss_bytes = tree->pss_bytes = 0;
    add_process(&s, getpid());
    for (size_t i = 0; i < tree->count; i++) {
        add_children(&s, tree->process[i].pid);
    }
    free(before);
}
