"""The processes of a storm: everything that descends from this process, whoever its parent was.

This process becomes the reaper of its orphans (PR_SET_CHILD_SUBREAPER), so nothing that a round has started can leave the tree, and a signal
goes to nobody outside of it.
"""
import ctypes
import os
import signal
import subprocess
import time

PR_SET_CHILD_SUBREAPER = 36
CLONE_NEWNS = 0x20000


def become_reaper():
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def own_mounts():
    """From now on mounts are seen by this process and its descendants only, and go with them. False: not allowed here."""
    return ctypes.CDLL(None).unshare(CLONE_NEWNS) == 0 and \
        subprocess.run(["mount", "--make-rprivate", "/"], stderr=subprocess.DEVNULL).returncode == 0


class Process:
    """One line of /proc: `state` as in proc(5), `role` below."""

    def __init__(self, pid):
        with open("/proc/%d/stat" % pid) as f:
            head, _, tail = f.read().rpartition(")")
        fields = tail.split()
        self.pid, self.comm = pid, head.partition("(")[2]
        self.state, self.parent, self.cpu_ticks = fields[0], int(fields[1]), int(fields[11]) + int(fields[12])
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            self.words = f.read().decode(errors="replace").split("\0")

    @property
    def alive(self):
        return self.state not in "ZX"

    def __str__(self):
        return "%d %s (%s) %s" % (self.pid, self.comm, self.state, " ".join(self.words)[:80])


def descendants():
    """pid -> Process of all that descend from this process, zombies too."""
    every = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                every[int(name)] = Process(int(name))
            except (OSError, IndexError, ValueError):
                pass
    children = {}
    for p in every.values():
        children.setdefault(p.parent, []).append(p.pid)
    found, todo = {}, [os.getpid()]
    while todo:
        for pid in children.get(todo.pop(), []):
            found[pid] = every[pid]
            todo.append(pid)
    return found


def role(p):
    """run, submit, serve, worker, child (a worker process of a run), host (Python), or other."""
    if p.comm.startswith("python") or "-c" in p.words[1:6]:
        return "host"
    verb = p.words[1] if len(p.words) > 1 else ""
    if verb == "worker":
        return "child" if "--parent" in p.words else "worker"
    return verb if verb in ("run", "submit", "serve") else "other"


def send(pid, number):
    """A signal to a process of the tree; False if it is not there (any more)."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if pid not in descendants():
            return False
        signal.pidfd_send_signal(handle, number)
        return True
    except OSError:
        return False
    finally:
        os.close(handle)


def reap(known):
    """Orphans that have ended; `known` are those that somebody else waits for."""
    for p in descendants().values():
        if p.state == "Z" and p.parent == os.getpid() and p.pid not in known:
            try:
                os.waitpid(p.pid, os.WNOHANG)
            except ChildProcessError:
                pass


def end_all(known):
    """Kills whatever is left of the tree."""
    for _ in range(100):
        living = [p for p in descendants().values() if p.alive]
        if not living:
            break
        for p in living:
            send(p.pid, signal.SIGKILL)
        time.sleep(0.05)
        reap(known)


def stacks(path):
    """What each process of the tree is waiting in, for people who look at a hang."""
    with open(path, "w") as out:
        for p in descendants().values():
            out.write("==== %s\n" % p)
            for name in ("wchan", "stack"):
                try:
                    with open("/proc/%d/%s" % (p.pid, name)) as f:
                        out.write("%s: %s\n" % (name, f.read()))
                except OSError:
                    pass
            out.flush()
            if p.comm == "sdg" and p.alive:
                try:
                    done = subprocess.run(["gdb", "-p", str(p.pid), "-batch", "-ex", "thread apply all bt 16"], capture_output=True, timeout=60, text=True)
                    out.write(done.stdout)
                except (OSError, subprocess.SubprocessError) as e:
                    out.write("no gdb: %s\n" % e)
    return path
