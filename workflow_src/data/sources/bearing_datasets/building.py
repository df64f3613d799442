"""Builds a dataset of the package bearing-datasets, from raw files that are there or fetched."""

from __future__ import annotations

import csv
import fcntl
import fnmatch
import hashlib
import io
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psutil

from workflow_src.configuration import digest
from workflow_src.configuration.bearing_datasets import BearingDatasetsOptions
from workflow_src.data.source import Built, Context
from workflow_src.data.sources.bearing_datasets.definitions import (
    LOCK,
    Definition,
    Keys,
    RawFile,
    of_package,
    private,
)
from workflow_src.data.sources.data_root import below_data_root
from workflow_src.errors import BadData, UserError
from workflow_src.files import is_disk_full, write_text

MANIFEST = "manifest.json"
_SHOWN = 3  # missing files that stand in the message; all of them stand in a table


class _MissingFile(RawFile):
    address: str


class Building:
    """Where the raw and the built files of a rig lie, and the way from the ones to the others.

    ``data_root`` is None where none is set; ``config_folder`` holds the rig's YAML.
    """

    def __init__(
        self, options: BearingDatasetsOptions, data_root: Path | None, config_folder: Path
    ) -> None:
        if options.definition is not None:
            self.definition = private(config_folder / options.definition)
        else:
            self.definition = of_package(str(options.name))
        said = f"`root: {options.root}` under `bearing_datasets:`"
        self.root = below_data_root(options.root, data_root, said)
        self.folder = self.root / (options.as_name or self.definition.name)
        self._options = options

    @property
    def is_built(self) -> bool:
        """Whether all of it is there."""
        return (self.folder / MANIFEST).is_file()

    def manifest(self) -> Keys:
        """The package's manifest of what is built, which must be what the rig asks for."""
        if not self.is_built:
            raise UserError(
                f"The dataset `{self.folder.name}` is not built.",
                where=str(self.folder),
                remedy="snakemake --profile profiles/local data/<rig>/built.json   # a network, or "
                "the raw files",
            )
        manifest: Keys = json.loads((self.folder / MANIFEST).read_text(encoding="utf-8"))
        files = (manifest.get("selection") or {}).get("files")
        found = (Path(manifest["spec_dir"]).name, files)
        expected = (self._definition_to_build.name, self._options.files)
        if found != expected:
            raise UserError(
                "What is built is not what the rig asks for.",
                where=str(self.folder),
                found=f"built from the definition {found[0]}, files {found[1]}",
                expected=f"definition {expected[0]}, files {expected[1]}",
                remedy=f"give another `as_name:`, or build it anew: rm -r {self.folder}",
            )
        return manifest

    def build(self) -> None:
        """Build what is not yet built; what was fetched before a kill is not fetched again.

        Raises ``UserError`` that lists raw files that neither lie in the cache nor can be fetched,
        ``BadData`` for a raw file that is not the one that was locked, and for what the builder
        raises.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with _alone(self.folder):
            if not self.is_built:
                self._remove_what_killed_builds_left()
                self._keep_definition()
                lock = self._locked()
                self._require_unchanged(lock)
                self._call_package(lock)
                self._table_of_missing.unlink(missing_ok=True)
            self.manifest()

    # ------------------------------------------------------------------ definition

    @property
    def _definition_to_build(self) -> Path:
        """That of the package, or the copy that is named by the contents of a private one.

        The package writes the list of raw files into the folder, which `config/` is not for.
        """
        if self.definition.of_package:
            return self.definition.folder
        content = digest(self.definition.folder)[:12]
        return self.root / "_definitions" / f"{self.definition.name}-{content}"

    def _keep_definition(self) -> None:
        kept = self._definition_to_build
        if self.definition.of_package or kept.is_dir():
            return
        kept.parent.mkdir(exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=kept.parent))
        left_out = shutil.ignore_patterns("__pycache__")
        shutil.copytree(self.definition.folder, temporary, ignore=left_out, dirs_exist_ok=True)
        temporary.rename(kept)

    def _locked(self) -> list[RawFile]:
        """Name, size and sha256 of the raw files asked for; listed now where nobody did before."""
        folder = self._definition_to_build
        lock = Definition(folder, self.definition.keys, self.definition.of_package).lock
        if lock is None:
            lock = self._list_raw_files()
            write_text(folder / LOCK, json.dumps(lock, indent=1) + "\n")
        wanted = self._options.files
        asked = [e for e in lock if wanted is None or _matches(e["name"], wanted)]
        if not asked:
            raise UserError(
                "No raw file matches `files`.",
                found=f"files: {wanted}; the first raw files: "
                + ", ".join(entry["name"] for entry in lock[:3]),
                remedy="mend `files:` under `bearing_datasets:` of the rig",
            )
        return asked

    def _list_raw_files(self) -> list[RawFile]:
        from bearing_datasets.sources import Cache, DownloadError, make_lock

        try:
            lock: list[RawFile] = make_lock(dict(self.definition.keys), Cache(self.root))
        except DownloadError as error:
            raise UserError(
                f"The raw files of `{self.definition.name}` cannot be listed.",
                where=str(self.definition.folder / "dataset.yaml"),
                found=str(error),
                remedy="mend `sources:` there, or put the files where it says",
            ) from error
        if not lock:
            places = [self._address(source, "") for source in self.definition.keys["sources"]]
            raise UserError(
                f"No raw file of `{self.definition.name}` is there.",
                where=", ".join(places),
                remedy="put them there, or mend `sources:` of its dataset.yaml",
            )
        return lock

    # ------------------------------------------------------------------ raw files

    def cached(self, sha256: str) -> Path:
        """Where the package keeps a raw file."""
        return self.root / "_raw" / "sha256" / sha256

    def _require_unchanged(self, lock: list[RawFile]) -> None:
        """The package trusts names in its cache, and never looks at a local file again."""
        folders = [
            Path(self._address(source, ""))
            for source in self.definition.keys["sources"]
            if source["type"] == "local"
        ]
        for entry in lock:
            kept = self.cached(entry["sha256"])
            if kept.is_file() and not _is(kept, entry):
                raise BadData(
                    "A raw file in the cache is not the one that its name says.",
                    where=str(kept),
                    expected=f"{entry['name']}: {entry['size']} bytes, sha256 {entry['sha256']}",
                    remedy=f"rm {kept}   # and put or fetch it anew",
                )
            for path in (folder / entry["name"] for folder in folders):
                if path.is_file() and not _is(path, entry):
                    raise BadData(
                        "A raw file is not the one that was listed when it was first read.",
                        where=str(path),
                        expected=f"{entry['size']} bytes, sha256 {entry['sha256']}",
                        remedy=f"put the old file back, or accept the new ones: "
                        f"rm {self._definition_to_build / LOCK}",
                    )

    @property
    def _table_of_missing(self) -> Path:
        return self.root / f"{self.folder.name}.missing.csv"

    def _missing(self, lock: list[RawFile], said: str) -> UserError:
        sources = self.definition.keys["sources"]
        absent = [
            _MissingFile(
                **e, address=" or ".join(self._address(source, e["name"]) for source in sources)
            )
            for e in lock
            if not self.cached(e["sha256"]).is_file()
        ]
        if not absent:  # for example no program that unpacks
            return UserError(
                f"The raw files of `{self.definition.name}` are there, but cannot be unpacked.",
                found=said,
            )
        table = self._table_of_missing
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, ["name", "size", "sha256", "address"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(absent)
        write_text(table, text.getvalue())
        size = sum(entry["size"] for entry in absent)
        return UserError(
            f"{len(absent)} of {len(lock)} raw files of `{self.definition.name}` are missing and "
            "cannot be fetched.",
            found=said.strip().splitlines()[0],
            expected=f"{size} bytes in all; the whole list: {table}\n"
            + "\n".join(_line(entry, self.cached(entry["sha256"])) for entry in absent[:_SHOWN]),
            remedy="run the same command where there is a network; or fetch each file elsewhere "
            "and put it\nunder the name of its sha256 into "
            f"{self.cached('')}",
        )

    def _address(self, source: Keys, name: str) -> str:
        """Where a source has a file; the page of its record where only a catalogue knows that."""
        kind = source["type"]
        if kind == "http":
            if "urls" in source:
                return str(source["urls"].get(name, ""))
            return f"{source['base_url'].rstrip('/')}/{quote(name)}"
        if kind == "local":
            path = str(source["path"]).replace("{root}", str(self.root))
            return os.path.normpath(Path(path).expanduser() / name)
        if kind == "mendeley":
            return f"https://data.mendeley.com/datasets/{source['id']}/{source['version']}"
        if kind == "zenodo":
            return f"https://zenodo.org/records/{source['record']}"
        if kind == "kaggle":
            return f"https://www.kaggle.com/datasets/{source['dataset']}"
        return f"{source['server']}/dataset.xhtml?persistentId=doi:{source['doi']}"

    # ------------------------------------------------------------------ the package

    def _call_package(self, lock: list[RawFile]) -> None:
        import bearing_datasets
        from bearing_datasets.sources import DownloadError

        name = self.definition.name if self.definition.of_package else self._definition_to_build
        options = {"as_name": self._options.as_name, "files": self._options.files}
        try:
            bearing_datasets.build(str(name), root=self.root, **options)
        except DownloadError as error:
            raise self._missing(lock, str(error)) from error
        except Exception as error:
            if is_disk_full(error):
                raise
            raise BadData(
                f"The builder of `{self.definition.name}` failed.",
                where=str(self.definition.folder / "builder.py"),
                found=f"{type(error).__name__}: {error}",
                remedy="if `files:` leaves out what the builder needs, name more; a private "
                "builder may be mended",
            ) from error

    def _remove_what_killed_builds_left(self) -> None:
        """Half of a dataset of a process of this machine that is no more."""
        start = f".{self.folder.name}.tmp-{socket.gethostname()}-"
        for path in self.root.glob(f"{start}*"):
            number = path.name.removeprefix(start)
            if number.isdecimal() and not psutil.pid_exists(int(number)):
                shutil.rmtree(path)


def build_rig(options: BearingDatasetsOptions, context: Context) -> Built:
    """Fetch and build a dataset of the package, or a private one."""
    building = Building(options, context.data_root, context.config_folder)
    building.build()
    manifest = building.manifest()
    kept = {key: manifest[key] for key in ("dataset", "package_version", "content_hash")}
    told = f"{manifest['n_recordings']} recordings in {building.folder}; cite:"
    return Built(kept, f"{told}\n{manifest['citation'].strip()}")


def _matches(name: str, patterns: list[str]) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def _is(path: Path, entry: RawFile) -> bool:
    if path.stat().st_size != entry["size"]:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == str(entry["sha256"])


def _line(entry: _MissingFile, kept: Path) -> str:
    return (
        f"{entry['name']}: {entry['size']} bytes, sha256 {entry['sha256']}\n"
        f"  from {entry['address']}\n  to   {kept}"
    )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One build of a folder at a time on this machine; the system lets go when a process dies.

    The lock is a file of the machine's own disk: shared ones do not all know locks.
    """
    name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    path = Path(tempfile.gettempdir()) / f"bearing_datasets-{os.getuid()}-{name}.lock"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
