"""What the Python clients of the suite answer when a server asks them, and what they remember of it."""

import asyncio

ROOT = "file:///interop/root"


class Person:
    """One user: takes every question, repeats it in the answer."""

    def __init__(self, types):
        self.types = types
        self.logs = []
        self.updates = []
        self.task = None

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
        """Any notification; of interest is which resource changed."""
        if getattr(message, "method", None) == "notifications/resources/updated":
            self.update(str(message.params.uri))

    def update(self, uri):
        if uri not in self.updates:
            self.updates.append(uri)

    async def heard(self, wanted):
        return {"updates": await self._until(self.updates, wanted)}

    def stop(self):
        if self.task:
            self.task.cancel()

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
