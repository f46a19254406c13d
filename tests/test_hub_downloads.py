"""Downloads from a Hub that works, by the real client: which bytes, which file, whose token, what offline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save as packed

import imgsynth
from builders import all_equal, drawn, model_of, tiny_dcgan, tiny_vae
from cli_runs import assert_refused, pixels
from hub_client import CHUNK, imgsynth_process, lead_client
from hub_server import HubServer
from imgsynth.checkpoints.access import Access
from imgsynth.checkpoints.fetch import Fetched, fetch
from imgsynth.checkpoints.naming import resolve
from imgsynth.errors import DownloadFailed
from imgsynth.families import Model

FILE = "model.safetensors"
GAN, OTHER_GAN = (packed(tiny_dcgan(seed).state_dict()) for seed in (1, 2))


def fetched(what: str, **options: Any) -> Fetched:
    return fetch(resolve(what), **options)


def opened(what: str) -> Model:
    return imgsynth.open_checkpoint(what, device="cpu")


def same(model: Model, other: Model) -> bool:
    return all_equal(drawn(model, [0, 1]), drawn(other, [0, 1]))


# --- which bytes ---


@pytest.mark.parametrize("lfs", [(), (FILE,)], ids=["small", "LFS"])
def test_a_file_arrives_whole(hub: HubServer, lfs: tuple[str, ...]) -> None:
    commit = hub.add("owner/name", {FILE: GAN}, lfs=lfs)
    got = fetched(f"owner/name:{FILE}")
    assert got.path.read_bytes() == GAN
    assert (got.revision, got.file, got.bytes) == (commit, FILE, len(GAN))
    assert same(opened("owner/name"), model_of(tiny_dcgan(1)))


def test_branches_tags_and_commits_are_what_they_were(hub: HubServer) -> None:
    first = hub.add("owner/name", {FILE: GAN}, lfs=(FILE,))
    hub.tag("owner/name", "v1.0")
    hub.add("owner/name", {FILE: OTHER_GAN}, lfs=(FILE,))
    hub.add("owner/name", {FILE: GAN[::-1]}, revision="refs/pr/1")
    told = {"": OTHER_GAN, f"@{first}": GAN, "@v1.0": GAN, "@main": OTHER_GAN, "@refs/pr/1": GAN[::-1]}
    for revision, content in told.items():
        assert fetched(f"owner/name:{FILE}{revision}").path.read_bytes() == content
    assert fetched(f"owner/name:{FILE}@v1.0").revision == first


def test_what_is_new_on_the_branch_is_fetched(hub: HubServer) -> None:
    for content in (GAN, OTHER_GAN):
        hub.add("owner/name", {FILE: content}, lfs=(FILE,))
        assert fetched(f"owner/name:{FILE}").path.read_bytes() == content


def test_a_pinned_file_that_is_here_is_asked_for_no_more(hub: HubServer) -> None:
    commit = hub.add("owner/name", {FILE: GAN}, lfs=(FILE,))
    fetched(f"owner/name:{FILE}@{commit}")
    hub.forget()
    assert fetched(f"owner/name:{FILE}@{commit}").path.read_bytes() == GAN
    assert hub.requests == []


def test_a_renamed_repository_is_followed(hub: HubServer) -> None:
    hub.add("owner/old", {FILE: GAN}, lfs=(FILE,))
    hub.rename("owner/old", "owner/new")
    assert same(opened("owner/old"), model_of(tiny_dcgan(1)))


def test_progress_ends_at_the_whole_file_though_the_download_broke_off(hub: HubServer) -> None:
    hub.add("owner/name", {FILE: GAN}, lfs=(FILE,))
    hub.fail("cut", at="/cdn/", after=5000)
    seen: list[tuple[int, int]] = []
    for _ in range(2):
        try:
            fetched(f"owner/name:{FILE}", progress=lambda done, total: seen.append((done, total)))
        except DownloadFailed:  # huggingface_hub 1 leaves the second attempt to us
            continue
    assert seen[-1] == (len(GAN), len(GAN))


@pytest.mark.parametrize("after", [0, 1, 2 * CHUNK, 2 * CHUNK + 500, len(GAN) - 1])
def test_a_download_that_broke_off_goes_on_where_it_stopped(hub: HubServer, after: int) -> None:
    hub.add("owner/name", {FILE: GAN}, lfs=(FILE,))
    hub.fail("cut", at="/cdn/", after=after)
    try:
        got = fetched(f"owner/name:{FILE}")
    except DownloadFailed:  # huggingface_hub 1 leaves the second attempt to us
        got = fetched(f"owner/name:{FILE}")
    assert got.path.read_bytes() == GAN
    first, second = hub.asked("/cdn/")
    kept = after - after % CHUNK
    assert (first.range, first.fault) == (None, "cut")
    assert (second.range, second.status) == ((f"bytes={kept}-", 206) if kept else (None, 200))


def test_a_slow_download_arrives(hub: HubServer) -> None:
    hub.add("owner/name", {FILE: GAN}, lfs=(FILE,))
    hub.fail("slow", at="/cdn/")
    assert fetched(f"owner/name:{FILE}").path.read_bytes() == GAN
    assert hub.asked("/cdn/")[0].fault == "slow"


# --- which file, and what lies beside it ---


def test_of_several_files_the_usual_one_is_taken_and_said(hub: HubServer) -> None:
    others = dict.fromkeys(("pytorch_model.bin", "optimizer.pt", "README.md", "old/model.safetensors"), b"x")
    hub.add("owner/name", {**others, FILE: GAN}, lfs=(FILE,))
    model = opened("owner/name")
    assert (model.identity.file, same(model, model_of(tiny_dcgan(1)))) == (FILE, True)
    assert any(f"{FILE} was taken" in warning for warning in model.opened.warnings)


def test_the_file_is_found_in_a_list_of_many_pages(hub: HubServer) -> None:
    hub.entries_per_page = 3
    pictures = {f"examples/{n}.png": b"x" for n in range(10)}
    hub.add("owner/name", {**pictures, "weights/net.safetensors": GAN})
    assert fetched("owner/name").file == "weights/net.safetensors"


@pytest.mark.parametrize("folder", ["", "vae/"])
def test_config_json_beside_the_file_is_heeded(hub: HubServer, folder: str) -> None:
    network = tiny_vae(groups=8, encoder_widths=[32, 32], decoder_widths=[32, 32])
    file, config = f"{folder}{FILE}", f"{folder}config.json"
    files = {file: packed(network.state_dict()), config: b'{"norm_num_groups": 8}'}
    hub.add("owner/name", {**files, "other/config.json": b'{"norm_num_groups": 4}'}, lfs=(file,))
    told = opened(f"owner/name:{file}")
    assert same(told, model_of(network, {"norm_num_groups": 8}))
    assert not same(told, model_of(network))


# --- whose token ---


@pytest.mark.parametrize("gated", [False, True], ids=["private", "gated"])
def test_a_token_opens_and_stays_with_the_hub(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch, gated: bool
) -> None:
    hub.add("owner/name", {FILE: GAN}, lfs=(FILE,), gated=gated, private_token="hf_mine")
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    assert fetched("owner/name").path.read_bytes() == GAN
    assert {request.token for request in hub.asked("owner/name")} == {"hf_mine"}
    assert {request.token for request in hub.asked("/cdn/")} == {None}


def test_a_visitor_never_gets_the_hosts_token(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add("owner/name", {FILE: GAN}, lfs=(FILE,))
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    assert fetched("owner/name", access=Access(token=False)).path.read_bytes() == GAN
    assert {request.authorization for request in hub.requests} == {None}


def test_what_is_too_large_for_a_visitor_is_not_begun(hub: HubServer) -> None:
    hub.add("owner/name", {FILE: GAN}, lfs=(FILE,))
    with pytest.raises(DownloadFailed, match=f"{FILE} has .* at most"):
        fetched("owner/name", access=Access(False, len(GAN) - 1))
    assert hub.asked("GET /cdn/") == []
    assert fetched("owner/name", access=Access(False, len(GAN))).path.read_bytes() == GAN


# --- without the Hub ---


def test_without_the_hub_an_earlier_download_is_used(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add("owner/name", {FILE: GAN}, lfs=(FILE,))
    before = opened("owner/name")
    with HubServer() as gone:
        lead_client(gone, tmp_path / "home", monkeypatch)
    assert same(opened("owner/name"), before)
    assert same(opened(f"owner/name:{FILE}@main"), before)


def sample(hub: HubServer, home: Path, out: Path, **settings: str) -> Any:
    words = ("sample", "--checkpoint", "owner/name", "--seeds", "0", "--out", str(out))
    return imgsynth_process(hub, home, *words, **settings)


def test_a_second_start_offline_makes_no_request(hub: HubServer, tmp_path: Path) -> None:
    hub.add("owner/name", {FILE: GAN}, lfs=(FILE,), private_token="hf_mine")
    ran = sample(hub, tmp_path / "own", tmp_path / "online", HF_TOKEN="hf_mine")
    assert ran.code == 0, ran.err
    assert [request.status for request in hub.asked("GET /cdn/")][-1] == 200
    hub.forget()
    ran = sample(hub, tmp_path / "own", tmp_path / "offline", HF_HUB_OFFLINE="1")
    assert ran.code == 0, ran.err
    assert hub.requests == []
    pictures = [pixels(tmp_path / folder / "seed00000000.png") for folder in ("online", "offline")]
    assert all_equal(pictures[:1], pictures[1:])
    assert "Downloading" not in ran.err


def test_a_first_start_offline_is_refused_without_a_request(hub: HubServer, tmp_path: Path) -> None:
    hub.add("owner/name", {FILE: GAN}, lfs=(FILE,))
    ran = sample(hub, tmp_path / "own", tmp_path / "out", HF_HUB_OFFLINE="1")
    assert_refused(ran, "owner/name", "HF_HUB_OFFLINE")
    assert hub.requests == []


def test_a_start_with_a_gated_repository_is_refused_in_one_sentence(hub: HubServer, tmp_path: Path) -> None:
    hub.add("owner/name", {FILE: GAN}, gated=True)
    assert_refused(sample(hub, tmp_path / "own", tmp_path / "out"), "owner/name is gated")
    assert {request.status for request in hub.asked("/resolve/")} == {401}
