"""What the Python clients of the suite answer when a server asks them, and what they remember of it."""

import asyncio

ROOT = "file:///interop/root"


class Person:
    """One user: takes every question, repeats it in the answer."""

    def __init__(self, types):
        self.types = types
        self.logs = []
        self.updates = []
        self.changes = 0
        self.tasks = []

    async def elicit(self, context, params):
        if getattr(params, "mode", None) == "url":
            return self.types.ElicitResult(action="accept")
        return self.types.ElicitResult(action="accept", content={"answer": f"{params.message}!"})

    async def sample(self, context, params):
        words = params.messages[0].content
        words = words[0] if isinstance(words, list) else words
        content = self.types.TextContent(type="text", text=f"model says {words.text}")
        return self.types.CreateMessageResult(role="assistant", content=content, model="interop")

    async def roots(self, context):
        return self.types.ListRootsResult(roots=[self.types.Root(uri=ROOT, name="root")])

    async def log(self, params):
        self.logs.append(params.data)

    async def hear(self, message):
        """Any notification; of interest is which resource changed, and that tools did."""
        message = getattr(message, "root", message)
        method = getattr(message, "method", None)
        if method == "notifications/resources/updated":
            self.update(str(message.params.uri))
        elif method == "notifications/tools/list_changed":
            self.changes += 1

    def update(self, uri):
        if uri not in self.updates:
            self.updates.append(uri)

    async def heard(self, wanted):
        return {"updates": await self._until(self.updates, wanted)}

    async def listen(self, stream):
        """Hears what comes on a stream of the modern era, until `stop`; comes back once it is open."""
        opened = asyncio.get_running_loop().create_future()

        async def hear():
            async with stream as events:
                opened.set_result(None)
                async for event in events:
                    if hasattr(event, "uri"):
                        self.update(str(event.uri))
                    elif "Tool" in type(event).__name__:
                        self.changes += 1

        task = asyncio.ensure_future(hear())
        self.tasks.append(task)
        await asyncio.wait({opened, task}, timeout=20, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        return {}

    async def grown(self, call, listed, wanted):
        """Calls what brings a new tool, and waits for word of it. The tools are listed after each such word
        and at no other time."""
        known = self.changes
        await call()
        for _ in range(400):
            if self.changes > known:
                known = self.changes
                if wanted in await listed():
                    return {"result": {"grown": wanted}}
            await asyncio.sleep(0.05)
        raise RuntimeError(f"no word of a change that brings {wanted}")

    def stop(self):
        for task in self.tasks:
            task.cancel()

    async def told(self, wanted):
        return {"result": {"logs": await self._until(self.logs, wanted)}}

    async def _until(self, heard, wanted):
        """What was heard so far; it may come a moment after the answer."""
        for _ in range(100):
            if wanted in str(heard):
                break
            await asyncio.sleep(0.05)
        return heard


async def abandon(start):
    """Calls `start(progress_callback)` and cancels it at its first progress."""
    began = asyncio.Event()

    async def progressed(*_):
        began.set()

    task = asyncio.ensure_future(start(progressed))
    waiting = asyncio.ensure_future(began.wait())
    await asyncio.wait([task, waiting], timeout=20, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if task.done():
        return {"error": {"code": 0, "message": f"ended by itself: {task.exception() or task.result()!r}"}}
    if not began.is_set():
        task.cancel()
        return {"error": {"code": 0, "message": "no progress within 20 s"}}
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        pass
    return {"result": {"cancelled": True}}
