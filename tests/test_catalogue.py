#!/usr/bin/env python3
"""The wire says only what somebody hears. Each message of proto/messages.def has, in the actors that the catalogue names, a place
that builds it and a handler, and it appears in a C test of an actor; each of its fields is read by an actor that it is said to."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Where the code of a role lies. actors/loop is part of every actor.
FOLDERS = {
    "CLIENT": ["actors/client"],
    "WORKER": ["actors/worker"],
    "SCHEDULER": ["actors/scheduler"],
    "STORE": ["actors/store"],
    "MONITOR": ["actors/monitor"],
}
# Messages of a role whose code lies elsewhere: `sdg status` is a client of its own, without a run.
ELSEWHERE = {("CLIENT", "STATUS_GET"): "STATUS_VERB", ("CLIENT", "STATUS"): "STATUS_VERB"}
FOLDERS_ELSEWHERE = {"STATUS_VERB": ["actors/verbs"]}
# Messages that nobody says yet, with the reason. Tests say them.
WITHOUT_SENDER = {
    "DRAIN": "workers are drained by signals to their process; the scheduler says it when a fleet is managed from there",
}

problems = []


def without_comments(text):
    return re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.S)


def read_catalogue():
    text = without_comments((ROOT / "proto/messages.def").read_text())
    messages = {}
    for name, body in re.findall(r"^MESSAGE\((\w+), \d+,(.*?)\)\s*(?=^MESSAGE|\Z)", text, re.M | re.S):
        said = re.findall(r"SAID\((\w+), (\w+)\)", body)
        fields = re.findall(r"F\(\w+, (\w+)\)", body)
        messages[name] = (said, fields)
        for role in {r for way in said for r in way} - FOLDERS.keys() - {"ANYBODY"}:
            problems.append(f"{name}: there is no role {role}")
        if not said:
            problems.append(f"{name} is said by nobody")
    return messages


def read_sources():
    """Role -> the texts of its sources, without comments and preprocessor lines."""
    sources = {}
    for role, folders in {**FOLDERS, **FOLDERS_ELSEWHERE}.items():
        texts = []
        for folder in [*folders, "actors/loop"]:
            for path in sorted((ROOT / folder).glob("*.[ch]")):
                texts.append(without_comments(path.read_text()))
        sources[role] = texts
    return sources


def is_built(name, texts):
    """A use of MESSAGE_X that neither compares it nor names its handler. Not the answer REFUSED, which names what it is about."""
    use = rf"(?<!case )(?<![=!]= )(?<!\{{)\bMESSAGE_{name}\b(?! *:)"
    for text in texts:
        text = re.sub(r"\b(?:refuse|message_is_said)\([^;]*?MESSAGE_\w+", "", text)
        text = re.sub(r"\?\s*(MESSAGE_\w+)\s*:", r"? \1 ,", text)
        if re.search(use, text):
            return True
    return False


def is_handled(name, texts):
    """A row of a table of handlers, or a condition or a case in which something is done. A case that only returns a value (such as
    the job a message is about) handles nothing, nor does a comparison that is itself the value of a function."""
    place = rf"\{{\s*MESSAGE_{name}\s*,|case MESSAGE_{name}\s*:(?!\s*return\b)|\bif \([^;{{}}]*\btype == MESSAGE_{name}\b"
    return any(re.search(place, text) for text in texts)


def functions(text):
    """The bodies of functions, each with its head."""
    return re.findall(r"^[^\s#}/].*?^\}", text, re.M | re.S)


def is_read(name, field, texts):
    """message.X.field, or field of a variable, parameter or member that is a MSG_X."""
    read = r"\b(?!\s*[-+|]?=[^=])"
    for text in texts:
        if re.search(rf"\b{name}\.{field}{read}", text):
            return True
        for body in functions(text):
            for variable in re.findall(rf"\bMSG_{name}\s*\*?\s*(\w+)", body):
                inside = body.startswith("typedef") or body.startswith("struct")
                where = texts if inside else [body]
                pattern = rf"[.>]{variable}(?:\.|->){field}{read}" if inside else rf"\b{variable}(?:\.|->){field}{read}"
                if any(re.search(pattern, place) for place in where):
                    return True
    return False


def check_message(name, said, fields, sources, tested):
    place = lambda role: ELSEWHERE.get((role, name), role)
    for by, to in said:
        if by != "ANYBODY" and name not in WITHOUT_SENDER and not is_built(name, sources[place(by)]):
            problems.append(f"{name}: nothing of {place(by)} builds it")
        if to != "ANYBODY" and not is_handled(name, sources[place(to)]):
            problems.append(f"{name}: nothing of {place(to)} handles it")
    hearers = [sources[place(role)] for role in (FOLDERS if any(to == "ANYBODY" for _, to in said) else {to for _, to in said})]
    for field in fields:
        if not any(is_read(name, field, texts) for texts in hearers):
            problems.append(f"{name}.{field} is read by nobody it is said to")
    if not re.search(rf"\bMESSAGE_{name}\b", tested):
        problems.append(f"{name} is in no C test of an actor (tests/actors/**/test_*.c)")


messages = read_catalogue()
sources = read_sources()
tested = "\n".join(without_comments(path.read_text()) for path in sorted((ROOT / "tests/actors").rglob("test_*.c")))
for name, (said, fields) in messages.items():
    check_message(name, said, fields, sources, tested)
for name in WITHOUT_SENDER:
    if any(by != "ANYBODY" and is_built(name, sources[by]) for by, _ in messages[name][0]):
        problems.append(f"{name} is built now: take it from WITHOUT_SENDER")
count = sum(len(fields) for _, fields in messages.values())
if len(messages) < 50 or count < 120:
    problems.append(f"only {len(messages)} messages with {count} fields were found: the test sees nothing")
for problem in problems:
    print(problem)
print(f"{len(messages)} messages, {count} fields")
sys.exit(1 if problems else 0)
