"""`import promptfront` as a user has it: from a wheel, beside nothing of ours."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
_FOLDERS = ("search", "mutators", "scorers", "backends")
_FILES = ("pyproject.toml", "README.md", "LICENSE")
_CODE = """
import json, sys
import promptfront
heavy = {"torch", "transformers", "optuna", "numpy"} & set(sys.modules)
print(json.dumps({
    "file": promptfront.__file__, "version": promptfront.__version__, "names": dir(promptfront),
    "heavy": sorted(heavy), "optimize": repr(promptfront.optimize),
}))
"""


def test_a_wheel_in_an_empty_folder_gives_the_public_names(tmp_path: Path) -> None:
    """The names are there, nothing heavy is loaded for them, and the files are the wheel's."""
    site, empty = _installed(tmp_path), tmp_path / "empty"
    empty.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", _CODE],
        cwd=empty,
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
    )
    seen = json.loads(done.stdout)
    assert str(site / "promptfront" / "__init__.py") == seen["file"]
    assert [] == seen["heavy"]
    assert "0.1.0" == seen["version"]
    assert seen["optimize"].startswith("<function optimize")
    public = {"optimize", "load_prompt", "load_frontier", "Task", "Example", "__version__"}
    assert public <= set(seen["names"])
    assert (site / "promptfront" / "search" / "py.typed").exists()


def _installed(folder: Path) -> Path:
    """Build a wheel from a copy of the source, and unpack it."""
    source, site = folder / "source", folder / "site"
    for name in _FOLDERS:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in _FILES:
        shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "install", *offline, "--target", str(site), str(source)], check=True)
    return site
