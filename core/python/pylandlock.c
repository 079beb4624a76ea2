/* pylandlock.c - see pylandlock.h.
 *
 * Rules only allow. What a version of Landlock does not know it cannot forbid: a right of a later version is
 * left out where the kernel is older. The constants stand here because headers are often older than kernels.
 */
#include "core/python/pylandlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    CREATE_RULESET = 444, /* system calls, the same on all processors */
    ADD_RULE = 445,
    RESTRICT_SELF = 446,
    FLAG_VERSION = 1,
    RULE_PATH = 1,
};

enum {
    EXECUTE = 1 << 0,
    WRITE_FILE = 1 << 1,
    READ_FILE = 1 << 2,
    READ_DIR = 1 << 3,
    MAKE_CHAR = 1 << 6,
    MAKE_BLOCK = 1 << 11,
    REFER = 1 << 13,     /* version 2: moving between folders */
    TRUNCATE = 1 << 14,  /* version 3 */
    IOCTL_DEV = 1 << 15, /* version 5 */
    OF_VERSION_1 = (1 << 13) - 1,
    READS = EXECUTE | READ_FILE | READ_DIR,
    OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV, /* what a rule for a file may name */
    SCOPE_ABSTRACT_UNIX = 1 << 0,                                       /* version 6 */
    SCOPE_SIGNAL = 1 << 1,
};

typedef struct ruleset {
    uint64_t files, network, scopes;
} ruleset_t;

typedef struct rule {
    uint64_t allowed;
    int32_t folder_fd;
} __attribute__((packed)) rule_t;

/* What an interpreter reads wherever it is installed. */
static const char *const SYSTEM_READS[] = {"/usr",
                                           "/lib",
                                           "/lib32",
                                           "/lib64",
                                           "/bin",
                                           "/sbin",
                                           "/etc/ld.so.cache",
                                           "/etc/ld.so.preload",
                                           "/etc/localtime",
                                           "/etc/timezone",
                                           "/etc/mime.types",
                                           "/etc/ssl/certs",
                                           "/etc/ssl/openssl.cnf",
                                           "/etc/pki/tls/certs",
                                           "/etc/ca-certificates",
                                           "/etc/resolv.conf",
                                           "/etc/hosts",
                                           "/etc/host.conf",
                                           "/etc/nsswitch.conf",
                                           "/etc/gai.conf",
                                           "/etc/services",
                                           "/etc/protocols",
                                           "/etc/python3",
                                           "/etc/python3.11",
                                           "/dev/null",
                                           "/dev/zero",
                                           "/dev/full",
                                           "/dev/random",
                                           "/dev/urandom",
                                           "/sys/devices/system",
                                           "/sys/fs/cgroup",
                                           "/proc/cpuinfo",
                                           "/proc/meminfo",
                                           "/proc/stat",
                                           "/proc/loadavg",
                                           "/proc/version",
                                           "/proc/filesystems",
                                           "/proc/sys/kernel",
                                           "/proc/sys/vm",
                                           "/proc/self",
                                           NULL};

static const char *const SYSTEM_WRITES[] = {"/dev/null", "/dev/zero", "/dev/full", "/proc/self", NULL};

int py_landlock_version(void) {
    long version = syscall(CREATE_RULESET, NULL, 0, FLAG_VERSION);
    return version > 0 ? (int)version : 0;
}

static uint64_t rights_of_version(int version) {
    return OF_VERSION_1 | (version >= 2 ? REFER : 0) | (version >= 3 ? TRUNCATE : 0) |
           (version >= 5 ? IOCTL_DEV : 0);
}

static void allow(int ruleset, const char *path, uint64_t rights) {
    struct stat st;
    rule_t rule = {.folder_fd = open(path, O_PATH | O_CLOEXEC)};
    if (rule.folder_fd < 0) return;
    if (fstat(rule.folder_fd, &st) == 0) {
        rule.allowed = S_ISDIR(st.st_mode) ? rights : rights & OF_FILES;
        syscall(ADD_RULE, ruleset, RULE_PATH, &rule, 0);
    }
    close(rule.folder_fd);
}

static void allow_all(int ruleset, const char *const *paths, uint64_t rights) {
    for (; *paths; paths++)
        allow(ruleset, *paths, rights);
}

static void allow_files(int ruleset, const py_landlock_t *want, uint64_t handled) {
    if (want->files == PY_FILES_READ) {
        allow(ruleset, "/", READS);
    } else {
        allow_all(ruleset, SYSTEM_READS, READS);
        allow_all(ruleset, want->read, READS);
        if (want->whole_proc) allow(ruleset, "/proc", READS);
        if (want->list) allow(ruleset, want->list, READ_DIR);
    }
    allow_all(ruleset, SYSTEM_WRITES, (READS | WRITE_FILE | TRUNCATE) & handled);
    if (want->shm) allow(ruleset, "/dev/shm", handled & ~(uint64_t)(MAKE_CHAR | MAKE_BLOCK));
    if (want->scratch) allow(ruleset, want->scratch, handled & ~(uint64_t)(MAKE_CHAR | MAKE_BLOCK));
}

/* Before version 6 a domain without rules for files is refused, so it then forbids what no host does: making
 * devices. */
int py_landlock_close(const py_landlock_t *want) {
    int version = py_landlock_version();
    ruleset_t rules = {.files =
                           want->files == PY_FILES_ALL ? MAKE_CHAR | MAKE_BLOCK : rights_of_version(version),
                       .scopes = version >= 6 ? SCOPE_SIGNAL | SCOPE_ABSTRACT_UNIX : 0};
    size_t size = version >= 6 ? sizeof rules : version >= 4 ? sizeof rules - 8 : 8;
    if (version == 0) return 0;
    int ruleset = (int)syscall(CREATE_RULESET, &rules, size, 0);
    if (ruleset < 0) return 0;
    if (want->files != PY_FILES_ALL) allow_files(ruleset, want, rules.files);
    bool closed = syscall(RESTRICT_SELF, ruleset, 0) == 0;
    close(ruleset);
    return closed ? version : 0;
}
