"""Files out of packages: verified, once, by one process at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from promptfront.search.data.downloads import building, cached_member
from promptfront.search.errors import InputError
from promptfront.search.tasks.sources import _VADER

_FETCH = (
    "import logging; logging.basicConfig(level='INFO')\n"
    "from promptfront.search.data.downloads import cached_member\n"
    "from promptfront.search.tasks.sources import _VADER\n"
    "print(cached_member(_VADER))"
)
_MEMBER = "vaderSentiment-3.3.2-additional_resources-hutto_ICWSM_2014.tar.gz"


@pytest.mark.slow
def test_two_processes_download_once(tmp_path: Path) -> None:
    """The second waits for the first, and what was interrupted before is gone."""
    folder = tmp_path / "packages" / "vaderSentiment-3.3.2"
    (folder / ".vaderSentiment-3.3.2.tar.gz.part").mkdir(parents=True)
    (folder / ".vaderSentiment-3.3.2.tar.gz.part" / "half.whl").write_bytes(b"half")
    env = os.environ | {"PROMPTFRONT_CACHE": str(tmp_path)}
    both = [
        subprocess.Popen(
            [sys.executable, "-c", _FETCH],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    outputs = [process.communicate() for process in both]
    assert {f"{folder}/{_MEMBER}"} == {out.strip() for out, _ in outputs}
    assert sum("downloading vaderSentiment" in err for _, err in outputs) == 1
    kept = {p.name for p in folder.iterdir() if not p.name.endswith(".lock")}
    assert {_MEMBER, "vaderSentiment-3.3.2.tar.gz"} == kept


@pytest.mark.slow
def test_another_archive_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that is not bit for bit the expected one is not used and not kept."""
    monkeypatch.setenv("PROMPTFRONT_CACHE", str(tmp_path))
    with pytest.raises(InputError, match="expected sha256 000"):
        cached_member(replace(_VADER, sha256="0" * 64))
    assert [] == [p for p in tmp_path.rglob("*") if p.is_file() and not p.name.endswith(".lock")]


def test_offline_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network the sentence says what to do."""
    monkeypatch.setenv("PROMPTFRONT_CACHE", str(tmp_path))
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(
        InputError, match=r"vaderSentiment==3.3.2 cannot be downloaded.*connect to the network once"
    ) as caught:
        cached_member(_VADER)
    assert "\n" not in str(caught.value)


def test_a_cache_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file in the place of the cache folder is one sentence."""
    (tmp_path / "cache").write_text("")
    monkeypatch.setenv("PROMPTFRONT_CACHE", str(tmp_path / "cache"))
    with pytest.raises(InputError, match="PROMPTFRONT_CACHE"):
        cached_member(_VADER)


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    """What goes wrong while building is told, and nothing half-built stays."""

    def build() -> None:
        with building(tmp_path / "model") as scratch:
            assert scratch is not None
            raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match="free some space"):
        build()
    assert [] == [p for p in tmp_path.iterdir() if not p.name.endswith(".lock")]
