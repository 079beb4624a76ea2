"""What is right after a storm, seen from outside: outputs, exit codes, calls that were paid for. Nothing here knows how sdg works."""
import collections
import gzip
import json
import re
import signal
import subprocess

# Words that nobody may hear: a process ended by a fault of its own.
CRASHES = re.compile(r"signal (4|6|7|8|11)\b|Assertion|assert|Sanitizer|core dumped|Fatal Python error")

# Words of a run that has noticed what was done to its output. Somebody may have edited it on purpose, so it keeps such a row.
DAMAGE_SAID = re.compile(r"not as it was written|moves? to .*\.rejected|lines that were written are gone")


def text_of(path):
    """The bytes of an output, unpacked; as far as they can be."""
    try:
        with open(path, "rb") as f:
            data = f.read()
    except FileNotFoundError:
        return b""
    if path.endswith(".gz"):
        return gzip.decompress(data) if data else b""
    if path.endswith(".zst"):
        return subprocess.run(["zstd", "-dcq", path], stdout=subprocess.PIPE, check=True).stdout if data else b""
    return data


def rows_of(job):
    """(problems, errors): what is wrong with the output of a job that says it is complete; kind -> rows. `errors`: row -> its reason."""
    bad, errors, seen = collections.defaultdict(list), {}, collections.Counter()
    try:
        text = text_of(job.output)
    except (OSError, EOFError, subprocess.CalledProcessError) as e:
        return {"unreadable": [str(e)]}, {}
    order = []
    if text and not text.endswith(b"\n"):
        bad["torn"].append(text[-40:])
    for line in text.splitlines():
        try:
            row = json.loads(line)
            i = row["_row_index"]
        except (ValueError, KeyError, TypeError):
            bad["no row"].append(line[:60])
            continue
        seen[i] += 1
        order.append(i)
        if not isinstance(i, int) or not 0 <= i < job.rows:
            bad["foreign"].append(i)
        elif "_error" in row:
            errors[i] = str(row["_error"])
        elif row != {"_row_index": i, "n": i, "b": job.right(i)}:
            bad["wrong"].append(i)
    bad["lost"] = [i for i in range(job.rows) if i not in seen]
    bad["twice"] = [i for i, count in seen.items() if count > 1]
    if job.mode.ordered and job.keeps_order and order != sorted(order):
        bad["out of order"].append(order[:10])
    return {kind: found for kind, found in bad.items() if found}, errors


def finished(said):
    """How many rows a summary says to be fine, those of earlier runs included; None: there is none."""
    m = re.search(r"^  rows +([\d,]+) fine, ([\d,]+) failed(?:, finished by an earlier run ([\d,]+))?", said, re.M)
    return sum(int(n.replace(",", "")) for n in (m.group(1), m.group(3) or "0")) if m else None


def exit_code(job, code, said, turn):
    """Why this exit code, or what was said before it, is a lie; or None. `turn`: what was done to the job meanwhile."""
    crash = CRASHES.search(said)
    if crash:
        return "something crashed: %r" % said[max(0, crash.start() - 100):crash.end() + 100]
    if code < 0:
        if -code == signal.SIGKILL and turn.killed:
            return None
        if -code in turn.ended_by and turn.young:
            return None  # the signal came before the program had begun
        return "ended by signal %d" % -code
    if code in (0, 1):
        bad, errors = rows_of(job)
        claim = finished(said)
        if code == 0 and claim is not None and claim != job.rows:
            return "the summary speaks of %d finished rows" % claim
        if code == 0 and errors:
            return "exit 0 with failed rows %s" % sorted(errors)[:8]
        if code == 1 and not errors:
            return "exit 1 without a failed row"
        bad = {kind: found for kind, found in bad.items() if not (kind == "wrong" and len(found) <= job.may_be_wrong)}
        return "exit %d, but the output is not right: %s" % (code, {k: v[:8] for k, v in bad.items()}) if bad else None
    if code == 4:
        return None if turn.disk or job.damaged else "exit 4 without a reason"
    if code == 5:
        return None if turn.asked_to_end else "exit 5, but nobody asked it to end"
    if code == 6:
        return None if turn.children_killed >= 3 or turn.disk else "exit 6 without a reason"
    return "exit %d" % code
