"""WHAT: how a checkpoint is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgsynth.checkpoints.catalog import load_catalog
from imgsynth.checkpoints.naming import from_path, resolve
from imgsynth.errors import CheckpointNotFound

COMMIT = "0123abcd" * 5


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("what", "repo", "file", "revision", "name"),
    [
        ("owner/name", "owner/name", "", None, "owner/name"),
        ("owner/name@main", "owner/name", "", "main", "owner/name"),
        ("owner/name@refs/pr/1", "owner/name", "", "refs/pr/1", "owner/name"),
        ("owner/name:a.pth", "owner/name", "a.pth", None, "owner/name:a.pth"),
        (
            "owner/name:in/a.safetensors",
            "owner/name",
            "in/a.safetensors",
            None,
            "owner/name:in/a.safetensors",
        ),
        (f"owner/name:a.pt@{COMMIT}", "owner/name", "a.pt", COMMIT, "owner/name:a.pt"),
        (
            "o-1/n_2.x:model=G-step=8.pth",
            "o-1/n_2.x",
            "model=G-step=8.pth",
            None,
            "o-1/n_2.x:model=G-step=8.pth",
        ),
        ("  owner/name\n", "owner/name", "", None, "owner/name"),
    ],
)
@pytest.mark.parametrize("paths_allowed", [True, False])
def test_hub_names(
    what: str, repo: str, file: str, revision: str | None, name: str, paths_allowed: bool
) -> None:
    found = resolve(what, paths_allowed=paths_allowed)
    assert (found.source, found.repo, found.file, found.revision) == ("hub", repo, file, revision)
    assert found.id == name


def test_a_row_without_a_file_keeps_a_name_that_can_be_given_again() -> None:
    row = next(c for c in load_catalog().values() if c.source == "hub" and not c.file)
    assert resolve(f"{row.repo}@main").id == row.repo


def test_any_file_that_exists_can_be_named(tmp_path: Path) -> None:
    for name in ("my\u202fmodel.pt", " model.pt", "owner:model"):
        (tmp_path / name).touch()
        assert resolve(name).path == resolve(tmp_path / name).path == tmp_path / name


@pytest.mark.parametrize("name", load_catalog())
def test_every_id_and_every_hub_spelling_gives_its_row(name: str) -> None:
    checkpoint = load_catalog()[name]
    assert resolve(checkpoint.id) is checkpoint
    if checkpoint.source == "hub":
        first = next(c for c in load_catalog().values() if c.repo == checkpoint.repo)
        assert resolve(f"{checkpoint.repo}") is first
    if checkpoint.source == "hub" and checkpoint.file:
        assert resolve(f"{checkpoint.repo}:{checkpoint.file}") is checkpoint


def test_another_revision_of_a_row_keeps_its_facts_but_not_its_checksum() -> None:
    row = load_catalog()["big-lama"]
    assert resolve(f"{row.repo}@{row.revision}") is row
    other = resolve(f"{row.repo}@{COMMIT}")
    assert (other.revision, other.sha256, other.file, other.tasks) == (COMMIT, None, row.file, row.tasks)
    assert other.id != row.id


def test_another_file_of_a_rows_repository_has_none_of_its_facts() -> None:
    other = resolve("michaelgold/big-lama:other.safetensors")
    assert other.sha256 is None
    assert other.architecture is None


@pytest.mark.parametrize("spelling", ["owner/name", "./owner/name", "owner/../owner/name"])
def test_an_existing_file_wins_over_a_hub_name(tmp_path: Path, spelling: str) -> None:
    (tmp_path / "owner").mkdir()
    (tmp_path / "owner" / "name").write_bytes(b"x")
    found = resolve(spelling)
    assert (found.source, found.id, found.file) == ("file", "name", "name")
    assert found.path is not None
    assert found.path.is_absolute()
    assert found.path.read_bytes() == b"x"


def test_a_catalog_id_wins_over_a_file(tmp_path: Path) -> None:
    (tmp_path / "avatars-gan").touch()
    assert resolve("avatars-gan").source == "bundled"
    assert resolve("./avatars-gan").source == "file"


def test_absolute_and_home_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "my net.G.pth"
    file.touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    for spelling in (str(file), "~/my net.G.pth"):
        found = resolve(spelling)
        assert (found.id, found.file, found.path) == ("my net.G", "my net.G.pth", file)


@pytest.mark.parametrize(
    "what", ["./owner/name", "/no/such.pt", "~/no.pt", "~nobody-here/x.pt", "../no", "no.pth"]
)
def test_a_missing_file_is_named_without_its_folder(what: str) -> None:
    with pytest.raises(CheckpointNotFound, match="There is no file") as caught:
        resolve(what)
    assert "/" not in str(caught.value)
    assert what.rpartition("/")[2] in str(caught.value)


def test_a_folder_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    with pytest.raises(CheckpointNotFound, match="weights is a folder"):
        resolve("./weights")


@pytest.mark.parametrize(
    "name", ["here.safetensors", "./here.safetensors", "../here.safetensors", "~/here.safetensors"]
)
def test_visitors_are_refused_paths_whether_or_not_they_exist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    sentences = set()
    for _ in range(2):
        with pytest.raises(CheckpointNotFound, match="cannot be named here") as caught:
            resolve(name, paths_allowed=False)
        sentences.add(str(caught.value))
        (tmp_path / "here.safetensors").touch()
    assert len(sentences) == 1


def test_for_visitors_a_file_never_shadows_the_hub(tmp_path: Path) -> None:
    (tmp_path / "owner").mkdir()
    (tmp_path / "owner" / "name").touch()
    assert resolve("owner/name", paths_allowed=False).source == "hub"


@pytest.mark.parametrize("what", ["/etc/passwd", "C:\\x.pt", "C:/x.pt", "a\\b.pt", "a/b/c", "a/b.pt"])
def test_all_that_looks_like_a_path_is_refused_to_visitors(what: str) -> None:
    with pytest.raises(CheckpointNotFound, match="upload the file"):
        resolve(what, paths_allowed=False)


@pytest.mark.parametrize(
    "what",
    [
        *(
            "owner/name:../x.pt",
            "owner/name:/x.pt",
            "owner/name:a//b.pt",
            "owner/name@../../x",
            "owner/name@a b",
        ),
        *(
            "owner/na--me",
            "owner/na..me",
            "-owner/name",
            "owner/name.git",
            "owner/name@",
            "owner/name:",
            "gpt2",
        ),
        *("owner/näme", "https://huggingface.co/owner/name", "owner/" + "n" * 100),
    ],
)
@pytest.mark.parametrize("paths_allowed", [True, False])
def test_what_the_hub_cannot_have_is_unknown(what: str, paths_allowed: bool) -> None:
    with pytest.raises(CheckpointNotFound, match="No checkpoint is called"):
        resolve(what, paths_allowed=paths_allowed)


@pytest.mark.parametrize("what", ["", "   ", "a\0b", "./x\ny", "x" * 5000])
def test_what_is_no_name_at_all(what: str) -> None:
    with pytest.raises(CheckpointNotFound, match="no name of a checkpoint"):
        resolve(what)


def test_a_slip_of_the_pen_is_answered_with_what_is_spelled_alike() -> None:
    with pytest.raises(CheckpointNotFound, match=r"try .*big-lama.*owner/name") as caught:
        resolve("Big-Llama")
    assert str(caught.value).endswith(".")


def test_a_path_object_works(tmp_path: Path) -> None:
    (tmp_path / "a.pt").touch()
    assert from_path(tmp_path / "a.pt").path == tmp_path / "a.pt"
