"""One question and the judge of its answer, whoever asks and through whatever.

The same checks run straight against a server (which proves the peers) and through the router (which
proves the router); only the names differ, and `Names` knows how.
"""

from dataclasses import dataclass
from typing import Callable

@dataclass
class Names:
    """How a client sees what a server calls `echo` or `config://server`."""

    namespace: str = None

    def item(self, name):
        return f"{self.namespace}.{name}" if self.namespace else name

    def uri(self, uri):
        # Behind two routers an item is `a.b.tool` and a resource `a+b+uri`.
        return f"{self.namespace.replace('.', '+')}+{uri}" if self.namespace else uri

    def mine(self, items, key, separator):
        """The listed names that are this backend's."""
        prefix = f"{self.namespace}{separator}" if self.namespace else ""
        return [item[key] for item in items if item[key].startswith(prefix)]


@dataclass
class Check:
    """One request and the judge of its answer: `judge(answer, version)` raises AssertionError."""

    label: str
    op: dict
    judge: Callable
    brief: bool = False
    progress: bool = False


def same(found, expected, what="answer"):
    assert found == expected, f"{what}: expected {expected!r}, found {found!r}"


def result(answer):
    assert "result" in answer, f"expected a result, found {answer!r}"
    return answer["result"]


def texts(answer):
    return [part["text"] for part in result(answer)["content"] if part["type"] == "text"]


def _listed(method, key, field, separator, names, expected, may=()):
    exposed = (lambda n: names.uri(n)) if separator == "+" else names.item

    def judge(answer, version):
        found = names.mine(result(answer)[key], field, separator)
        wanted, allowed = {exposed(n) for n in expected}, {exposed(n) for n in may}
        same(len(found), len(set(found)), f"{method}: duplicates in {found}")
        assert wanted <= set(found), f"{method}: missing {sorted(wanted - set(found))}"
        extra = set(found) - wanted - allowed
        assert not extra, f"{method}: unexpected {sorted(extra)}"

    return Check(method, {"method": method}, judge, brief=method == "tools/list")


def tools(names, expected, may=()):
    return _listed("tools/list", "tools", "name", ".", names, expected, may)


def prompts(names, expected):
    return _listed("prompts/list", "prompts", "name", ".", names, expected)


def resources(names, expected):
    return _listed("resources/list", "resources", "uri", "+", names, expected)


def templates(names, expected):
    return _listed("resources/templates/list", "resourceTemplates", "uriTemplate", "+", names, expected)


def call(names, tool, arguments, judge, brief=False, progress=None, sloppy=False, label=None):
    op = {"method": "tools/call", "params": {"name": names.item(tool), "arguments": arguments}}
    if progress is None:
        return Check(label or f"call {tool}", op, judge, brief)

    def judged(answer, version):
        judge(answer, version)
        found = answer.get("progress")
        if sloppy:
            assert found and found == progress[: len(found)], f"progress: {found!r}"
        else:
            same(found, progress, "progress")

    return Check(label or f"call {tool} with progress", {**op, "progress": True}, judged, progress=True)


def says(*expected):
    def judge(answer, version):
        assert not result(answer).get("isError"), f"isError: {answer!r}"
        same(texts(answer), list(expected))

    return judge


def structured(names, content, text=None):
    """Structured output. The router gives older clients the text alone; servers give it to everybody."""

    def judge(answer, version):
        if text is not None:
            same(texts(answer), [text])
        old = names.namespace and version < "2025-06-18"
        same(result(answer).get("structuredContent"), None if old else content, "structuredContent")

    return judge


def fails(reason):
    def judge(answer, version):
        assert result(answer).get("isError") is True, f"expected isError, found {answer!r}"
        assert any(reason in text for text in texts(answer)), f"expected {reason!r} in {texts(answer)}"

    return judge


def at_once(names, tool, count, argument, wrap):
    """Many calls in flight together: every answer must be its own question's."""
    ops = []
    for n in range(count):
        params = {"name": names.item(tool), "arguments": {argument: f"message {n}"}}
        ops.append({"method": "tools/call", "params": params})

    def judge(answers, version):
        same([texts(a) for a in answers], [[wrap(f"message {n}")] for n in range(count)])

    return Check(f"{count} calls of {tool} at once", {"parallel": ops}, judge)


def prompt(names, name, arguments, expected, brief=False):
    def judge(answer, version):
        same([m["content"]["text"] for m in result(answer)["messages"]], [expected])

    op = {"method": "prompts/get", "params": {"name": names.item(name), "arguments": arguments}}
    return Check(f"prompt {name}", op, judge, brief)


def read(names, uri, judge_text, brief=False):
    exposed = names.uri(uri)

    def judge(answer, version):
        contents = result(answer)["contents"]
        same([c["uri"] for c in contents], [exposed], "contents[].uri")
        judge_text(contents[0]["text"])

    return Check(f"read {uri}", {"method": "resources/read", "params": {"uri": exposed}}, judge, brief)


def exactly(expected):
    return lambda text: same(text, expected)


def complete(ref, name, value, expected):
    def judge(answer, version):
        same(result(answer)["completion"]["values"], expected)

    params = {"ref": ref, "argument": {"name": name, "value": value}}
    return Check(f"complete {name}", {"method": "completion/complete", "params": params}, judge)


def starts(prefix):
    def judge(text):
        assert text.startswith(prefix), f"expected {prefix!r}…, found {text[:80]!r}"

    return judge


def refused(*codes):
    def judge(answer, version):
        assert "error" in answer, f"expected an error, found {answer!r}"
        assert answer["error"]["code"] in codes, f"expected {codes}, found {answer['error']!r}"

    return judge
