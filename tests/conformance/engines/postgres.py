"""A PostgreSQL of our own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from services import Service, accepts, free_port, wait_until

POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
"""Where Debian's packages put it, a folder a version."""


class Postgres:
    """A PostgreSQL of our own, from Debian's packages, in a folder and on the loopback."""

    def __init__(self, log_folder: Path) -> None:
        self.log_folder = log_folder
        # Not in the test's own folder: pytest's are closed to other users.
        self.folder = Path(tempfile.mkdtemp(prefix="headrace-postgres-"))
        self.port = free_port()
        # It refuses to run as root; Debian's package has made a user for it.
        self.options: dict[str, Any] = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
        self.service: Service | None = None

    @property
    def url(self) -> str:
        """Where Airflow finds it."""
        return f"postgresql+psycopg2://airflow@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Make the database and wait for it."""
        if self.options:
            shutil.chown(self.folder, "postgres", "postgres")
        programs = POSTGRES[-1]
        data = self.folder / "data"
        initdb = [str(programs / "initdb"), "-D", str(data), "-U", "airflow", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(initdb, check=True, capture_output=True, cwd="/", **self.options)
        command = [str(programs / "postgres"), "-D", str(data), "-p", str(self.port), "-h", "127.0.0.1"]
        command += ["-k", str(self.folder), "-c", "fsync=off"]
        self.service = Service("postgres", command, self.log_folder, cwd="/", **self.options)
        wait_until(lambda: accepts(self.port), self.service, seconds=60)

    def stop(self) -> None:
        """End it, and remove its folder."""
        if self.service is not None:
            self.service.stop(signal.SIGINT)
        shutil.rmtree(self.folder)

    def query(self, statement: str) -> str:
        """What `psql` prints for a statement."""
        command = [str(POSTGRES[-1] / "psql"), "-h", "127.0.0.1", "-p", str(self.port), "-U", "airflow", "postgres"]
        return subprocess.run([*command, "-Atc", statement], check=True, capture_output=True, text=True).stdout

    def dump(self) -> str:
        """All that it holds, as text."""
        command = [str(POSTGRES[-1] / "pg_dump"), "-h", "127.0.0.1", "-p", str(self.port), "-U", "airflow", "postgres"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout
