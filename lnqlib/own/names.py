"""How a norm or a task of the reader's own is spelled; nothing is imported to tell."""

from __future__ import annotations

import re

_NAME = r"[A-Za-z_]\w*"
_MODULE = rf"{_NAME}(?:\.{_NAME})*"
_OWN = {
    "env": re.compile(rf"(?:{_MODULE}:(?:[\w-]+/)?[\w.-]+|(?:[\w-]+/)?[\w.-]+-v\d+)", re.ASCII),
    "norm": re.compile(rf"{_MODULE}:{_NAME}", re.ASCII),
}
SPELLING = {
    "env": "Gymnasium's ids, such as CartPole-v1 or my_module:MyEnv-v0",
    "norm": "a function width -> nn.Module of your own, spelled my_module:factory",
}
"""By field of a `RunSpec`, what it takes beside the library's names, in words."""


def is_own(field: str, value: object) -> bool:
    """Whether `value` is spelled as an env or norm that the library does not have itself."""
    return field in _OWN and isinstance(value, str) and bool(_OWN[field].fullmatch(value))


def module_in(field: str, value: object) -> str:
    """The module that an env or norm names, as in "my_module:factory"; "" where it names none."""
    return value.rpartition(":")[0] if isinstance(value, str) and is_own(field, value) else ""
