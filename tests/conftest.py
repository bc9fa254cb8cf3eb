"""What all tests share."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

PACKAGES = Path(__file__).parent / "system-packages.txt"


def _package_of(program: str) -> str:
    """Return the Debian package that brings `program`; both stand in one list, which CI installs."""
    for line in PACKAGES.read_text(encoding="utf-8").splitlines():
        package, _, name = line.partition(" ")
        if not line.startswith("#") and name.strip() == program:
            return package
    raise LookupError(f"{program} is not in {PACKAGES.name}")


@pytest.fixture(scope="session")
def system_program() -> Callable[[str], str]:
    """Find a program that is no Python package, or skip the test with the line that installs it.

    `system_program("flite")` returns its path. With REQUIRE_ALL=1 a missing one fails instead.
    """

    def find(program: str) -> str:
        package = _package_of(program)
        path = shutil.which(program)
        if path is not None:
            return path
        advice = f"{program} is missing: apt-get install {package}"
        if os.environ.get("REQUIRE_ALL") == "1":
            pytest.fail(advice)
        pytest.skip(advice)

    return find
