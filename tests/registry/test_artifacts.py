"""The artifact store: what is saved is loaded again, and nothing else is."""

from __future__ import annotations

import hashlib
import secrets
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import agents.registry
from agents.registry.artifacts import ArtifactError, ArtifactStore, load_artifact, write_atomically


@given(st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=249), st.binary(max_size=2000))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
def test_any_bytes_of_any_model_come_back_and_stay_inside_the_folder(tmp_path: Path, model: str, data: bytes) -> None:
    store = ArtifactStore(tmp_path / "artifacts")
    artifact = store.save(model, data)
    assert artifact.url.startswith(store.url + "/")
    assert artifact.sha256 == hashlib.sha256(data).hexdigest()
    assert load_artifact(artifact.url, artifact.sha256) == data
    assert [path for path in tmp_path.iterdir() if path.name != "artifacts"] == []


@pytest.mark.parametrize("model", ["..", ".", "../../etc/passwd", "/etc/passwd", "a/b", "ü" * 249])
def test_a_model_name_never_leads_out_of_the_folder(tmp_path: Path, model: str) -> None:
    store = ArtifactStore(tmp_path / "artifacts")
    store.save(model, b"x")
    (file,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert file.parent.parent == tmp_path / "artifacts"


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


def test_a_file_of_another_machine_is_refused() -> None:
    with pytest.raises(ArtifactError, match="expected a file:// URL of this machine"):
        load_artifact("file://other-host/model", "0" * 64)
    with pytest.raises(ArtifactError, match="expected a file:// URL of this machine"):
        ArtifactStore("file://other-host/models")


def test_a_folder_may_be_given_as_its_url(tmp_path: Path) -> None:
    artifact = ArtifactStore((tmp_path / "mit Leerzeichen").as_uri()).save("m", b"x")
    assert artifact == ArtifactStore(tmp_path / "mit Leerzeichen").save("m", b"x")


@pytest.fixture
def bucket() -> str:
    """A folder on fsspec's file system in memory, which stands for an object store."""
    pytest.importorskip("fsspec")
    return f"memory://bucket-{secrets.token_hex(4)}/models"


def test_artifacts_at_a_url_come_back_and_are_verified(bucket: str) -> None:
    artifact = ArtifactStore(bucket).save("a/b", b"the model")
    assert artifact.url.startswith(bucket + "/")
    assert load_artifact(artifact.url, artifact.sha256) == b"the model"
    assert ArtifactStore(bucket + "/").save("a/b", b"the model") == artifact
    with pytest.raises(ArtifactError, match="it is not used"):
        load_artifact(artifact.url, "0" * 64)
    with pytest.raises(ArtifactError, match=r"cannot read the artifact memory://.*gone"):
        load_artifact(f"{bucket}/gone", "0" * 64)


def test_a_file_at_a_url_appears_whole_or_not_at_all(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from fsspec.implementations.memory import MemoryFileSystem

    def breaks_off(self: MemoryFileSystem, path: str, data: bytes, **options: object) -> None:
        with self.open(path, "wb") as file:
            file.write(data[:3])
        raise ConnectionResetError("the connection was reset")

    with monkeypatch.context() as broken:
        broken.setattr(MemoryFileSystem, "pipe_file", breaks_off)
        with pytest.raises(ArtifactError, match=r"cannot write the artifact of 'm' to .*: the connection was reset"):
            ArtifactStore(bucket).save("m", b"the model")
    assert MemoryFileSystem().find(bucket) == []
    ArtifactStore(bucket).save("m", b"the model")
    assert len(MemoryFileSystem().find(bucket)) == 1


def test_a_url_that_nothing_here_can_open_is_refused_with_the_reason() -> None:
    with pytest.raises(ArtifactError, match="cannot read the artifact nosuch://bucket/model: Protocol not known"):
        load_artifact("nosuch://bucket/model", "0" * 64)


def test_without_fsspec_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "agents.registry.remote", raising=False)
    monkeypatch.delattr(agents.registry, "remote", raising=False)
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(ArtifactError, match=r"need fsspec; install visutility-streams\[remote\]"):
        load_artifact("s3://bucket/model", "0" * 64)
    with pytest.raises(ArtifactError, match="need fsspec"):
        ArtifactStore("s3://bucket/models").save("m", b"x")


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
