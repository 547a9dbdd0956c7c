"""What the dock's buttons do to packages: no Qt, on a worker thread, in one sentence each.

Every job takes a `Ticket`, by which it tells how far it is and learns that it is no
longer wanted.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from napari_medsyn.errors import Cancelled, MedsynError, UnusableModel
from napari_medsyn.evaluation.checks import Check, Report
from napari_medsyn.plugin.models.programs import Printed, Program
from napari_medsyn.registry.card import CARD_NAME, ModelCard
from napari_medsyn.registry.catalogue import Catalogue, Entry
from napari_medsyn.registry.packages import verify

#: How far a job is: share (0 to 1, None where nobody knows) and what it is doing.
OnProgress = Callable[[float | None, str], None]

_CHUNK: Final = 4 * 2**20

#: As many models are told by their names.
_FEW: Final = 3


class Ticket:
    """The thread between a job and the button that stops it.

    Parameters
    ----------
    on_progress : called on the job's thread.
    """

    def __init__(self, on_progress: OnProgress) -> None:
        self._on_progress = on_progress
        self._program: Program | None = None
        self._is_cancelled = False

    def report(self, share: float | None, text: str) -> None:
        """Tell how far it is; raises `Cancelled` if the job is no longer wanted."""
        if self._is_cancelled:
            raise Cancelled("Cancelled.")
        self._on_progress(share, text)

    def run(self, arguments: Sequence[str]) -> Printed:
        """Run `medsyn` with `arguments`, to be ended by `cancel`."""
        self._program = Program(arguments)
        if self._is_cancelled:
            self._program.cancel()
        return self._program.run()

    def cancel(self) -> None:
        """Have the job stop as soon as it can; called on another thread."""
        self._is_cancelled = True
        if self._program is not None:
            self._program.cancel()


@dataclass(frozen=True, slots=True)
class Done:
    """What a job has to say: a sentence, more for those who wish, and what it left.

    Parameters
    ----------
    sentence, degree, detail : for the message area.
    package : folder of a model that came in or changed.
    report : of a test.
    """

    sentence: str
    detail: str = ""
    package: Path | None = None
    degree: str = "good"
    report: Report | None = None


#: What a `JobRunner` runs.
Job = Callable[[Ticket], Done]


def verify_package(package: Path, ticket: Ticket) -> Done:
    """Compare every file of a package with its card.

    Raises
    ------
    UnusableModel : the first thing that is wrong.
    Cancelled : the ticket was cancelled.
    """
    card = verify(package, full=False)
    total = sum(file.bytes for file in card.files)
    done = 0
    lines = []
    for file in card.files:
        found = sha256()
        with (package / file.name).open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                ticket.report(done / total, f"Comparing {file.name}")
                found.update(chunk)
                done += len(chunk)
        if found.hexdigest() != file.sha256:
            raise UnusableModel(
                f"{package / file.name}: its SHA-256 is not the one on the card; the file was "
                "changed or damaged, get the package again"
            )
        lines.append(f"{file.sha256}  {file.name}")
    verb = "is" if len(lines) == 1 else "are"
    sentence = f"{card.name}: {_count(lines, 'file')} {verb} as the card says."
    return Done(sentence, "\n".join(lines))


def install_packages(sources: Sequence[Path], ticket: Ticket) -> Done:
    """Add packages (folders, zip archives or cards) to the user's models.

    One that is refused does not keep the others out.

    Raises
    ------
    UnusableModel : all of them were refused; the first one's reason.
    Cancelled : the ticket was cancelled; those before it are installed.
    """
    from napari_medsyn.registry.installing import install

    def tell(name: str, done: int, total: int) -> None:
        ticket.report(done / total if total else None, f"Fetching {name}")

    entries: list[Entry] = []
    refusals: list[str] = []
    for number, source in enumerate(sources):
        ticket.report(number / len(sources), f"Installing {source.name}")
        try:
            entries.append(install(source, progress=tell))
        except Cancelled:
            raise
        except MedsynError as error:
            # The command line's remedy, in the words of the dock.
            refusals.append(str(error).replace("--replace it", "remove it first"))
    if not entries:
        raise UnusableModel(refusals[0])
    package = entries[-1].package
    if refusals:
        sentence = f"Installed {_names(entries)}; {_count(refusals, 'package')} not."
        return Done(sentence, "\n".join(refusals), package, "bad")
    return Done(f"Installed {_names(entries)}.", "", package)


def remove_package(entry: Entry) -> Done:
    """Delete one of the user's packages.

    Raises
    ------
    UnusableModel : it is not there any more, or another package has its id: which of them
        would go, an id does not say.
    """
    from napari_medsyn.registry.installing import remove

    own = [other for other in Catalogue().entries() if other.id == entry.id]
    others = [str(other.package) for other in own if other.package != entry.package]
    if others and not any(other.is_embedded for other in own):
        raise UnusableModel(
            f"{entry.id}: {', '.join(others)} has the same id; delete the folder that you do not "
            f"want by hand ({entry.package})"
        )
    remove(entry.id)
    return Done(f"Removed {_names([entry])}.")


def trust_package(package: Path, card: ModelCard) -> Done:
    """Remember that the user lets the package's code run, as it is now."""
    from napari_medsyn.registry.consent import give_consent

    give_consent(package, card)
    return Done(
        f"{card.name} may run its code, in a process of its own, until one of its files changes.",
        "",
        package,
    )


def distrust_package(package: Path, card: ModelCard) -> Done:
    """Forget that the package's code may run."""
    from napari_medsyn.registry.consent import withdraw_consent

    withdraw_consent(package, card)
    return Done(f"{card.name} may run its code no more.", "", package)


def set_up_package(package: Path, name: str, ticket: Ticket) -> Done:
    """Make the environment that a package's code needs, in a process of its own.

    Raises
    ------
    MedsynError : it could not be made; what pip said last.
    """
    ticket.report(None, f"Setting up {name}")
    printed = ticket.run(["models", "environment", "--", str(package)])
    if printed.status != 0:
        raise UnusableModel(_refusal(printed, f"{name} could not be set up."))
    return Done(f"{name} has what it needs.", "\n".join(printed.sentences), package)


def import_model(
    kind: str,
    source: Path,
    options: Sequence[tuple[str, str]],
    ticket: Ticket,
) -> Done:
    """Turn somebody else's model into a package, in a process of its own, and install it.

    Parameters
    ----------
    kind : command of `medsyn models import`.
    source : file or folder, its argument.
    options : name and value of each; those without a value are left out.
    ticket : of the job.

    Raises
    ------
    MedsynError : the importer refuses; its own sentence.
    """
    ticket.report(None, f"Reading {source.name}")
    given = [word for name, value in options if value for word in (name, value)]
    with tempfile.TemporaryDirectory(prefix="medsyn-import-") as draft:
        out = Path(draft) / "package"
        # After --: a file whose name begins with a dash is no option.
        arguments = ["models", "import", kind, "--out", str(out), *given, "--"]
        printed = ticket.run([*arguments, str(source)])
        if printed.status != 0:
            raise UnusableModel(_refusal(printed, f"The import of {source.name} failed."))
        packages = [out] if (out / CARD_NAME).is_file() else sorted(out.iterdir())
        if not packages:
            raise UnusableModel(f"{source}: holds no model that could be imported")
        done = install_packages(packages, ticket)
    if not printed.sentences:
        return done
    sentence = f"{done.sentence} {_count(printed.sentences, 'note')} in the details."
    detail = "\n".join([*filter(None, [done.detail]), *printed.sentences])
    degree = "note" if done.degree == "good" else done.degree
    return Done(sentence, detail, done.package, degree)


def test_package(package: Path, name: str, ticket: Ticket) -> Done:
    """Run `medsyn models test` and take over its report.

    Raises
    ------
    MedsynError : it could not be run to its end.
    """
    ticket.report(None, f"Testing {name}")
    printed = ticket.run(["models", "test", "--json", "--", str(package)])
    if printed.status not in (0, 1) or not printed.answer.strip():
        raise UnusableModel(_refusal(printed, f"The test of {name} could not be run."))
    report = _report(printed.answer)
    if report.ok:
        return Done(f"{name} passed its tests ({report.summary}).", report=report)
    return Done(f"{name} failed a test ({report.summary}).", degree="bad", report=report)


def _report(answer: str) -> Report:
    """The report that was printed as JSON."""
    try:
        value = json.loads(answer)
        checks = tuple(
            Check(one["name"], one["ok"], one["sentence"], one["verdict"] == "warning")
            for one in value["checks"]
        )
        return Report(value["model"], value["version"], checks)
    except (ValueError, KeyError, TypeError) as error:
        raise UnusableModel(f"The report of the test cannot be read ({error}).") from error


def _refusal(printed: Printed, otherwise: str) -> str:
    """The last sentence that the program said."""
    return printed.sentences[-1] if printed.sentences else otherwise


def _names(entries: Sequence[Entry]) -> str:
    """Names of a few packages, the number of many."""
    if len(entries) > _FEW:
        return _count(entries, "model")
    return ", ".join(entry.facts.name if entry.facts else entry.id for entry in entries)


def _count(things: Sequence[object], what: str) -> str:
    return f"1 {what}" if len(things) == 1 else f"{len(things)} {what}s"
