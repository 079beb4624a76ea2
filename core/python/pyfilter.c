/* pyfilter.c - see pyfilter.h.
 *
 * A program of the kernel's packet filter looks at the number of a system call and at its arguments, never at
 * what they point to. So sockets are judged where they are made: one of AF_UNIX can be given another peer
 * only if it keeps no connection, which is why socketpair gives streams and no datagrams.
 *
 * The kernel notes which calls are always allowed, so these cost nothing. To refuse a call: one row in
 * REFUSED.
 */
#include "core/python/pyfilter.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#endif

#ifdef NATIVE_ARCH

enum {
    PROGRAM_MAX = 512, /* instructions; the tables below take about 250 */
    X32_BIT = 0x40000000,
    NEW_TIME = 0x80, /* CLONE_NEWTIME; in clone(2) these bits are the signal */
    NAMESPACES = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |
                 CLONE_NEWNET,
    TYPE_OTHERS = SOCK_CLOEXEC | SOCK_NONBLOCK, /* what a socket's type may hold beside it */
    FCNTL_SETOWN = 8,
    FCNTL_SETOWN_EX = 15,
    TERMINAL_INPUT = 0x5412, /* TIOCSTI, TIOCLINUX: they type into a terminal */
    TERMINAL_LINUX = 0x541C,
};

/* Refused whatever the arguments are. */
static const struct refused {
    int number, error;
} REFUSED[] = {
    /* other processes */
    {SYS_ptrace, EPERM},
    {SYS_process_vm_readv, EPERM},
    {SYS_process_vm_writev, EPERM},
    {SYS_kcmp, EPERM},
    {438 /* pidfd_getfd */, EPERM},
    {440 /* process_madvise */, EPERM},
    {448 /* process_mrelease */, EPERM},
    {SYS_migrate_pages, EPERM},
    {SYS_move_pages, EPERM},
    {SYS_perf_event_open, EPERM},
    /* namespaces, mounts, files by handle */
    {435 /* clone3: its flags are in memory; libraries fall back to clone */, ENOSYS},
    {SYS_setns, EPERM},
    {SYS_mount, EPERM},
    {SYS_umount2, EPERM},
    {SYS_pivot_root, EPERM},
    {SYS_chroot, EPERM},
    {SYS_open_by_handle_at, EPERM},
    {428 /* open_tree */, EPERM},
    {429 /* move_mount */, EPERM},
    {430 /* fsopen */, EPERM},
    {431 /* fsconfig */, EPERM},
    {432 /* fsmount */, EPERM},
    {433 /* fspick */, EPERM},
    {442 /* mount_setattr */, EPERM},
    {SYS_fanotify_init, EPERM},
    {SYS_quotactl, EPERM},
    {SYS_acct, EPERM},
    {SYS_swapon, EPERM},
    {SYS_swapoff, EPERM},
    /* the kernel itself */
    {SYS_bpf, EPERM},
    {SYS_userfaultfd, EPERM},
    {SYS_keyctl, EPERM},
    {SYS_add_key, EPERM},
    {SYS_request_key, EPERM},
    {425 /* io_uring_setup: it opens sockets past this filter */, ENOSYS},
    {426 /* io_uring_enter */, ENOSYS},
    {427 /* io_uring_register */, ENOSYS},
    {SYS_syslog, EPERM},
    {SYS_kexec_load, EPERM},
    {SYS_init_module, EPERM},
    {SYS_finit_module, EPERM},
    {SYS_delete_module, EPERM},
    {SYS_reboot, EPERM},
    {SYS_settimeofday, EPERM},
    {SYS_clock_settime, EPERM},
    {SYS_sethostname, EPERM},
    {SYS_setdomainname, EPERM},
    {SYS_vhangup, EPERM},
    {SYS_lookup_dcookie, EPERM},
#ifdef __x86_64__
    {SYS_iopl, EPERM},
    {SYS_ioperm, EPERM},
    {SYS_kexec_file_load, EPERM},
    {SYS_modify_ldt, EPERM},
#endif
};

typedef struct program {
    struct sock_filter code[PROGRAM_MAX];
    unsigned short len;
} program_t;

static void add(program_t *p, uint16_t code, uint32_t k, uint8_t yes, uint8_t no) {
    if (p->len < PROGRAM_MAX) p->code[p->len++] = (struct sock_filter){code, yes, no, k};
}

static void load(program_t *p, size_t offset) { add(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0); }

/* The low half of an argument, which is what the kernel takes of an int. Both processors are little-endian.
 */
static void load_argument(program_t *p, int n) {
    load(p, offsetof(struct seccomp_data, args) + 8 * (size_t)n);
}

static void answer(program_t *p, uint32_t result) { add(p, BPF_RET | BPF_K, result, 0, 0); }
static void refuse(program_t *p, int error) { answer(p, SECCOMP_RET_ERRNO | (uint32_t)error); }

/* Refuses when the loaded word is k, goes on otherwise. */
static void refuse_if(program_t *p, uint32_t k, int error) {
    add(p, BPF_JMP | BPF_JEQ | BPF_K, k, 0, 1);
    refuse(p, error);
}

/* Begins what is done for one call; everything up to end_call is skipped for others. */
static unsigned short begin_call(program_t *p, int number) {
    add(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 0);
    return (unsigned short)(p->len - 1);
}

/* The call is allowed if nothing refused it. */
static void end_call(program_t *p, unsigned short begin) {
    answer(p, SECCOMP_RET_ALLOW);
    p->code[begin].jf = (uint8_t)(p->len - begin - 1);
}

static void refuse_foreign_tables(program_t *p) {
    load(p, offsetof(struct seccomp_data, arch));
    add(p, BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCH, 1, 0);
    answer(p, SECCOMP_RET_KILL_PROCESS);
    load(p, offsetof(struct seccomp_data, nr));
#ifdef __x86_64__
    add(p, BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1);
    refuse(p, ENOSYS);
#endif
}

static void refuse_calls(program_t *p) {
    for (size_t i = 0; i < sizeof REFUSED / sizeof REFUSED[0]; i++)
        refuse_if(p, (uint32_t)REFUSED[i].number, REFUSED[i].error);
}

/* Refuses the call when its argument has one of these bits. */
static void refuse_bits(program_t *p, int call, uint32_t bits) {
    unsigned short begin = begin_call(p, call);
    load_argument(p, 0);
    add(p, BPF_JMP | BPF_JSET | BPF_K, bits, 0, 1);
    refuse(p, EPERM);
    end_call(p, begin);
}

static void refuse_two_values(program_t *p, int call, uint32_t a, uint32_t b, int error) {
    unsigned short begin = begin_call(p, call);
    load_argument(p, 1);
    refuse_if(p, a, error);
    refuse_if(p, b, error);
    end_call(p, begin);
}

/* ---- sockets ---- */

static void allow_if(program_t *p, uint32_t k) {
    add(p, BPF_JMP | BPF_JEQ | BPF_K, k, 0, 1);
    answer(p, SECCOMP_RET_ALLOW);
}

/* Of pairs, connected ones of AF_UNIX alone. */
static void judge_pairs(program_t *p) {
    unsigned short begin = begin_call(p, SYS_socketpair);
    load_argument(p, 0);
    add(p, BPF_JMP | BPF_JEQ | BPF_K, AF_UNIX, 1, 0);
    refuse(p, EACCES);
    load_argument(p, 1);
    add(p, BPF_ALU | BPF_AND | BPF_K, ~(uint32_t)TYPE_OTHERS, 0, 0);
    allow_if(p, SOCK_STREAM);
    allow_if(p, SOCK_SEQPACKET);
    refuse(p, EACCES);
    end_call(p, begin);
}

static void judge_sockets(program_t *p, bool isolated) {
    unsigned short begin = begin_call(p, SYS_socket);
    if (isolated) {
        load_argument(p, 0);
        allow_if(p, AF_INET);
        allow_if(p, AF_INET6);
        allow_if(p, AF_NETLINK);
    }
    refuse(p, EACCES);
    end_call(p, begin);
    judge_pairs(p);
    if (isolated) return;
    refuse_if(p, SYS_connect, EACCES);
    refuse_if(p, SYS_bind, EACCES);
    refuse_if(p, SYS_listen, EACCES);
}

/* ---- signals ---- */

/* Refuses the call when its first argument names a protected process, or everybody. A group of a protected
 * process has its number. */
static void protect(program_t *p, int call, const py_filter_t *f, bool groups) {
    unsigned short begin = begin_call(p, call);
    load_argument(p, 0);
    for (int i = 0; i < PY_FILTER_PROTECTED_MAX; i++) {
        if (f->protect[i] <= 0) continue;
        refuse_if(p, (uint32_t)f->protect[i], EPERM);
        if (groups) refuse_if(p, (uint32_t)-f->protect[i], EPERM);
    }
    if (groups) refuse_if(p, (uint32_t)-1, EPERM);
    end_call(p, begin);
}

/* Refuses the call when an argument that names a process is not 0, which means the caller. */
static void only_oneself(program_t *p, int call, int argument) {
    unsigned short begin = begin_call(p, call);
    load_argument(p, argument);
    add(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
    refuse(p, EPERM);
    end_call(p, begin);
}

/* tkill and the owner of a descriptor reach any thread by its number. */
static void judge_signals(program_t *p, const py_filter_t *f) {
    protect(p, SYS_kill, f, true);
    protect(p, SYS_tgkill, f, false);
    protect(p, SYS_rt_sigqueueinfo, f, false);
    protect(p, SYS_rt_tgsigqueueinfo, f, false);
    protect(p, 434 /* pidfd_open */, f, false);
    protect(p, SYS_sched_setaffinity, f, false);
    refuse_if(p, SYS_tkill, EPERM);
    refuse_two_values(p, SYS_fcntl, FCNTL_SETOWN, FCNTL_SETOWN_EX, EPERM);
    only_oneself(p, SYS_setpriority, 1);
    only_oneself(p, SYS_ioprio_set, 1);
    only_oneself(p, SYS_sched_setscheduler, 0);
    only_oneself(p, SYS_sched_setparam, 0);
    only_oneself(p, SYS_sched_setattr, 0);
}

static void compile(const py_filter_t *f, program_t *p) {
    refuse_foreign_tables(p);
    refuse_calls(p);
    refuse_bits(p, SYS_clone, NAMESPACES);
    refuse_bits(p, SYS_unshare, NAMESPACES | NEW_TIME);
    refuse_two_values(p, SYS_ioctl, TERMINAL_INPUT, TERMINAL_LINUX, EPERM);
    only_oneself(p, SYS_prlimit64, 0);
    if (!f->network) judge_sockets(p, f->isolated);
    if (f->own_signals) judge_signals(p, f);
    answer(p, SECCOMP_RET_ALLOW);
}

/* The flag keeps the kernel from slowing the process down against leaks between processes (before
 * Linux 5.16); one that does not know it takes the filter without. */
bool py_filter_close(const py_filter_t *filter) {
    program_t p = {.len = 0};
    compile(filter, &p);
    const struct sock_fprog program = {.len = p.len, .filter = p.code};
    if (p.len == PROGRAM_MAX) return false;
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program) == 0 ||
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

#else

bool py_filter_close(const py_filter_t *filter) {
    (void)filter;
    return false;
}

#endif
