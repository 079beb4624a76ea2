#!/usr/bin/env python3
"""bench_interpreter.py - the interpreter of logic blocks and MEX against the same semantics as a plain Python interpreter.

    bench_interpreter.py [--build build] [--rows N] [--ms N]

One pipeline of 20 logic blocks with 200 MEX operations per row, one set of rows. Both sides read a row's JSON, run the blocks over the parsed
pipeline and write the result's JSON; the results must be the same bytes. The Python side is what one writes without tricks: a walk over dicts
and lists with a method per operator, names looked up in the dicts of the row. Its MEX is the evaluator of the property test. Measured in CPU time of one core, in turns; the median counts.
An operation is one call of an operator that is really made, lambdas and loops included; lookups of names are not counted.
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "core", "mabel", "mex"))
from mex_property import Mex, call  # noqa: E402

TURNS = 5
OPERATIONS = 200
ROWS_WANTED, RATIO_WANTED = 30000, 50

# --- the pipeline: ten kinds of block, each twice ---------------------------------------------------------------------


def blocks_of(i):
    """Ten blocks; i keeps their names apart."""
    def logic(op, output, **fields):
        return {"type": "logic", "op": op, **fields, "outputs": [{"name": f"{output}{i}"}]}

    def out(block, **fields):
        block["outputs"][0].update(fields)
        return block

    return [
        logic("set", "A", var="total", value={"add": [{"mul": ["{n}", 3]}, {"sub": ["{k}", {"mod": ["{n}", 7]}]},
                                                      {"max": [{"abs": {"neg": "{n}"}}, {"floor": {"div": ["{n}", 2]}}]}, {"min": ["{n}", "{limit}"]}]}),
        out(logic("if", "B", cond={"and": [{"gt": ["{n}", 3]}, {"contains": ["{topic}", "e"]}, {"not": {"eq": ["{kind}", "none"]}},
                                           {"or": [{"is_empty": "{kind}"}, {"le": ["{k}", 1000]}]}]},
                  then="big {topic}", **{"else": {"concat": ["small ", "{topic}"]}}), **{"from": "value"}),
        out(logic("for", "C", list="words", var="w", where={"ne": ["{w}", "beta"]}, map={"concat": [{"upper": "{w}"}, "!"]}), **{"from": "join", "join_with": ", "}),
        logic("set", "D", var="size", value={"case": {"when": [{"cond": {"lt": ["{n}", 10]}, "then": {"add": ["{n}", 1]}},
                                                               {"cond": {"and": [{"ge": ["{n}", 10]}, {"lt": ["{n}", 20]}]}, "then": {"mul": ["{n}", 2]}}],
                                                      "else": {"sub": [{"mul": ["{n}", "{n}"]}, {"add": ["{k}", {"len": "{topic}"}]}]}}}),
        logic("set", "E", var="text", value={"concat": [{"upper": {"trim": "{topic}"}}, "-", {"join": [{"split": ["{topic}", " "]}, "+"]}, "/",
                                                        {"len": "{topic}"}, {"replace": [{"lower": "{kind}"}, "i", "I"]}, {"to_string": "{n}"}, {"add": ["{k}", {"mul": [{"sub": ["{n}", 1]}, 2]}]},
                                                        {"if": {"cond": {"ends_with": ["{topic}", "visit"]}, "then": {"upper": "{kind}"}, "else": "no"}},
                                                        {"regex_match": {"text": "{topic}", "pattern": "\\d+"}}]}),
        out(logic("reduce", "F", list="numbers", init=0, var="sum", step={"add": [{"var": "sum"}, {"mul": [{"var": "item"}, 2]}]}), **{"from": "value"}),
        logic("set", "G", var="good", value={"reduce": {"list": {"filter": {"list": "{numbers}", "fn": {"gt": [{"var": "item"}, 2]}}}, "init": 1,
                                                        "fn": {"add": [{"var": "accumulator"}, {"mul": [{"var": "item"}, 3]}]}}}),
        out(logic("let", "H", bindings={"a": {"add": ["{n}", 1]}, "b": {"mul": [{"var": "a"}, 2]}},
                  ), **{"from": "value", "value": {"sub": [{"var": "b"}, {"add": [{"var": "a"}, {"mod": [{"var": "b"}, 5]}, {"max": [{"var": "a"}, {"var": "b"}, 7]}]}]}}),
        out(logic("while", "I", init=[{"op": "set", "var": "x", "value": 0}], cond={"lt": [{"var": "x"}, 5]},
                  step=[{"op": "set", "var": "x", "value": {"add": [{"var": "x"}, 1]}}]), **{"from": "var", "var": "x"}),
        logic("set", "J", var="deep", value={"if": {"cond": {"starts_with": ["{kind}", "t"]},
                                                    "then": {"add": [{"get": [{"var": "data"}, "a.b[0]"]}, {"get": {"obj": {"var": "data"}, "path": "a.zz", "default": {"len": "{words}"}}},
                                                                     {"round": {"div": ["{k}", 3]}}, {"first": {"var": "numbers"}}]},
                                                    "else": {"add": [{"last": {"var": "numbers"}}, {"get": [{"var": "data"}, "a.b[1]"]}, {"len": {"unique": "{numbers}"}},
                                                                     {"abs": {"sub": ["{k}", 50]}}]}}}),
    ]


def pipeline():
    blocks = blocks_of(1) + blocks_of(2)
    for exec_, block in enumerate(blocks, 1):
        block["exec"] = exec_
    end = {"type": "end", "exec": 100, "final": [{"name": name, "value": "{" + name + "}"} for name in ("id", "A1", "B1", "C2", "E2", "G2", "J2", "deep")]}
    return {"mabel": {"version": "2.0"}, "globals": {"const": {"limit": 5}, "vars": {"total": 0}}, "blocks": blocks + [end]}


def rows(count):
    words = ["alpha", "beta", "gamma", "delta"]
    return [{"id": i, "n": 5 + i % 40, "k": i % 100, "kind": ["test", "other", "third"][i % 3], "topic": f"some place {i} to visit", "words": words,
             "numbers": [3, 1, 4, 2, 5], "data": {"a": {"b": [i, 2]}}} for i in range(count)]


# --- the plain Python interpreter -------------------------------------------------------------------------------------

class Row(Mex):
    """MEX as in the property test, which knows it to give what the runtime gives, and the logic blocks of the pipeline above."""

    def __init__(self, spec, index, line):
        super().__init__(json.loads(line), spec["globals"]["vars"], spec["globals"]["const"])
        self.spec, self.index = spec, index

    def run(self):
        for block in self.spec["blocks"]:
            if block["type"] == "end":
                return self.end(block)
            output, = block["outputs"]
            self.context[output["name"]] = getattr(self, "run_" + block["op"])(block, output)

    def run_set(self, block, output):
        return self.op_set(block)

    def run_if(self, block, output):
        return self.eval(block["then" if self.eval(block["cond"]) else "else"])

    def run_for(self, block, output):
        hits = []
        for item in self.op_var(block["list"]):
            self.locals.append({block["var"]: item})
            if self.eval(block["where"]):
                hits.append(self.eval(block["map"]))
            self.locals.pop()
        return output["join_with"].join(map(str, hits))

    def run_reduce(self, block, output):
        total = self.eval(block["init"])
        for item in self.op_var(block["list"]):
            total = self.bound({block["var"]: total, "item": item}, block["step"])
        return total

    def run_let(self, block, output):
        names = {}
        self.locals.append(names)
        for name, e in block["bindings"].items():
            names[name] = self.eval(e)
        value = self.eval(output["value"])
        self.locals.pop()
        return value

    def steps(self, steps):
        for step in steps:
            self.locals[-1][step["var"]] = self.op_set(step)

    def run_while(self, block, output):
        self.locals.append({})
        self.steps(block["init"])
        for _ in range(10000):
            if not self.eval(block["cond"]):
                break
            self.steps(block["step"])
        return self.locals.pop()[output["var"]]

    def end(self, block):
        final = {"_row_index": self.index}
        for entry in block["final"]:
            final[entry["name"]] = str(self.text(entry["value"]))
        return json.dumps(final, ensure_ascii=False)


def run_row(spec, index, line):
    return Row(spec, index, line).run()


def count_operations(spec, lines):
    """Operators called per row, on average."""
    class Counting(Row):
        made = 0

        def eval(self, e):
            operator = call(e)
            Counting.made += operator is not None and operator[0] != "var"
            return super().eval(e)
    for index, line in enumerate(lines):
        Counting(spec, index, line).run()
    return Counting.made / len(lines)


# --- measuring --------------------------------------------------------------------------------------------------------

def time_python(spec, lines, ms):
    count, began, wall = 0, time.process_time(), time.perf_counter()
    while True:
        for index, line in enumerate(lines):
            run_row(spec, index, line)
        count += len(lines)
        spent = time.process_time() - began
        if spent * 1000 >= ms:
            return count / spent


def time_runtime(program, folder, ms):
    out = subprocess.run([program, os.path.join(folder, "pipeline.yaml"), os.path.join(folder, "rows.jsonl"), os.path.join(folder, "out.jsonl"), str(ms)],
                         check=True, stdout=subprocess.PIPE, text=True).stdout
    cost = json.loads(out)
    return cost["rows"] / cost["cpu_ns"] * 1e9


def write_inputs(folder, spec, lines):
    with open(os.path.join(folder, "pipeline.yaml"), "w", encoding="utf-8") as f:
        json.dump(spec, f)
    with open(os.path.join(folder, "rows.jsonl"), "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")


def measure_variants(build, names, row_count=1000, ms=400, turns=11):
    """The least CPU time of a row in µs, for each of these programs; measured in turns, the order changes with each."""
    best = dict.fromkeys(names, float("inf"))
    with tempfile.TemporaryDirectory(prefix="sdg-bench-") as folder:
        write_inputs(folder, pipeline(), [json.dumps(row) for row in rows(row_count)])
        for turn in range(turns):
            for name in names if turn % 2 else reversed(names):
                best[name] = min(best[name], 1e6 / time_runtime(os.path.join(build, name), folder, ms))
    return [best[name] for name in names]


def instructions_run(program, row_count):
    """(instructions of a run under callgrind, rows it ran)."""
    with tempfile.TemporaryDirectory(prefix="sdg-bench-") as folder:
        write_inputs(folder, pipeline(), [json.dumps(row) for row in rows(row_count)])
        names = [os.path.join(folder, name) for name in ("pipeline.yaml", "rows.jsonl", "out.jsonl")]
        done = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program] + names + ["1"],
                              check=True, capture_output=True, text=True)
        count = re.search(r"Collected : (\d+)", done.stderr)
        return int(count[1]), row_count + json.loads(done.stdout)["rows"]


def instructions_per_row(program):
    """From two runs, so that start and end cancel; the same on every machine with the same compiler and libraries."""
    (few, few_rows), (many, many_rows) = instructions_run(program, 50), instructions_run(program, 150)
    return (many - few) / (many_rows - few_rows)


def measure(build, row_count=1000, ms=1000, turns=TURNS):
    """(rows/s of the runtime, rows/s of Python, operations per row), after a check that both give the same."""
    spec, lines = pipeline(), [json.dumps(row) for row in rows(row_count)]
    program = os.path.join(build, "bench_interpreter")
    operations = count_operations(spec, lines)
    with tempfile.TemporaryDirectory(prefix="sdg-bench-") as folder:
        write_inputs(folder, spec, lines)
        time_runtime(program, folder, 1)
        with open(os.path.join(folder, "out.jsonl"), encoding="utf-8") as f:
            ours = f.read().splitlines()
        for index, line in enumerate(lines):
            theirs = run_row(spec, index, line)
            if ours[index] != theirs:
                raise SystemExit(f"row {index} differs:\n  {ours[index]}\n  {theirs}")
        measured = [(time_runtime(program, folder, ms), time_python(spec, lines, ms)) for _ in range(turns)]
    return [statistics.median(column) for column in zip(*measured)] + [operations]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--ms", type=int, default=1000)
    options = parser.parse_args()
    ours, python, operations = measure(options.build, options.rows, options.ms)
    print(f"20 logic blocks, {operations:.1f} operations per row: {ours:,.0f} rows/s per core ({1e6 / ours:.1f} us, {1e9 / ours / operations:.0f} ns per operation), "
          f"plain Python {python:,.0f} rows/s ({1e6 / python:.0f} us), ratio {ours / python:.1f}")
    good = ours >= ROWS_WANTED and ours / python >= RATIO_WANTED and operations >= OPERATIONS
    print(f"wanted: {OPERATIONS} operations, {ROWS_WANTED:,} rows/s, ratio {RATIO_WANTED}: {'held' if good else 'NOT held'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
