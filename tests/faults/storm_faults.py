"""What befalls a storm's processes, servers, disks and files, one row each.

To add a fault: a function and a row in FAULTS. `strike(round, event)` is called once when the event is due; `heal`, if there is one, `event.seconds`
later. `costs`: may a call that was in flight be paid twice because of it. To add a damage: a row in DAMAGES; it changes files between two runs
and returns what it did, or None if there was nothing to damage.
"""
import dataclasses
import glob
import os
import signal

from storm_llm import Manners
from storm_tree import descendants, role, send


@dataclasses.dataclass
class Event:
    """A fault of a plan: due when `calls` more calls have been answered in this turn, `delay` seconds later."""
    fault: str
    calls: int
    delay: float
    seconds: float   # how long it lasts, where it lasts
    dice: float      # which victim
    due: float = None
    struck: float = None
    healed: bool = False
    victims: list = dataclasses.field(default_factory=list)

    def __str__(self):
        when = "never came" if self.struck is None else "at %.2f s" % self.struck
        return "%s after %d calls + %.3f s, %s%s%s" % (
            self.fault, self.calls, self.delay, when, ", %.1f s long" % self.seconds if FAULTS[self.fault].heal else "",
            ", to " + ", ".join(self.victims) if self.victims else "")


@dataclasses.dataclass(frozen=True)
class Fault:
    strike: object
    roles: tuple = ()
    heal: object = None
    costs: bool = True
    weight: int = 1
    longest: float = 1.5


def victims(round, roles):
    return sorted((p for p in descendants().values() if p.alive and role(p) in roles), key=lambda p: p.pid)


def one_of(round, event):
    found = victims(round, FAULTS[event.fault].roles)
    return [found[int(event.dice * len(found))]] if found else []


def signal_one(*numbers):
    def strike(round, event):
        for p in one_of(round, event):
            for number in numbers:
                if send(p.pid, number):
                    event.victims.append("%s %d" % (role(p), p.pid))
                    round.signalled(p, number)
    return strike


def signal_all(number):
    def strike(round, event):
        for p in victims(round, FAULTS[event.fault].roles):
            if send(p.pid, number):
                event.victims.append("%s %d" % (role(p), p.pid))
                round.signalled(p, number)
    return strike


def stop(round, event):
    for p in one_of(round, event):
        if send(p.pid, signal.SIGSTOP):
            event.victims.append("%s %d" % (role(p), p.pid))
            round.stopped[p.pid] = event
            round.signalled(p, signal.SIGSTOP)


def go_on(round, event):
    for pid in [pid for pid, by in round.stopped.items() if by is event]:
        send(pid, signal.SIGCONT)
        del round.stopped[pid]


def with_server(deed):
    def strike(round, event):
        llm = round.llms[int(event.dice * len(round.llms))]
        event.victims.append("the LLM server at port %d" % llm.port)
        deed(llm)
    return strike


def behave(**manners):
    return with_server(lambda llm: setattr(llm, "manners", Manners(llm.usual.latency_s, **manners)))


def all_servers(deed):
    return lambda round, event: [deed(llm) for llm in round.llms]


as_usual = all_servers(lambda llm: setattr(llm, "manners", llm.usual))
MAIN = ("run", "submit")
CHILD = ("child", "worker")

FAULTS = {
    "kill-main": Fault(signal_one(signal.SIGKILL), MAIN, weight=5),
    "term-main": Fault(signal_one(signal.SIGTERM), MAIN, weight=2, costs=False),
    "int-main": Fault(signal_one(signal.SIGINT), MAIN, weight=2, costs=False),
    "hup-main": Fault(signal_one(signal.SIGHUP), MAIN, costs=False),
    "term-twice": Fault(signal_one(signal.SIGTERM, signal.SIGTERM), MAIN, costs=False),
    "stop-main": Fault(stop, MAIN, go_on, weight=2),
    "kill-child": Fault(signal_one(signal.SIGKILL), CHILD, weight=5),
    "kill-children": Fault(signal_all(signal.SIGKILL), CHILD),
    "term-child": Fault(signal_one(signal.SIGTERM), CHILD, weight=2),
    "int-child": Fault(signal_one(signal.SIGINT), CHILD),
    "stop-child": Fault(stop, CHILD, go_on, weight=2, longest=9),
    "freeze-child": Fault(stop, CHILD),
    "kill-host": Fault(signal_one(signal.SIGKILL), ("host",), weight=5),
    "term-host": Fault(signal_one(signal.SIGTERM), ("host",)),
    "stop-host": Fault(stop, ("host",), go_on, weight=2),
    "kill-other": Fault(signal_one(signal.SIGKILL), ("other",), weight=2),
    "kill-serve": Fault(signal_one(signal.SIGKILL), ("serve",), weight=3),
    "term-serve": Fault(signal_one(signal.SIGTERM), ("serve",)),
    "stop-serve": Fault(stop, ("serve",), go_on, longest=9),
    "llm-dies": Fault(with_server(lambda llm: llm.leave()), (), all_servers(lambda llm: llm.come()), weight=2),
    "llm-sleeps": Fault(with_server(lambda llm: llm.sleep(True)), (), all_servers(lambda llm: llm.sleep(False)), costs=False),
    "llm-429": Fault(behave(refuse={429: 0.5}), (), as_usual, costs=False),
    "llm-429-all": Fault(behave(refuse={429: 1.0}), (), as_usual, costs=False),
    "llm-500": Fault(behave(refuse={500: 0.6}), (), as_usual, costs=False),
    "llm-503": Fault(behave(refuse={503: 1.0}), (), as_usual, costs=False),
    "llm-silent": Fault(behave(silent=0.4), (), as_usual, costs=False),
}


def possible(mode):
    """Faults that can befall a mode, with their weights."""
    present = {"submit", "serve", "worker"} if mode.fleet else {"run"}
    if "--processes" in mode.flags:
        present.add("child")
    if "type: python" in mode.pipeline.text:
        present |= {"host", "other"}
    return {name: f.weight for name, f in FAULTS.items() if not f.roles or present & set(f.roles)}


# ---- files --------------------------------------------------------------------------------------------------------

@dataclasses.dataclass(frozen=True)
class Damage:
    harm: object
    ending: str = ""            # of the file, beside the output
    changes_rows: int = 0       # so many rows may be wrong, if it is said
    pays: str = "nothing"       # nothing, a call, all: what may have to be asked again
    refusable: bool = False     # the next run may refuse to go on, in words


def cut(path, dice):
    size = os.path.getsize(path)
    keep = int(size * dice.random())
    os.truncate(path, keep)
    return "cut from %d to %d bytes" % (size, keep)


def flip(path, dice):
    size = os.path.getsize(path)
    place, bit = dice.randrange(size), 1 << dice.randrange(8)
    with open(path, "r+b") as f:
        f.seek(place)
        was = f.read(1)[0]
        f.seek(place)
        f.write(bytes([was ^ bit]))
    return "byte %d of %d: %d became %d" % (place, size, was, was ^ bit)


def half_line(path, dice):
    with open(path, "ab") as f:
        f.write(b'{"_row_index": 1, "n": 1, "b": "half a li')
    return "half a line behind it"


def remove(path, dice):
    os.unlink(path)
    return "removed"


DAMAGES = {
    "output-cut": Damage(cut, pays="all", refusable=True),
    "output-flip": Damage(flip, changes_rows=1, pays="all", refusable=True),
    "output-half-line": Damage(half_line, refusable=True),
    "sdg-removed": Damage(remove, ".sdg", refusable=True),
    "sdg-flip": Damage(flip, ".sdg", refusable=True),
    "sdg-cut": Damage(cut, ".sdg", refusable=True),
    "journal-cut": Damage(cut, ".journal", pays="all", refusable=True),
    "journal-flip": Damage(flip, ".journal", pays="call", refusable=True),
    "journal-half": Damage(half_line, ".journal", pays="call", refusable=True),
    "journal-removed": Damage(remove, ".journal", pays="all"),
}


def damage(name, job, dice):
    """Does it to a job's files; what was done, or None."""
    d = DAMAGES[name]
    path = job.output + d.ending
    if not os.path.exists(path) or not os.path.getsize(path):
        return None
    return "%s: %s %s" % (name, os.path.basename(path), d.harm(path, dice))


def beside(output):
    return sorted(glob.glob(glob.escape(output) + "*"))
