#!/usr/bin/env python3
"""mex_property.py - random MEX expressions, evaluated by the runtime and by the evaluator in this file, must agree.

    mex_property.py [--seed N] [--count N] [--program build/mex_eval_lines]

The evaluator here (class Mex) was written from the format's description and Python's own behaviour, not from the C sources: the same mistake
would have to be made twice to stay unseen. What is compared: the value with its type (integers apart from reals, reals by their repr), the
globals that `set` left behind, or that both refuse. A refusal's text is free. The generator knows which kind of value it wants where, asks
for the wrong kind now and then, and prefers values on the border of something. A difference is made as small as possible before it is printed.

To add an operator: a method of Mex called op_<name>, and a line in Maker that writes calls of it.
"""
import argparse
import json
import math
import multiprocessing
import os
import random
import re
import subprocess
import sys
import time

INT_MIN, INT_MAX = -2**63, 2**63 - 1
BATCH = 5000               # expressions per process of the runtime
SHOWN = 10                 # differences that are made small and printed; the rest is counted


class Refused(Exception):
    """The expression has no value."""


class Malformed(Exception):
    """Not what the generator writes: no opinion. It comes up while a difference is made small."""


def shaped(good):
    if not good:
        raise Malformed


# --- numbers ----------------------------------------------------------------------------------------------------------

INTEGER_TEXT = re.compile(r"\s*[+-]?[0-9]+\s*\Z", re.ASCII)
REAL_TEXT = re.compile(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*\Z", re.ASCII)


def is_number(v):
    return isinstance(v, (int, float)) and not isinstance(v, bool)


def fit(number):
    """What becomes of an operand or a result of arithmetic: integers of 64 bits stay, larger ones are reals, and there is no infinity."""
    if isinstance(number, complex):
        raise Refused("complex")
    if isinstance(number, int) and not INT_MIN <= number <= INT_MAX:
        try:
            number = float(number)
        except OverflowError:
            raise Refused("too large") from None
    if isinstance(number, float) and not math.isfinite(number):
        raise Refused("not finite")
    return number


def number_or_none(v):
    """A number, or text that is one."""
    if is_number(v):
        return v
    if isinstance(v, str):
        if INTEGER_TEXT.match(v):
            return int(v)
        if REAL_TEXT.match(v) and math.isfinite(float(v)):
            return float(v)
    return None


def strict(v):
    n = int(v) if isinstance(v, bool) else number_or_none(v)
    if n is None:
        raise Refused("not a number")
    return n


def exact(v):
    """Null and text that is no number are 0 in arithmetic."""
    if v is None or isinstance(v, str) and number_or_none(v) is None:
        return 0
    return strict(v)


def number(v):
    return fit(exact(v))


def integer(v):
    n = fit(strict(v))
    shaped(isinstance(n, int) or not 2**62 < abs(n) < 2**64)           # silent
    if n != int(n) or not INT_MIN <= int(n) <= INT_MAX:
        raise Refused("not an integer")
    return int(n)


def rounded(function, n):
    """An integer keeps its digits, of any size; a real beyond 64 bits stays a real."""
    return n if isinstance(n, int) else fit(function(n))


# --- comparing --------------------------------------------------------------------------------------------------------

def same(a, b):
    """Python's ==, in which True is no 1."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return a == b


def plain(v):
    """Null is the empty text where texts are compared."""
    return "" if v is None else str(v)


def comparable(v):
    """A boolean is a number to a number."""
    return int(v) if isinstance(v, bool) else number_or_none(v)


def equal(a, b):
    if a is None or b is None:
        return (a is None or a == "") and (b is None or b == "")
    kinds = {type(a), type(b)}
    shaped(not (str in kinds and kinds & {list, dict}))        # silent: a list against text
    if kinds == {bool, str}:
        return str(a).lower() == str(b).lower()
    x, y = comparable(a), comparable(b)
    if kinds != {str} and x is not None and y is not None:
        return x == y
    return same(a, b)


def order(a, b):
    """-1, 0, 1 as a stands to b."""
    if isinstance(a, list) and isinstance(b, list):
        return next((o for o in map(order, a, b) if o), (len(a) > len(b)) - (len(a) < len(b)))
    shaped(not {dict, list} & {type(a), type(b)} or is_number(a) or is_number(b))        # silent: a list or an object against text
    shaped(not (a is None and isinstance(b, str) or b is None and isinstance(a, str)) or comparable(a) == comparable(b))   # silent: null, numeric text
    x, y = comparable(a), comparable(b)
    if isinstance(a, str) and isinstance(b, str) and None in (x, y) or x is None and y is None:
        x, y = plain(a), plain(b)
    else:
        x, y = x or 0, y or 0
    return (x > y) - (x < y)


# --- paths and text ---------------------------------------------------------------------------------------------------

ABSENT = object()
PLACEHOLDER = re.compile(r"\{([\w.-]+(?:\[-?[0-9]+\][\w.\[\]-]*)?)\}")


def steps_of(path):
    """a.b[0].c -> ["a", "b", 0, "c"]"""
    return [int(step[1:-1]) if step.startswith("[") else step for step in re.findall(r"\[-?[0-9]+\]|[^.\[\]]+", path)]


def walk(v, steps):
    for step in steps:
        if isinstance(step, int):
            if not isinstance(v, list) or not -len(v) <= step < len(v):
                return ABSENT
            v = v[step]
        elif isinstance(v, dict) and step in v:
            v = v[step]
        elif isinstance(v, list) and step.isdigit():
            raise Malformed                # silent: "0" for "[0]"
        else:
            return ABSENT
    return v


def changed(v, steps, new):
    """A copy of v in which the value at the path is another one."""
    if not steps:
        return new
    step, rest = steps[0], steps[1:]
    if isinstance(step, int):
        if not isinstance(v, list) or not -len(v) <= step < len(v):
            shaped(not isinstance(v, list) or step != len(v))      # silent: behind the last one
            raise Refused("no such element")
        copy = list(v)
        copy[step] = changed(v[step], rest, new)
        return copy
    if v is None or v is ABSENT:
        v = {}
    if not isinstance(v, dict):
        raise Refused("not an object")
    copy = dict(v)
    copy[step] = changed(v.get(step, ABSENT), rest, new)
    return copy


# --- the evaluator ----------------------------------------------------------------------------------------------------

class Mex:
    """One evaluation: expression in, value out; self.vars is what `set` changes."""

    def __init__(self, context, variables, consts):
        self.context, self.vars, self.consts = context, dict(variables), consts
        self.locals = []       # objects, the innermost last

    def eval(self, e):
        if isinstance(e, str):
            return self.text(e)
        if isinstance(e, list):
            return [self.eval(x) for x in e]
        if isinstance(e, dict):
            if set(e) == {"get", "default"}:
                return self.op_get(e["get"], e["default"])
            if len(e) == 1:
                name, = e
                method = getattr(self, "op_" + ALIASES.get(name, name), None)
                if method:
                    return method(e[name])
            return {key: self.eval(x) for key, x in e.items()}
        return e

    # -- names

    def find(self, name, places):
        for place in places:
            if name in place:
                return place[name]
        return ABSENT

    def named(self, dotted, places):
        """The whole name is tried as one key first, then as a path."""
        v = self.find(dotted, places)
        if v is not ABSENT:
            return v
        steps = steps_of(dotted)
        v = self.find(steps[0], places) if steps and isinstance(steps[0], str) else ABSENT
        return v if v is ABSENT else walk(v, steps[1:])

    def everywhere(self):
        return self.locals[::-1] + [self.context, self.vars, self.consts]

    def text(self, s):
        if "{" not in s:
            return s
        whole = PLACEHOLDER.fullmatch(s)
        if whole:
            v = self.named(whole.group(1), self.everywhere())
            return None if v is ABSENT else v

        def render(match):
            v = self.named(match.group(1), self.everywhere())
            return match.group(0) if v is ABSENT else str(v)
        return PLACEHOLDER.sub(render, s)

    def bound(self, names, e):
        self.locals.append(names)
        try:
            return self.eval(e)
        finally:
            self.locals.pop()

    # -- arguments

    def one(self, e):
        """The only operand; it may stand in a list."""
        return self.eval(e[0] if isinstance(e, list) and len(e) == 1 else e)

    def operands(self, e):
        """Values of a list of operands; a single one may be an expression that gives the list."""
        v = self.eval(e)
        return v if isinstance(v, list) else [v]

    def flat(self, e):
        """The same, where a list is no operand: one that stands alone has them."""
        values = self.operands(e)
        return values[0] if isinstance(e, list) and len(values) == 1 and isinstance(values[0], list) else values

    def numbers(self, e):
        return [number(v) for v in self.flat(e)]

    def some(self, e, count):
        """Exactly so many operands, written as a list."""
        if not isinstance(e, list) or len(e) != count:
            raise Malformed
        return [self.eval(x) for x in e]

    def sequence(self, e, value=None):
        """A list; null is an empty one."""
        v = (value or self.eval)(e)
        if v is None:
            return []
        if not isinstance(v, list):
            raise Refused("not a list")
        return v

    def given(self, e):
        """The operand of an operator over one list."""
        shaped(not (isinstance(e, dict) and "list" in e))
        v = self.eval(e)
        shaped(not (isinstance(e, list) and len(v) == 1 and isinstance(v[0], list)))       # silent: a list, or one operand in a list
        return v

    def each(self, e):
        """Pairs of an element and the value of fn for it."""
        name, _ = e.get("var", "item"), e["fn"]
        for index, element in enumerate(self.sequence(e["list"])):
            yield element, self.bound({name: element, "index": index}, e["fn"])

    # -- logic and comparing

    def op_and(self, e):
        if isinstance(e, list):
            return all(self.eval(x) for x in e)
        return all(self.operands(e))

    def op_or(self, e):
        if isinstance(e, list):
            return any(self.eval(x) for x in e)
        return any(self.operands(e))

    def op_not(self, e):
        return not self.one(e)

    def op_eq(self, e):
        return equal(*self.some(e, 2))

    def op_ne(self, e):
        return not equal(*self.some(e, 2))

    def op_lt(self, e):
        return order(*self.some(e, 2)) < 0

    def op_le(self, e):
        return order(*self.some(e, 2)) <= 0

    def op_gt(self, e):
        return order(*self.some(e, 2)) > 0

    def op_ge(self, e):
        return order(*self.some(e, 2)) >= 0

    def op_contains(self, e):
        where, what = self.some(e, 2)
        shaped(isinstance(where, list) or None not in (what, where))        # silent
        if isinstance(where, list):
            return any(equal(x, what) for x in where)
        if isinstance(where, dict):
            return str(what) in where
        return str(what) in str(where)

    def op_is_empty(self, e):
        v = self.one(e)
        return (v.strip() if isinstance(v, str) else v) in (None, "", [], {})      # blank text, too: what existing files rely on

    # -- arithmetic

    def op_add(self, e):
        first, *rest = self.numbers(e) or [0]
        for n in rest:
            first = fit(first + n)
        return first

    def op_sub(self, e):
        first, *rest = self.numbers(e) or [0]
        if not rest:
            return fit(-first)
        for n in rest:
            first = fit(first - n)
        return first

    def op_mul(self, e):
        first, *rest = self.numbers(e) or [1]
        for n in rest:
            first = fit(first * n)
        return first

    def op_div(self, e):
        first, *rest = self.numbers(e)
        if not rest:
            raise Malformed
        for n in rest:
            if n == 0:
                raise Refused("division by zero")
            shaped(first / n == float(first) / float(n))       # silent: the last digit of integers beyond 2**53
            first = fit(first / n)
        return first

    def op_mod(self, e):
        a, b = map(number, self.some(e, 2))
        if b == 0:
            raise Refused("division by zero")
        return fit(a % b)

    def op_pow(self, e):
        a, b = map(number, self.some(e, 2))
        if isinstance(a, int) and isinstance(b, int) and b > 1100 and abs(a) > 1:
            raise Refused("too large")
        try:
            power = fit(a ** b)
        except (ZeroDivisionError, OverflowError):
            raise Refused("pow") from None
        shaped(not isinstance(power, float) or power == float(a) ** b)     # silent: the last digit of an overflow
        return power

    def op_neg(self, e):
        return fit(-number(self.one(e)))

    def op_abs(self, e):
        return fit(abs(number(self.one(e))))

    def op_round(self, e):
        shaped(not isinstance(e, list) or len(e) == 1)
        return rounded(round, exact(self.one(e)))

    def op_floor(self, e):
        return rounded(math.floor, exact(self.one(e)))

    def op_ceil(self, e):
        return rounded(math.ceil, exact(self.one(e)))

    def op_min(self, e):
        return self.extreme(e, min)

    def op_max(self, e):
        return self.extreme(e, max)

    def extreme(self, e, function):
        values = self.flat(e)
        if not values:
            raise Refused("too few operands")
        texts = [v for v in values if isinstance(v, str) and number_or_none(v) is None]
        if len(texts) == len(values):
            return function(texts)
        return function(map(exact, values))

    # -- text

    def op_concat(self, e):
        return "".join(str(v) for v in self.operands(e))

    def op_split(self, e):
        text, separator = map(str, self.some(e, 2))
        if separator == "":
            raise Refused("empty separator")
        return text.split(separator)

    def op_join(self, e):
        shaped(isinstance(e, list) and len(e) == 2)
        return str(self.eval(e[1])).join(str(v) for v in self.sequence(e[0]))

    def op_replace(self, e):
        return str.replace(*map(str, self.some(e, 3)))

    def op_lower(self, e):
        return str(self.one(e)).lower()

    def op_upper(self, e):
        return str(self.one(e)).upper()

    def op_trim(self, e):
        return str(self.one(e)).strip()

    def op_len(self, e):
        v = self.given(e)
        if v is None:
            return 0
        return len(v) if isinstance(v, (list, dict)) else len(str(v))

    def op_starts_with(self, e):
        return str.startswith(*map(str, self.some(e, 2)))

    def op_ends_with(self, e):
        return str.endswith(*map(str, self.some(e, 2)))

    def pattern(self, e):
        shaped(isinstance(e, dict))
        text = str(self.eval(e["text"] if "text" in e else e["string"]))
        return re.compile(str(self.eval(e["pattern"]))), text

    def op_regex_match(self, e):
        pattern, text = self.pattern(e)
        return pattern.search(text) is not None

    def op_regex_extract(self, e):
        pattern, text = self.pattern(e)
        hits = [list(hit) if isinstance(hit, tuple) else hit for hit in pattern.findall(text)]
        if "index" not in e:
            return hits
        hit = walk(hits, [integer(self.eval(e["index"]))])
        return None if hit is ABSENT else hit

    def op_regex_replace(self, e):
        pattern, text = self.pattern(e)
        replacement = str(self.eval(e["replacement"]))
        try:
            return pattern.sub(replacement, text)
        except re.error:
            raise Malformed from None      # silent: "\\" at its end, escapes of no meaning

    # -- collections

    def op_map(self, e):
        shaped(isinstance(e, dict))
        return [v for _, v in self.each(e)]

    def op_filter(self, e):
        shaped(isinstance(e, dict))
        return [element for element, v in self.each(e) if v]

    def op_reduce(self, e):
        shaped(isinstance(e, dict))
        values, _ = self.sequence(e["list"]), e["fn"]
        if "init" in e:
            total = self.eval(e["init"])
        elif values:
            total, values = values[0], values[1:]
        else:
            return None
        for index, element in enumerate(values):
            total = self.bound({e.get("var", "item"): element, "index": index, "accumulator": total}, e["fn"])
        return total

    def op_any(self, e):
        if isinstance(e, dict) and "list" in e:
            return any(v for _, v in self.each(e))
        return any(self.sequence(e, self.given))

    def op_all(self, e):
        if isinstance(e, dict) and "list" in e:
            return all(v for _, v in self.each(e))
        return all(self.sequence(e, self.given))

    def op_unique(self, e):
        seen = []
        for v in self.sequence(e, self.given):
            if not any(same(v, x) or {type(v), type(x)} in ({str, int}, {str, float}) and equal(v, x) for x in seen):
                seen.append(v)
        return seen

    def op_sort(self, e):
        return in_order(self.sequence(e, self.given))

    def op_slice(self, e):
        shaped(isinstance(e, dict))
        v = self.eval(e["list"])
        if isinstance(v, dict):
            raise Refused("not a list")
        if not isinstance(v, list):
            v = [] if v is None else str(v)
        bounds = [self.eval(e[name]) if name in e else None for name in ("start", "end")]
        shaped("" not in bounds)               # silent
        start, end = (None if bound is None else integer(bound) for bound in bounds)
        return v[start:end]

    def end_of(self, e, which):
        v = self.given(e)
        if v is not None and not isinstance(v, (list, str)):
            raise Refused("not a list")
        return v[which] if v else None

    def op_first(self, e):
        return self.end_of(e, 0)

    def op_last(self, e):
        return self.end_of(e, -1)

    # -- control

    def op_if(self, e):
        shaped(isinstance(e, dict))
        if self.eval(e["cond"]):
            return self.eval(e["then"])
        return self.eval(e["else"]) if "else" in e else None

    def op_case(self, e):
        shaped(isinstance(e, dict))
        shaped(isinstance(e["when"], list) and all("cond" in arm and ("then" in arm or "value" in arm) for arm in e["when"]))
        for arm in e["when"]:
            if self.eval(arm["cond"]):
                return self.eval(arm["then"] if "then" in arm else arm["value"])
        return self.eval(e.get("else", e.get("default")))

    def op_let(self, e):
        shaped(isinstance(e, dict))
        v = self.eval(e["value"])
        return self.bound({e["var"]: v}, e["in"]) if "in" in e else v

    # -- references

    def op_var(self, e):
        shaped(isinstance(e, str) and e)
        v = self.named(e, self.everywhere())
        return None if v is ABSENT else v

    def op_ref(self, e):
        shaped(isinstance(e, str) and e)
        v = self.named(e, [self.context])
        return None if v is ABSENT else v

    def op_get(self, e, default=None):
        if isinstance(e, list):
            shaped(len(e) == 2 and (isinstance(e[1], str) or isinstance(e[1], dict) and list(e[1]) == ["path"]))
            thing, path = self.eval(e[0]), e[1]["path"] if isinstance(e[1], dict) else e[1]
        else:
            thing, path, default = self.eval(e["obj"]), e["path"], e.get("default")
        shaped(isinstance(path, str) and steps_of(path))
        v = walk(thing, steps_of(self.eval(path)))
        return self.eval(default) if v is ABSENT else v

    def op_set(self, e):
        if "in" in e:
            shaped(isinstance(e["path"], str) and steps_of(e["path"]))
            thing, path, value = self.eval(e["in"]), self.eval(e["path"]), self.eval(e["value"])
            return changed(thing, steps_of(path), value)
        v = self.eval(e["value"])
        if e["var"] in self.consts:
            raise Refused("a const")
        self.vars[e["var"]] = v
        return v

    # -- conversion and chance

    def op_to_number(self, e):
        return exact(self.one(e))

    def op_to_string(self, e):
        return str(self.eval(e))

    def op_to_boolean(self, e):
        return bool(self.eval(e))

    def op_parse_json(self, e):
        def real(digits):
            return float(digits) if math.isfinite(float(digits)) else None
        try:
            return json.loads(str(self.eval(e)), parse_constant=lambda name: None, parse_float=real)
        except (ValueError, TypeError):
            raise Refused("not JSON") from None

    def op_stringify(self, e):
        return json.dumps(self.eval(e), ensure_ascii=False)

    def op_range(self, e):
        shaped(isinstance(e, list) and len(e) == 2)
        start, end = map(integer, map(self.eval, e))
        if end - start > 1000000:
            raise Refused("too many")
        shaped(end - start < 1000)     # it would only take time
        return list(range(start, end))

    def op_rand(self, e):
        shaped(isinstance(e, dict))
        low, high = number(self.eval(e["min"])), number(self.eval(e["max"]))
        if low > high:
            raise Refused("empty range")
        shaped(low == high)
        return float(low)      # only asked for where low is high

    def op_randint(self, e):
        shaped(isinstance(e, dict))
        low, high = integer(self.eval(e["min"])), integer(self.eval(e["max"]))
        if low > high:
            raise Refused("empty range")
        shaped(low == high)
        return low             # the same

    def op_choose(self, e):
        values = self.sequence(e, self.given)
        if not values:
            raise Refused("nothing to choose from")
        return values[0]       # only asked for where all are the same


ALIASES = {"equals": "eq", "not_equals": "ne", "gte": "ge", "lte": "le", "match": "regex_match"}


def in_order(values):
    """Numbers, then text; or lists, which are ordered by their elements."""
    if values and all(isinstance(v, list) for v in values):
        shaped(all(isinstance(x, (int, float, str)) for v in values for x in v))
        shaped(len({frozenset(map(type, v)) - {int, float} for v in values}) == 1)         # silent: lists of different kinds
        return sorted(values)
    if not all(isinstance(v, (int, float, str)) for v in values):
        raise Refused("no order")
    return sorted(values, key=lambda v: (isinstance(v, str), v))


# --- the generator ----------------------------------------------------------------------------------------------------

NUMBERS = [0, 1, -1, 2, 3, 7, 10, -7, 100, INT_MAX, INT_MIN, 2**53 + 1, 2**31, 0.0, -0.0, 0.1, 0.5, 1.5, 2.5, -2.5, 1.0, 10.0, 1e15, 1e16, 1e22,
           1e-7, 1e300, 9.2233720368547758e18, 0.30000000000000004, 123456.789, 2**63, 2**63 + 1, -2**63 - 1, 2**64, 12345678901234567890, 10**22, 10**22 + 1,
           -10**30, 10**308, 10**400]
NUMBER_TEXTS = ["10", "0", "-1", "2.5", "10.0", " 7 ", "+3", "1e3", ".5", "9223372036854775807", "9223372036854775808", "007",
                "-9223372036854775809", "0012345678901234567890", "1" + 400 * "0", "1e22", "1e999", "-1e999"]
TEXTS = ["", "a", "abc", "abd", "B", "hello world", "a,b,,c", "x1y22", "h\u00e9llo", "\u540d\u524d", "\U0001f600!", "  pad\t\n", "\u00df\u00c9", "it's",
         "it's \"q\"", "{", "{}", "a{b", "k=v, x=y", "True", "None", "aaa", "12ab", "ab\nba", "\u00a0nb\u00a0", "-", ",", "\\", "caf\u00e9 42"]
SEPARATORS = [",", " ", "a", "--", "\n", "\u00e9", ", "]
PATTERNS = [r"\d+", r"\w+", r"(\w)(\d)", r"a|b", r"^\s*", r"[^,]+", r"(a)?b", r"x*", r"\b\w", r"(?i)ABC", r".", r"(\w+) (\w+)", r"\d{2}", r"a.b", r"b$",
            r"[^\W\d_]+", r"(?:l+)o?", r"\s"]
REPLACEMENTS = ["#", "", "<\\g<0>>", "ab", "\\\\", "{n}"]
JSON_TEXTS = ['{"a": [1, 2.5, null, true]}', "[1, [2, 3]]", "7", '"t"', "12345678901234567890", "{bad", "", "[1e2, -0.0]", ' {"k": "\\u00e9"} ', "NaN", "[NaN, -Infinity, 1e400]",
              "-9223372036854775809"]
PATHS = ["a", "a.b", "a.b[0]", "a.b[1].c", "k", "[0]", "[-1]", "[1].k", "a.zz", "[9]", "a.b[-1]", "a.b.c", "0"]
ONE_OF = 12                # how often something of any kind stands where a certain kind is wanted: once in so many

WORLD = {                  # name -> kind, place; the values are chosen for each expression
    "n": ("number", "context"), "r": ("number", "context"), "num": ("number_text", "context"), "s": ("text", "context"),
    "u": ("text", "context"), "e": ("empty", "context"), "xs": ("numbers", "context"), "ts": ("texts", "context"), "nest": ("nest", "context"),
    "os": ("objects", "context"), "o": ("object", "context"), "t": ("boolean", "context"), "none": ("null", "context"),
    "d.e": ("number", "context"), "\u540d": ("text", "context"), "both": ("text", "context"),
    "g": ("number", "vars"), "gs": ("text", "vars"), "gl": ("numbers", "vars"), "go": ("object", "vars"),
    "K": ("number", "consts"), "KT": ("text", "consts"), "KL": ("texts", "consts"),
}


class Maker:
    """Writes random expressions; self.locals are the names that lambdas and let have bound around the place that is being written."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.locals = []

    def pick(self, values):
        return self.random.choice(values)

    def chance(self, one_of):
        return self.random.randrange(one_of) == 0

    # -- values

    def number(self):
        if self.chance(4):
            return self.random.randint(-20, 20)
        if self.chance(12):
            return self.random.choice([self.random.uniform(-5, 5), self.random.randint(INT_MIN, INT_MAX), self.random.gauss(0, 1e6)])
        return self.pick(NUMBERS)

    def value(self, kind, depth=2):
        some = range(self.random.randrange(5))
        if kind in ("number", "boolean", "text", "number_text", "null", "empty"):
            return {"number": self.number, "boolean": lambda: self.chance(2), "null": lambda: None, "empty": lambda: "",
                    "text": lambda: self.pick(TEXTS), "number_text": lambda: self.pick(NUMBER_TEXTS)}[kind]()
        if kind == "numbers":
            return [self.number() for _ in some]
        if kind == "texts":
            return [self.pick(TEXTS) for _ in some]
        if kind == "objects":
            return [{"k": self.pick(TEXTS), "v": self.number()} for _ in some]
        if kind == "nest":
            return [self.value(self.pick(["number", "numbers", "nest", "text", "boolean", "null"] if depth else ["number"]), depth - 1) for _ in some]
        if self.chance(2):
            return {"a": {"b": [self.number(), {"c": self.pick(TEXTS)}]}, "k": self.value("texts")}
        return {self.pick(["a", "b", "k", "z", "0"]): self.value(self.pick(["number", "text", "numbers", "null"])) for _ in some}

    def request(self):
        """An expression and values for the names in it."""
        e = self.make("any", self.random.randint(1, 5))
        text = json.dumps(e, ensure_ascii=False)
        request = {"expr": e, "context": {}, "vars": {}, "consts": {}}
        for name, (kind, place) in WORLD.items():
            if name in text:
                request[place][name] = self.value(kind)
        if "both" in text:
            request["vars"]["both"] = "of vars"
        return request

    # -- names

    KINDS = {"number": ("number", "number_text"), "text": ("text", "number_text", "empty", "number"), "list": ("numbers", "texts", "nest", "objects"),
             "numbers": ("numbers",), "texts": ("texts",), "object": ("object",), "boolean": ("boolean",), "sortable": ("numbers", "texts")}

    def name(self, kind):
        kinds = self.KINDS.get(kind)
        near = [name for name, k in self.locals if kinds is None or k in kinds or k == "any"]
        if near and not self.chance(3):
            return self.pick(near)
        return self.pick([name for name, (k, _) in WORLD.items() if kinds is None or k in kinds] or ["nope"])

    def reference(self, kind):
        if self.chance(20):
            return self.pick([{"var": "nope"}, "{nope}", {"ref": "g"}, {"ref": "n"}, {"var": "both"}, {"var": "o.a.b[0]"}, "{o.k[0]}", "{xs[-1]}", "{xs[9]}"])
        name = self.name(kind)
        return "{" + name + "}" if self.chance(2) else {"var": name}

    # -- expressions: one method per wanted kind; depth is what may still be nested

    def make(self, kind, depth):
        if kind != "any" and self.chance(ONE_OF * 4):
            kind = "any"
        if kind == "any":
            kind = self.pick(["number", "number", "text", "text", "boolean", "numbers", "texts", "list", "object", "null"])
        if kind == "null":
            return None
        if depth <= 0 or self.chance(5):
            return self.leaf(kind)
        if self.chance(8):
            return self.control(kind, depth - 1)
        return self.pick(getattr(self, "calls_" + {"sortable": "list"}.get(kind, kind))())(depth - 1)

    def leaf(self, kind):
        if self.chance(2):
            return self.reference(kind)
        if kind == "number" and self.chance(4):
            return self.pick(NUMBER_TEXTS)
        if kind == "text" and self.chance(3):
            return self.pick(["{%s}!", "n=%s", "<{%s}>{nope}", "{%s}{s}", "{o.a.b[1]} {%s}"]).replace("%s", self.name("any"))
        if kind == "list":
            kind = self.pick(["numbers", "texts", "nest"])
        if kind == "sortable":
            kind = self.pick(["numbers", "texts"])
        return self.value(kind)

    def control(self, kind, depth):
        m = self.make
        return self.pick([
            lambda: {"if": {"cond": self.condition(depth), "then": m(kind, depth), "else": m(kind, depth)}},
            lambda: {"if": {"cond": self.condition(depth), "then": m(kind, depth)}},
            lambda: {"case": {"when": [{"cond": self.condition(depth), self.pick(["then", "value"]): m(kind, depth)} for _ in range(2)],
                              self.pick(["else", "default"]): m(kind, depth)}},
            lambda: self.let(kind, depth),
            lambda: {"let": {"var": "w", "value": m(kind, depth)}},
            lambda: {"set": {"var": self.pick(["g", "gs", "w1", "w2", "K"] if self.chance(8) else ["w1", "w2", "g"]), "value": m(kind, depth)}},
            lambda: {"get": {"obj": m("object", depth), "path": self.path(), "default": m(kind, depth)}},
            lambda: {"get": [m("object", depth), {"path": self.path()}], "default": m(kind, depth)},
            lambda: {"get": [m("list", depth), self.path()]},
            lambda: {"first": m("list", depth)},
            lambda: {"reduce": {"list": m("list", depth), "init": m(kind, depth), "fn": self.bound([("item", "any"), ("accumulator", kind)], kind, depth)}},
        ])()

    def path(self):
        return self.pick(PATHS)

    def condition(self, depth):
        """A boolean without plain objects: a condition that is one is taken for a misspelt operator, and an error."""
        while True:
            e = self.make("boolean", depth)
            if self.operators_only(e):
                return e

    def operators_only(self, e):
        if isinstance(e, list):
            return all(map(self.operators_only, e))
        if is_plain(e):
            return False
        op, arguments = call(e) or (None, None)
        if op not in ("and", "or", "not", "any", "all"):
            return True
        return self.operators_only(arguments["fn"] if isinstance(arguments, dict) and "fn" in arguments else arguments)

    def bound(self, names, kind, depth):
        self.locals += names
        e = self.make(kind, depth)
        del self.locals[-len(names):]
        return e

    def let(self, kind, depth):
        name = self.pick(["x", "y", "n"])
        bound = self.pick(["number", "text", "numbers"])
        return {"let": {"var": name, "value": self.make(bound, depth), "in": self.bound([(name, {"number": "number", "text": "text"}.get(bound, bound))], kind, depth)}}

    def fn(self, op, lists, kind, depth):
        """An operator over a list, with the element under some name."""
        element = {"numbers": "number", "texts": "text"}.get(lists, "any")
        e = {"list": self.make(lists, depth)}
        name = "item"
        if self.chance(3):
            name = e["var"] = self.pick(["x", "y", "s"])
        e["fn"] = self.bound([(name, element), ("index", "number")], kind, depth)
        return {op: e}

    def some(self, kind, depth, least=1, most=3):
        return [self.make(kind, depth) for _ in range(self.random.randint(least, most))]

    def calls_number(self):
        m, some = self.make, self.some
        return [
            lambda d: {"add": some("number", d)}, lambda d: {"sub": some("number", d)}, lambda d: {"mul": some("number", d)},
            lambda d: {"div": some("number", d, 2)}, lambda d: {"mod": some("number", d, 2, 2)},
            lambda d: {"pow": [m("number", d), self.pick([0, 1, 2, 3, 0.5, -1, "2", m("number", 0)])]},
            lambda d: {self.pick(["neg", "abs", "round", "floor", "ceil"]): m("number", d)},
            lambda d: {self.pick(["neg", "abs", "round", "floor", "ceil"]): m("number", d)},
            lambda d: {self.pick(["min", "max"]): some("number", d)}, lambda d: {self.pick(["min", "max", "add"]): m("numbers", d) or [0]},
            lambda d: {"len": m(self.pick(["text", "list", "object"]), d)}, lambda d: {"to_number": m("number", d)},
            lambda d: {self.pick(["first", "last"]): m("numbers", d)},
            lambda d: {"reduce": {"list": m("numbers", d), "fn": {"add": ["{accumulator}", "{item}"]}}},
            lambda d: self.between(d), lambda d: self.leaf("number"),
        ]

    def between(self, depth):
        low = self.pick([0, 1, -5, INT_MAX, INT_MIN])
        return {"randint": {"min": low, "max": low}} if self.chance(2) else {"rand": {"min": float(low), "max": float(low)}}

    def calls_text(self):
        m, some = self.make, self.some
        return [
            lambda d: {"concat": some("text", d)}, lambda d: {"concat": [m("any", d), self.pick(TEXTS), m("any", d)]},
            lambda d: {"join": [m("list", d), self.pick(SEPARATORS + [""])]}, lambda d: {"replace": [m("text", d), self.pick(SEPARATORS + [""]), m("text", d)]},
            lambda d: {self.pick(["lower", "upper", "trim"]): m("text", d)}, lambda d: {self.pick(["lower", "upper", "trim"]): m("any", d)},
            lambda d: {"regex_replace": {"text": m("text", d), "pattern": self.pick(PATTERNS), "replacement": self.pick(REPLACEMENTS)}},
            lambda d: {"regex_extract": {"text": m("text", d), "pattern": self.pick(PATTERNS), "index": self.pick([0, 1, -1, 5])}},
            lambda d: {"slice": self.bounds(m("text", d), d)}, lambda d: {self.pick(["first", "last"]): m("texts", d)},
            lambda d: {"to_string": m("any", d)}, lambda d: {"stringify": m("any", d)}, lambda d: {"choose": [self.pick(TEXTS)] * 3},
            lambda d: self.leaf("text"),
        ]

    def bounds(self, sequence, depth):
        e = {"list": sequence}
        for name in ("start", "end"):
            if self.chance(2):
                e[name] = self.pick([0, 1, 2, -1, -2, 9, -9]) if not self.chance(6) else self.make("number", depth)
        return e

    def calls_boolean(self):
        m, some = self.make, self.some
        return [
            lambda d: {self.pick(["and", "or"]): some("boolean", d)}, lambda d: {self.pick(["and", "or"]): some("any", d, 0)},
            lambda d: {"not": m("any", d)}, lambda d: {self.pick(["any", "all"]): some("boolean", d)},
            lambda d: self.fn(self.pick(["any", "all"]), "list", "boolean", d), lambda d: {self.pick(["any", "all"]): m("list", d)},
            lambda d: self.compare(d), lambda d: self.compare(d), lambda d: self.compare(d),
            lambda d: {"contains": [m(self.pick(["text", "list", "object"]), d), m(self.pick(["text", "number"]), d)]},
            lambda d: {"is_empty": m("any", d)}, lambda d: {self.pick(["starts_with", "ends_with"]): [m("text", d), m("text", d)]},
            lambda d: {self.pick(["regex_match", "match"]): {self.pick(["text", "string"]): m("text", d), "pattern": self.pick(PATTERNS)}},
            lambda d: {"to_boolean": m("any", d)},
        ]

    def compare(self, depth):
        op = self.pick(["eq", "ne", "equals", "not_equals", "lt", "le", "gt", "ge", "gte", "lte"])
        kind = self.pick(["number", "number", "text", "text", "any"] if op in ("eq", "ne", "equals", "not_equals") else ["number", "text"])
        a = self.make(kind, depth)
        return {op: [a, a if self.chance(6) else self.make(kind if self.chance(2) else self.pick(["number", "text"]), depth)]}

    def calls_numbers(self):
        m = self.make
        return [
            lambda d: self.fn("map", "numbers", "number", d), lambda d: self.fn("filter", "numbers", "boolean", d), lambda d: self.some("number", d, 0),
            lambda d: {self.pick(["unique", "sort"]): m("numbers", d)}, lambda d: {"slice": self.bounds(m("numbers", d), d)},
            lambda d: {"range": [self.random.randint(-3, 3), m("number", d) if self.chance(4) else self.random.randint(-3, 8)]}, lambda d: self.leaf("numbers"),
        ]

    def calls_texts(self):
        m = self.make
        return [
            lambda d: self.fn("map", "list", "text", d), lambda d: self.fn("filter", "texts", "boolean", d), lambda d: self.some("text", d, 0),
            lambda d: {self.pick(["unique", "sort"]): m("texts", d)}, lambda d: {"split": [m("text", d), self.pick(SEPARATORS)]},
            lambda d: {"regex_extract": {"text": m("text", d), "pattern": self.pick(PATTERNS)}}, lambda d: self.leaf("texts"),
        ]

    def calls_list(self):
        m = self.make
        return [
            lambda d: self.fn("map", "list", "any", d), lambda d: self.fn("filter", "list", "boolean", d), lambda d: self.some("any", d, 0),
            lambda d: {"unique": m("list", d)}, lambda d: {"slice": self.bounds(m("list", d), d)}, lambda d: {"parse_json": self.pick(JSON_TEXTS)},
            lambda d: {"sort": m("sortable", d)}, lambda d: {"sort": self.some(self.pick(["text", "number"]), d, 0)},
            lambda d: m("numbers", d), lambda d: m("texts", d), lambda d: self.leaf("list"),
        ]

    def calls_object(self):
        m = self.make
        return [
            lambda d: {"plain": m("any", d), "k": m("any", d)}, lambda d: {"a": m("any", d)}, lambda d: {"parse_json": self.pick(JSON_TEXTS)},
            lambda d: {"parse_json": {"stringify": m("any", d)}},
            lambda d: {"set": {"in": m("object", d), "path": self.pick(["a", "k", "y.z", "a.b", "a.b[0]", "k[0]", "k[9]"]), "value": m("any", d)}},
            lambda d: {}, lambda d: self.leaf("object"),
        ]


# --- comparing the two ------------------------------------------------------------------------------------------------

def identical(a, b):
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return repr(a) == repr(b)
    if isinstance(a, list):
        return len(a) == len(b) and all(identical(x, y) for x, y in zip(a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(identical(a[k], b[k]) for k in a)
    return a == b


WITH_PARAMETERS = {"map", "filter", "reduce", "any", "all", "slice", "if", "case", "let", "get", "set", "regex_match", "match", "regex_extract",
                   "regex_replace", "rand", "randint"}


def call(e):
    """(operator, arguments) of an expression that is a call, or None."""
    if isinstance(e, dict) and len(e) == 1:
        (op, arguments), = e.items()
        if hasattr(Mex, "op_" + ALIASES.get(op, op)):
            return op, arguments
    return None


def is_plain(e):
    return isinstance(e, dict) and not call(e) and set(e) != {"get", "default"}


def doubtful(e):
    """Is there a plain object where an operator takes its parameters for it? That is refused at load, reached or not."""
    if isinstance(e, list):
        return any(map(doubtful, e))
    if not isinstance(e, dict):
        return False
    if call(e):
        op, arguments = call(e)
        if op == "round" and isinstance(arguments, list) and len(arguments) != 1:
            return True
        if op not in WITH_PARAMETERS and is_plain(arguments) or op in ("any", "all") and is_plain(arguments) and is_plain(arguments.get("list")):
            return True
    return any(map(doubtful, e.values()))


def expected(request):
    """The answer of the evaluator above, in the form of mex_eval_lines; None where the expression is not well formed."""
    if doubtful(request["expr"]):
        return None
    mex = Mex(request["context"], request["vars"], request["consts"])
    try:
        return {"value": mex.eval(request["expr"]), "vars": mex.vars}
    except (KeyError, Malformed):
        return None
    except (Refused, TypeError, ValueError, IndexError, AttributeError, OverflowError, re.error) as e:
        return {"error": f"{type(e).__name__}: {e}"}


def answers(program, requests):
    lines = "".join(json.dumps(r) + "\n" for r in requests)
    run = subprocess.run([program], input=lines.encode(), stdout=subprocess.PIPE, check=False)
    if run.returncode != 0:
        raise SystemExit(f"{program} ended with {run.returncode} after {run.stdout.count(10)} of {len(requests)} expressions")
    return [json.loads(line) for line in run.stdout.decode().split("\n")[:-1]]


def agree(ours, theirs):
    if ours is None:
        return True
    if "error" in ours or "error" in theirs:
        return "error" in ours and "error" in theirs
    return identical(ours, theirs)


# --- making a difference small ----------------------------------------------------------------------------------------

def smaller(e):
    """Expressions that are e with one thing less."""
    if isinstance(e, list):
        yield from e
        for i, x in enumerate(e):
            yield e[:i] + e[i + 1:]
            for y in smaller(x):
                yield e[:i] + [y] + e[i + 1:]
    elif isinstance(e, dict):
        for key, x in e.items():
            yield x
            if len(e) > 1:
                yield {k: y for k, y in e.items() if k != key}
            for y in smaller(x):
                yield {**e, key: y}
    elif isinstance(e, str) and len(e) > 1:
        yield from (e[:i] + e[i + 1:] for i in range(len(e)))
    if e not in (0, "", None) and not isinstance(e, bool):
        yield from (0, "")


def size(request):
    return len(json.dumps(request["expr"])) + len(json.dumps(request["context"])) + len(json.dumps(request["vars"])) + len(json.dumps(request["consts"]))


def first_difference(program, requests, at_load):
    """The smallest one; unless the difference is about load, it must not become one of a branch that is never reached."""
    requests = sorted(requests, key=size)
    for request, theirs in zip(requests, answers(program, requests)):
        if at_load == ("load" in theirs) and not agree(expected(request), theirs):
            return request
    return None


def shrink(program, request, at_load):
    while True:
        tries = [{**request, "expr": e} for e in smaller(request["expr"])]
        for place in ("context", "vars", "consts"):
            tries += [{**request, place: {k: v for k, v in request[place].items() if k != name}} for name in request[place]]
            tries += [{**request, place: {**request[place], name: v}} for name in request[place] for v in smaller(request[place][name])]
        better = first_difference(program, [t for t in tries if size(t) < size(request)], at_load)
        if better is None:
            return request
        request = better


def show(program, request, theirs):
    small = shrink(program, request, "load" in theirs)
    print("DIFFERENT: " + json.dumps(small["expr"], ensure_ascii=False))
    for place in ("context", "vars", "consts"):
        if small[place]:
            print(f"  {place:9} {json.dumps(small[place], ensure_ascii=False)}")
    print(f"  expected  {json.dumps(expected(small), ensure_ascii=False)}")
    print(f"  runtime   {json.dumps(answers(program, [small])[0], ensure_ascii=False)}", flush=True)


def run_batch(job):
    """One batch of a run, in any process: (expressions without a value, expressions not judged, differences as (request, the runtime's answer))."""
    program, seed, number, count = job
    maker = Maker(f"{seed}/{number}")
    requests = [maker.request() for _ in range(count)]
    refused, silent, different = 0, 0, []
    for request, theirs in zip(requests, answers(program, requests)):
        ours = expected(request)
        refused += ours is not None and "error" in ours
        silent += ours is None
        if not agree(ours, theirs):
            different.append((request, theirs))
    return refused, silent, different


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--count", type=int, default=100000)
    parser.add_argument("--shown", type=int, default=SHOWN)
    parser.add_argument("--program", default=os.path.join(os.environ.get("SDG_BUILD", "build"), "mex_eval_lines"))
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}, {options.count} expressions", flush=True)
    began = time.monotonic()
    jobs = [(options.program, seed, start // BATCH, min(BATCH, options.count - start)) for start in range(0, options.count, BATCH)]
    different = refused = unjudged = 0
    with multiprocessing.Pool() as pool:
        for without, silent, differences in pool.imap(run_batch, jobs):
            refused += without
            unjudged += silent
            for request, theirs in differences[:max(0, options.shown - different)]:
                show(options.program, request, theirs)
            different += len(differences)
    print(f"{refused} have no value, {unjudged} are not judged (the format is silent); {time.monotonic() - began:.0f} s")
    print(f"{options.count - different} passed, {different} failed")
    return 0 if different == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
