"""Child processes of the suite: each in its own group, none left behind, every wait bounded."""

import atexit
import os
import queue
import re
import signal
import subprocess
import threading
import time

START_SECONDS = 90
_running = []


def bound(line):
    """The address in the router's `listening` log line, whether json or text."""
    if "listening" not in line:
        return None
    match = re.search(r"(?:addr\W{1,4})((?:\d+\.){3}\d+:\d+)", line)
    return match and match.group(1)


class Failed(Exception):
    """A process that did not do what the suite waited for, with the end of what it said."""


class Server:
    """A long-running process whose output is read all the time and kept."""

    def __init__(self, name, command, env=None, log=None):
        self.name = name
        self.lines = queue.Queue()
        self.log = open(log, "w") if log else None
        self.tail = []
        self._lock = threading.Lock()
        self.process = subprocess.Popen(
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        _running.append(self)
        for stream in (self.process.stdout, self.process.stderr):
            threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def _read(self, stream):
        for line in stream:
            with self._lock:
                self.tail = [*self.tail[-19:], line]
                if self.log:
                    self.log.write(line)
                    self.log.flush()
            self.lines.put(line)
        self.lines.put(None)

    def wait_for(self, found, seconds=START_SECONDS):
        """The first non-None that `found(line)` gives, over both output streams."""
        deadline, ended = time.monotonic() + seconds, 0
        while ended < 2:
            try:
                line = self.lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise Failed(f"{self.name} did not start within {seconds} s: {self.said()}") from None
            if line is None:
                ended += 1
            elif (value := found(line)) is not None:
                return value
        raise Failed(f"{self.name} ended: {self.said()}")

    def said(self):
        return "".join(self.tail).strip() or "(nothing)"

    def stop(self, seconds=30):
        """SIGTERM to the process, then, at the deadline, SIGKILL to its group. Returns the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        self.kill()
        return code

    def kill(self):
        kill_group(self.process)
        if self in _running:
            _running.remove(self)


def kill_group(process):
    """Ends a process and whatever it started in its group."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def run(command, text, seconds, env=None):
    """Runs a client to its end with `text` on stdin; gives exit code, stdout and stderr."""
    process = subprocess.Popen(
        command,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        out, err = process.communicate(text, timeout=seconds)
        return process.returncode, out, err
    except subprocess.TimeoutExpired:
        kill_group(process)
        out, err = process.communicate()
        return None, out, err
    finally:
        kill_group(process)


@atexit.register
def _kill_all():
    for server in list(_running):
        server.kill()
