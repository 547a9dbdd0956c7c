"""What is wrong with a card, in the words of whoever edits it in an editor."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from pydantic import ValidationError

from napari_medsyn.registry.suggesting import did_you_mean

#: Problems that are told at most: who has mended five tries again anyway.
MOST_PROBLEMS: Final = 5

#: Python's words for what it did not find, and ours; the first that fits is taken.
_SYNTAX: Final = (
    ("Expecting property name", "expected a key in double quotes"),
    ("Expecting ',' delimiter", "expected a comma or a closing bracket before this"),
    ("Expecting ':' delimiter", "expected a colon after the key"),
    ("Expecting value", 'expected a value: "text", a number, true, false, null, a list or {…}'),
    ("Extra data", "something follows after the last closing brace"),
    ("Invalid control character", "a text in quotes runs over the end of its line"),
    ("Unterminated string", "a text in quotes is not closed"),
)


def json_problem(error: ValueError | RecursionError) -> str:
    """Where a text stops being JSON and what was expected there, as "line 7: …"."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if not isinstance(error, json.JSONDecodeError):
        return str(error)
    before, after = error.doc[: error.pos].rstrip(), error.doc[error.pos :].lstrip()
    # Up to Python 3.12 the place is that of the brace, since then that of the comma.
    if after.startswith(",") and not before.endswith(","):
        before, after = f"{before},", after[1:].lstrip()
    if before.endswith(",") and after[:1] in ("}", "]", ","):
        line = before.count("\n") + 1
        return f"line {line}: a comma too many, since no entry follows it"
    if not after and not error.msg.startswith("Unterminated"):
        return "it ends too early: something is not closed"
    told = next((ours for theirs, ours in _SYNTAX if error.msg.startswith(theirs)), error.msg)
    return f"line {error.lineno}: {told}"


def problems(error: ValidationError, schema: Callable[[], Mapping[str, Any]]) -> str:
    """The first `MOST_PROBLEMS` as `place: reason`, e.g. `controls[2].default: 40 is above 32`.

    Parameters
    ----------
    error : of the validation.
    schema : gives the JSON Schema of what was validated, for names near an unknown key.
    """
    found = error.errors(include_url=False)
    told = "; ".join(_problem(item, schema) for item in found[:MOST_PROBLEMS])
    more = len(found) - MOST_PROBLEMS
    return f"{told}; and {more} more" if more > 0 else told


def _problem(item: Mapping[str, Any], schema: Callable[[], Mapping[str, Any]]) -> str:
    place = ""
    for step in item["loc"]:
        place += f"[{step}]" if isinstance(step, int) else f".{step}"
    reason = item["msg"].removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        *parents, key = item["loc"]
        hint = did_you_mean(str(key), _keys(schema(), parents)).removeprefix("; ")
        reason = f"is not a known key{f' ({hint})' if hint else ''}"
    return f"{place.lstrip('.') or 'card'}: {reason}"


def _keys(schema: Mapping[str, Any], path: Iterable[str | int]) -> list[str]:
    """Keys that an object at `path` may have, by the schema; none where it does not say."""
    node = schema
    for step in path:
        node = _resolved(schema, node)
        tagged = node.get("discriminator", {}).get("mapping", {})
        if isinstance(step, int):
            node = node.get("items", {})
        elif step in tagged:
            node = {"$ref": tagged[step]}
        elif step in node.get("properties", {}):
            node = node["properties"][step]
        else:
            more = node.get("additionalProperties")
            node = more if isinstance(more, dict) else {}
    return list(_resolved(schema, node).get("properties", {}))


def _resolved(schema: Mapping[str, Any], node: Mapping[str, Any]) -> Mapping[str, Any]:
    """A node of the schema itself instead of a reference to it, or of "this or null"."""
    for choice in node.get("anyOf", ()):
        if choice.get("type") != "null":
            return _resolved(schema, choice)
    name = node.get("$ref", "").removeprefix("#/$defs/")
    return schema["$defs"][name] if name else node
