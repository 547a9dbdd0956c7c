from __future__ import annotations

import hashlib
import json
import os
import struct
import sys
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from tests._fakes import make_package

from napari_medsyn.errors import UnusableModel
from napari_medsyn.registry.packages import MAX_HEADER_BYTES, check_safetensors, sha256_of, verify


def hostile(path: Any, header: Any, data: bytes = b"", length: int | None = None) -> Any:
    """Write a file in safetensors' clothing."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def tensor(begin: int, end: int, shape: Any = (1,), dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


def test_a_good_package_gives_its_card(tmp_path):
    assert verify(make_package(tmp_path / "a")).id == "fake-brain"


def test_verifying_imports_no_torch(tmp_path):
    make_package(tmp_path / "a")
    code = (
        "import sys; from pathlib import Path; from napari_medsyn.registry.packages import verify;"
        f"verify(Path({str(tmp_path / 'a')!r})); print('torch' in sys.modules)"
    )
    import subprocess

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_one_changed_byte_is_found_by_its_hash_but_not_without(tmp_path):
    weights = make_package(tmp_path / "a") / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    verify(tmp_path / "a", full=False)
    with pytest.raises(UnusableModel, match=r"weights\.safetensors: its SHA-256 is not the one"):
        verify(tmp_path / "a")


def test_a_longer_file_is_found_by_its_size(tmp_path):
    weights = make_package(tmp_path / "a") / "weights.safetensors"
    size = weights.stat().st_size
    weights.write_bytes(weights.read_bytes() + b"\0")
    with pytest.raises(UnusableModel, match=f"has {size + 1} bytes where the card says {size}"):
        verify(tmp_path / "a", full=False)


def test_a_missing_file_is_named(tmp_path):
    (make_package(tmp_path / "a") / "weights.safetensors").unlink()
    with pytest.raises(UnusableModel, match=r"weights\.safetensors: is missing"):
        verify(tmp_path / "a")


def test_links_are_refused_wherever_they_lead(tmp_path):
    package = make_package(tmp_path / "a")
    outside = tmp_path / "outside.safetensors"
    (package / "weights.safetensors").rename(outside)
    (package / "weights.safetensors").symlink_to(outside)
    with pytest.raises(UnusableModel, match="is a link or not an ordinary file"):
        verify(package)


def test_a_card_that_is_a_link_is_refused(tmp_path):
    package = make_package(tmp_path / "a")
    (package / "card.json").rename(tmp_path / "card.json")
    (package / "card.json").symlink_to(tmp_path / "card.json")
    with pytest.raises(UnusableModel, match="is a link"):
        verify(package)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_refused_without_waiting_on_it(tmp_path):
    package = make_package(tmp_path / "a")
    (package / "weights.safetensors").unlink()
    os.mkfifo(package / "weights.safetensors")
    with pytest.raises(UnusableModel, match="not an ordinary file"):
        verify(package)


@pytest.mark.parametrize("name", ["code.py", "weights.pt", "data.pkl", "noending"])
def test_other_kinds_of_file_are_refused(tmp_path, name):
    package = make_package(tmp_path / "a")
    (package / name).write_bytes(b"x")
    card = json.loads((package / "card.json").read_text())
    card["files"].append({"name": name, "bytes": 1, "sha256": hashlib.sha256(b"x").hexdigest()})
    (package / "card.json").write_text(json.dumps(card))
    with pytest.raises(UnusableModel, match="packages hold"):
        verify(package)


def test_a_file_instead_of_a_folder_is_refused(tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(UnusableModel, match="is not a folder"):
        verify(tmp_path / "a")


def test_sha256_is_that_of_hashlib(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1.
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_of(tmp_path / "a") == expected


def test_what_safetensors_writes_is_accepted(tmp_path):
    tensors = {
        "a": np.zeros((3, 0, 2), np.float32),
        "b": np.ones((2, 3), np.float16),
        "c": np.array(3, np.int64),
        "d": np.ones(5, bool),
    }
    save_file(tensors, tmp_path / "a.safetensors", metadata={"who": "we"})
    assert check_safetensors(tmp_path / "a.safetensors") == 4


@pytest.mark.parametrize(
    ("header", "data", "reason"),
    [
        ({"a": tensor(0, 4)}, b"\0" * 3, "beyond the file"),
        ({"a": tensor(0, 4)}, b"\0" * 5, "1 bytes belong to no tensor"),
        ({"a": tensor(0, 4), "b": tensor(2, 6)}, b"\0" * 6, "overlap"),
        ({"a": tensor(0, 4), "b": tensor(8, 12)}, b"\0" * 12, "leave gaps"),
        ({"a": tensor(0, 8)}, b"\0" * 8, "do not fit its shape"),
        ({"a": tensor(0, 4, dtype="PICKLE")}, b"\0" * 4, "type 'PICKLE'"),
        ({"a": tensor(4, 0, shape=(-1,))}, b"\0" * 4, "not counts"),
        ({"a": tensor(0, 4, shape=(True,))}, b"\0" * 4, "not counts"),
        ({"a": {**tensor(0, 4), "code": "x"}}, b"\0" * 4, "without dtype"),
        ({"a": [0, 4]}, b"\0" * 4, "without dtype"),
        ({"a": {**tensor(0, 4), "data_offsets": [0]}}, b"\0" * 4, "shape"),
        ({"__metadata__": {}}, b"", "holds no tensor"),
        (b"[]", b"", "not a JSON object"),
        (b"\x80\x04", b"", "is not a safetensors file"),
        (b'{"a": 1, "a": 2}', b"", "names a tensor twice"),
        (b"{" + b'"a":{' * 100_000, b"", "is not a safetensors file"),
    ],
)
def test_a_header_that_lies_is_refused(tmp_path, header, data, reason):
    with pytest.raises(UnusableModel, match=reason):
        check_safetensors(hostile(tmp_path / "a.safetensors", header, data))


@pytest.mark.parametrize("length", [2**63, MAX_HEADER_BYTES + 1, 1000])
def test_a_header_longer_than_the_file_is_not_read(tmp_path, length):
    with pytest.raises(UnusableModel, match=f"a header of {length} bytes"):
        check_safetensors(hostile(tmp_path / "a.safetensors", {}, length=length))


@pytest.mark.parametrize("content", [b"", b"\0", b"PK\x03\x04 a zip", b"\x80\x02}q\0."])
def test_other_content_is_refused(tmp_path, content):
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(UnusableModel, match="is not a safetensors file"):
        check_safetensors(tmp_path / "a.safetensors")
