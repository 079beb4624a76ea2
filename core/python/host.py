"""host.py - the Python side of a Python block: one process that runs user functions, one call at a time.

The pool (pypool.h) sends this source as the first frame over descriptor 3, then JSON frames of a 4-byte little-endian
length each. Nothing of the protocol touches stdin or stdout, so whatever the user's code prints goes to the log.

Frames in:   {"init": ..}  {"def": n, ..}  {"call": id, "f": n, "a": [], "k": {}, "x": {}, "v": {}, "c": {}}  {"ai": n, ..}
Frames out:  {"hello": [3, 11, 2]}  {"ok": id, ..}  {"bad": id, "e": text}  {"back": id}  {"log": level, ..}
             {"ai": n, "call": id, ..}  {"drop": n, "call": id}  {"prepared": "" or what went wrong}

Three ideas that are not obvious. A result is sent before the next call starts, and results are never gathered, because
the pool blames the first unanswered call when this process dies. And any thread may wait for a frame (user code may
call ctx.call_ai from a thread pool): the thread that waits reads for all of them, see Wire.wait_for. Calls that arrive
while the running one waits for an answer are given back, so that another host can run them. Coroutines cannot wait for
a frame: while one waits for an answer, a thread reads for them (Wire.pump).
"""
import _signal
import collections.abc
import json
import linecache
import os
import re
import struct
import sys
import threading
import time
import types

if sdg_here:  # noqa: F821 (the boot line took the working folder off sys.path: a json.py there must not replace ours)
    sys.path.insert(0, "")

FRAME_BYTES_MAX = 64 << 20  # as PY_FRAME_BYTES_MAX
ASKS_OPEN_MAX = 4096        # as PY_ASKS_OPEN_MAX
MESSAGE_BYTES_MAX = 3500    # of an exception's text; with the line below it fits the reason of a failed row
LINE_BYTES_MAX = 120        # of the source line that is shown
CALL_ENDED = "this call has already ended"
PID = os.getpid()

decode = json.JSONDecoder().decode

if hasattr(sys, "set_int_max_str_digits"):  # Python 3.11: integers keep their digits, however many
    sys.set_int_max_str_digits(0)


# ---- values that JSON has not -------------------------------------------------------------------------------------

# Known by name, because nobody should wait for the import of modules that user code may never use.
AS_TEXT = {"datetime.date", "datetime.time", "datetime.timedelta", "datetime.tzinfo", "decimal.Decimal", "fractions.Fraction", "uuid.UUID",
           "pathlib.PurePath", "pathlib._local.PurePath", "ipaddress._IPAddressBase", "numpy.datetime64", "numpy.timedelta64",
           "builtins.complex"}
AS_LIST = {"builtins.dict_keys", "builtins.dict_values", "builtins.dict_items", "builtins.range", "collections.deque"}
BYTES = (bytes, bytearray, memoryview)


def is_no_number(value):
    """Decimal("NaN"), pandas.NaT: what is not even itself."""
    try:
        return bool(value != value)
    except Exception:
        return False


def plain(value):
    """What stands for a value in JSON: the text or the list that it is. Raises TypeError for anything else."""
    kind = type(value)
    names = {f"{base.__module__}.{base.__qualname__}" for base in kind.__mro__}
    if isinstance(value, BYTES):
        return bytes(value).decode("utf-8", "replace")
    if isinstance(value, (set, frozenset)):
        try:
            return sorted(value)
        except TypeError:
            return sorted(value, key=repr)
    if names & AS_TEXT:
        if is_no_number(value) or str(value) == "NaT":
            return float("nan")
        return float(value) if "decimal.Decimal" in names and value.is_infinite() else str(value)
    if "enum.Enum" in names:
        return value.value
    if hasattr(kind, "__dataclass_fields__"):
        return {name: getattr(value, name) for name in kind.__dataclass_fields__}
    if names & AS_LIST:
        return list(value)
    if "numpy.ndarray" in names and value.dtype.kind in "mM":
        return list(value) if value.ndim else value[()]
    if callable(getattr(value, "tolist", None)):  # scalars and arrays of numpy, series of pandas, tensors
        got = value.tolist()
        return float(got) if type(got) is kind else got
    raise TypeError(f"Object of type {kind.__name__} is not JSON serializable")


def key_text(key):
    """The name that a key of a dict gets where JSON knows none."""
    if isinstance(key, str) or key is None or isinstance(key, (bool, int, float)):
        return key
    return bytes(key).decode("utf-8", "replace") if isinstance(key, BYTES) else str(key)


def with_text_keys(value):
    """A copy in which all keys are such that JSON takes them."""
    if isinstance(value, dict):
        return {key_text(key): with_text_keys(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [with_text_keys(item) for item in value]
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    return with_text_keys(plain(value))


# NaN and infinities are written as Python does: the pool reads them as null, and counts them.
encode_plain = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=plain).encode


def encode(value):
    try:
        return encode_plain(value)
    except TypeError as error:
        if not str(error).startswith("keys must be"):
            raise
        return encode_plain(with_text_keys(value))


def cut(text, limit):
    data = text.encode("utf-8", "replace")
    return text if len(data) <= limit else data[:limit].decode("utf-8", "ignore") + "..."


# ---- frames ------------------------------------------------------------------------------------------------------


class Wire:
    """Frames over the socket. `calls` holds what is to be run, `asks` what ctx.call_ai and ctx.acall_ai wait for."""

    def __init__(self, sock):
        self.sock = sock
        self.bytes = bytearray()
        self.changed = threading.Condition()
        self.sending = threading.Lock()
        self.reading = False              # one thread is in recv for all
        self.busy = False                 # a call is running
        self.calls = collections.deque()
        self.asks = {}                    # number -> Ask that is not answered
        self.asked = 0                    # numbers given out
        self.pumping = False              # a thread reads for coroutines
        self.functions = {}
        self.consts = {}

    def send_text(self, text):
        data = text.encode("utf-8", "backslashreplace")  # a lone surrogate as its JSON escape: the pool replaces it, and counts it
        with self.sending:
            self.sock.sendall(struct.pack("<I", len(data)) + data)

    def send(self, frame):
        self.send_text(encode(frame))

    def receive(self):
        """Blocks for at least one frame; gives all that are complete. The end of the socket is the end of this process."""
        while True:
            data = self.sock.recv(262144)
            if not data:
                os._exit(0)
            self.bytes += data
            frames, at = [], 0
            while len(self.bytes) - at >= 4:
                end = at + 4 + int.from_bytes(self.bytes[at:at + 4], "little")
                if end > len(self.bytes):
                    break
                frames.append(decode(str(self.bytes[at + 4:end], "utf-8")))
                at = end
            if frames:
                del self.bytes[:at]
                return frames

    def take(self, frame):
        """Sorts one frame in. The constants are sent only when they changed, so they are noted on arrival."""
        if "call" in frame:
            self.consts = frame.get("c", self.consts)
            frame["c"] = self.consts
            if self.busy:
                self.send({"back": frame["call"]})
            else:
                self.calls.append(frame)
        elif "def" in frame:
            self.functions[frame["def"]] = Function(frame)
        elif "ai" in frame:
            ask = self.asks.pop(frame["ai"], None)
            if ask:
                ask.end(frame)

    def wait_for(self, ready):
        """Runs ready() until it gives something, reading frames meanwhile (or letting another thread read them)."""
        with self.changed:
            while True:
                got = ready()
                if got is not None:
                    return got
                if self.reading:
                    self.changed.wait()
                    continue
                self.reading = True
                self.changed.release()
                try:
                    frames = self.receive()
                finally:
                    self.changed.acquire()
                    self.reading = False
                for frame in frames:
                    self.take(frame)
                self.changed.notify_all()

    def next_call(self):
        return self.wait_for(lambda: self.calls.popleft() if self.calls else None)

    def ask(self, ask, question):
        """Sends a question. What is queued behind the running call goes back to the pool, since the call is about to wait."""
        with self.changed:
            if not ask.call.alive:
                raise RuntimeError(CALL_ENDED)
            if len(self.asks) >= ASKS_OPEN_MAX:
                raise RuntimeError(f"call_ai: this call has {ASKS_OPEN_MAX} questions open already")
            self.asked += 1
            ask.number = self.asked
            self.asks[ask.number] = ask
            while self.calls:
                self.send({"back": self.calls.popleft()["call"]})
        try:
            self.send({"ai": ask.number, "call": ask.call.number, **question})
        except BaseException:
            with self.changed:
                self.asks.pop(ask.number, None)
            raise

    def give_up(self, ask):
        """Whoever waited for the answer does not do so any more."""
        with self.changed:
            if self.asks.pop(ask.number, None) and ask.call.alive:
                self.send({"drop": ask.number, "call": ask.call.number})

    def end_asks(self, call):
        """The call has ended: threads of it that still wait are told so."""
        with self.changed:
            for ask in [ask for ask in self.asks.values() if ask.call is call]:
                del self.asks[ask.number]
                ask.end({"error": CALL_ENDED})
            self.changed.notify_all()

    def pump(self):
        """Reads frames in a thread of its own as long as a coroutine waits for an answer."""
        def is_over():
            self.pumping = any(ask.loop for ask in self.asks.values())
            return None if self.pumping else True
        self.wait_for(is_over)

    def start_pump(self):
        with self.changed:
            if self.pumping:
                return
            self.pumping = True
        threading.Thread(target=self.pump, daemon=True).start()


class Ask:
    """A question that is not answered. With a loop a coroutine waits for it, else a thread."""

    def __init__(self, call, loop=None):
        self.call = call
        self.number = 0
        self.answer = None
        self.loop = loop
        self.future = loop.create_future() if loop else None

    def end(self, answer):
        """Wire.changed is held."""
        self.answer = answer
        if self.loop:
            try:
                self.loop.call_soon_threadsafe(self.wake)
            except RuntimeError:
                pass  # the loop is closed: nobody waits

    def wake(self):
        if not self.future.done():
            self.future.set_result(None)

    def text(self):
        if self.answer.get("error") is not None:
            raise RuntimeError(self.answer["error"])
        return self.answer["text"]


# ---- what user code sees -----------------------------------------------------------------------------------------


READING = ("get", "vars.read", "vars.write")  # who may write variables may read them, too


class Vars(collections.abc.MutableMapping):
    """ctx.vars: the row's globals.vars; reads see the constants too."""

    def __init__(self, call):
        self._call = call

    def __getitem__(self, name):
        call = self._call
        call.need("ctx.vars", *READING)
        if name in call.vars:
            return call.watch(name)
        if name in call.consts:
            return call.const(name)
        raise KeyError(name)

    def __setitem__(self, name, value):
        self._call.assign("ctx.vars", name, value)

    def __delitem__(self, name):
        if name not in self._call.vars:
            raise KeyError(name)
        self._call.assign("ctx.vars", name, None)
        del self._call.vars[name]

    def __iter__(self):
        self._call.need("ctx.vars", *READING)
        yield from self._call.vars
        yield from (name for name in self._call.consts if name not in self._call.vars)

    def __len__(self):
        return sum(1 for _ in self)

    def __repr__(self):
        return repr({name: self[name] for name in self})


class Ctx:
    """The context a v2 function is given."""

    def __init__(self, call):
        self._call = call
        self.vars = Vars(call)

    def get(self, path, default=None):
        self._call.need("ctx.get", *READING)
        return self._call.lookup(path, default)

    def set(self, name, value):
        self._call.assign("ctx.set", name, value)

    def emit(self, name, value):
        self._call.need("ctx.emit", "emit")
        self._call.emitted.setdefault(name, []).append(value)

    def log(self, level, message=None):
        self._call.need("ctx.log", "log")
        if message is None:
            level, message = "info", level
        WIRE.send({"log": str(level), "m": cut(str(message), 4000)})

    def call_ai(self, model, system=None, prompts=None, params=None):
        self._call.need("ctx.call_ai", "call_ai")
        return self._call.ask(question_of(model, system, prompts, params))

    async def acall_ai(self, model, system=None, prompts=None, params=None):
        self._call.need("ctx.acall_ai", "call_ai")
        return await self._call.ask_later(question_of(model, system, prompts, params))


def question_of(model, system, prompts, params):
    if prompts is None:
        prompts = []
    elif isinstance(prompts, str):
        prompts = [prompts]
    return {"model": model, "system": system, "prompts": list(prompts), "params": params or {}}


STEP = re.compile(r"\[(-?\d+)\]|\.?([^.\[\]]+)")


def follow(value, path):
    """Walks a dotted path with [n]; gives (found, value)."""
    at = 0
    while at < len(path):
        step = STEP.match(path, at)
        if not step:
            return False, None
        at = step.end()
        try:
            if step.group(1) is not None:
                value = value[int(step.group(1))] if isinstance(value, list) else None
            elif isinstance(value, list):
                value = value[int(step.group(2))]
            else:
                value = value[step.group(2)]
        except (KeyError, IndexError, TypeError, ValueError):
            return False, None
    return True, value


class Call:
    """One call: its values, what it changed, and what it may use."""

    def __init__(self, frame, access):
        self.number = frame["call"]
        self.context = frame.get("x") or {}
        self.vars = frame.get("v") or {}
        self.consts = frame.get("c") or {}
        self.access = access
        self.alive = True
        self.emitted = {}
        self.written = set()     # names that were assigned
        self.before = {}         # name -> JSON of a list or object that was handed out: it may be changed in place
        self.copies = {}         # constants handed out: copies, so that a change does not reach the next call

    def need(self, what, *rights):
        if not self.alive:
            raise RuntimeError(f"{what}: {CALL_ENDED}")
        if rights == ("log",) and self.access and all("." in word or word == "net" for word in self.access):
            return  # a list in the words of variables, files and network says nothing about the log
        if self.access is not None and not self.access.intersection(rights):
            raise PermissionError(what + " is not allowed here: ctx_access lists " + (", ".join(sorted(self.access)) or "nothing"))

    def watch(self, name):
        value = self.vars[name]
        if isinstance(value, (dict, list)) and name not in self.before and name not in self.written:
            self.before[name] = encode(value)
        return value

    def const(self, name):
        value = self.consts[name]
        if not isinstance(value, (dict, list)):
            return value
        if name not in self.copies:
            self.copies[name] = decode(encode(value))
        return self.copies[name]

    def assign(self, what, name, value):
        self.need(what, "set", "vars.write")
        if not isinstance(name, str):
            raise TypeError(f"{what}: the name of a variable is a text, not {name!r}")
        if name in self.consts:
            raise TypeError(f"{name} is a constant (globals.const) and cannot be assigned")
        self.vars[name] = value
        self.written.add(name)

    def named(self, name):
        """(found, value) of a whole name: row context, then vars, then constants."""
        if name in self.context:
            return True, self.context[name]
        if name in self.vars:
            return True, self.watch(name)
        if name in self.consts:
            return True, self.const(name)
        return False, None

    def lookup(self, path, default):
        path = str(path)
        found, value = self.named(path)
        if found:
            return value
        head = re.match(r"[^.\[]+", path)
        if not head:
            return default
        found, value = self.named(head.group())
        if found:
            found, value = follow(value, path[head.end():])
        return value if found else default

    def changes(self):
        """The variables to send back: assigned ones, and lists and objects that were changed in place."""
        changed = {name: self.vars.get(name) for name in self.written}
        for name, before in self.before.items():
            if name not in changed and json_of("variable", name, self.vars[name]) != before:
                self.need(f"changing ctx.vars[{name!r}] in place", "set", "vars.write")
                changed[name] = self.vars[name]
        return changed

    def ask(self, question):
        ask = Ask(self)
        WIRE.ask(ask, question)
        try:
            WIRE.wait_for(lambda: ask.answer)
        except BaseException:
            WIRE.give_up(ask)
            raise
        return ask.text()

    async def ask_later(self, question):
        import asyncio
        ask = Ask(self, asyncio.get_running_loop())
        WIRE.ask(ask, question)
        WIRE.start_pump()
        try:
            await ask.future
        except BaseException:  # the task is cancelled, or out of time
            WIRE.give_up(ask)
            raise
        return ask.text()

    def end(self):
        self.alive = False
        WIRE.end_asks(self)


# ---- what ctx_access says about files and the network -------------------------------------------------------------

ACCESS = None  # the rights of the running call, or None: everything
OWN_FILES = tuple({os.path.dirname(os.__file__) + os.sep, sys.prefix + os.sep + "lib" + os.sep})
SCRATCH = os.environ.pop("SDG_SCRATCH", None)  # a folder of this process alone: the kernel lets it write there and nowhere else
READS = {"os.listdir", "os.scandir", "os.walk", "glob.glob"}
WRITES = {"os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown", "os.utime",
          "shutil.rmtree", "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn"}
NET = {"socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname"}


def in_scratch(path):
    if SCRATCH is None or not isinstance(path, (str, bytes, os.PathLike)):
        return False
    return (os.path.abspath(os.fsdecode(path)) + os.sep).startswith(SCRATCH + os.sep)


def rights_of_open(path, flags):
    if isinstance(path, int) or in_scratch(path):
        return ()
    if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND):
        return ("files.read", "files.write") if flags & os.O_RDWR else ("files.write",)
    if str(path if not isinstance(path, bytes) else os.fsdecode(path)).startswith(OWN_FILES):
        return ()
    return ("files.read",)


def audit(event, args):
    if ACCESS is None:
        return
    if event == "open":
        needed = rights_of_open(args[0], args[2] or 0)
    elif event in READS:
        needed = () if args and in_scratch(args[0]) else ("files.read",)
    elif event in WRITES:
        needed = () if args and in_scratch(args[0]) else ("files.write",)
    elif event in NET:
        needed = ("net",)
    else:
        return
    missing = [right for right in needed if right not in ACCESS and not (right == "files.read" and "files.write" in ACCESS)]
    if missing and not sys._getframe(1).f_code.co_filename.startswith("<frozen importlib"):
        raise PermissionError(f"{event} is not allowed here: ctx_access does not list {missing[0]}")


# ---- functions ---------------------------------------------------------------------------------------------------


class LoadFailure(Exception):
    """The text is already complete."""


class Function:
    """One function of the pipeline: loaded at its first call, its module kept for the life of this process."""

    modules = {}       # code or path -> (module, name of its file)
    guarded = False

    def __init__(self, frame):
        self.frame = frame
        self.number = frame["def"]
        self.v1 = frame["v1"]
        self.outputs = frame["outputs"]
        self.access = None if frame["access"] is None else frozenset(frame["access"])
        self.file = None
        self.fn = None
        self.failure = None
        if self.access is not None and not Function.guarded:
            Function.guarded = True
            if hasattr(sys, "addaudithook"):  # Python 3.8
                sys.addaudithook(audit)

    def load(self):
        if self.failure:
            raise LoadFailure(self.failure)
        try:
            module = self.module()
            self.fn = getattr(module, self.frame["entry"], None)
            if not callable(self.fn):
                raise NameError(f"there is no function '{self.frame['entry']}' in this code")
            if not self.v1:
                self.plan()
        except BaseException as error:
            self.fn = None
            self.failure = describe(error, self.file)
            raise LoadFailure(self.failure) from None

    def module(self):
        path, code = self.frame["path"], self.frame["code"]
        key = (path is not None, path if path is not None else code)
        known = Function.modules.get(key)
        if known:
            self.file = known[1]
            return known[0]
        self.file = f"<function_code {self.number}>" if path is None else os.path.abspath(path)
        if path is not None:
            with open(self.file, "rb") as source:
                code = source.read()
            folder = os.path.dirname(self.file)
            if folder not in sys.path:
                sys.path.insert(0, folder)
        else:
            lines = code.splitlines(True)
            linecache.cache[self.file] = (len(code), None, lines, self.file)
        module = types.ModuleType(f"sdg_block_{self.number}")
        module.__file__ = self.file
        program = compile(code, self.file, "exec", dont_inherit=True)
        sys.modules[module.__name__] = module
        exec(program, module.__dict__)
        Function.modules[key] = (module, self.file)
        return module

    def plan(self):
        """Reads the parameters once: positional ones, keyword-only ones, and whether there is *args."""
        fn = self.fn
        if type(fn) is types.FunctionType and not hasattr(fn, "__wrapped__"):
            code = fn.__code__
            count = code.co_argcount
            self.positional = list(code.co_varnames[:count])
            self.keyword = list(code.co_varnames[count:count + code.co_kwonlyargcount])
            self.only = code.co_posonlyargcount
            self.rest = bool(code.co_flags & 4)
            return
        import inspect
        try:
            parameters = inspect.signature(fn).parameters.values()
        except (TypeError, ValueError):
            self.positional, self.keyword, self.only, self.rest = [], [], 0, True
            return
        kinds = inspect.Parameter
        self.positional = [p.name for p in parameters if p.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)]
        self.keyword = [p.name for p in parameters if p.kind == kinds.KEYWORD_ONLY]
        self.only = sum(1 for p in parameters if p.kind == kinds.POSITIONAL_ONLY)
        self.rest = any(p.kind == kinds.VAR_POSITIONAL for p in parameters)

    def bind(self, call, args, kwargs):
        """Arguments of a v2 call. ctx goes to the parameter of that name, else in front if there is room; what has no value
        is looked up by its name; what is still missing is left to its default, or to Python's own TypeError."""
        ctx = Ctx(call)
        given = collections.deque(args)
        if "ctx" not in self.positional and "ctx" not in self.keyword:
            if self.rest or (len(self.positional) > len(given) and self.positional[0] not in kwargs):
                given.appendleft(ctx)
        final, by_name, gap = [], dict(kwargs), False
        for at, name in enumerate(self.positional):
            if name == "ctx":
                found, value = True, ctx
            elif given:
                found, value = True, given.popleft()
            elif name in by_name and at >= self.only:
                found, value = True, by_name.pop(name)
            else:
                found, value = call.named(name)
            if not found:
                gap = True
            elif gap:
                by_name[name] = value
            else:
                final.append(value)
        for name in self.keyword:
            if name == "ctx":
                by_name[name] = ctx
            elif name not in by_name:
                found, value = call.named(name)
                if found:
                    by_name[name] = value
        final.extend(given)
        return final, by_name

    def run(self, call, args, kwargs):
        if not self.v1:
            args, kwargs = self.bind(call, args, kwargs)
        result = self.fn(*args, **kwargs)
        if isinstance(result, types.CoroutineType):
            import asyncio
            result = asyncio.run(result)
        return result

    def named_outputs(self, result):
        """A dict gives its outputs by name. A list or tuple fills them in order, also when there is only one; any other value
        is the first. None is no value for several."""
        names = self.outputs
        if isinstance(result, dict):
            return {name: result[name] for name in names if name in result}
        if isinstance(result, (list, tuple)):
            return dict(zip(names, result))
        return {names[0]: result} if names and (result is not None or len(names) == 1) else {}


# ---- running -----------------------------------------------------------------------------------------------------


def json_of(what, name, value):
    try:
        return encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise type(error)(f"{what} '{name}' cannot be written as JSON: {error}") from None


def object_text(what, values):
    """JSON of an object; on failure the message names the member."""
    try:
        return encode(values)
    except (TypeError, ValueError, RecursionError):
        for name, value in values.items():
            json_of(what, name, value)
        raise


def describe(error, file):
    """"KeyError: 'lost key 17' (line 7: raise KeyError(...))": Python's message and the last line of the user's code."""
    if isinstance(error, LoadFailure):
        return str(error)
    try:
        text = str(error)
    except BaseException:
        text = "(its message cannot be shown)"
    if isinstance(error, SyntaxError):
        text, number, line = error.msg, error.lineno, error.text or ""
    else:
        number, line = user_line(error, file)
    name = type(error).__name__
    said = cut(f"{name}: {text}" if text else name, MESSAGE_BYTES_MAX)
    if number is None:
        return said
    line = cut(line.strip(), LINE_BYTES_MAX)
    return f"{said} (line {number}: {line})" if line else f"{said} (line {number})"


def user_line(error, file):
    """Number and text of the last traceback line in the user's file, or in a file of the same folder."""
    folder = os.path.dirname(file) + os.sep if file and not file.startswith("<") else None
    best, trace = None, error.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if name == file or (folder and name.startswith(folder)):
            best = (name, trace.tb_lineno)
        trace = trace.tb_next
    if best is None:
        return None, ""
    return best[1], linecache.getline(best[0], best[1]) or ""


def reply_to(frame, function, call, start):
    result = function.run(call, frame["a"], frame["k"])
    outputs = function.named_outputs(result)
    outputs.update(call.emitted)
    outputs_text = object_text("output", outputs)
    changed = call.changes()
    changed_text = object_text("variable", changed) if changed else "null"
    size = len(outputs_text) + len(changed_text)
    if size > FRAME_BYTES_MAX // 4 and len((outputs_text + changed_text).encode()) > FRAME_BYTES_MAX - 256:
        raise ValueError(f"the result is too large: {size >> 20} MiB of JSON, at most {FRAME_BYTES_MAX >> 20} MiB are taken")
    microseconds = (time.perf_counter_ns() - start) // 1000
    return f'{{"ok":{frame["call"]},"us":{microseconds},"o":{outputs_text},"v":{changed_text}}}'


def run(frame):
    """One call; whatever the user's code raises becomes the answer."""
    global ACCESS
    start = time.perf_counter_ns()
    function = WIRE.functions[frame["f"]]
    call = Call(frame, function.access)
    try:
        if function.fn is None:
            function.load()
        ACCESS = function.access
        try:
            text = reply_to(frame, function, call, start)
        finally:
            ACCESS = None
    except BaseException as error:
        microseconds = (time.perf_counter_ns() - start) // 1000
        said = describe(error, function.file).encode("utf-8", "replace").decode("utf-8")
        text = encode({"bad": frame["call"], "us": microseconds, "e": said})
        error = None
    call.end()
    return text


def flush_prints():
    """What the call printed belongs to it, not to the next one; user code may have closed or replaced the streams."""
    for name in ("stdout", "stderr"):
        try:
            getattr(sys, name).flush()
        except BaseException:
            setattr(sys, name, open(os.dup(LOG), "w", buffering=1, encoding="utf-8", errors="replace"))


def serve():
    WIRE.send({"hello": list(sys.version_info[:3])})
    while True:
        frame = WIRE.next_call()
        WIRE.busy = True
        text = run(frame)
        if os.getpid() != PID:
            os._exit(0)  # a child that user code forked and let return
        flush_prints()
        WIRE.busy = False
        WIRE.send_text(text)


# ---- preparing a virtual environment -------------------------------------------------------------------------------


def run_step(command, environment=None):
    """Runs a list of arguments, or a text for the shell. Gives "" or what went wrong; the end of its output goes to the log."""
    import subprocess
    shell = isinstance(command, str)
    done = subprocess.run(command, shell=shell, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    lines = [line for line in done.stdout.decode("utf-8", "replace").splitlines() if line.strip()]
    print("\n".join(lines[-20:]), flush=True)
    if done.returncode == 0:
        return ""
    said = [line for line in lines if "error" in line.lower()] or lines or ["no output"]
    name = command if shell else " ".join(command[1:4])
    return cut(f"{name} failed: {said[-1].strip()}", MESSAGE_BYTES_MAX)


def inside(venv):
    """The environment of a shell in which this virtual environment is active."""
    return {**os.environ, "VIRTUAL_ENV": venv, "PATH": os.path.join(venv, "bin") + os.pathsep + os.environ.get("PATH", "")}


def install(python, requirements):
    """pip leaves alone what is there, and asks no index about it. An environment that was made without pip is used as it is."""
    import subprocess
    if not requirements:
        return ""
    wanted = []
    for item in requirements:
        wanted += ["-r", item] if item.endswith(".txt") and os.path.exists(item) else [item]
    if subprocess.run([python, "-c", "import pip"], stderr=subprocess.DEVNULL).returncode != 0:
        print(f"{python} has no pip: nothing is installed", flush=True)
        return ""
    return run_step([python, "-m", "pip", "install", "--no-input", "--disable-pip-version-check", *wanted])


def prepare(order):
    """Creates the environment if it is not there, and installs into it. A mark file is there while a new one is unfinished, so an
    interrupted creation is continued instead of used; the stamp file says what was installed last; a lock keeps several workers from
    doing it at once."""
    import fcntl
    venv = os.path.abspath(order["venv"])
    if os.path.exists(venv) and not os.access(venv, os.W_OK):
        print(f"{venv} cannot be written to: nothing is installed", flush=True)
        return ""
    os.makedirs(os.path.dirname(venv), exist_ok=True)
    with open(venv + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        mark, stamp = os.path.join(venv, order["mark"]), os.path.join(venv, order["stamp_file"])
        python = os.path.join(venv, "bin", "python")
        is_new = not os.path.exists(python) or os.path.exists(mark)
        if not is_new and os.path.exists(stamp) and open(stamp).read().strip() == order["stamp"]:
            return ""  # another worker has done it meanwhile
        if is_new:
            os.makedirs(venv, exist_ok=True)
            open(mark, "w").close()
        steps = [lambda: run_step([sys.executable, "-m", "venv", venv])] if is_new else []
        steps += [lambda command=command: run_step(command, inside(venv)) for command in order["before"]]
        steps.append(lambda: install(python, order["requirements"]))
        steps += [lambda command=command: run_step(command, inside(venv)) for command in order["after"]]
        for step in steps:
            said = step()
            if said:
                return said
        with open(stamp + ".new", "w") as note:
            note.write(order["stamp"] + "\n")
        os.replace(stamp + ".new", stamp)
        if is_new:
            os.remove(mark)
        return ""


def main():
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="replace")
    init = WIRE.receive()
    order = init.pop(0)["init"]
    for frame in init:
        WIRE.take(frame)
    # A Ctrl-C that reaches every process is no exception in a row: it ends this one, and its call begins again elsewhere.
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    if order["prepare"] is None:
        serve()
    try:
        said = prepare(order["prepare"])
    except Exception as error:
        said = cut(f"{type(error).__name__}: {error}", MESSAGE_BYTES_MAX)
    WIRE.send({"prepared": said})


LOG = os.dup(2)
WIRE = Wire(sdg_socket)  # noqa: F821 (given by the boot line in pyhost.c)
main()
