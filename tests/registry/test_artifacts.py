"""The artifact store: what is saved is loaded again, and nothing else is."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.registry.artifacts import ArtifactError, ArtifactStore, load_artifact, write_atomically


@given(st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=249), st.binary(max_size=2000))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
def test_any_bytes_of_any_model_come_back_and_stay_inside_the_folder(tmp_path: Path, model: str, data: bytes) -> None:
    store = ArtifactStore(tmp_path / "artifacts")
    artifact = store.save(model, data)
    assert artifact.url.startswith(store.root.as_uri() + "/")
    assert artifact.sha256 == hashlib.sha256(data).hexdigest()
    assert load_artifact(artifact.url, artifact.sha256) == data
    assert [path for path in tmp_path.iterdir() if path.name != "artifacts"] == []


@pytest.mark.parametrize("model", ["..", ".", "../../etc/passwd", "/etc/passwd", "a/b", "ü" * 249])
def test_a_model_name_never_leads_out_of_the_folder(tmp_path: Path, model: str) -> None:
    store = ArtifactStore(tmp_path / "artifacts")
    store.save(model, b"x")
    (file,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert file.parent.parent == store.root


def test_models_whose_names_look_alike_have_folders_of_their_own(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    long = "x" * 200
    assert len({store.save(name, b"same").url for name in ("a/b", "a%2Fb", long + "1", long + "2")}) == 4


def test_a_path_is_as_good_as_a_url(tmp_path: Path) -> None:
    path = tmp_path / "mit Leerzeichen und ü"
    path.write_bytes(b"data")
    digest = hashlib.sha256(b"data").hexdigest()
    assert load_artifact(str(path), digest) == load_artifact(path.as_uri(), digest) == b"data"


def test_an_artifact_that_was_changed_is_not_loaded(tmp_path: Path) -> None:
    artifact = ArtifactStore(tmp_path).save("m", b"the model")
    (file,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    file.write_bytes(b"another model")
    with pytest.raises(ArtifactError, match=f"registered is {artifact.sha256}: it is not used"):
        load_artifact(artifact.url, artifact.sha256)


def test_a_missing_artifact_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"cannot read the artifact .*gone: No such file"):
        load_artifact((tmp_path / "gone").as_uri(), "0" * 64)


@pytest.mark.parametrize("location", ["http://example.org/model", "s3://bucket/model", "file://other-host/model"])
def test_other_places_than_files_are_refused(location: str) -> None:
    with pytest.raises(ArtifactError, match="expected a file:// URL or a path"):
        load_artifact(location, "0" * 64)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(ArtifactError, match="cannot write the artifact of 'm'"):
        ArtifactStore(blocked).save("m", b"x")


def test_readers_never_see_a_part_of_a_file_that_is_replaced(tmp_path: Path) -> None:
    target = tmp_path / "file"
    contents = {bytes([letter]) * 200_000 for letter in b"abc"}
    write_atomically(target, b"a" * 200_000)

    def write(data: bytes) -> None:
        for _ in range(20):
            write_atomically(target, data)

    with ThreadPoolExecutor(3) as threads:
        writers = [threads.submit(write, data) for data in contents]
        while not all(writer.done() for writer in writers):
            assert target.read_bytes() in contents
        for writer in writers:
            writer.result()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
