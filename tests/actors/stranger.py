"""A peer that says whatever a test wants to a scheduler over tcp: ZMTP 3.0 with the NULL mechanism and msgpack, as far as messages need them. Standard library only."""
import os
import random
import re
import select
import socket
import struct
import time

CATALOGUE = os.path.join(os.path.dirname(__file__), "../../proto/messages.def")
TYPES = {name: int(number) for name, number in re.findall(r"^MESSAGE\((\w+), (\d+)", open(CATALOGUE).read(), re.M)}
NAMES = {number: name for name, number in TYPES.items()}
VERSION = int(re.search(r"PROTO_VERSION = (\d+)", open(os.path.join(os.path.dirname(CATALOGUE), "message.h")).read()).group(1))
CLIENT, WORKER = 1, 2


def pack(value):
    if isinstance(value, int):
        return bytes([value]) if 0 <= value < 128 else b"\xcf" + struct.pack(">Q", value)
    if isinstance(value, str):
        return b"\xdb" + struct.pack(">I", len(value.encode())) + value.encode()
    if isinstance(value, bytes):
        return b"\xc6" + struct.pack(">I", len(value)) + value
    return b"\xdd" + struct.pack(">I", len(value)) + b"".join(map(pack, value))


def unpack(data, at=0):
    """The value at that byte, and where the next begins."""
    kind = data[at]
    at += 1
    if kind < 0x80:
        return kind, at
    if kind & 0xF0 == 0x90 or kind in (0xDC, 0xDD):
        count, at = (kind & 15, at) if kind & 0xF0 == 0x90 else number(data, at, 2 if kind == 0xDC else 4)
        items = []
        for _ in range(count):
            item, at = unpack(data, at)
            items.append(item)
        return items, at
    if 0xCC <= kind <= 0xCF:
        return number(data, at, 1 << (kind - 0xCC))
    if kind & 0xE0 == 0xA0:
        size = kind & 31
    else:
        size, at = number(data, at, {0xC4: 1, 0xD9: 1, 0xC5: 2, 0xDA: 2, 0xC6: 4, 0xDB: 4}[kind])
    return data[at:at + size], at + size


def number(data, at, width):
    return int.from_bytes(data[at:at + width], "big"), at + width


class Stranger:
    """A DEALER connected to tcp://127.0.0.1:PORT."""

    def __init__(self, port, role=None, **hello):
        self.epoch = 0
        self.incoming = b""
        self.socket = socket.create_connection(("127.0.0.1", port), 20)
        self.socket.sendall(b"\xff" + b"\0" * 8 + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + b"\0" * 32)
        self.bytes(64)
        ready = b"\x05READY\x0bSocket-Type" + struct.pack(">I", 6) + b"DEALER"
        self.socket.sendall(bytes([4, len(ready)]) + ready)
        self.frame(20)  # its READY
        if role:
            self.hello(role, **hello)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def bytes(self, count, timeout=20):
        """The next bytes; None when they do not come in time, or never."""
        end = time.monotonic() + timeout
        while len(self.incoming) < count:
            if not select.select([self.socket], [], [], max(0, end - time.monotonic()))[0]:
                return None
            got = self.socket.recv(1 << 16)
            if not got:
                return None
            self.incoming += got
        taken, self.incoming = self.incoming[:count], self.incoming[count:]
        return taken

    def frame(self, timeout):
        head = self.bytes(2, timeout)
        if head is None:
            return None
        size = head[1] if not head[0] & 2 else int.from_bytes(head[1:] + self.bytes(7), "big")
        return self.bytes(size)

    def say_frame(self, data):
        self.socket.sendall(b"\x02" + struct.pack(">Q", len(data)) + data)

    def say(self, name, *fields):
        self.say_frame(pack([VERSION, TYPES[name], self.epoch, *fields]))

    def hear(self, timeout=20):
        """(name, fields) of the next message, None when there is none."""
        data = self.frame(timeout)
        if data is None:
            return None
        message = unpack(data)[0]
        return NAMES.get(message[1]), message[3:], message[2]

    def wait(self, *names, timeout=20):
        """The fields of the next message of these names."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            heard = self.hear(end - time.monotonic())
            if heard and heard[0] in names:
                return heard[1]
        raise AssertionError("none of %r came within %g s" % (names, timeout))

    def hello(self, role, instance=None, name="stranger", patience_ms=0):
        self.instance = instance or random.getrandbits(63)
        self.say("HELLO", role, self.instance, name, 1, patience_ms)
        while True:
            heard = self.hear()
            assert heard, "no WELCOME"
            if heard[0] == "WELCOME" and heard[1][0] == 1:
                self.epoch = heard[2]
                return

    def credit(self, rows=1000):
        self.say("ROW_CREDIT", rows, 1 << 26)

    def beat(self):
        self.say("BEAT", 0, 0, 0, 0, 0)
        self.credit()

    def work(self, until, result):
        """Answers leases until `until()`: `result(index)` gives (status, line, meta) of a row."""
        batch, beaten = 0, 0
        while not until():
            heard = self.hear(0.1)
            if time.monotonic() - beaten > 0.5:
                beaten = time.monotonic()
                self.beat()
            if heard and heard[0] == "LEASE":
                batch += 1
                self.say("ROW_RESULTS", batch, heard[1][1], [[row[0], *result(row[0])] for row in heard[1][3]])
            if heard and heard[0] == "PERMITS":
                self.say("PERMITS_HELD", heard[1][0], heard[1][1], 0, 0)
