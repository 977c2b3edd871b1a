"""Prometheus's text format, read as strictly as it is specified, and a little more so: a reader for tests."""

import re
from typing import NamedTuple

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r"[a-zA-Z_][a-zA-Z0-9_]*"
VALUE = r'"((?:[^"\\\n]|\\\\|\\"|\\n)*)"'
HELP = re.compile(rf"# HELP ({NAME}) ((?:[^\\\n]|\\\\|\\n)+)")
TYPE = re.compile(rf"# TYPE ({NAME}) (counter|gauge|histogram|summary|untyped)")
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}={VALUE}(?:,{LABEL}={VALUE})*)\}})? ([0-9.e+-]+|NaN|[+-]Inf)")
PAIR = re.compile(rf"({LABEL})={VALUE}")
PLAIN = {r"\\": "\\", r"\n": "\n", r"\"": '"'}
PARTS = {"counter": ("",), "gauge": ("",), "summary": ("_sum", "_count")}


class Family(NamedTuple):
    kind: str
    help: str
    samples: dict[tuple[str, frozenset[tuple[str, str]]], float]


def unescaped(text):
    return re.sub(r"\\.", lambda found: PLAIN[found[0]], text)


def read(text):
    """The metrics by name. Every line is judged."""
    assert text.endswith("\n")
    families, family, name = {}, None, ""
    lines = iter(text[:-1].split("\n"))
    for line in lines:
        if line.startswith("#"):
            found = HELP.fullmatch(line)
            assert found, line
            name, help = found.groups()
            assert name not in families, f"{name} is not one group"
            kind = TYPE.fullmatch(next(lines))
            assert kind, line
            assert kind[1] == name
            assert name.endswith("_total") == (kind[2] == "counter"), name
            family = families[name] = Family(kind[2], unescaped(help), {})
            continue
        found = SAMPLE.fullmatch(line)
        assert found, line
        assert family is not None, line
        assert found[1] in [name + part for part in PARTS[family.kind]], line
        pairs = PAIR.findall(found[2] or "")
        assert len(dict(pairs)) == len(pairs), line
        series = (found[1], frozenset((label, unescaped(value)) for label, value in pairs))
        assert series not in family.samples, f"twice: {line}"
        family.samples[series] = float(found[found.lastindex])
    for name, family in families.items():
        assert family.samples, name
    return families


def number(families, name, **labels):
    """One sample."""
    for family in families.values():
        value = family.samples.get((name, frozenset(labels.items())))
        if value is not None:
            return value
    raise KeyError(name, labels)
