"""The modes of a storm, one row each: what is run, how, and what is right.

To add a mode: a row in MODES. A pipeline names the calls it makes per row and, for a row, its only right result.
"""
import dataclasses

HEAD = """
mabel: {version: "2.0"}
models:
  - {name: m, api_model: m, base_url: "@BASE0@/v1", api_key: "key-of-the-storm", request_defaults: {timeout_sec: 8, retry: {max_attempts: 80, backoff: {base_ms: 20, factor: 1.5, cap_ms: 400}}}}
  - {name: k, api_model: k, base_url: "@BASE1@/v1", api_key: "key-of-the-storm", request_defaults: {timeout_sec: 8, retry: {max_attempts: 80, backoff: {base_ms: 20, factor: 1.5, cap_ms: 400}}}}
blocks:
"""
END = """
  - {type: end, exec: 9, final: [{name: n, value: "{n}", type_hint: json}, {name: b, value: "{B}"}]}
"""


def python(code, more=""):
    body = "".join("      " + line + "\n" for line in code.strip("\n").splitlines())
    return '\n  - type: python\n    exec: 2\n    id: py\n    timeout_ms: 60000\n%s    inputs: {n: "{n}", a: "{A}"}\n    outputs: [P]\n    function_code: |\n%s' % (more, body)


@dataclasses.dataclass(frozen=True)
class Pipeline:
    text: str
    calls: int    # LLM calls of a row
    right: object  # (n, pad) -> the text of b


def echo(model, text):
    return "echo[%s]: %s" % (model, text)


def ai(block, model, prompt, output):
    return '\n  - {type: ai, exec: %d, id: ai%d, model: %s, prompts: ["%s"], outputs: [{name: %s, select: full}]}' % (block, block, model, prompt, output)


ONE = Pipeline(HEAD + ai(1, "m", "q1 {n} {pad}", "B") + END, 1, lambda n, pad: echo("m", "q1 %d %s" % (n, pad)))

TWO = Pipeline(HEAD + ai(1, "m", "q1 {n} {pad}", "A") + ai(3, "m", "q2 {n} after {A}", "B") + END, 2,
               lambda n, pad: echo("m", "q2 %d after %s" % (n, echo("m", "q1 %d %s" % (n, pad)))))

MODELS = Pipeline(HEAD + ai(1, "m", "q1 {n} {pad}", "A") + ai(2, "k", "qk {n}", "C") + ai(3, "m", "q2 {n} {A} {C}", "B") + END, 3,
                  lambda n, pad: echo("m", "q2 %d %s %s" % (n, echo("m", "q1 %d %s" % (n, pad)), echo("k", "qk %d" % n))))

PYTHON = Pipeline(HEAD + ai(1, "m", "q1 {n} {pad}", "A") + python("""
import time
def main(ctx, n, a):
    time.sleep(0.004)
    return {"P": "p:" + a}
""") + ai(3, "m", "q2 {n} after {P}", "B") + END, 2,
                  lambda n, pad: echo("m", "q2 %d after p:%s" % (n, echo("m", "q1 %d %s" % (n, pad)))))

ASK = Pipeline(HEAD + ai(1, "m", "q1 {n} {pad}", "A") + python("""
def main(ctx, n, a):
    got = [ctx.call_ai("m", None, ["ask %d of %d" % (i, int(n))]) for i in range(3)]
    return {"P": " ".join(got)}
""") + ai(3, "m", "q2 {n} after {P}", "B") + END, 5,
               lambda n, pad: echo("m", "q2 %d after %s" % (n, " ".join(echo("m", "ask %d of %d" % (i, n)) for i in range(3)))))

THREADS = Pipeline(HEAD + ai(1, "m", "q1 {n} {pad}", "A") + python("""
import concurrent.futures
def main(ctx, n, a):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda i: ctx.call_ai("m", None, ["ask %d of %d" % (i, int(n))]), range(6)))
    return {"P": " ".join(got)}
""") + ai(3, "m", "q2 {n} after {P}", "B") + END, 8,
                   lambda n, pad: echo("m", "q2 %d after %s" % (n, " ".join(echo("m", "ask %d of %d" % (i, n)) for i in range(6)))))

GATHER = Pipeline(HEAD + ai(1, "m", "q1 {n} {pad}", "A") + python("""
import asyncio
async def some(ctx, n):
    return await asyncio.gather(*(ctx.acall_ai("m", None, ["ask %d of %d" % (i, n)]) for i in range(8)))
def main(ctx, n, a):
    return {"P": " ".join(asyncio.run(some(ctx, int(n))))}
""") + ai(3, "m", "q2 {n} after {P}", "B") + END, 10,
                  lambda n, pad: echo("m", "q2 %d after %s" % (n, " ".join(echo("m", "ask %d of %d" % (i, n)) for i in range(8)))))


@dataclasses.dataclass(frozen=True)
class Mode:
    pipeline: Pipeline
    flags: tuple = ()
    rows: int = 120
    concurrent: int = 12
    output: str = "out.jsonl"
    input: str = "jsonl"      # jsonl, csv, gz, stdin
    pad: int = 6              # bytes of `pad`, at most
    journal: bool = True      # answers of unfinished rows are kept
    ordered: bool = False
    fleet: str = ""           # "": sdg run; tcp or ipc: sdg serve, workers and sdg submit
    workers: int = 2          # of a fleet
    jobs: int = 1             # commands at a time, each with an output of its own


MODES = {
    "plain": Mode(TWO),
    "one-call": Mode(ONE, rows=200, journal=False),
    "one-call-journal": Mode(ONE, ("--journal",), rows=200),
    "threads": Mode(TWO, ("--workers", "3")),
    "processes": Mode(TWO, ("--processes", "3"), rows=160),
    "ordered": Mode(TWO, ("--ordered",), ordered=True),
    "gz": Mode(TWO, output="out.jsonl.gz"),
    "zst": Mode(TWO, ("--processes", "2"), output="out.jsonl.zst"),
    "stdin": Mode(TWO, input="stdin"),
    "csv": Mode(TWO, ("--ordered",), input="csv", ordered=True),
    "gz-in": Mode(TWO, input="gz"),
    "models": Mode(MODELS),
    "fsync": Mode(TWO, ("--fsync", "always")),
    "python": Mode(PYTHON),
    "python-processes": Mode(PYTHON, ("--processes", "2")),
    "call-ai": Mode(ASK, rows=50),
    "call-ai-threads": Mode(THREADS, rows=40),
    "call-ai-gather": Mode(GATHER, rows=40, concurrent=16),
    "call-ai-spill": Mode(GATHER, ("--enable-memory-optimization", "--max-cache-size", "2"), rows=40, concurrent=16),
    "call-ai-processes": Mode(ASK, ("--processes", "2"), rows=50),
    "call-ai-one-unit": Mode(ASK, rows=16, concurrent=1),
    "batch": Mode(TWO, ("--batch-mode", "--max-batch", "12")),
    "batch-python": Mode(PYTHON, ("--batch-mode", "--max-batch", "12", "--processes", "2")),
    "spill": Mode(TWO, ("--enable-memory-optimization", "--max-cache-size", "3", "--memory-limit", "16M"), pad=9000, concurrent=24),
    "spill-processes": Mode(TWO, ("--processes", "2", "--enable-memory-optimization", "--max-cache-size", "2"), pad=3000, concurrent=24),
    "small-chunks": Mode(TWO, ("--processes", "2", "--chunk-size", "3", "--max-pending-tasks", "40"), rows=160),
    "jobs": Mode(TWO, jobs=3, rows=60),
    "fleet": Mode(TWO, fleet="tcp", workers=3),
    "fleet-ipc": Mode(TWO, fleet="ipc"),
    "fleet-python": Mode(PYTHON, fleet="tcp"),
    "fleet-call-ai": Mode(ASK, fleet="tcp", rows=50),
    "fleet-gather": Mode(GATHER, fleet="ipc", rows=40, concurrent=16),
    "fleet-jobs": Mode(TWO, fleet="tcp", jobs=3, rows=60, workers=3),
    "fleet-batch": Mode(TWO, ("--batch-mode", "--max-batch", "12"), fleet="ipc"),
    "fleet-spill": Mode(TWO, ("--enable-memory-optimization", "--max-cache-size", "3"), fleet="tcp", pad=4000),
}
