"""MLflow's databases for tests: making one takes seconds, so each is a copy of one that was made once."""

from __future__ import annotations

import shutil
import tempfile
from functools import lru_cache
from pathlib import Path


def mlflow_database(folder: Path) -> str:
    """The address of an empty database in a folder; of the one that is there, if there is one."""
    file = folder / "runs.db"
    if not file.exists():
        shutil.copy(_empty(), file)
    return f"sqlite:///{file}"


@lru_cache(maxsize=1)
def _empty() -> Path:
    from mlflow import MlflowClient

    file = Path(tempfile.mkdtemp(prefix="visutility-test-")) / "empty.db"
    MlflowClient(f"sqlite:///{file}").search_experiments()
    return file
