"""Writes fnmatch.tsv: what Python's `fnmatch.fnmatchcase` says, for fnmatch.rs to compare with.

    python3 fnmatch.py > fnmatch.tsv

First line: the names. Every other: a pattern and, for each name, 1 if it matches, else 0. All
texts are JSON strings, so that nothing in them can be mistaken for a tab or a line's end.
"""

import fnmatch
import json
import random

NAMES = [
    "a", "b", "c", "-", "]", "[", "!", "^", "\\", "*", "?", "é", "日", "A", "", "ab", "ba", "aa", "abc",
    "a-c", "[a]", "a]", "[!a]", "get_user", "get_users", "analyze_text", "a.b", "a/b", "{a,b}",
    "aab", "abab", "xaxb", "éa", "a\nb", "日本",
]

WRITTEN = [
    "analyze_*", "*_user", "get_?", "get_*", "query*", "*", "?", "??", "***", "[abc]", "[!abc]", "[^a]",
    "[]]", "[!]]", "[]a]", "[!]a]", "[[]", "[", "[!", "[]", "[!]", "[a", "[!a", "[a-", "[-a]", "[a-]",
    "[!-a]", "[a-c]", "[!a-c]", "[a-ce-g]", "[--a]", "[+--]", "[a-b-c]", "[a\\]", "[\\]", "\\", "\\*",
    "[*]", "[?]", "[[?*]*", "{a,b}", "a**b", "a/*", "*.b", "[.]", "a.b", "[!!]", "[!^]", "[^]", "[^^]",
    "[&&]", "[~~]", "[||]", "[a&&b]", "é*", "[é]", "[!é]", "[a-é]", "[日-本]", "日?", "*a*b", "a[!/]b", "a?b",
]


def written_by_chance(rng):
    parts = []
    for _ in range(rng.randint(1, 6)):
        if rng.random() < 0.3:
            body = "".join(rng.choice("abc-]!^[é") for _ in range(rng.randint(0, 4)))
            parts.append("[" + body + "]")
        else:
            parts.append(rng.choice(["a", "b", "c", "*", "*", "?", "-", "]", "[", "!", "^", "\\", "é", "_"]))
    return "".join(parts)


def main():
    rng = random.Random(20260728)
    patterns = dict.fromkeys(WRITTEN)
    while len(patterns) < 1500:
        patterns[written_by_chance(rng)] = None
    print("\t".join(json.dumps(name) for name in NAMES))
    for pattern in patterns:
        bits = "".join("01"[fnmatch.fnmatchcase(name, pattern)] for name in NAMES)
        print(f"{json.dumps(pattern)}\t{bits}")


main()
