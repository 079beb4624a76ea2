/* pyjail.c - see pyjail.h.
 *
 * A host has no capabilities, in whatever namespace. So what needs them (maps, mounts, the number of
 * processes) is done by its keeper, the first process of its namespaces, and cannot be undone by the host.
 */
#include "core/python/pyjail.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/python/limits.h"

static uint64_t said_or(uint64_t said, uint64_t unit, uint64_t otherwise) {
    return said == UINT64_MAX ? otherwise : said * unit;
}

py_limits_t py_limits_of(uint64_t memory_mb, uint64_t processes, uint64_t file_size_mb, uint64_t open_files) {
    return (py_limits_t){.memory_bytes = said_or(memory_mb, 1 << 20, PY_MEMORY_BYTES),
                         .processes = said_or(processes, 1, PY_PROCESSES),
                         .file_bytes = said_or(file_size_mb, 1 << 20, PY_FILE_BYTES),
                         .open_files = said_or(open_files, 1, PY_OPEN_FILES)};
}

bool py_jail_closes_network(const py_jail_t *jail) { return jail->net_ns || jail->filter; }

static const char *files_words(const py_jail_t *jail, py_files_t files) {
    if (files == PY_FILES_ALL) return "all files of its user";
    if (!jail->files) return "ALL FILES of its user, because this kernel has no Landlock";
    return files == PY_FILES_OWN ? "its own files only" : "reads all files of its user, writes its own";
}

/* "2048 MiB", or "any number of" for none. */
static void add_bound(buf_t *out, const char *before, uint64_t value, const char *unit) {
    if (value > 0)
        buf_addf(out, "%s%llu %s", before, (unsigned long long)value, unit);
    else
        buf_addf(out, "%sany number of %s", before, unit);
}

void py_jail_words(const py_jail_t *jail, bool network, py_files_t files, const py_limits_t *limits,
                   char *out, size_t size) {
    buf_t b;
    buf_init(&b, 1024);
    if (!jail->wanted) {
        buf_adds(&b, "none, as it was asked for");
    } else {
        if (jail->user_ns || jail->pid_ns || jail->net_ns)
            buf_addf(&b, "namespaces (%s%s%s), ", jail->user_ns ? "user " : "",
                     jail->pid_ns ? "processes " : "", jail->net_ns ? "network" : "no network");
        buf_addf(&b, "%s, ", jail->filter ? "system calls filtered" : "SYSTEM CALLS NOT FILTERED");
        if (jail->landlock)
            buf_addf(&b, "Landlock %d, ", jail->landlock);
        else
            buf_adds(&b, "no Landlock, ");
        buf_addf(&b, "no capabilities; network %s; %s; ",
                 network                        ? "allowed"
                 : py_jail_closes_network(jail) ? "closed"
                                                : "OPEN",
                 files_words(jail, files));
    }
    if (jail->wanted) {
        add_bound(&b, "each process ", limits->memory_bytes >> 20, "MiB");
        add_bound(&b, ", ", limits->processes, "processes");
        if (limits->processes && !jail->counted)
            buf_adds(&b, getuid() == 0 ? " (NOT ENFORCED for root here)" : " more than its user has now");
        add_bound(&b, ", files of ", limits->file_bytes >> 20, "MiB");
    }
    snprintf(out, size, "%s", b.data);
    buf_free(&b);
}

/* The best set first. Root needs no user namespace, and where it may not make namespaces (in most containers)
 * it may not make that one either, but for containers that map their root. */
int py_jail_namespaces(unsigned i, bool root, bool network) {
    const int net = network ? 0 : CLONE_NEWNET, tree = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC;
    const int sets[] = {root ? tree | net : CLONE_NEWUSER | tree | net,
                        root ? CLONE_NEWUSER | tree | net : CLONE_NEWUSER | net};
    return i < sizeof sets / sizeof sets[0] ? sets[i] : 0;
}

/* ---- in the keeper ---- */

static bool write_text(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return false;
    bool done = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    close(fd);
    return done;
}

/* Without a map the host sees itself as "nobody", which is harmless: access to files goes by the real user.
 * The maps belong to root unless the process is dumpable. */
void py_jail_map_user(uid_t uid, gid_t gid) {
    char text[48];
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    write_text("/proc/self/setgroups", "deny");
    snprintf(text, sizeof text, "%u %u 1", (unsigned)uid, (unsigned)uid);
    write_text("/proc/self/uid_map", text);
    snprintf(text, sizeof text, "%u %u 1", (unsigned)gid, (unsigned)gid);
    write_text("/proc/self/gid_map", text);
}

/* Bounds the numbers that processes of this namespace may have (Linux 6.14), which holds for root, too.
 * Numbers up to RESERVED are given only once, so they are passed over. */
static bool bound_numbers(uint64_t processes_max) {
    enum { RESERVED = 300 };
    char text[32];
    struct utsname u;
    int major = 0, minor = 0;
    snprintf(text, sizeof text, "%d", RESERVED);
    if (!write_text("/proc/sys/kernel/ns_last_pid", text) || processes_max == 0) return false;
    if (uname(&u) != 0 || sscanf(u.release, "%d.%d", &major, &minor) != 2) return false;
    if (major < 6 || (major == 6 && minor < 14))
        return false; /* there, the number is that of the whole system */
    snprintf(text, sizeof text, "%llu", (unsigned long long)processes_max + RESERVED + 1);
    return write_text("/proc/sys/kernel/pid_max", text);
}

/* A uid alone opens files of /proc/sys and /sys that change the whole system, where the user is root. */
static void make_read_only(const char *path) {
    struct {
        uint64_t set, clear, propagation, userns_fd;
    } attributes = {.set = 0x1 /* MOUNT_ATTR_RDONLY */};
    syscall(SYS_mount_setattr, -1, path, 0x8000 /* AT_RECURSIVE */, &attributes, sizeof attributes);
}

/* Changes of mounts stay inside. */
static bool mount_own_proc(void) {
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) return false;
    bool own = mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0;
    static const char *const places[] = {"/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (mount(places[i], places[i], NULL, MS_BIND, NULL) == 0) make_read_only(places[i]);
    }
    make_read_only("/sys");
    return own;
}

void py_jail_enter(py_jail_t *jail, int namespaces, uint64_t processes_max, bool own_shm) {
    jail->user_ns = namespaces & CLONE_NEWUSER;
    jail->net_ns = namespaces & CLONE_NEWNET;
    jail->pid_ns = namespaces & CLONE_NEWPID;
    if (jail->pid_ns) jail->counted = bound_numbers(processes_max);
    if (namespaces & CLONE_NEWNS) jail->own_proc = mount_own_proc();
    if (own_shm && (namespaces & CLONE_NEWNS))
        jail->own_shm =
            mount("shm", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, PY_SHM_OPTIONS) == 0;
}

/* ---- in the host ---- */

void py_jail_drop_capabilities(void) {
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    for (unsigned cap = 0; cap < 64; cap++) {
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0) break; /* past the last one this kernel knows */
    }
    syscall(SYS_capset, &head, none);
}

/* Never above what is allowed already. */
static void limit(int resource, uint64_t value) {
    struct rlimit now;
    if (value == 0 || getrlimit((__rlimit_resource_t)resource, &now) != 0) return;
    if (value > now.rlim_max) value = now.rlim_max;
    setrlimit((__rlimit_resource_t)resource, &(struct rlimit){value, value});
}

/* Threads of all processes of this user, as far as /proc shows them. */
static uint64_t threads_of_user(void) {
    uint64_t count = 0;
    DIR *all = opendir("/proc");
    for (const struct dirent *e; all && (e = readdir(all));) {
        char path[64], line[256];
        unsigned uid = 0;
        unsigned long threads = 0;
        bool mine = false;
        snprintf(path, sizeof path, "/proc/%.20s/status", e->d_name);
        FILE *f = e->d_name[0] >= '1' && e->d_name[0] <= '9' ? fopen(path, "re") : NULL;
        while (f && fgets(line, sizeof line, f)) {
            if (sscanf(line, "Uid: %u", &uid) == 1) mine = uid == getuid();
            if (mine && sscanf(line, "Threads: %lu", &threads) == 1) count += threads;
        }
        if (f) fclose(f);
    }
    if (all) closedir(all);
    return count;
}

/* Since Linux 5.14 the processes of a user are counted in each user namespace by itself. */
static bool counts_in_namespaces(void) {
    struct utsname u;
    int major = 0, minor = 0;
    return uname(&u) == 0 && sscanf(u.release, "%d.%d", &major, &minor) == 2 &&
           (major > 5 || (major == 5 && minor >= 14));
}

/* Elsewhere RLIMIT_NPROC counts all processes of the user, so those that there are now are allowed beside
 * those of the host. It does not hold for root. */
static void limit_processes(uint64_t processes, py_jail_t *jail) {
    enum { KEEPER = 1 };
    if (processes == 0) return;
    if (jail->user_ns && counts_in_namespaces()) {
        limit(RLIMIT_NPROC, processes + KEEPER);
        if (getuid() != 0) jail->counted = true;
    } else if (getuid() != 0) {
        limit(RLIMIT_NPROC, threads_of_user() + processes);
    }
}

void py_jail_limit(const py_limits_t *limits, py_jail_t *jail) {
    const struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    limit(RLIMIT_DATA, limits->memory_bytes);
    limit(RLIMIT_FSIZE, limits->file_bytes);
    limit(RLIMIT_NOFILE, limits->open_files);
    limit_processes(limits->processes, jail);
}
