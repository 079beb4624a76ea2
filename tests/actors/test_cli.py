#!/usr/bin/env python3
"""Verbs, flags, exit codes and messages: every error says where, what and what to do.

Usage: SDG=path/to/sdg test_cli.py [words of test names]. Standard library only. The last line is `N passed, M failed`.
"""
import os
import re
import subprocess
import sys

from harness import ECHO, ENVIRONMENT, PLAIN, RUN_S, SDG, Bench, Mock, Proc, Serve, equal, has, lacks, main

VERBS = ["run", "test-run", "validate", "doctor", "serve", "worker", "submit", "status", "top", "journal", "mock-llm",
         "config", "completion", "help"]


def sdg(*args, code=0, env=None):
    """Runs to the end; (stdout, stderr)."""
    done = subprocess.run([SDG, *map(str, args)], capture_output=True, text=True, timeout=RUN_S, stdin=subprocess.DEVNULL,
                          env={**ENVIRONMENT, **(env or {})})
    equal(done.returncode, code, " ".join(map(str, args)) + "\n" + done.stderr)
    return done.stdout, done.stderr


# ---- help ----------------------------------------------------------------------------------------------------------

def flags_in(text):
    return set(re.findall(r"(?<![\w-])--[a-z][a-z0-9.-]*[a-z0-9]", text))


def test_help_of_every_verb_in_both_languages():
    for verb in VERBS:
        english, errors = sdg(verb, "--help")
        japanese, _ = sdg(verb, "--help.ja")
        equal(errors, "")
        equal(flags_in(english) - flags_in(japanese), set(), verb)
        assert re.search("[ぁ-んァ-ン一-龠]", japanese), verb
        assert not re.search("[ぁ-んァ-ン一-龠]", english), verb
        has(english.lower(), "usage")


def test_help_of_the_program_names_every_verb():
    for flag in ("--help", "-h", "help", "--help.ja"):
        out, _ = sdg(flag)
        has(out, *VERBS)
    for flag in ("--version", "-V", "version"):
        has(sdg(flag)[0], "sdg 0.")
    equal(sdg("run", "-V")[0], sdg("-V")[0])
    has(sdg(code=2)[1], *VERBS)
    has(sdg("frobnicate", code=2)[1], "unknown command 'frobnicate'", *VERBS)


def test_help_of_a_verb_is_that_of_its_flag():
    for verb in VERBS:
        equal(sdg("help", verb)[0], sdg(verb, "--help")[0])
        equal(sdg(verb, "-h")[0], sdg(verb, "--help")[0])
        equal(sdg("help", verb, "--ui-locale", "ja")[0], sdg(verb, "--help.ja")[0])
    for verb in VERBS:  # a page is Japanese when a flag asks for it, not by the environment
        equal(sdg("help", verb, env={"LC_ALL": "ja_JP.UTF-8"})[0], sdg(verb, "--help")[0])
    has(sdg("help", "stauts", code=2)[1], "'stauts'", "did you mean 'status'?")


# The flags of the Python original's `sdg run`. Those that have no effect here must be accepted and say so.
ORIGINAL = {"--max-concurrent": 4, "--no-progress": None, "--adaptive": None, "--min-batch": 1, "--max-batch": 8, "--target-latency-ms": 100,
            "--target-queue-depth": 3, "--use-vllm-metrics": None, "--use-sglang-metrics": None, "--enable-request-batching": None,
            "--max-batch-size": 4, "--max-wait-ms": 5, "--enable-scheduling": None, "--max-pending-tasks": 50, "--chunk-size": 10,
            "--enable-memory-optimization": None, "--max-cache-size": 5, "--enable-memory-monitoring": None, "--memory-threshold-mb": 100,
            "--gc-interval": 10, "--no-retry-on-empty": None, "--save-intermediate": None, "--mapping": "x:y", "--max-inputs": 3, "--verbose": None,
            "--use-shared-transport": None, "--no-http2": None, "--disable-output-cleaning": None, "--ui-locale": "en"}
NO_EFFECT = ["--min-batch", "--target-latency-ms", "--target-queue-depth", "--use-vllm-metrics", "--use-sglang-metrics",
             "--enable-request-batching", "--max-batch-size", "--max-wait-ms"]


def test_flags_of_the_original_are_accepted():
    with Bench(None, 5, PLAIN) as b:
        words = [str(w) for flag, value in ORIGINAL.items() for w in (flag, value) if w is not None]
        err = b.run(*words)
        equal(len(b.rows()), 3)
        for flag in NO_EFFECT:
            assert re.search(re.escape(flag) + r"\b.*no effect", err), "%s does not say that it has no effect:\n%s" % (flag, err)
        for flag in ("--max-concurrent", "--chunk-size", "--save-intermediate"):
            assert not re.search(re.escape(flag) + r"\b.*no effect", err), flag


def test_flags_without_effect_are_in_no_help():
    for verb in ("run", "submit"):
        shown = flags_in(sdg(verb, "--help")[0])
        equal([f for f in NO_EFFECT[2:] + ["--adaptive", "--use-shared-transport", "--disable-output-cleaning"] if f in shown], [], verb)


def test_datasets_by_name_say_what_to_do():
    with Bench(None, 1, PLAIN) as b:
        for flag in ("--dataset", "--subset"):
            has(b.run(flag, "x", code=2), flag, "--input")
        has(sdg("run", "--yaml", b.yaml, "--output", b.output, "--split", "train", code=2)[1], "--split", "--input")


def test_flags_of_the_original_are_taken():
    with Bench(None, 1, PLAIN) as b:
        said = b.run("--split", "train", "--legacy-logs", "-v", "--no-verbose", "-q")
        lacks(said, "no effect", "--split", "--legacy-logs")
        equal(len(b.rows()), 1)


# ---- usage errors --------------------------------------------------------------------------------------------------

def test_usage_errors():
    with Bench(None, 1, PLAIN) as b:
        good = b.args()[1:]
        for words, said in ((["--nope"], "--nope"), (["--max-concurrent"], "--max-concurrent"), (["--max-concurrent", "x"], "'x'"),
                            (["--max-concurrent", "0"], "at least 1"), (["--processes", "257"], "at most 256"), (["--workers", "65"], "at most 64"), (["--max-concurrent", "-3"], "'-3'"), (["-n", "1.5"], "'1.5'"),
                            (["--mapping", "a"], "ORIGINAL:NEW"), (["--mapping", ":b"], "ORIGINAL:NEW"), (["extra"], "'extra'"),
                            (["--overwrite", "--force-resume"], "--overwrite"), (["--ui-locale", "fr"], "'fr'"),
                            (["--seed", "99999999999999999999999"], "--seed"), (["--row", "1"], "--row")):
            _, err = sdg("run", *good, *words, code=2)
            has(err, said, "sdg run --help")
        for i, flag in ((0, "--yaml"), (2, "--input"), (4, "--output")):
            _, err = sdg("run", *(good[:i] + good[i + 2:]), code=2)
            has(err, flag + " is required")
        for verb in ("serve", "worker", "status", "mock-llm", "validate", "submit", "test-run"):
            _, err = sdg(verb, "--nope", code=2)
            has(err, "--nope", "--help")


def test_the_nearest_name_is_told():
    for words, said in ((["rnu"], "unknown command 'rnu'; did you mean 'run'?"), (["run", "--ouput", "x"], "--ouput; did you mean --output?"),
                        (["run", "--fsync", "allways"], "'allways'; did you mean always?"), (["serve", "--lisen", "x"], "did you mean --listen?"),
                        (["journal", "stat", "x"], "did you mean stats?"), (["completion", "bsh"], "did you mean bash?"),
                        (["run", "--row", "1"], "sdg test-run"), (["--ouput", "x"], "did you mean --output?")):
        has(sdg(*words, code=2)[1], said)


def test_one_file_given_twice_is_refused():
    with Bench(None, 2, PLAIN) as b:
        second = b.write("b.jsonl", '{"n": 9}\n')
        has(b.run("--input", second, code=2), "--input is given twice", "sdg run --help")
        assert not os.path.exists(b.output)
        has(b.run("--input", b.input, "--ordered", "--ordered", "--max-concurrent", 3, "--max-concurrent", 4), "concurrency 4")
        equal(len(b.rows()), 2)


def test_short_flags():
    with Bench(None, 2, PLAIN) as b:
        sdg("-y", b.yaml, "-i", b.input, "-o", b.output, "-n1")
        equal(len(b.rows()), 1)


def test_the_first_language_that_is_set_decides():
    for env, japanese in (({"LANG": "ja_JP.UTF-8"}, True), ({"LC_ALL": "C", "LANG": "ja_JP.UTF-8"}, False), ({"LC_MESSAGES": "ja_JP", "LANG": "C"}, True),
                          ({"LC_ALL": "", "LANG": "ja"}, True), ({}, False), ({"LC_ALL": "ja_JP.UTF-8", "LC_MESSAGES": "C"}, True)):
        env = {"LANG": "", "LC_ALL": "", "LC_MESSAGES": "", **env}
        equal("既定" in sdg("config", "--example", env=env)[0], japanese, str(env))
        assert "既定" in sdg("config", "--example", "--ui-locale", "ja", env=env)[0]
        assert "既定" not in sdg("config", "--example", "--ui-locale", "en", env=env)[0]


# ---- the service file ----------------------------------------------------------------------------------------------

def test_config_example_and_check():
    with Bench() as b:
        for locale in ("en", "ja"):
            example = b.write("sdg.yaml", sdg("config", "--example", "--ui-locale", locale)[0])
            has(sdg("config", "--check", example)[0], "valid")
        wrong = b.write("wrong.yaml", "listen: ipc://x\nmemory:\n  limit: 1M\n")
        has(sdg("config", "--check", wrong, code=2)[1], "wrong.yaml:3:10: error: memory.limit: must be at least 16M", "    limit: 1M\n")
        for verb in ("serve", "worker", "run"):
            has(sdg(verb, "--config", wrong, code=2)[1], "wrong.yaml:3:10: memory.limit: must be at least 16M", "sdg config --check")
            has(sdg(verb, "--config", b.path("missing.yaml"), code=2)[1], "missing.yaml")
        sdg("config", "--check", b.path("missing.yaml"), code=2)
        has(sdg("config", code=2)[1], "--example", "--check")


def test_run_takes_the_service_file_and_flags_win():
    with Bench(None, 5, PLAIN) as b:
        service = b.write("sdg.yaml", "concurrency: {max: 77}\nmetrics: {listen: '127.0.0.1:0'}\n")
        has(b.run("--config", service), "concurrency 77", "dashboard at")
        has(b.run("--config", service, "--overwrite", "--max-concurrent", 78), "concurrency 78", "dashboard at")
        has(sdg("doctor", "--no-network", "--yaml", b.yaml, "--input", b.input, "--config", service)[0], "checks")


def test_a_fleet_from_one_service_file():
    with Bench(None, 20, PLAIN) as b:
        endpoint = "ipc://%s/fleet" % b.folder
        service = b.write("sdg.yaml", "listen: %s\nconnect: %s\npython: {allow: true, hosts: 1}\n" % (endpoint, endpoint))
        with Proc(["serve", "--config", service]), Proc(["worker", "--config", service]):
            b.run("--connect", endpoint, verb="submit")
            equal(len(b.rows()), 20)


def test_endpoints_that_are_not_on_this_machine_are_refused():
    for verb, flag in (("serve", "--listen"), ("worker", "--connect"), ("status", "--connect")):
        for endpoint in ("tcp://0.0.0.0:5577", "tcp://10.0.0.1:5577", "udp://127.0.0.1:1", "tcp://127.0.0.1.example.com:1", "tcp://127.0.0.1", "ipc://"):
            has(sdg(verb, flag, endpoint, code=2)[1], endpoint, "127.0.0.1")
    with Bench(None, 1, PLAIN) as b:
        has(b.run("--connect", "tcp://10.0.0.1:5577", verb="submit", code=2), "tcp://10.0.0.1:5577", "127.0.0.1")


def test_an_endpoint_without_tcp_is_told_so():
    with Bench(None, 1, PLAIN) as b:
        for args in (["serve", "--listen", "127.0.0.1:5999"], ["worker", "--connect", "127.0.0.1:5999"], ["status", "--connect", "127.0.0.1:5999"],
                     b.args("--connect", "127.0.0.1:5999", verb="submit")):
            done = subprocess.run([SDG, *map(str, args)], capture_output=True, text=True, timeout=RUN_S)
            equal(done.returncode, 2, args)
            has(done.stderr, "tcp:// is missing, write tcp://127.0.0.1:5999")


def test_serve_on_a_taken_port_and_a_bad_endpoint():
    with Bench() as b, Serve(b.folder) as s, Serve(b.folder, "ipc://" + b.path("s.ipc")) as local:
        s.wait_says("scheduler at %s: start workers with `sdg worker --connect %s`" % (s.endpoint, s.endpoint))
        local.wait_says("scheduler at %s: start" % local.endpoint)
        has(sdg("serve", "--listen", s.endpoint, code=6)[1], s.endpoint, "in use")
        has(sdg("serve", "--listen", "tcp://127.0.0.1:99999", code=2)[1], "99999", "65535")
        sdg("serve", "--listen", "ipc:///nowhere/at/all", code=6)
        has(sdg("serve", "--listen", "tcp://127.0.0.1:*", "--port-file", "/nowhere/port", code=6)[1], "/nowhere/port")


def test_status_without_a_scheduler():
    with Bench() as b:
        has(sdg("status", "--connect", "ipc://%s/nobody" % b.folder, code=6)[1], "sdg serve")


# ---- exit codes ----------------------------------------------------------------------------------------------------

def test_exit_codes_of_run():
    """0 to 4 here; 5 is test_stop.py's, 6 test_kill.py's."""
    with Mock() as mock, Bench(mock, 3) as b:
        b.run(code=0)
        b.write_pipeline(ECHO.replace("prompts", "on_error: fail, prompts").replace("select: full", "select: full, type_hint: number"))
        b.run("--overwrite", code=1)
        b.run("--frob", code=2)
        b.write("p.yaml", "blocks: [{type: ai, exec: 1}]")
        b.run(code=3)
        b.run(yaml=b.path("missing.yaml"), code=3)
        b.write_pipeline(ECHO)
        b.run(input=b.path("missing.jsonl"), code=4)


def test_pipeline_errors_say_where_and_what():
    with Mock() as mock, Bench(mock, 3) as b:
        for text, words in (("blocks: [\n", ["p.yaml:"]), ("", ["blocks"]), ("blocks: 3\n", ["p.yaml:1:", "blocks"]),
                            (ECHO.replace("model: m,", "model: mm,"), ["p.yaml:7:", "blocks[0].model", "mm"]),
                            (ECHO.replace("type: ai", "type: aii"), ["p.yaml:7:", "aii"]),
                            (ECHO.replace("select: full", "select: regex, regex: '('"), ["p.yaml:7:", "blocks[0].outputs[0].regex"]),
                            (PLAIN.replace("add:", "addd:"), ["p.yaml"])):
            b.write_pipeline(text)
            if "addd" in text:
                continue  # a one-key object that is no operator is a literal
            err = b.run(code=3)
            has(err, *words)
            assert not os.path.exists(b.output)
        b.write_pipeline(ECHO.replace("model: m,", "model: mm,").replace("type: end", "type: endd"))
        err = b.run(code=3)
        has(err, "mm", "endd")
        b.run(yaml=b.folder, code=3)
        has(b.run(yaml=b.path("missing.yaml"), code=3), "missing.yaml")


def test_unknown_keys_are_warnings_with_a_suggestion():
    with Mock() as mock, Bench(mock, 3) as b:
        b.write_pipeline(ECHO.replace("prompts:", "promts: [x], prompts:"))
        has(b.run(), "warning", "promts", "prompts")
        b.check_echo()


# ---- verbs ---------------------------------------------------------------------------------------------------------

def test_no_verb_is_run():
    with Mock() as mock, Bench(mock, 5) as b:
        sdg(*b.args()[1:])
        b.check_echo()


def test_validate():
    with Mock() as mock, Bench(mock, 3) as b:
        out, err = sdg("validate", b.yaml)
        has(out + err, "p.yaml")
        b.write_pipeline(ECHO.replace("model: m,", "model: mm,").replace("type: end", "type: endd"))
        out, err = sdg("validate", b.yaml, code=3)
        has(out + err, "mm", "endd", "p.yaml:7:", "p.yaml:8:")
        sdg("validate", b.path("missing.yaml"), code=3)
        sdg("validate", code=2)
        equal(mock.stats()["requests"], 0)


def test_validate_all_given_examples():
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../deploy/examples")
    for name in os.listdir(folder):
        if name.endswith(".yaml") and "rules" not in name:
            sdg("validate", os.path.join(folder, name), env={"SDG_MODEL": "m", "SDG_BASE_URL": "http://127.0.0.1:1", "SDG_API_KEY": "x"})


def test_test_run_shows_prompt_answer_and_outputs():
    with Mock() as mock, Bench(mock, 5) as b:
        out, _ = sdg("test-run", "--yaml", b.yaml, "--input", b.input)
        has(out, "q 0", "echo[m]: q 0", "ask", "A")
        lacks(out, "_row_index")
        out, _ = sdg("test-run", "--yaml", b.yaml, "--input", b.input, "--row", 3, "--meta")
        has(out, "q 3", "_row_index")
        equal(mock.stats()["requests"], 2)
        has(sdg("test-run", "--yaml", b.yaml, "--input", b.input, "--row", 9, code=4)[1], "row 9")
        has(sdg("test-run", "--yaml", b.yaml, "--input", b.input, "--ui-locale", "ja")[0], "q 0")
        sdg("test-run", "--yaml", b.yaml, "--input", b.path("missing.jsonl"), code=4)
    equal([n for n in os.listdir("/tmp") if n.startswith("sdg-test-run-")], [])


def test_test_run_random_input_is_a_row_of_the_input():
    with Mock() as mock, Bench(mock, 3) as b:
        for _ in range(3):
            out, _ = sdg("test-run", "--yaml", b.yaml, "--input", b.input, "--random-input")
            assert re.search(r"echo\[m\]: q [012]\b", out), out


def test_test_run_of_a_failing_row():
    with Mock("--fail", "400=1") as mock, Bench(mock, 1) as b:
        out, err = sdg("test-run", "--yaml", b.yaml, "--input", b.input, code=1)
        has(out, "q 0", "400")


def test_seed_repeats_whatever_the_concurrency():
    with Bench(None, 50) as b:
        b.write_pipeline(PLAIN.replace('{add: ["{n}", 1]}', "{randint: {min: 0, max: 1000000}}"))
        seen = []
        for flags in (["--workers", 1], ["--processes", 2, "--max-concurrent", 50], ["--workers", 2, "--chunk-size", 1]):
            b.run("--overwrite", "--ordered", "--seed", 7, *flags)
            seen.append([r["m"] for r in b.rows()])
        equal(seen[0], seen[1])
        equal(seen[0], seen[2])
        b.run("--overwrite", "--ordered", "--seed", 8)
        assert seen[0] != [r["m"] for r in b.rows()]


if __name__ == "__main__":
    sys.exit(main(globals()))
