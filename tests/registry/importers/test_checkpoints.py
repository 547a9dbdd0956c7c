"""Checkpoints of torch read without torch, and hostile ones refused."""

from __future__ import annotations

import argparse
import io
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.registry.importers._streams import (
    FORMATS,
    archive,
    attacks,
    call,
    entry,
    named,
    nothing_runs,
    plain_pickle,
    storage,
    stream,
    tensor,
    text,
    torch_legacy,
    torch_zip,
)

from napari_medsyn.errors import MedsynError, UnusableFile
from napari_medsyn.registry.importers.checkpoints import read_checkpoint
from napari_medsyn.registry.importers.pickled import Call

MODULES = ("torch.nn.modules.",)


def read(folder: Path, content: bytes, **options: Any) -> Any:
    path = folder / "model.pth"
    path.write_bytes(content)
    return read_checkpoint(path, **options)


def state() -> OrderedDict[str, Any]:
    """A state dict with tensors of many kinds and views."""
    base = torch.arange(24.0).reshape(2, 3, 4)
    tagged = torch.arange(2.0)
    tagged.note = "kept by torch, of no use here"
    return OrderedDict(
        base=base,
        transposed=base.transpose(0, 2),
        slice=base[1, 1:, ::2],
        scalar=torch.tensor(3),
        empty=torch.zeros(0, 3),
        parameter=torch.nn.Parameter(torch.arange(4.0)),
        tagged=tagged,
        half=torch.arange(3.0, dtype=torch.float16),
        double=torch.arange(3.0, dtype=torch.float64),
        bytes=torch.tensor([0, 255], dtype=torch.uint8),
        truth=torch.tensor([True, False]),
        complex=torch.tensor([1 + 2j]),
    )


@pytest.mark.parametrize("form", FORMATS)
def test_tensors_come_back_exactly(form: str, tmp_path: Path) -> None:
    made = read(tmp_path, FORMATS[form](state()))

    assert list(made) == list(state())
    for name, wanted in state().items():
        expected = wanted.detach().numpy()
        assert made[name].dtype == expected.dtype, name
        np.testing.assert_array_equal(made[name], expected, err_msg=name)


@pytest.mark.parametrize("form", FORMATS)
def test_bfloat16_becomes_float32_exactly(form: str, tmp_path: Path) -> None:
    values = torch.tensor([1.0, -2.5, 3.0e38, 1e-30, float("inf")]).to(torch.bfloat16)

    made = read(tmp_path, FORMATS[form]({"x": values}))["x"]

    assert made.dtype == np.float32
    np.testing.assert_array_equal(made, values.float().numpy())


@pytest.mark.parametrize("form", FORMATS)
def test_arrays_and_plain_data_come_back(form: str, tmp_path: Path) -> None:
    content = {
        "array": np.arange(6, dtype=">i4").reshape(2, 3).T,
        "number": np.float64(0.25),
        "size": torch.Size([2, 3]),
        "device": torch.device("cuda", 1),
        "default": defaultdict(list, x=[1]),
        "set": {1},
        "raw": b"\x00\xff",
        "arguments": argparse.Namespace(epochs=3),
        "epoch": 7,
    }

    made = read(tmp_path, FORMATS[form](content))

    np.testing.assert_array_equal(made.pop("array"), content["array"])
    assert made == {
        "number": 0.25,
        "size": (2, 3),
        "device": "cuda:1",
        "default": {"x": [1]},
        "set": [1],
        "raw": b"\x00\xff",
        "arguments": {"epochs": 3},
        "epoch": 7,
    }


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_arrays_of_every_protocol(protocol: int, tmp_path: Path) -> None:
    content = {"c": np.arange(6.0).reshape(2, 3), "f": np.asfortranarray(np.eye(3)[:2])}

    made = read(tmp_path, plain_pickle(content, protocol))

    for name, expected in content.items():
        np.testing.assert_array_equal(made[name], expected)


def test_a_storage_that_is_shared_is_read_once(tmp_path: Path) -> None:
    weight = torch.arange(1000.0)

    made = read(tmp_path, torch_zip({str(i): weight for i in range(50)}))

    assert all(np.shares_memory(made["0"], view) for view in made.values())
    assert not made["0"].flags.writeable


def test_a_big_endian_archive(tmp_path: Path) -> None:
    pickle = entry(tensor(2, 0, (2,), (1,)))
    content = archive(pickle, {"0": np.array([1, 2], ">f4").tobytes()})
    with zipfile.ZipFile(io.BytesIO(content)) as made:
        members = {name: made.read(name) for name in made.namelist()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for name, value in {**members, "model/byteorder": b"big"}.items():
            made.writestr(name, value)

    assert read(tmp_path, buffer.getvalue())["weight"].tolist() == [1, 2]


def test_torch_is_not_imported(tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(torch_zip(state()))
    code = (
        "import sys; from pathlib import Path\n"
        "from napari_medsyn.registry.importers.checkpoints import read_checkpoint\n"
        "read_checkpoint(Path(sys.argv[1])); sys.exit('torch' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", code, tmp_path / "a.pth"], check=False)

    assert done.returncode == 0


# --- what may stay --------------------------------------------------------------------


def test_only_what_may_stay_stays(tmp_path: Path) -> None:
    content = plain_pickle(torch.nn.Linear(2, 3))

    with pytest.raises(UnusableFile, match=r"calls torch\.nn\.modules\.linear\.Linear; refused"):
        read(tmp_path, content)
    made = read(tmp_path, content, may_stay=MODULES)

    assert isinstance(made, Call)
    assert made.state["_parameters"]["weight"].shape == (3, 2)


def test_a_name_only_begins_like_one_that_may_stay(tmp_path: Path) -> None:
    with pytest.raises(UnusableFile, match=r"torch\.nn\.evil"):
        read(tmp_path, stream(call("torch.nn.evil", "f", "x")), may_stay=MODULES)
    with pytest.raises(UnusableFile, match=r"torch\.nn\.modules2\.f"):
        read(tmp_path, stream(call("torch.nn.modules2", "f", "x")), may_stay=MODULES)


# --- attacks --------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["zip", "legacy", "plain"])
@pytest.mark.parametrize("name", tuple(attacks(Path("marker"))))
def test_an_attack_is_refused_and_does_not_run(name: str, form: str, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    pickle = attacks(marker)[name]
    heads = b"".join(plain_pickle(v, 2) for v in (0x1950A86A20F9469CFC6C, 1001, ENDIAN))
    content = {
        "zip": archive(pickle, {}),
        "legacy": heads + pickle + plain_pickle([], 2),
        "plain": pickle,
    }[form]

    with nothing_runs(marker), pytest.raises(UnusableFile, match="nothing was run"):
        read(tmp_path, content)


ENDIAN = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}


def test_an_attack_within_a_storage_is_refused(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    inner = attacks(marker)["system"]
    heads = b"".join(plain_pickle(v, 2) for v in (0x1950A86A20F9469CFC6C, 1001, ENDIAN))
    for content in (inner, heads + inner + plain_pickle([], 2)):
        load = named("torch.storage", "_load_from_bytes")
        body = load + b"B" + struct.pack("<I", len(content)) + content + b"\x85R"
        with nothing_runs(marker), pytest.raises(UnusableFile, match=r"format of torch|os\.system"):
            read(tmp_path, entry(body))


def test_storages_within_storages_are_refused(tmp_path: Path) -> None:
    load = named("torch.storage", "_load_from_bytes")
    heads = b"".join(plain_pickle(v, 2) for v in (0x1950A86A20F9469CFC6C, 1001, ENDIAN))
    inner = heads + stream(load + b"C\x01x\x85R") + plain_pickle([], 2)

    with pytest.raises(UnusableFile, match="checkpoints within checkpoints"):
        read(tmp_path, entry(load + b"B" + struct.pack("<I", len(inner)) + inner + b"\x85R"))


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("os.system", r"makes a tensor by os\.system; refused, nothing was run"),
        ("torch._utils._rebuild_tensor_v2", "with other arguments than usual"),
    ],
)
def test_a_tensor_type_does_not_bring_a_function(
    function: str, reason: str, tmp_path: Path
) -> None:
    module, _, name = function.rpartition(".")
    body = named("torch._tensor", "_rebuild_from_type_v2") + b"(" + named(module, name) + b"N)}tR"

    with pytest.raises(UnusableFile, match=reason):
        read(tmp_path, archive(entry(body), {}))


# --- claims ---------------------------------------------------------------------------

FOUR = np.arange(4, dtype=np.float32).tobytes()


@pytest.mark.parametrize(
    ("claim", "reason"),
    [
        (tensor(4, 0, (5,), (1,)), "beyond its storage"),
        (tensor(4, 1, (4,), (1,)), "beyond its storage"),
        (tensor(4, 4, (1,), (1,)), "beyond its storage"),
        (tensor(4, 2**40, (1,), (1,)), "beyond its storage"),
        (tensor(4, 0, (2, 2), (3, 1)), "beyond its storage"),
        (tensor(4, 0, (2,), (2**40,)), "beyond its storage"),
        # A stride of 0 names one number as often as it likes.
        (tensor(4, 0, (10**9,), (0,)), "beyond its storage"),
        (tensor(4, 0, (2**20, 2**20), (0, 0)), "beyond its storage"),
        (tensor(4, -1, (1,), (1,)), "impossible offset"),
        (tensor(4, 0, (-1,), (1,)), "no counts"),
        (tensor(4, 3, (2,), (-1,)), "no counts"),
        (tensor(4, 0, (4,), (1, 1)), "impossible offset or number of axes"),
        (tensor(4, 0, (1,) * 40, (1,) * 40), "number of axes"),
        (tensor(4, 0, (0, 2**40, 2**40), (1, 1, 1)), "impossible shape"),
        (tensor(5, 0, (4,), (1,)), "16 bytes where 20 are claimed"),
        (tensor(3, 0, (3,), (1,)), "16 bytes where at most 12"),
        (tensor(4, 0, (4,), (1,), kind="DoubleStorage"), "16 bytes where 32 are claimed"),
        (tensor(1_250_000_000, 0, (4,), (1,)), "where 5000000000 are claimed"),
        (tensor(4, 0, (4,), (1,), kind="QInt8Storage"), "QInt8Storage"),
        (tensor(4, 0, (4,), (1,), key="../0"), "no member"),
        (tensor(4, 0, (4,), (1,), key="7"), "no member"),
        (storage(-4), "no name or no size"),
        (tensor(4, 0, (1,), (1,), view=(2, 3)), "part of storage '0' lies beyond its end"),
        (tensor(4, 0, (3,), (1,), view=(2, 2)), "beyond its storage of 2"),
        (b"Vstorage\nQ", "no tensor's storage"),
        (named("torch._utils", "_rebuild_tensor_v2") + b"(NK\x00))tR", "has no storage"),
        (named("torch._utils", "_rebuild_tensor_v2") + b")R", "other arguments"),
        (named("torch._utils", "_rebuild_parameter") + b"(Nt" + b"R", "no tensor"),
        (named("torch.storage", "_load_from_bytes") + b"(Nt" + b"R", "no bytes"),
    ],
)
def test_a_claim_that_is_not_true_is_refused(claim: bytes, reason: str, tmp_path: Path) -> None:
    tracemalloc.start()
    with pytest.raises(UnusableFile, match=reason):
        read(tmp_path, archive(entry(claim), {"0": FOUR}))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * 2**20


def test_the_same_claim_made_truly_is_accepted(tmp_path: Path) -> None:
    for claim in (tensor(4, 1, (2,), (2,)), tensor(4, 0, (2,), (2,), view=(1, 3))):
        made = read(tmp_path, archive(entry(claim), {"0": FOUR}))
        assert made["weight"].tolist() == [1, 3]


@pytest.mark.parametrize(
    ("dtype", "state_tuple", "reason"),
    [
        (b"X\x02\x00\x00\x00O8", b"(K\x01(K\x01t", "something else than numbers"),
        (b"X\x02\x00\x00\x00f4", b"(K\x01(K\x02t", "1 numbers where 2 are claimed"),
        (b"X\x02\x00\x00\x00f4", b"(K\x01(J\xff\xff\xff\xfft", "no counts"),
        (b"X\x02\x00\x00\x00f4", b"(K\x01(J\xff\xff\xff\x7f" + text("a") + b"t", "no counts"),
        (b"X\x02\x00\x00\x00f8", b"(K\x01(K\x01t", "part of a number"),
    ],
)
def test_an_array_that_lies_is_refused(
    dtype: bytes, state_tuple: bytes, reason: str, tmp_path: Path
) -> None:
    made = named("numpy", "dtype") + dtype + b"\x89\x88\x87R"
    body = (
        named("numpy.core.multiarray", "_reconstruct")
        + named("numpy", "ndarray")
        + b"K\x00\x85C\x01b\x87R"
        + state_tuple
        + made
        + b"\x89C\x04\x00\x00\x80\x3ftb"
    )

    with pytest.raises(UnusableFile, match=reason):
        read(tmp_path, entry(body))


def test_deep_nesting_is_refused_without_recursion(tmp_path: Path) -> None:
    for body in (b"N" + b"\x85" * 20_000, b"]" * 20_000 + b"a" * 19_999):
        with pytest.raises(UnusableFile, match="nests more than"):
            read(tmp_path, stream(body))


def test_what_is_made_from_itself_is_refused(tmp_path: Path) -> None:
    """An array whose state holds the array."""
    body = (
        named("numpy.core.multiarray", "_reconstruct")
        + named("numpy", "ndarray")
        + b"K\x00\x85C\x01b\x87Rq\x00h\x00\x85b"
    )
    with pytest.raises(UnusableFile, match="made from itself"):
        read(tmp_path, stream(body))


def test_a_billion_laughs_stay_small(tmp_path: Path) -> None:
    laugh = b"".join(b"(h" + bytes([i]) + b"2" * 9 + b"tq" + bytes([i + 1]) for i in range(50))
    tracemalloc.start()
    made = read(tmp_path, stream(b"Nq\x00", laugh))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert made[0] is made[9]
    assert peak < 2**20


# --- containers -----------------------------------------------------------------------


def test_a_zip_bomb_is_refused(tmp_path: Path) -> None:
    bomb = archive(entry(tensor(2**23, 0, (4,), (1,))), {"0": bytes(2**25)}, zipfile.ZIP_DEFLATED)
    assert len(bomb) < 2**20
    tracemalloc.start()
    with pytest.raises(UnusableFile, match="compressed"):
        read(tmp_path, bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * 2**20


def test_members_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    """Every entry of the directory points at one member: a bomb without compression."""
    content = archive(entry(tensor(4, 0, (4,), (1,))), {"0": bytes(2**16)})
    start = content.rindex(b"PK\x01\x02")
    directory, end = content[start:-22], bytearray(content[-22:])
    copies = b"".join(directory.replace(b"data/0", b"data/" + bytes([65 + i])) for i in range(20))
    end[8:12] = struct.pack("<HH", 22, 22)
    end[12:16] = struct.pack("<I", len(content) - 22 - content.index(b"PK\x01\x02") + len(copies))

    with pytest.raises(UnusableFile, match="claims more bytes than the file has"):
        read(tmp_path, content[:-22] + copies + bytes(end))


def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        made.writestr("a/data.pkl", stream(b"N"))
        with pytest.warns(UserWarning, match="Duplicate"):
            made.writestr("a/data.pkl", stream(b"}"))

    with pytest.raises(UnusableFile, match="two members of one name"):
        read(tmp_path, buffer.getvalue())


def test_a_torchscript_program_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        made.writestr("a/data.pkl", stream(b"N"))
        made.writestr("a/constants.pkl", stream(b")"))

    with pytest.raises(UnusableFile, match="TorchScript"):
        read(tmp_path, buffer.getvalue())


def test_an_archive_of_something_else_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        made.writestr("readme.txt", "hello")

    with pytest.raises(UnusableFile, match=r"0 members data\.pkl"):
        read(tmp_path, buffer.getvalue())


@pytest.mark.parametrize(
    "content", [b"", b"\x93NUMPY", b"GIF89a", b"PK\x03\x04", b"PK\x03\x04" + bytes(100)]
)
def test_what_is_no_checkpoint_is_refused(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(UnusableFile):
        read(tmp_path, content)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UnusableFile, match="No such file"):
        read_checkpoint(tmp_path / "none.pth")
    with pytest.raises(UnusableFile, match="cannot be read"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (plain_pickle(1001, 2), plain_pickle(1002, 2), "unknown version"),
        (b"little_endianq\x02\x88", b"little_endianq\x02\x89", "little-endian"),
        (struct.pack("<Q", 6) + bytes(4), struct.pack("<Q", 5) + bytes(4), "another size"),
        (struct.pack("<Q", 6) + bytes(4), struct.pack("<Q", 2**40) + bytes(4), "another size"),
    ],
)
def test_a_legacy_file_that_is_changed(old: bytes, new: bytes, reason: str, tmp_path: Path) -> None:
    content = torch_legacy({"x": torch.arange(6.0)})
    assert content.count(old) == 1

    with pytest.raises(UnusableFile, match=reason):
        read(tmp_path, content.replace(old, new))


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_cut_short_is_refused(form: str, tmp_path: Path) -> None:
    whole = FORMATS[form]({"x": torch.arange(6.0), "y": np.arange(3)})

    for end in range(0, len(whole) - 1, len(whole) // 50):
        with pytest.raises(UnusableFile):
            read(tmp_path, whole[:end])


@pytest.mark.parametrize("form", FORMATS)
def test_any_damage_ends_in_a_sentence(form: str, tmp_path: Path) -> None:
    """A hundred times one to four changed bytes: a result, or an error for people."""
    random = np.random.default_rng(0)
    whole = np.frombuffer(FORMATS[form]({"x": torch.arange(6.0), "y": np.arange(3)}), np.uint8)
    refused = 0
    for _ in range(100):
        damaged = whole.copy()
        places = random.integers(0, len(whole), random.integers(1, 5))
        damaged[places] = random.integers(0, 256, len(places))
        try:
            read(tmp_path, damaged.tobytes())
        except MedsynError:
            refused += 1
    assert 30 < refused < 100


@pytest.mark.parametrize(
    "again",
    [
        named("_codecs", "encode") + b"h\x00" + text("latin1") + b"\x86R",
        named("torch", "Size") + b"h\x01\x85R",
        named("builtins", "set") + b"h\x01\x85R",
        named("collections", "OrderedDict") + b"h\x02\x85R",
        named("torch.storage", "_load_from_bytes") + b"h\x03\x85R",
        named("numpy.core.numeric", "_frombuffer")
        + b"(h\x03"
        + named("numpy", "dtype")
        + b"X\x02\x00\x00\x00i1\x89\x88\x87R"
        + b"h\x04X\x01\x00\x00\x00CtR",
    ],
)
def test_copies_of_one_value_are_counted(again: bytes, tmp_path: Path) -> None:
    """Each call is some 30 bytes and copies 100 kB: a small file would fill the memory."""
    nested = torch_legacy(torch.zeros(100_000).untyped_storage())
    values = [
        text("x" * 100_000) + b"q\x00",
        b"]q\x01(" + b"N" * 20_000 + b"e",
        b"}q\x02(" + b"".join(b"J" + struct.pack("<i", i) + b"N" for i in range(20_000)) + b"u",
        b"B" + struct.pack("<I", len(nested)) + nested + b"q\x03",
        b"J" + struct.pack("<i", len(nested)) + b"\x85q\x04",
    ]
    tracemalloc.start()
    with pytest.raises(UnusableFile, match="again and again"):
        read(tmp_path, stream(b"(", *values, again * 500, b"t"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 * 2**20


def test_storages_read_as_many_kinds_are_counted(tmp_path: Path) -> None:
    kinds = ("Float", "Int", "BFloat16", "Half", "Short", "Byte", "Char")
    sizes = {"Float": 4, "Int": 4, "BFloat16": 2, "Half": 2, "Short": 2, "Byte": 1, "Char": 1}
    views = [tensor(2**16 // sizes[k], 0, (1,), (1,), kind=f"{k}Storage") for k in kinds]

    with pytest.raises(UnusableFile, match="again and again"):
        read(tmp_path, archive(stream(b"(", *views, b"t"), {"0": bytes(2**16)}))
