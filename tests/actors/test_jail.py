#!/usr/bin/env python3
"""What Python blocks cannot do: each attack with what exactly comes of it, as root, as an ordinary user, and where the system allows no
namespaces (the fallback: a filter of system calls, Landlock and limits).

Usage: SDG=path/to/sdg [SEED=n] test_jail.py [words of test names]. Standard library only. The last line is `N passed, M failed`.
"""
import ctypes
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading

from harness import Bench, Serve, Skip, alive, equal, has, lacks, main, wait_for

NOBODY, NEW_USER = 65534, 0x10000000
SECRET = "sk-secret-of-the-jail-test"
libc = ctypes.CDLL(None, use_errno=True)

ATTACKS = r'''
import asyncio, ctypes, errno, multiprocessing, os, resource, signal, socket, struct, subprocess, sys, tempfile, threading, time
libc = ctypes.CDLL(None, use_errno=True)
X86 = os.uname().machine == "x86_64"

def call(number, *args):
    "A system call by number: 'ok' or the name of its error."
    got = libc.syscall(number, *args)
    return "ok" if got >= 0 else errno.errorcode[ctypes.get_errno()]
def opened(path, flags=os.O_RDONLY):
    "Past Python and its audit hooks."
    fd = libc.open(path.encode(), flags, 0o600)
    if fd < 0: return errno.errorcode[ctypes.get_errno()]
    os.close(fd)
    return "opened"
def everybody(): return [int(p) for p in os.listdir("/proc") if p.isdigit()]

# ---- the network and sockets
def tcp(): socket.create_connection(("127.0.0.1", PORT), 5); return "CONNECTED"
def udp(): return "SENT %d" % socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", PORT))
def unix(): s = socket.socket(socket.AF_UNIX); s.connect(UNIX); return "CONNECTED"
def abstract(): s = socket.socket(socket.AF_UNIX); s.connect("\0" + ABSTRACT); return "CONNECTED"
def vsock(): socket.socket(40, socket.SOCK_STREAM); return "MADE"
def packets(): socket.socket(socket.AF_PACKET, socket.SOCK_RAW); return "MADE"
def reconnect(): a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM); a.connect(UNIX); return "CONNECTED"
def pair(): a, b = socket.socketpair(); a.send(b"x"); return b.recv(1).decode()
def loop():
    async def f(): await asyncio.sleep(0); return "ran"
    return asyncio.run(f())

# ---- other processes
def secrets():
    found = []
    for p in everybody():
        for name in ("environ", "cmdline", "mem"):
            try:
                with open("/proc/%d/%s" % (p, name), "rb") as f:
                    if name != "mem" and SECRET in f.read().decode(errors="replace"): found.append("%s of %s" % (name, open("/proc/%d/comm" % p).read()))
                    if name == "mem" and p != os.getpid(): found.append("memory of %s" % open("/proc/%d/comm" % p).read())
            except OSError: pass
    return found
def trace():
    r, w = os.pipe()
    if os.fork() == 0:  # a tracer that ends lets go
        os.write(w, call(101 if X86 else 117, 0x4206, PARENT, 0, 0).encode()); os._exit(0)
    return os.read(r, 100).decode()
def memory_of(): return call(310 if X86 else 270, PARENT, 0, 0, 0, 0, 0)
def descriptor_of(): return call(438, 0, 0, 0)
def compare(): return call(312 if X86 else 272, os.getpid(), PARENT, 0, 0, 0)
def signal_parent(): os.kill(PARENT, 0); return "MAY"
def signal_grandparents():
    done = []
    for p in everybody():
        try:
            if "python-spawner" in open("/proc/%d/cmdline" % p).read() or b"sdg" in open("/proc/%d/comm" % p, "rb").read():
                os.kill(p, 0)
                done.append(p)
        except OSError: pass  # it may not, or that process has ended meanwhile
    return done
def kill_parent(): os.kill(PARENT, signal.SIGKILL); time.sleep(1); return "KILLED"
def stop_parent(): os.kill(PARENT, signal.SIGSTOP); time.sleep(1); return "STOPPED"
def limits_of_parent(): resource.prlimit(PARENT, resource.RLIMIT_NOFILE, (3, 3)); return "SET"
def own_child():
    p = subprocess.Popen(["/bin/sleep", "1000"]); p.kill()
    return p.wait()
PARENT = os.getppid()

# ---- the kernel
def unshare(): return call(272 if X86 else 97, 0x10000000)
def clone3(): return call(435, 0, 0)
def ring(): return call(425, 1, 0)
def performance(): return call(298 if X86 else 241, 0, 0, -1, -1, 0)
def bpf(): return call(321 if X86 else 280, 0, 0, 0)
def faults(): return call(323 if X86 else 282, 0)
def keys(): return call(250 if X86 else 219, 0, -3, 0, 0, 0)
def handle(): return call(304 if X86 else 265, 0, 0, 0)
def mount(): return call(165 if X86 else 40, 0, 0, 0, 0, 0)
def x32(): return call(0x40000000 + 41, 1, 1, 0) if X86 else "ENOSYS"
def status():
    lines = dict(l.split(":\t", 1) for l in open("/proc/self/status").read().splitlines() if ":\t" in l)
    return [int(lines["CapEff"], 16), int(lines["CapPrm"], 16), lines["NoNewPrivs"], lines["Seccomp"]]

# ---- limits
def memory():
    x = []
    while len(x) < 24: x.append(b"x" * (100 << 20))
    return "TOOK 2400 MiB"
def reserve(): import mmap; mmap.mmap(-1, 64 << 30, flags=mmap.MAP_PRIVATE | 0x4000, prot=mmap.PROT_READ); return "reserved"
def bomb():
    made = []
    try:
        for _ in range(600):
            p = os.fork()
            if p == 0: time.sleep(60); os._exit(0)
            made.append(p)
    finally:
        for p in made: os.kill(p, 9)
        for p in made: os.waitpid(p, 0)
    return "MADE 600"
def threads():
    for _ in range(600): threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    return "MADE 600"
def descriptors(): x = [open("/dev/null") for _ in range(3000)]; return "OPENED 3000"
def disk():
    with open(FOLDER + "/big", "wb") as f: f.truncate(1 << 40)
    return "MADE 1 TiB"
def core(): return resource.getrlimit(resource.RLIMIT_CORE)[1]

# ---- what stays
def daemon():
    if os.fork() == 0:
        os.setsid()
        if os.fork(): os._exit(0)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.execv("/bin/sleep", ["/bin/sleep", MARK])
    time.sleep(0.3)
    return "left"
def pool():
    with multiprocessing.Pool(2) as p: return sum(p.map(abs, [-1, -2]))

# ---- files
def files():
    scratch = tempfile.gettempdir()
    with open(scratch + "/own-" + MARK, "w") as f: f.write("x")
    os.remove(scratch + "/own-" + MARK)
    lock = multiprocessing.Lock()
    return {"hostname": opened("/etc/hostname"), "passwd": opened("/etc/passwd"), "input": opened(FOLDER + "/in.jsonl"), "home": opened(os.path.expanduser("~")),
            "write output": opened(FOLDER + "/out.jsonl", os.O_WRONLY), "make": opened(FOLDER + "/made", os.O_WRONLY | os.O_CREAT), "null": opened("/dev/null", os.O_RDWR),
            "tmp": opened("/tmp/made-" + MARK, os.O_WRONLY | os.O_CREAT), "scratch": opened(scratch + "/more-" + MARK, os.O_WRONLY | os.O_CREAT), "apart": scratch.startswith("/tmp/sdg-python-")}
def hello(): return "hello"

def main(ctx, what):
    try: got = globals()[what]()
    except MemoryError: got = "MemoryError"
    except RuntimeError as e: got = str(e)
    except OSError as e: got = errno.errorcode.get(e.errno, repr(e))
    return {"R": got}
'''

PIPELINE = """
mabel: {version: "2.0"}
runtime: {python: {limits: %s}}
blocks:
  - {type: python, exec: 1, id: p, timeout_ms: 60000, inputs: {what: "{what}"}, outputs: [R], %s code_path: "%s"}
  - {type: end, exec: 2, final: [{name: what, value: "{what}"}, {name: r, value: "{R}", type_hint: json}]}
"""


# ---- the three ways ------------------------------------------------------------------------------------------------

def become(uid):
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)


class Way:
    """How `sdg` is run. `preexec` is for one process."""

    def __init__(self, name):
        self.name = name

    def preexec(self):
        if self.name == "nobody":
            return lambda: become(NOBODY)
        if self.name == "fallback":
            return self.without_namespaces()
        return None

    def without_namespaces(self):
        """A user namespace that allows no further ones, and an ordinary user in it. Its maps are written from outside."""
        told, tell = os.pipe()
        done, write_done = os.pipe()

        def outside():
            pid = int(os.read(told, 20))
            for name in ("uid_map", "gid_map"):
                with open("/proc/%d/%s" % (pid, name), "w") as f:
                    f.write("0 0 65536")
            os.write(write_done, b"x")

        def inside():
            if libc.unshare(NEW_USER) != 0:
                os._exit(99)
            os.write(tell, b"%d" % os.getpid())
            os.read(done, 1)
            with open("/proc/sys/user/max_user_namespaces", "w") as f:
                f.write("0")
            become(1234)

        threading.Thread(target=outside, daemon=True).start()
        return inside


def can_make_namespaces():
    return subprocess.run(["unshare", "-Urpn", "--fork", "true"], stderr=subprocess.DEVNULL).returncode == 0


def landlock():
    return max(0, libc.syscall(444, None, 0, 1))


def ways():
    if os.geteuid() != 0:
        return [Way("self")]
    return [Way("root"), Way("nobody"), Way("fallback")]


class Jail(Bench):
    """Attacks as the rows of a run; sockets and a secret outside that they are after."""

    def __init__(self, *attacks, limits="{}", block=""):
        super().__init__()
        os.chmod(self.folder, 0o777)
        self.mark = "%d.%06d" % (4000 + random.randrange(1000), random.randrange(10**6))
        self.sockets = [socket.socket(), socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)]
        self.sockets[0].bind(("127.0.0.1", 0))
        self.sockets[1].bind(self.path("socket"))
        os.chmod(self.path("socket"), 0o777)
        self.sockets[2].bind("\0sdg-jail-" + self.mark)
        for s in self.sockets:
            s.listen(50)
        places = {"PORT": self.sockets[0].getsockname()[1], "UNIX": self.path("socket"), "ABSTRACT": "sdg-jail-" + self.mark, "SECRET": SECRET, "MARK": self.mark,
                  "FOLDER": self.folder}
        os.mkdir(self.path("code"))
        code = self.write("code/attacks.py", "".join("%s = %r\n" % p for p in places.items()) + ATTACKS)
        self.write("p.yaml", PIPELINE % (limits, block, code))
        self.rows_are(*attacks)

    def rows_are(self, *attacks):
        self.write("in.jsonl", "".join(json.dumps({"what": a}) + "\n" for a in attacks))

    def __exit__(self, *_):
        for s in self.sockets:
            s.close()
        super().__exit__()

    def how(self, way):
        home = {"HOME": "/home/jail-test", "PATH": "/usr/bin:/bin", "TMPDIR": "/tmp", "OPENAI_API_KEY": SECRET}
        return {"env": home, "preexec": way.preexec()}

    def outcome(self, way, *flags, code=0):
        """{attack: what came of it} of one run, and what it said."""
        if os.path.exists(self.output):
            os.remove(self.output)
        said = self.run("--max-concurrent", 2, "--overwrite", *flags, code=code, **self.how(way))
        return {row["what"]: row.get("r", row.get("_error")) for row in self.rows() if "what" in row}, said

    def errors(self):
        return [row["_error"] for row in self.rows() if "_error" in row]

    def left_behind(self):
        """Processes that hold the mark of this test."""
        found = []
        for p in os.listdir("/proc"):
            if p.isdigit():
                try:
                    with open("/proc/%s/cmdline" % p, "rb") as f:
                        if self.mark.encode() in f.read() and alive(int(p)):
                            found.append(int(p))
                except OSError:
                    pass
        return found


def expect(way, want, **more):
    with Jail(*want, **more) as jail:
        got, said = jail.outcome(way)
        for attack in want:
            equal(got.get(attack), want[attack], "%s as %s" % (attack, way.name))
        return said


# ---- tests ---------------------------------------------------------------------------------------------------------

def test_the_network_is_closed_and_so_are_sockets_of_others():
    for way in ways():
        isolated = way.name != "fallback" and can_make_namespaces()
        unreachable = "ENETUNREACH" if isolated else "EACCES"
        expect(way, {"tcp": unreachable, "udp": unreachable, "unix": "EACCES", "abstract": "EACCES", "vsock": "EACCES", "packets": "EACCES", "reconnect": "EACCES",
                     "pair": "x", "loop": "ran"})


def test_other_processes_are_out_of_reach():
    for way in ways():
        expect(way, {"secrets": [], "trace": "EPERM", "memory_of": "EPERM", "descriptor_of": "EPERM", "compare": "EPERM", "signal_parent": "EPERM",
                     "signal_grandparents": [], "kill_parent": "EPERM", "stop_parent": "EPERM", "limits_of_parent": "EPERM", "own_child": -9, "hello": "hello"})


def test_the_kernel_is_asked_for_nothing_special():
    for way in ways():
        expect(way, {"unshare": "EPERM", "clone3": "ENOSYS", "ring": "ENOSYS", "performance": "EPERM", "bpf": "EPERM", "faults": "EPERM", "keys": "EPERM",
                     "handle": "EPERM", "mount": "EPERM", "x32": "ENOSYS", "status": [0, 0, "1", "2"], "pool": 3})


def counts_processes(way):
    """Root is counted in a namespace of processes alone, and there since Linux 6.14."""
    major, minor = (int(n) for n in os.uname().release.split(".")[:2])
    return way.name != "root" or (major, minor) >= (6, 14)


def test_limits_hold_by_default():
    for way in ways():
        want = {"memory": "MemoryError", "reserve": "reserved", "descriptors": "EMFILE", "disk": "EFBIG", "core": 0, "hello": "hello"}
        if counts_processes(way):
            want.update({"bomb": "EAGAIN", "threads": "can't start new thread"})
        expect(way, want)


def test_limits_are_what_the_pipeline_says():
    for way in ways():
        with Jail("memory", "descriptors", "disk", limits="{memory_mb: 0, open_files: 4096, file_size_mb: 0}") as jail:
            got, _ = jail.outcome(way)
            equal(got, {"memory": "TOOK 2400 MiB", "descriptors": "OPENED 3000", "disk": "MADE 1 TiB"}, way.name)
    with Jail("hello", limits="{memory_mb: 5}") as jail:
        has(jail.run(code=3), "runtime.python.limits.memory_mb: expected 0 (no limit) or a whole number from 64")


def test_nothing_that_a_block_starts_outlives_the_run():
    for way in ways():
        for flags in ((), ("--processes", 2)):
            with Jail("daemon", "hello") as jail:
                equal(jail.outcome(way, *flags)[0], {"daemon": "left", "hello": "hello"}, way.name)
                equal(jail.left_behind(), [], "%s %s" % (way.name, flags))


def test_nothing_outlives_a_run_that_is_killed():
    for way in ways():
        with Jail("daemon", "memory_of", "daemon") as jail, jail.start("--max-concurrent", 1, **jail.how(way)) as run:
            wait_for(lambda: jail.left_behind(), "the daemon")
            run.signal(signal.SIGKILL)
            run.wait()
            wait_for(lambda: not jail.left_behind(), "the end of the daemon")


def test_keys_cannot_be_read_by_other_processes_of_the_user():
    for way in ways():
        if way.name == "root":
            continue  # its capabilities let it read everything
        with Jail("daemon") as jail, jail.start(**jail.how(way)) as run:
            wait_for(lambda: jail.left_behind() or run.proc.poll() is not None, "the block")
            if run.proc.poll() is not None:
                has(run.err(), "1 fine")
                continue
            reader = "import sys\ntry: print(len(open('/proc/%d/environ').read()))\nexcept PermissionError: print('refused')" % run.pid
            uid = NOBODY if way.name == "nobody" else 1234 if way.name == "fallback" else os.getuid()
            done = subprocess.run(["/usr/bin/python3", "-c", reader], capture_output=True, text=True, preexec_fn=lambda: become(uid) if os.geteuid() == 0 else None)
            if run.proc.poll() is None:
                equal(done.stdout.strip(), "refused", done.stderr)
            run.ends(0)


CONFINED = {"hostname": "EACCES", "passwd": "EACCES", "input": "EACCES", "home": "EACCES", "write output": "EACCES", "make": "EACCES", "null": "opened",
            "tmp": "EACCES", "scratch": "opened", "apart": True}


def test_ctx_access_without_files_leaves_a_block_its_own_files():
    if not landlock():
        raise Skip("this kernel has no Landlock")
    for way in ways():
        home = CONFINED | {"home": "EACCES" if os.path.exists("/home/jail-test") else "ENOENT"}
        lock = way.name != "fallback" and can_make_namespaces()
        if not lock:
            continue  # semaphores of multiprocessing need a /dev/shm of their own: the attack itself would fail
        said = expect(way, {"files": home}, block="ctx_access: [get],")
        has(said, "its own files only")
        with Jail("files", block="ctx_access: [get, files.read],") as jail:
            got = jail.outcome(way)[0]["files"]
            equal([got[k] for k in ("hostname", "input", "make", "tmp", "scratch", "apart")], ["opened", "opened", "EACCES", "EACCES", "opened", True], way.name)
        with Jail("files", block="ctx_access: [get, files.write],") as jail:
            got = jail.outcome(way)[0]["files"]
            equal([got[k] for k in ("hostname", "input", "make", "apart")], ["opened", "opened", "opened", False], way.name)
            for name in ("made-", "more-"):
                os.remove("/tmp/" + name + jail.mark)


def test_in_a_fleet_every_block_has_its_own_files_alone():
    if not landlock() or not can_make_namespaces():
        raise Skip("no Landlock or no namespaces here")
    for way in ways():
        if way.name == "fallback":
            continue
        with Jail("files", "hello") as jail, Serve(jail.folder) as serve:
            with serve.worker("--allow-python", "--quiet", cwd="/", **jail.how(way)):
                with jail.submit(serve) as client:
                    client.ends(0)
                got = {row["what"]: row["r"] for row in jail.rows()}
                equal(got["files"], CONFINED | {"home": "ENOENT"}, way.name)
                equal(got["hello"], "hello")


def test_the_sandbox_is_said_once():
    with Jail(*["hello"] * 20) as jail:
        for flags in (("--workers", 2), ("--processes", 2)):
            said = jail.run("--python-workers", 2, "--overwrite", *flags)
            equal(said.count("sandbox of Python blocks: "), 1, said)
            lacks(said, "NO SANDBOX")


if __name__ == "__main__":
    sys.exit(main(globals()))
