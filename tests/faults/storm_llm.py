"""The LLM server of a storm: it lives inside the judge's process, so that it knows of each call when it came, and whether its answer went out.

It answers `echo[MODEL]: LAST USER MESSAGE`. What it does wrong is set while it runs (`Manners`): away, silent, refusing. "Away" closes the port
and resets all connections, as the death of a server does. A call is paid when a 200 was handed to the kernel for a client that was still there.
"""
import asyncio
import collections
import json
import random
import socket
import struct
import threading
import time


class Manners:
    """What the server does with the next requests. Rates are parts of 1."""

    def __init__(self, latency_s=0.02, refuse=None, silent=0.0):
        self.latency_s = latency_s
        self.refuse = refuse or {}  # status -> rate
        self.silent = silent        # rate of requests that are never answered


class Llm:
    def __init__(self, seed, latency_s):
        self.random = random.Random(seed)
        self.usual = Manners(latency_s)
        self.manners = self.usual
        self.paid = collections.Counter()  # (model, question) -> answers
        self.arrived = self.answered = 0
        self.open = 0                      # calls that have come and are not answered
        self.writers = set()
        self.server = None
        self.awake = None                  # cleared: nothing moves
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.port = 0
        self.come()
        self.url = "http://127.0.0.1:%d" % self.port

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    # ---- being there, or not

    def come(self):
        self.call(self.listen())

    def leave(self):
        """Like kill -9: connections are reset, answers that are under way get lost."""
        self.call(self.close())

    def sleep(self, asleep):
        self.loop.call_soon_threadsafe(self.awake.clear if asleep else self.awake.set)

    async def listen(self):
        if self.server:
            return
        if not self.awake:
            self.awake = asyncio.Event()
            self.awake.set()
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for _ in range(200):
            try:
                sock.bind(("127.0.0.1", self.port))
                break
            except OSError:
                await asyncio.sleep(0.05)
        self.port = sock.getsockname()[1]
        self.server = await asyncio.start_server(self.connection, sock=sock, limit=1 << 26, backlog=1024)

    async def close(self):
        if not self.server:
            return
        self.server.close()
        self.server = None
        for writer in list(self.writers):
            sock = writer.get_extra_info("socket")
            if sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    def end(self):
        self.leave()
        self.loop.call_soon_threadsafe(self.loop.stop)

    # ---- requests

    async def connection(self, reader, writer):
        self.writers.add(writer)
        try:
            while await self.request(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.writers.discard(writer)
            writer.close()

    async def request(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = 0
        for line in head.split("\r\n")[1:]:
            name, _, value = line.partition(":")
            if name.lower() == "content-length":
                length = int(value)
            if name.lower() == "expect":
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = json.loads(await reader.readexactly(length)) if length else {}
        await self.awake.wait()
        self.arrived += 1
        self.open += 1
        try:
            return await self.answer(reader, writer, body)
        finally:
            self.open -= 1

    async def answer(self, reader, writer, body):
        manners = self.manners
        dice = self.random.random()
        for status, rate in manners.refuse.items():
            dice -= rate
            if dice < 0:
                return self.send(writer, status, {"error": {"message": "storm", "type": "storm"}})
        if dice < manners.silent:
            await reader.read(1)  # until the client goes
            return False
        await asyncio.sleep(self.random.lognormvariate(0, 0.5) * manners.latency_s)
        await self.awake.wait()
        if reader.at_eof() or writer.is_closing():
            return False
        question, model = body["messages"][-1]["content"], body["model"]
        self.paid[model, question] += 1
        self.answered += 1
        return self.send(writer, 200, {
            "id": "x", "object": "chat.completion", "created": int(time.time()), "model": model,
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "echo[%s]: %s" % (model, question)}}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}})

    @staticmethod
    def send(writer, status, body):
        data = json.dumps(body).encode()
        writer.write(b"HTTP/1.1 %d Storm\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(data)) + data)
        return True
