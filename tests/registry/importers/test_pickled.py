"""Pickles as lists of instructions that nobody follows."""

from __future__ import annotations

import io
import mmap
import struct
import subprocess
import sys
import tracemalloc
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.registry.importers._streams import (
    attacks,
    named,
    nothing_runs,
    number,
    plain_pickle,
    stream,
    text,
)

from napari_medsyn.registry.importers.pickled import (
    Call,
    Global,
    Limits,
    OddKey,
    Pickle,
    StrangePickle,
    read_pickle,
)

PLAIN = {
    "numbers": [0, 1, -1, 255, 256, 65536, -(2**31), 2**40, 2**63, 0.5, -1e300],
    "words": ["", "é", "x" * 300, "line\nfeed"],
    "constants": (True, False, None),
    "tuples": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)],
    7: {"inner": {}},
}


def read(content: bytes, **limits: int) -> Pickle:
    return read_pickle(io.BytesIO(content), Limits(**limits))


@pytest.mark.parametrize("protocol", range(6))
def test_plain_data_comes_back(protocol: int) -> None:
    assert read(plain_pickle(PLAIN, protocol)).value == PLAIN


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_bytes_come_back(protocol: int) -> None:
    assert read(plain_pickle([b"", b"ab" * 200], protocol)).value == [b"", b"ab" * 200]


def test_what_was_shared_is_shared() -> None:
    inner: list[Any] = [1]
    inner.append(inner)

    first, second = read(plain_pickle([inner, inner])).value

    assert first is second
    assert first[1] is first


def test_calls_become_nodes() -> None:
    made = read(plain_pickle(OrderedDict(a=1))).value

    assert isinstance(made, Call)
    assert made.name == "collections.OrderedDict"
    assert made.items == [("a", 1)]


def test_sets_become_nodes() -> None:
    made = read(plain_pickle([{1, 2}, frozenset([3])])).value

    assert [node.name for node in made] == ["builtins.set", "builtins.frozenset"]
    assert sorted(made[0].appended) == [1, 2]
    assert made[1].arguments == ([3],)


def test_a_state_is_kept_beside_the_call() -> None:
    made = read(stream(named("a", "B"), b")\x81", b"}", text("x"), number(5), b"sb")).value

    assert (made.name, made.arguments, made.state) == ("a.B", (), {"x": 5})


def test_a_memory_map_is_read_too(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(plain_pickle(PLAIN))
    with (
        (tmp_path / "a.pkl").open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
    ):
        assert read_pickle(mapped).value == PLAIN


NAMES = tuple(attacks(Path("marker")))


@pytest.mark.parametrize("name", NAMES)
def test_every_attack_is_one(name: str, tmp_path: Path) -> None:
    """In a process of its own, Python's unpickler runs the code of each."""
    marker = tmp_path / "ran"
    code = "import pickle, sys; pickle.load(sys.stdin.buffer)"
    subprocess.run(
        [sys.executable, "-I", "-c", code],
        input=attacks(marker)[name],
        check=False,
        capture_output=True,
        timeout=60,
    )
    assert marker.exists()


@pytest.mark.parametrize("name", NAMES)
def test_no_attack_runs(name: str, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    with nothing_runs(marker), suppress(StrangePickle):
        assert read(attacks(marker)[name]).calls


def test_a_state_is_not_set_twice() -> None:
    """The first one could have made anything of the file's choice its `__setstate__`."""
    with pytest.raises(StrangePickle, match=r"state of argparse\.Namespace twice"):
        read(attacks(Path("marker"))["BUILD"])


def test_nothing_is_imported() -> None:
    assert "antigravity" not in sys.modules

    made = read(stream(named("antigravity", "geohash"))).value

    assert made == Global("antigravity", "geohash")
    assert "antigravity" not in sys.modules


def test_calls_are_told_even_if_thrown_away() -> None:
    made = read(stream(named("os", "system"), text("x"), b"\x85R0N"))

    assert made.value is None
    assert [call.name for call in made.calls] == ["os.system"]


def test_what_calls_a_result_has_no_known_name() -> None:
    made = read(stream(named("a", "b"), b")R", b")R"))

    assert made.calls[1].name == "something that the file makes itself"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\x82\x01", "EXT1"),
        (b"\x83\x01\x00", "EXT2"),
        (b"\x84\x01\x00\x00\x00", "EXT4"),
        (b"\x97", "NEXT_BUFFER"),
        (b"}\x98", "READONLY_BUFFER"),
        (named("os", "environ") + b"}b", "attributes of os.environ"),
        (b"}}b", "attributes of a dict"),
        (named("os", "system") + text("x") + b"R", "no tuple"),
        (named("os", "system") + b")" + text("x") + b"\x92", "no dict"),
        (b"(o", "instance of nothing"),
        (b"NN\x93", "has no name"),
        (b"Na", "takes a value"),
        (b"NNa", "appends to a NoneType"),
        (b"NNNs", "items into a NoneType"),
        (b"}(Nu", "key without a value"),
        (b"}(NNNu", "key without a value"),
        (b"t", "did not begin"),
        (b"(N\x86", "takes a value"),
        (b"0", "takes a value"),
        (b"h\x00", "recalls value 0"),
        (b"Np-5\n", "remembers"),
        (b"", "takes a value"),
        (b"\xff", "damaged"),
        (b"I12x\n", "damaged"),
    ],
)
def test_a_strange_stream_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(StrangePickle, match=reason):
        read(stream(body))


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_stream_cut_short_is_refused_everywhere(protocol: int) -> None:
    whole = plain_pickle(PLAIN, protocol)

    for end in range(len(whole) - 1):
        with pytest.raises(StrangePickle):
            read(whole[:end])


def test_there_is_a_limit_of_instructions() -> None:
    with pytest.raises(StrangePickle, match="more than 1000 instructions"):
        read(stream(b"N0" * 1000), opcodes=1000)


def test_there_is_a_limit_of_values_on_the_stack() -> None:
    with pytest.raises(StrangePickle, match="stacks more than 100 values"):
        read(stream(b"N" * 101), stack=100)
    with pytest.raises(StrangePickle, match="opens more than 100 groups"):
        read(stream(b"(" * 101), stack=100)
    with pytest.raises(StrangePickle, match="stacks more than 100 values"):
        read(stream(b"N", b"2" * 100), stack=100)


def test_there_is_a_limit_of_text_and_data() -> None:
    with pytest.raises(StrangePickle, match="more than 100 bytes"):
        read(stream(text("x" * 60), b"0", text("x" * 60)), characters=100)
    with pytest.raises(StrangePickle, match="more than 100 bytes"):
        read(stream(named("x" * 60, "y" * 60)), characters=100)


def test_a_huge_integer_is_refused() -> None:
    with pytest.raises(StrangePickle, match="80007 bits"):
        read(stream(b"\x8b", struct.pack("<i", 10001), b"\x7f" * 10001))


@pytest.mark.parametrize(
    "body",
    [
        b"\x8b\xff\xff\xff\x7f",  # LONG4 of 2 GB
        b"B\xff\xff\xff\xff",  # BINBYTES of 4 GB
        b"X\xff\xff\xff\xff",  # BINUNICODE of 4 GB
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\x0f",  # BINBYTES8 of 2^60 bytes
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\x0f",  # BINUNICODE8
        b"\x96\xff\xff\xff\xff\xff\xff\xff\x0f",  # BYTEARRAY8
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff",
        b"Nr\xff\xff\xff\xff" * 3 + b"j\x00\x00\x00\x00",  # memo number 2^32 - 1
    ],
)
def test_a_length_that_lies_reserves_nothing(body: bytes) -> None:
    tracemalloc.start()
    with pytest.raises(StrangePickle):
        read(stream(body))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20


def test_a_billion_laughs_stay_references() -> None:
    """Fifty tuples of ten references each to the one before: 10^50 if written out."""
    laugh = b"".join(
        b"(" + b"h" + bytes([i]) + b"2" * 9 + b"tq" + bytes([i + 1]) for i in range(50)
    )
    tracemalloc.start()
    made = read(stream(b"Nq\x00", laugh)).value
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(made) == 10
    assert made[0] is made[9]
    assert peak < 2**20


def test_deep_nesting_is_read_without_recursion() -> None:
    made = read(stream(b"N", b"\x85" * 20_000)).value

    depth = 0
    while made is not None:
        (made,) = made
        depth += 1
    assert depth == 20_000


def test_keys_whose_hashes_collide_or_descend_are_wrapped() -> None:
    """Integers a multiple of 2^61 - 1 apart share a hash; a deep tuple's hash overflows."""
    modulus = 2**61 - 1
    body = b"".join(number(k * modulus) + b"N" for k in range(1, 8))
    deep = b"N" + b"\x85" * 1000 + b"N"

    made = read(stream(b"}(", body, deep, b"u")).value

    assert len(made) == 8
    assert all(isinstance(key, OddKey) for key in made)
