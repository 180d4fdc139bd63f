"""``NAME=VALUE`` as commands take it."""

import json
from typing import Any

from pipeline_lib.errors import InputError


def named_values(pairs: list[str] | None) -> dict[str, Any]:
    """Values by name of every ``--option NAME=VALUE``; a VALUE that is no JSON is a text.

    Raises:
        InputError: a pair has no equals sign.
    """
    found: dict[str, Any] = {}
    for pair in pairs or ():
        name, equals, text = pair.partition("=")
        if not equals:
            raise InputError(f"--option is {pair!r}; expected NAME=VALUE.")
        try:
            found[name] = json.loads(text)
        except ValueError:
            found[name] = text
    return found
