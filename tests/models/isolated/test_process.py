"""A package's process: asked, ended, and everything that may go wrong with it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from tests.models.isolated._packages import GOOD, make_package, make_trusted, running, try_out

from napari_medsyn.errors import EngineError, UnusableModel
from napari_medsyn.models.isolated.architecture import read_architecture
from napari_medsyn.models.isolated.process import Limits, Runner

LATENT = ("input_latent_vector", np.full((1, 3, 1, 1), 0.5, np.float32))
LIMITS = Limits(start_s=60, call_s=0.3)


def folders() -> set[str]:
    """Folders of packages' processes that this process has made."""
    return {p.name for p in Path(tempfile.gettempdir()).glob(f"medsyn-package-{os.getpid()}-*")}


def start(package: Path, card: object) -> Runner:
    architecture = read_architecture(card)  # type: ignore[arg-type]
    return Runner(Path(sys.executable), package, card, architecture, LIMITS)  # type: ignore[arg-type]


def test_the_function_is_called_with_its_arguments(tmp_path: Path) -> None:
    before = folders()

    with running(tmp_path / "p", GOOD) as runner:
        sample = runner.ask({}, latent=LATENT)

    assert sample.pictures[0].tolist()[1][:3] == [60, 61, 62]
    assert sample.pictures[0].dtype == np.uint8
    assert folders() == before


def test_nothing_is_started_without_consent(tmp_path: Path) -> None:
    marker = tmp_path / "started"
    package, card = make_package(tmp_path / "p", f"open({str(marker)!r}, 'w')\n" + GOOD)
    before = folders()

    with pytest.raises(UnusableModel, match="medsyn models trust made-code"):
        start(package, card)

    assert not marker.exists()
    assert folders() == before


def test_what_is_started_is_the_copy_that_was_checked(tmp_path: Path) -> None:
    package, card = make_trusted(tmp_path / "p")
    start(package, card).close()
    (package / "code" / "model.py").write_text(GOOD.replace("100", "999"))

    with pytest.raises(UnusableModel, match=r"SHA-256|bytes"):
        start(package, card)


def test_a_link_in_the_package_is_refused(tmp_path: Path) -> None:
    package, card = make_trusted(tmp_path / "p")
    elsewhere = tmp_path / "elsewhere.py"
    (package / "code" / "model.py").rename(elsewhere)
    (package / "code" / "model.py").symlink_to(elsewhere)

    with pytest.raises(UnusableModel, match="link"):
        start(package, card)


def test_a_package_that_hangs_is_ended(tmp_path: Path) -> None:
    code = GOOD.replace(
        "    rows", "    import time\n    time.sleep(30 * more.get('hang', 0))\n    rows", 1
    )

    with running(tmp_path / "p", code, LIMITS) as runner:
        runner.ask({}, latent=LATENT)
        pid = runner.pid
        began = time.monotonic()
        with pytest.raises(EngineError, match=r"longer than 0\.3 s and was ended"):
            runner.ask({"hang": 1}, latent=LATENT)

        assert time.monotonic() - began < 5
        assert not runner.is_alive
        assert not Path(f"/proc/{pid}").exists()


def test_a_package_that_crashes_is_told_of(tmp_path: Path) -> None:
    code = GOOD.replace("    rows", "    import os\n    os.abort()\n    rows", 1)

    with (
        running(tmp_path / "p", code) as runner,
        pytest.raises(EngineError, match=r"ended \(signal 6.*starts again"),
    ):
        runner.ask({}, latent=LATENT)


def test_what_a_package_raises_is_told_and_it_may_be_asked_again(tmp_path: Path) -> None:
    code = GOOD.replace("    rows", "    if more: raise SystemExit('no disc')\n    rows", 1)

    with running(tmp_path / "p", code) as runner:
        with pytest.raises(
            EngineError, match=r"made-code failed \(SystemExit: no disc\)"
        ) as caught:
            runner.ask({"wrong": 1}, latent=LATENT)

        assert "model.py" in caught.value.__notes__[0]
        assert len(runner.ask({}, latent=LATENT).pictures) == 1


def test_what_a_package_prints_harms_nobody(tmp_path: Path) -> None:
    body = """
    import sys
    print('x' * 300_000)
    os.write(1, b'rubbish' * 20_000)
    sys.stdout.flush()
    said = sys.stdin.read() + 'nothing to read'
    """

    assert try_out(tmp_path / "p", body) == "nothing to read"


@pytest.mark.parametrize(
    ("returned", "reason"),
    [
        ("None", "returned nothing"),
        ("[]", "empty list"),
        ("['text']", "without a picture"),
        ("[np.array(['text'])]", "array of type <U4"),
        ("[(None,)]", "without a picture"),
    ],
)
def test_an_answer_that_is_none_is_told_of(tmp_path: Path, returned: str, reason: str) -> None:
    code = f"import numpy as np\ndef generate(**more):\n    return {returned}"

    with running(tmp_path / "p", code) as runner, pytest.raises(EngineError, match=reason):
        runner.ask({})


def test_a_forged_answer_ends_the_process(tmp_path: Path) -> None:
    body = """
    for number in range(3, 20):
        try:
            os.write(number, b'\\xff' * 64)
        except OSError:
            pass
    """

    with pytest.raises(EngineError, match="cannot be read"):
        try_out(tmp_path / "p", body)


def test_files_that_a_package_writes_are_gone_after_the_call(tmp_path: Path) -> None:
    code = """
import os
import numpy as np
def generate(output_path, **more):
    there = len(os.listdir(output_path))
    open(os.path.join(output_path, 'image.png'), 'w').close()
    return [np.full((4, 6), there, np.uint8)]
"""
    with running(tmp_path / "p", code) as runner:
        counts = [int(runner.ask({}).pictures[0][0, 0]) for _ in range(2)]

    assert counts == [0, 0]


def test_the_packages_own_paths_work_as_in_medigan(tmp_path: Path) -> None:
    code = """
import numpy as np
def generate(**more):
    return [(np.zeros((4, 6), np.uint8), open('models/00001_X/weights.txt').read())]
"""
    architecture = {
        "weights": "code/weights.txt",
        "at": "models/00001_X",
        "module": "models.00001_X.model",
    }

    with running(tmp_path / "p", code, architecture=architecture) as runner:
        assert runner.ask({}).texts == ("7",)


PARENT = """
import os, sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
from tests.models.isolated._packages import running
with running(Path({folder!r}), {code!r}) as runner:
    from threading import Thread
    Thread(target=lambda: runner.ask({{}}), daemon=True).start()
    while not (runner._log.parent / "work" / "started").exists():
        time.sleep(0.01)
    time.sleep(0.1)
    print(runner.pid, flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_it_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    """Also amid a call that never gives Python a chance to notice."""
    code = """
import re
def generate(**more):
    open("started", "w").close()
    re.match("(a+)+b", "a" * 60)
"""
    root = str(Path(__file__).resolve().parents[3])
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(root=root, folder=str(tmp_path / "p"), code=code)],
        stdout=subprocess.PIPE,
        env={**os.environ, "MEDSYN_HOME": str(tmp_path / "home")},
    )
    try:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
    finally:
        parent.kill()
        parent.wait()
    deadline = time.monotonic() + 5
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.01)

    assert not Path(f"/proc/{pid}").exists()


def test_folders_of_processes_whose_parent_was_killed_are_removed(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = Path(tempfile.gettempdir()) / f"medsyn-package-{dead.pid}-left"
    left.mkdir()

    with running(tmp_path / "p", GOOD):
        assert not left.exists()
