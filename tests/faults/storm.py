#!/usr/bin/env python3
"""Storms: every mode of sdg, killed, stopped, signalled, starved and damaged at random, then run again until it ends, and judged from outside.

Usage: SDG=path/to/sdg storm.py [--rounds N | --minutes N] [--seed N] [--mode M]... [--list]
  --seed N --mode M   repeats one round (12 rounds otherwise, each with a seed of its own that is printed)

A round is one mode (storm_modes.py), a few turns with faults (storm_faults.py), damage to its files in between, and turns without faults until
the same command ends by itself. Then (storm_judge.py): no row is lost, twice, wrong or foreign; calls that were paid for twice are not more than
could be in flight at the faults; nothing stood still for 30 s; no exit code told a lie; no process and no file is left behind. The whole plan of
a round comes from its seed; what the processes make of it does not, so a failure may need a few repetitions. The last line is `N passed, M failed`.
"""
import argparse
import collections
import gzip
import json
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import storm_judge
from storm_faults import CHILD, DAMAGES, FAULTS, MAIN, Event, beside, damage, possible
from storm_llm import Llm
from storm_modes import MODES
from storm_tree import become_reaper, descendants, end_all, own_mounts, reap, role, send, stacks

SDG = os.path.abspath(os.environ.get("SDG", os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../build/sdg")))
STILL_S = 30          # without progress: a hang
TURN_S = 240          # a turn that takes longer is no hang, but a failure too
LEAVE_S = 15          # processes of a run that has ended are gone by then
PATIENCE_S = 4        # a lease is lost when a process stands still for this long
CLEAN_TURNS = 8       # the same command ends by itself within so many runs
ENVIRONMENT = {k: v for k, v in os.environ.items() if k.lower() not in (
    "http_proxy", "https_proxy", "all_proxy", "no_proxy", "curl_ca_bundle", "ssl_cert_file", "ssl_cert_dir", "lang", "lc_all")}


mounts = False  # may disks be mounted?


class Wrong(Exception):
    """What is wrong: a kind for the table of failures, and a sentence."""

    def __init__(self, kind, text):
        super().__init__("%s: %s" % (kind, text))
        self.kind = kind


class Spoken(threading.Thread):
    """Keeps what a process says: a pipe, so that no limit of files keeps it from speaking."""

    def __init__(self, stream):
        super().__init__(daemon=True)
        self.stream, self.data = stream, b""
        self.start()

    def run(self):
        while True:
            got = os.read(self.stream.fileno(), 65536)
            if not got:
                break
            self.data += got
        self.stream.close()

    @property
    def text(self):
        return self.data.decode(errors="replace")


def start(args, folder, stdin=None, preexec=None):
    proc = subprocess.Popen([SDG, *map(str, args)], stdin=open(stdin, "rb") if stdin else subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, cwd=folder, preexec_fn=preexec,
                            env={**ENVIRONMENT, "XDG_RUNTIME_DIR": os.path.join(folder, "x"), "TMPDIR": os.path.join(folder, "x")})
    proc.began = time.monotonic()
    proc.spoken = Spoken(proc.stderr)
    return proc


def free_port():
    """Below the ports that the system gives to anybody, so that it is still free when a server comes back."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


class Turn:
    """What was done to one job while it ran once."""

    def __init__(self):
        self.killed = self.young = self.disk = False
        self.ended_by = set()
        self.children_killed = 0

    @property
    def asked_to_end(self):
        return bool(self.ended_by)


class Job:
    """One command that is run until it ends by itself."""

    def __init__(self, round, number):
        self.round, self.mode = round, round.mode
        self.rows = self.mode.rows
        self.folder = os.path.join(round.folder, "j%d" % number)
        os.mkdir(self.folder)
        self.number = number
        self.pads = ["x" * round.dice.randrange(self.mode.pad + 1) for _ in range(self.rows)]
        self.disk = os.path.join(self.folder, "o")
        os.mkdir(self.disk)
        self.output = os.path.join(self.disk, self.mode.output)
        self.yaml = os.path.join(self.folder, "p.yaml")
        self.input = self.write_input()
        with open(self.yaml, "w") as f:
            f.write(self.mine(self.mode.pipeline.text).replace("@BASE0@", round.llms[0].url).replace("@BASE1@", round.llms[-1].url))
        self.proc = None
        self.turn = Turn()
        self.codes, self.said, self.extra = [], [], []
        self.done = self.damaged = False
        self.keeps_order = True
        self.may_be_wrong = 0

    def mine(self, text):
        """Several jobs at a time ask questions of their own."""
        return text.replace('["q', '["j%d q' % self.number).replace('["ask', '["j%d ask' % self.number)

    def right(self, i):
        text = self.mode.pipeline.right(i, self.pads[i])
        return text.replace(": q", ": j%d q" % self.number).replace(": ask", ": j%d ask" % self.number)

    def write_input(self):
        form = self.mode.input
        path = os.path.join(self.folder, {"csv": "in.csv", "gz": "in.jsonl.gz"}.get(form, "in.jsonl"))
        if form == "csv":
            text = "n,pad\n" + "".join("%d,%s\n" % row for row in enumerate(self.pads))
        else:
            text = "".join(json.dumps({"n": i, "pad": pad}) + "\n" for i, pad in enumerate(self.pads))
        with gzip.open(path, "wb") if form == "gz" else open(path, "wb") as f:
            f.write(text.encode())
        return path

    def command(self):
        by = ["submit", "--connect", self.round.endpoint] if self.mode.fleet else ["run"]
        source = "-" if self.mode.input == "stdin" else self.input
        return [*by, "--yaml", self.yaml, "--input", source, "--output", self.output, "--no-progress",
                "--max-concurrent", self.mode.concurrent, *self.mode.flags, *self.extra]

    def mount(self, room=None):
        """The output on a disk of its own that has room for so many bytes (in whole pages); None: for all."""
        options = "size=64m"
        if os.path.ismount(self.disk):
            if room is not None:
                at = os.statvfs(self.disk)
                options = "size=%d" % max(4096, (at.f_blocks - at.f_bfree) * at.f_frsize + room)
            options += ",remount"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", self.disk], check=True)

    def start(self, limit=None):
        self.turn = Turn()
        self.turn.disk = limit is not None
        preexec = None
        if limit is not None and os.path.ismount(self.disk):
            self.mount(limit)
        elif limit is not None:
            size = os.path.getsize(self.output) if os.path.exists(self.output) else 0
            preexec = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size + limit, size + limit))  # noqa: E731
        self.proc = start(self.command(), self.round.folder, self.input if self.mode.input == "stdin" else None, preexec)

    def ended(self):
        """Takes notice of its end; True once it has ended."""
        if self.proc is None:
            return True
        code = self.proc.poll()
        if code is None:
            return False
        self.proc.spoken.join(2)
        text, self.proc = self.proc.spoken.text, None
        self.codes.append(code)
        if self.turn.disk and os.path.ismount(self.disk):
            self.mount()
        self.said.append(text)
        lie = storm_judge.exit_code(self, code, text, self.turn)
        if lie:
            raise Wrong("exit", "job %d: %s; it said: %s" % (self.number, lie, text.strip()[-700:]))
        if code < 0 and -code in self.turn.ended_by:  # it could not finish what was in flight
            self.round.allowance += self.mode.concurrent
        self.extra = []
        if code in (4, 5, 6):  # what was done behind an unfinished row is written as the run ends
            self.keeps_order = False
        if code == 0:
            self.done = True
        if code == 1:
            self.extra = ["--retry-failed"]
            self.keeps_order = False
        if code == 4 and self.damaged and "move it away" in text:
            os.unlink(self.output + ".sdg")
        elif code == 4 and self.damaged:
            self.extra = ["--force-resume"] if "--force-resume" in text else ["--overwrite"]
            if self.extra == ["--overwrite"]:
                self.round.allowance += sum(llm.answered for llm in self.round.llms)
        return True


class Round:
    def __init__(self, seed, name):
        self.seed, self.name, self.mode = seed, name, MODES[name]
        self.dice = random.Random("%d %s" % (seed, name))
        self.folder = tempfile.mkdtemp(prefix="storm-", dir="/tmp")
        os.mkdir(os.path.join(self.folder, "x"))
        latency = self.dice.choice([0.005, 0.02, 0.04, 0.08])
        self.llms = [Llm(seed, latency)] + ([Llm(seed + 1, latency)] if "qk " in self.mode.pipeline.text else [])
        self.fleet, self.fleet_said, self.endpoint = {}, [], None
        self.jobs = [Job(self, i) for i in range(self.mode.jobs)]
        if mounts and self.dice.random() < 0.3:
            for job in self.jobs:
                job.mount()
        self.stopped = {}      # pid -> event
        self.told = []         # what was done, for people
        self.allowance = 0     # calls that may be paid twice
        self.began = time.monotonic()
        self.turns = self.struck = 0
        self.now_planned = []  # events of this turn that have not been told yet

    def now(self):
        return time.monotonic() - self.began

    # ---- the plan

    def events(self):
        left = max(1, self.mode.pipeline.calls * self.mode.rows * self.mode.jobs - sum(len(llm.paid) for llm in self.llms))
        names = possible(self.mode)
        plan = []
        for _ in range(self.dice.choice([1, 1, 2, 2, 3, 5])):
            name = self.dice.choices(list(names), list(names.values()))[0]
            kind = self.dice.random()
            calls, delay = (0, self.dice.random() * 0.3) if kind < 0.2 else \
                           (left, self.dice.random() * 0.15) if kind < 0.35 else (self.dice.randrange(left), self.dice.random() * 0.05)
            plan.append(Event(name, calls, delay, self.dice.uniform(0.05, FAULTS[name].longest), self.dice.random()))
        return plan

    # ---- called by faults

    def signalled(self, p, number):
        kind = role(p)
        for job in self.jobs:
            if not job.proc:
                continue
            if p.pid == job.proc.pid:
                if number == signal.SIGKILL:
                    job.turn.killed = True
                elif number != signal.SIGSTOP:
                    if job.turn.ended_by:  # the second one ends it at once
                        self.allowance += self.mode.concurrent
                    job.turn.ended_by.add(int(number))
                    job.turn.young = job.turn.young or time.monotonic() - job.proc.began < 0.3
            elif kind in CHILD + ("serve",) and number != signal.SIGSTOP:
                job.turn.children_killed += 1

    def known(self):
        return {job.proc.pid for job in self.jobs if job.proc} | {p.pid for p in self.fleet.values()}

    # ---- a fleet

    def keep_fleet(self, only=None):
        """Starts what a fleet lacks. What has ended is judged: 0 after a signal that asked for it, or killed by us."""
        if not self.mode.fleet:
            return
        for name in ["serve"] + ["w%d" % i for i in range(self.mode.workers)]:
            proc = self.fleet.get(name)
            if proc and proc.poll() is None:
                continue
            if proc:
                self.fleet_ended(name, proc)
            if name == "serve":
                self.fleet[name] = self.start_serve()
            else:
                self.fleet[name] = start(["worker", "--connect", self.endpoint, "--name", name, "--allow-python"], self.folder)

    def fleet_ended(self, name, proc):
        code = proc.returncode
        proc.spoken.join(2)
        self.fleet_said.append("%s ended with %d: %s" % (name, code, proc.spoken.text.strip()[-300:]))
        if code not in (0, 5, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT):
            raise Wrong("exit", "%s ended with %d: %s" % (name, code, proc.spoken.text.strip()[-700:]))

    def start_serve(self):
        port_file = os.path.join(self.folder, "port")
        again = self.endpoint is not None
        listen = self.endpoint or ("ipc://%s/s" % self.folder if self.mode.fleet == "ipc" else "tcp://127.0.0.1:%d" % free_port())
        if os.path.exists(port_file):
            os.unlink(port_file)
        proc = start(["serve", "--listen", listen, "--port-file", port_file], self.folder)
        if not again:
            for _ in range(6000):
                if os.path.exists(port_file) and open(port_file).read().endswith("\n") or proc.poll() is not None:
                    break
                time.sleep(0.01)
            if proc.poll() is not None:
                raise Wrong("exit", "serve does not start: " + proc.spoken.text)
            self.endpoint = listen
        return proc

    def end_fleet(self):
        names = sorted(self.fleet, reverse=True)  # workers first
        for name in names:
            proc = self.fleet[name]
            if proc.poll() is None:
                proc.send_signal(signal.SIGTERM)
            try:
                proc.wait(45)
            except subprocess.TimeoutExpired:
                raise Wrong("hang", "%s does not end after SIGTERM; stacks in %s; it said: %s" % (name, self.keep_stacks(), proc.spoken.text[-500:]))
            self.fleet_ended(name, proc)
        self.fleet = {}

    # ---- one turn

    def progress(self):
        sizes = [os.path.getsize(path) for job in self.jobs for path in beside(job.output) if os.path.exists(path)]
        return [(llm.arrived, llm.answered) for llm in self.llms], sizes, [job.proc is None for job in self.jobs]

    def play(self, events, limit=None):
        """Starts what is not done, lets the events happen, and waits for the end of all jobs."""
        self.turns += 1
        self.keep_fleet()
        self.now_planned = events
        base, began = sum(llm.answered for llm in self.llms), time.monotonic()
        for job in self.jobs:
            if not job.done:
                job.start(limit)
        self.told.append("turn %d at %.2f s%s: %s" % (self.turns, self.now(), "" if limit is None else ", files at most %d bytes longer" % limit,
                                                      " ".join(map(str, self.jobs[0].command()))))
        still, excused, last, ticked = 0, 0, None, time.monotonic()
        while not all([job.ended() for job in self.jobs]):
            now = time.monotonic()
            self.let_happen(events, sum(llm.answered for llm in self.llms) - base, now - began)
            if any(e.struck is not None and not e.healed for e in events):
                excused = now + 8  # an endpoint that refused everything is asked again after 5 s
            self.keep_fleet()
            at = self.progress()
            still = 0 if at != last or now < excused else still + min(now - ticked, 0.2)
            last, ticked = at, now
            if still > STILL_S:
                raise Wrong("hang", "no progress for %d s (%s); stacks in %s; it said: %s" % (
                    STILL_S, at, self.keep_stacks(), " | ".join(job.proc.spoken.text.strip()[-500:] for job in self.jobs if job.proc)))
            if now - began > TURN_S:
                raise Wrong("slow", "a turn takes longer than %d s; stacks in %s" % (TURN_S, self.keep_stacks()))
            time.sleep(0.01)
        self.heal(events)
        self.account(events)
        self.wait_alone()

    def let_happen(self, events, calls, elapsed):
        for e in events:
            if e.due is None and (calls >= e.calls or elapsed > 20):
                e.due = elapsed + e.delay
            if e.due is not None and e.struck is None and elapsed >= e.due:
                e.struck = elapsed
                FAULTS[e.fault].strike(self, e)
                self.struck += len(e.victims)
                e.healed = not FAULTS[e.fault].heal or not e.victims
            if e.struck is not None and not e.healed and elapsed >= e.struck + e.seconds:
                e.healed = True
                FAULTS[e.fault].heal(self, e)

    def heal(self, events):
        for e in events:
            if e.struck is not None and not e.healed:
                e.healed = True
                FAULTS[e.fault].heal(self, e)
        for pid in list(self.stopped):
            send(pid, signal.SIGCONT)
        self.stopped = {}

    def tell(self, events):
        self.told += ["  " + str(e) for e in events]
        self.now_planned = []

    def account(self, events):
        """What may be paid twice: what can be in flight of all jobs, for each fault that struck."""
        flight = self.mode.concurrent * self.mode.jobs * (1 if self.mode.journal else 3)
        self.tell(events)
        if any(job.turn.disk and job.codes[-1] != 0 for job in self.jobs):
            self.allowance += flight  # answers that came when the disk was full
        for e in events:
            if e.struck is None or not (e.victims or not FAULTS[e.fault].roles):
                continue
            if FAULTS[e.fault].costs and not (FAULTS[e.fault].heal and FAULTS[e.fault].roles and e.seconds < PATIENCE_S):
                self.allowance += flight * max(1, len(e.victims) if len(set(e.victims)) > 1 else 1)
        self.told.append("  ended with %s at %.2f s" % ([job.codes[-1] for job in self.jobs if job.codes], self.now()))

    def wait_alone(self):
        """Nothing of an ended run stays but the fleet and what belongs to it."""
        end = time.monotonic() + LEAVE_S
        while True:
            reap(self.known())
            left = self.left_over()
            if not left:
                return
            if time.monotonic() > end:
                raise Wrong("left behind", "processes: %s" % "; ".join(map(str, left)))
            time.sleep(0.02)

    def left_over(self):
        every = descendants()
        fleet = {p.pid for p in self.fleet.values()}

        def of_fleet(p):
            while p:
                if p.pid in fleet:
                    return True
                p = every.get(p.parent)
            return False
        return [p for p in every.values() if p.alive and not of_fleet(p)]

    def keep_stacks(self):
        return stacks(os.path.join(tempfile.gettempdir(), "storm-stacks-%d-%s.txt" % (self.seed, self.name)))

    # ---- between turns

    def harm(self):
        job = self.dice.choice(self.jobs)
        name = self.dice.choice(list(DAMAGES))
        d = DAMAGES[name]
        done = damage(name, job, self.dice)
        if not done:
            return
        self.told.append("  damage of job %d: %s" % (job.number, done))
        job.damaged = True
        job.done = job.keeps_order = False
        job.may_be_wrong += d.changes_rows
        self.allowance += {"nothing": 0, "call": 1, "all": sum(llm.answered for llm in self.llms)}[d.pays]

    # ---- a round

    def weather(self):
        """All of it. Raises Wrong."""
        for turn in range(self.dice.choice([1, 2, 2, 3, 3, 6])):
            limit = self.dice.randrange(40000) if self.dice.random() < 0.2 else None
            self.play(self.events(), limit)
            if self.dice.random() < 0.25:
                self.harm()
            if all(job.done for job in self.jobs):
                break
        for _ in range(CLEAN_TURNS):
            if all(job.done for job in self.jobs):
                break
            self.play([])
        for job in self.jobs:
            if not job.done:
                raise Wrong("never ends", "job %d: exit codes %s, at last: %s" % (job.number, job.codes, job.said[-1].strip()[-500:]))
        self.judge()

    def judge(self):
        for job in self.jobs:
            bad, errors = storm_judge.rows_of(job)
            if errors:
                raise Wrong("failed rows", "job %d: %s" % (job.number, list(errors.items())[:3]))
            if "wrong" in bad and len(bad["wrong"]) <= job.may_be_wrong:
                if not any(storm_judge.DAMAGE_SAID.search(text) for text in job.said):
                    raise Wrong("silent", "job %d: row %s was changed, and no run said so: %s" % (job.number, bad["wrong"], job.said[-1][-500:]))
                del bad["wrong"]
            for kind, found in bad.items():
                raise Wrong(kind, "job %d: %d: %s" % (job.number, len(found), found[:10]))
        if self.paid_twice() > self.allowance:
            raise Wrong("paid twice", "%d calls, at most %d were in flight: %s" % (
                self.paid_twice(), self.allowance, [q for llm in self.llms for q, n in llm.paid.items() if n > 1][:4]))
        self.end_fleet()
        self.wait_alone()
        for job in self.jobs:
            odd = [path for path in beside(job.output) if path[len(job.output):] not in ("", ".sdg", ".rejected")]
            if odd:
                raise Wrong("left behind", "files: %s" % odd)
        left = [os.path.join(at, name) for at, folders, names in os.walk(os.path.join(self.folder, "x")) for name in folders + names]
        if left:
            raise Wrong("left behind", "files: %s" % left)

    def paid_twice(self):
        return sum(n - 1 for llm in self.llms for n in llm.paid.values())

    def end(self, keep):
        self.heal([])
        end_all(self.known())
        for proc in [job.proc for job in self.jobs if job.proc] + list(self.fleet.values()):
            proc.wait()
        reap(set())
        for llm in self.llms:
            llm.end()
        for job in self.jobs:
            if os.path.ismount(job.disk):
                if keep:
                    shutil.copytree(job.disk, job.disk + ".kept", dirs_exist_ok=True)
                subprocess.run(["umount", "-l", job.disk])
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)


def run_round(seed, name):
    """None, or the kind of failure."""
    began = time.monotonic()
    round = Round(seed, name)
    wrong = None
    try:
        round.weather()
    except Wrong as e:
        wrong = e
    except Exception as e:  # of the storm itself
        import traceback
        wrong = Wrong("storm", traceback.format_exc())
    finally:
        round.end(keep=wrong is not None)
    if os.environ.get("STORM_TELL"):
        print("\n".join(round.told + round.fleet_said))
    numbers = "%d turns, %d struck, paid twice %d of %d" % (round.turns, round.struck, round.paid_twice(), round.allowance)
    print("%s seed %-10d %-18s %s, %.1f s" % ("FAIL" if wrong else "ok  ", seed, name, numbers, time.monotonic() - began), flush=True)
    if wrong:
        round.tell(round.now_planned)
        print("  %s\n  what happened (times within the turn):" % wrong)
        for line in round.told + round.fleet_said:
            print("    " + line)
        for job in round.jobs:
            print("    job %d: exit codes %s" % (job.number, job.codes))
        print("  files: %s\n  again: SDG=%s python3 tests/faults/storm.py --seed %d --mode %s" % (round.folder, os.environ.get("SDG", "build/sdg"), seed, name), flush=True)
    return wrong.kind if wrong else None


def prepare():
    """Once, before the first round."""
    global mounts
    if not os.access(SDG, os.X_OK):
        sys.exit("no program at %s: build it, or name it with SDG=" % SDG)
    become_reaper()
    mounts = own_mounts()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--mode", action="append", choices=list(MODES))
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args()
    if args.list:
        return print("\n".join(MODES))
    prepare()
    seed = args.seed if args.seed is not None else random.randrange(1 << 30)
    rounds = args.rounds or (None if args.minutes else 1 if args.seed is not None and args.mode else 12)
    until = time.monotonic() + args.minutes * 60 if args.minutes else None
    names, failures, played = [], collections.Counter(), collections.Counter()
    number = 0
    while (rounds is None or number < rounds) and (until is None or time.monotonic() < until):
        if not names:  # all modes, then all again in another order
            names = sorted(args.mode or MODES)
            random.Random(seed + number).shuffle(names)
        name = names.pop()
        played[name] += 1
        kind = run_round(seed + number, name)
        if kind:
            failures[name, kind] += 1
        number += 1
    for name, count in sorted(played.items()):
        print("  %-18s %3d rounds  %s" % (name, count, ", ".join("%s %d" % (kind, n) for (of, kind), n in sorted(failures.items()) if of == name)))
    print("%d passed, %d failed" % (number - sum(failures.values()), sum(failures.values())))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
