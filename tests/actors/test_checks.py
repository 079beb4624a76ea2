#!/usr/bin/env python3
"""What is wrong with the pipeline and its input is said before the first request, by run, submit, test-run, validate and doctor alike."""
import os
import subprocess
import sys

from harness import ECHO, ENVIRONMENT, PLAIN, RUN_S, SDG, Bench, Mock, Serve, equal, has, lacks, main

WRONG = ECHO.replace('"q {n}"', '"q {nn}"')


def sdg(*args, code=0, data=None, env=None):
    """Runs to the end and returns what it said on both streams."""
    done = subprocess.run([SDG, *map(str, args)], capture_output=True, text=True, timeout=RUN_S, input=data or "", env={**ENVIRONMENT, **(env or {})})
    equal(done.returncode, code, " ".join(map(str, args)) + "\n" + done.stdout + done.stderr)
    return done.stdout + done.stderr


def test_a_misspelled_column_is_said_before_the_run():
    with Mock() as mock, Bench(mock, 3, WRONG) as b:
        said = b.run("-q")
        has(said, "p.yaml:7:", "warning: blocks[0].prompts[0]: {nn} of 'ask' is no column of the first 3 rows", "did you mean {n}?")
        equal(mock.stats()["requests"], 3)
        said = b.run("-q", "--overwrite", "--mapping", "n:nn")
        lacks(said, "{nn} of")
        has(said, "{n} of 'blocks[1]' is no column", "--mapping renames it: write {nn}")
        b.write_pipeline(ECHO)
        has(b.run("-q", "--overwrite", "--mapping", "mn:q"), "warning: --mapping mn:q renames nothing: 'mn' is no column of the first 3 rows")
        has(b.run("--overwrite", "--strict", "--mapping", "m:q", code=3), "error: --mapping m:q renames nothing")
        b.write_pipeline(WRONG)
        b.write("in.jsonl", '{"n": 1}\n{"n": 2, "nn": 3}\n')
        lacks(b.run("-q", "--overwrite"), "nn")


def test_strict_ends_with_3_before_the_first_request():
    with Mock() as mock, Bench(mock, 3, WRONG) as b:
        has(b.run("--strict", code=3), "error: blocks[0].prompts[0]: {nn}", "{n}")
        has(sdg("test-run", "--strict", "--yaml", b.yaml, "--input", b.input, code=3), "error", "{nn}")
        has(sdg("doctor", "--no-network", "--strict", "--yaml", b.yaml, "--input", b.input, code=3), "FAIL  columns: {nn} of 'ask'")
        with Serve(b.folder) as serve:
            with b.submit(serve, "--strict") as p:
                has(p.ends(3), "{nn}")
        assert not os.path.exists(b.output)
        b.write_pipeline(ECHO)
        sdg("test-run", "--strict", "--yaml", b.yaml, "--input", b.input)
        b.run("--strict")
        equal(mock.stats()["requests"], 4)


def test_strict_makes_errors_of_load_warnings():
    with Mock() as mock, Bench(mock, 2) as b:
        b.write_pipeline(ECHO.replace("prompts:", "promts: [x], prompts:"))
        has(b.run(), "warning", "promts")
        has(sdg("validate", b.yaml), "warning", "promts", "valid")
        before = mock.stats()["requests"]
        for words in (["run", "--output", b.path("o")], ["test-run"], ["doctor", "--no-network"]):
            has(sdg(*words, "--strict", "--yaml", b.yaml, "--input", b.input, code=3), "error", "promts")
        said = sdg("validate", "--strict", b.yaml, code=3)
        has(said, "error", "promts")
        lacks(said, "warning", "valid:")
        equal(mock.stats()["requests"], before)


def test_stdin_and_pipes_lose_no_rows():
    with Mock() as mock, Bench(mock, 0, WRONG) as b:
        rows = "".join('{"n": %d}\n' % i for i in range(2000))
        said = sdg("run", "--yaml", b.yaml, "--input", "-", "--output", b.output, "-q", "--max-concurrent", 64, "--strict", data=rows)
        lacks(said, "column")
        equal(len(b.rows()), 2000)
        os.mkfifo(b.path("p.jsonl"))
        writer = subprocess.Popen(["sh", "-c", "printf '{\"n\": 1}\\n{\"n\": 2}\\n' > '%s'" % b.path("p.jsonl")])
        sdg("run", "--yaml", b.yaml, "--input", b.path("p.jsonl"), "--output", b.path("o2.jsonl"), "-q")
        writer.wait(RUN_S)
        equal(len(b.rows(b.path("o2.jsonl"))), 2)


def test_a_column_with_blanks_is_named_with_the_way_out():
    with Mock() as mock, Bench(mock, 0, ECHO.replace('"q {n}"', '"q {Question Text}"')) as b:
        b.write("in.csv", "n,Question Text\n1,why\n")
        has(b.run(input=b.path("in.csv")), "{Question Text} of 'ask' stays as written", '--mapping "Question Text:question"')
        has(sdg("doctor", "--no-network", "--yaml", b.yaml, "--input", b.path("in.csv")), "warn  columns", '--mapping "Question Text:question"')
        b.write_pipeline(ECHO.replace('"q {n}"', '"q {question}"'))
        lacks(b.run("--mapping", "Question Text:question", "--overwrite", input=b.path("in.csv")), "columns", "warning")
        equal(b.rows()[0]["a"], "echo[m]: q why")


def test_names_of_sdg_itself_are_refused():
    with Bench(None, 2, PLAIN) as b:
        b.write_pipeline("blocks:\n  - {type: end, exec: 1, final: [{name: _row_index, value: '77'}, {name: _error, value: none}]}\n")
        has(sdg("validate", b.yaml, code=3), "'_row_index' is a name of sdg itself", "'_error' is a name of sdg itself")
        b.run(code=3)
        assert not os.path.exists(b.output)


def test_validate_shows_the_addresses_that_are_called():
    with Bench(None, 0, PLAIN) as b:
        b.write_pipeline("""models:
  - {name: w, api_model: m1, api_key: k, base_url: ["http://gpu1:8000", "http://user:pass@gpu2:8000/v1/"]}
  - {name: o, api_model: m2, api_key: k}
  - {name: z, api_model: m3, api_key: k, base_url: "https://h/openai/deployments/d?api-version=2024-06-01&sig=secret1&Token=secret2"}
blocks:
  - {type: ai, exec: 1, model: w, params: {model: other}, prompts: [x], outputs: [{name: A}]}
  - {type: end, exec: 2, final: [{name: a, value: "{A}"}]}
""")
        said = sdg("validate", b.yaml)
        has(said, "valid: 2 blocks, 3 models", "  w: m1 at http://gpu1:8000/v1/chat/completions\n", "  w: m1 at http://gpu2:8000/v1/chat/completions\n",
            "  o: m2 at https://api.openai.com/v1/chat/completions\n", "  w: other at http://gpu1:8000/v1/chat/completions\n")
        has(said, "  z: m3 at https://h/openai/deployments/d/chat/completions?api-version=2024-06-01&")
        lacks(said, "pass", "secret1", "secret2")


def test_secrets_of_bad_addresses_are_not_shown():
    """Neither in the sentence nor in the source line below it, whoever says it; nothing in files of the run."""
    bad = ["htp://user:hunter2@h:1/v1", "user:hunter2@h/v1", "h/v1?key=hunter2", "http://user:hunt/er2@h:x/v1", "http://h:99999/v1?api_key=hunter2",
           "http:/user:hunter2@h/v1"]
    for url in bad:
        with Bench(None, 2, PLAIN) as b:
            b.write_pipeline("""models: [{name: m, api_model: m, base_url: "%s", api_key: hunter2, headers: {X-Secret: hunter2}, tmperature: 1}]
blocks:
  - {type: ai, exec: 1, model: m, prompts: ["q {n}"], outputs: [{name: A}]}
  - {type: end, exec: 2, final: [{name: a, value: "{A}"}]}
""" % url)
            for words in (["validate", b.yaml], b.args("-v", "--journal", "--report"), b.args(verb="doctor"), b.args("--json", verb="doctor"),
                          ["test-run", "--yaml", b.yaml, "--input", b.input]):
                done = subprocess.run([SDG, *words], capture_output=True, timeout=RUN_S)
                lacks((done.stdout + done.stderr).decode(), "hunter2", "hunt/er2")
            for name in os.listdir(b.folder):
                if name not in ("p.yaml", "in.jsonl"):
                    lacks(open(b.path(name), errors="replace").read(), "hunter2", "hunt/er2")
    done = subprocess.run([SDG, "top", "--connect", "http://user:hunter2@127.0.0.1:1/", "--count", "1"], capture_output=True, timeout=RUN_S)
    lacks((done.stdout + done.stderr).decode(), "hunter2")


def test_params_model_of_a_block_goes_to_the_server():
    text = ECHO.replace("model: m,", "model: m, params: {model: other},")
    with Mock() as mock, Bench(mock, 2, text) as b:
        b.run()
        equal(sorted(row["a"] for row in b.rows()), ["echo[other]: q 0", "echo[other]: q 1"])


def test_keys_with_white_space_around_them():
    text = ECHO.replace("@KEY@", "${ENV.K}")
    with Mock() as mock, Bench(mock, 1, text) as b:
        b.run(env={"K": "sk-abcdefgh12345\n"})
        has(sdg("doctor", "--no-network", "--yaml", b.yaml, "--input", b.input, code=3, env={"K": "sk-abcdefgh12345\nsk-2"}), "a line break")
        said = sdg("validate", b.yaml, code=3, env={"K": "sk-abcdefgh12345\nsk-2"})
        has(said, "models[0].api_key: the key has a line break")
        lacks(said, "sk-")


if __name__ == "__main__":
    sys.exit(main(globals()))
