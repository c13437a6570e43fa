"""Installs the peers from the public registries, pinned, under `.cache`.

Nothing is installed twice: a stamp with the digest of the requirement file says what is there. What
cannot be had (no Node, no network) is reported by name, so that a run says what it left out instead of
passing quietly.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from functools import wraps
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("INTEROP_CACHE", HERE / ".cache"))
INSTALL_SECONDS = 600
_one_at_a_time = threading.Lock()


class Missing(Exception):
    """A peer that cannot be had on this machine, and why."""


def once(install):
    """Remembers what an installation gave, also that it failed, and never runs two at a time."""
    known = {}

    @wraps(install)
    def wrapper(*key):
        with _one_at_a_time:
            if key not in known:
                try:
                    known[key] = install(*key)
                except Missing as missing:
                    known[key] = missing
        if isinstance(known[key], Missing):
            raise known[key]
        return known[key]

    return wrapper


def _digest(*files):
    digest = hashlib.sha256(sys.version.encode())
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _run(what, command, cwd=None):
    try:
        done = subprocess.run(
            command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=INSTALL_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(f"{what}: {error}") from error
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise Missing(f"{what}: {said[-1] if said else 'failed'}")


@once
def python(name):
    """The interpreter of a virtual environment that holds `requirements-NAME.txt`."""
    requirements = HERE / f"requirements-{name}.txt"
    home = CACHE / f"py-{name}"
    stamp, digest = home / ".stamp", _digest(requirements)
    interpreter = home / "bin" / "python"
    if not (stamp.exists() and stamp.read_text() == digest):
        shutil.rmtree(home, ignore_errors=True)
        _run(f"python {name}", [sys.executable, "-m", "venv", str(home)])
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(requirements)]
        _run(f"python {name}", [str(interpreter), *install])
        stamp.write_text(digest)
    return str(interpreter)


@once
def node():
    """The folder with `node_modules` and our scripts, and a Node that all of them accept."""
    npm = shutil.which("npm")
    if npm is None:
        raise Missing("node: npm is not installed")
    home = CACHE / "node"
    files = [HERE / "package.json", HERE / "package-lock.json", HERE / ".npmrc"]
    stamp, digest = home / ".stamp", _digest(*files)
    home.mkdir(parents=True, exist_ok=True)
    if not (stamp.exists() and stamp.read_text() == digest):
        stamp.unlink(missing_ok=True)
        for file in files:
            shutil.copy(file, home / file.name)
        # The peers run from their packages as they are: no script of theirs need run at installation.
        _run("node", [npm, "ci", "--ignore-scripts", "--no-progress"], cwd=home)
        stamp.write_text(digest)
    # Modules are found from where a script lies, so ours lie beside the packages.
    for script in [*(HERE / "clients").glob("*.mjs"), *(HERE / "servers").glob("*.mjs")]:
        shutil.copy(script, home / script.name)
    return home, _interpreter(home)


def _interpreter(home):
    """Some peers want a newer Node than the systems have: a registry package brings one along."""
    for packaged in home.glob("node_modules/node-linux-*/bin/node"):
        if os.access(packaged, os.X_OK):
            return str(packaged)
    system = shutil.which("node")
    if system is None:
        raise Missing("node: no interpreter")
    return system


def entry(home, package, name=None):
    """The script behind an executable of an installed package."""
    folder = home / "node_modules" / package
    manifest = json.loads((folder / "package.json").read_text())
    bins = manifest["bin"]
    script = bins if isinstance(bins, str) else bins[name or next(iter(bins))]
    return str((folder / script).resolve())
