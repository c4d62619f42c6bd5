"""``headrace compile argo --submit``: what kubectl is told, and what an Argo server is asked.

No cluster is here: the server is one on loopback that keeps objects under the addresses of Argo's API.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

IMAGE = "registry.example/flows@sha256:" + "a" * 64
OPTIONS = ("flow:flow", "-o", "out", "--image", IMAGE, "--store", "s3://bucket/headrace", "--submit")
KUBECTL = """#!/bin/sh
echo "$@" > "$SAID"
[ -z "$FAIL" ] || { echo "error: no configuration" >&2; exit 1; }
echo "workflowtemplate.argoproj.io/flow configured"
echo "cronworkflow.argoproj.io/flow unchanged"
"""


@dataclass
class ArgoServer:
    """Objects by address, and what was asked."""

    url: str = ""
    objects: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    tokens: set[str | None] = field(default_factory=set)
    refuses: bool = False


@pytest.fixture
def server() -> Iterator[ArgoServer]:
    found = ArgoServer()

    class Handler(BaseHTTPRequestHandler):
        def handle_one(self) -> None:
            found.asked.append(f"{self.command} {self.path}")
            found.tokens.add(self.headers.get("Authorization"))
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "{}")
            if found.refuses:
                self.answer(403, {"code": 7, "message": "workflowtemplates is forbidden"})
            elif self.command == "GET":
                kept = found.objects.get(self.path)
                self.answer(200, kept) if kept else self.answer(404, {"code": 5, "message": "not found"})
            else:
                sent = body.get("template") or body.get("cronWorkflow")
                address = self.path if self.command == "PUT" else f"{self.path}/{sent['metadata']['name']}"
                kept = found.objects.get(address, {"metadata": {"resourceVersion": "0"}})
                before = kept["metadata"]["resourceVersion"]
                if self.command == "PUT" and sent["metadata"].get("resourceVersion") != before:
                    self.answer(409, {"code": 10, "message": "the object has been modified"})
                else:
                    more = {"resourceVersion": str(int(before) + 1), "creationTimestamp": "2026-11-22T15:46:39Z"}
                    sent["metadata"] |= more
                    found.objects[address] = sent
                    self.answer(200, sent)

        do_GET = do_POST = do_PUT = handle_one

        def answer(self, status: int, tree: Any) -> None:
            data = json.dumps(tree).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        found.url = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield found
        http.shutdown()
        thread.join()


def submitted(project: Any, *more: str, **env: str) -> Any:
    return project.headrace("compile", "argo", *OPTIONS, *more, env={"ARGO_TOKEN": "v2:hush", **env})


def said(done: Any) -> list[str]:
    assert done.code == 0, done.err
    return [line for line in done.out.splitlines() if " in namespace " in line]


def test_the_server_gets_what_is_new_and_what_changed(project: Any, server: ArgoServer) -> None:
    first = said(submitted(project, "--to", server.url, ARGO_NAMESPACE="ml"))
    again = said(submitted(project, "--to", server.url, ARGO_NAMESPACE="ml"))
    changed = said(submitted(project, "--to", server.url, "-p", "n=9", ARGO_NAMESPACE="ml"))

    both = ["WorkflowTemplate flow in namespace ml", "CronWorkflow flow in namespace ml"]
    assert first == [f"{name}: created" for name in both]
    assert again == [f"{name}: unchanged" for name in both]
    assert changed == [f"{both[0]}: updated", f"{both[1]}: unchanged"]
    assert server.asked[:4] == [
        "GET /api/v1/workflow-templates/ml/flow",
        "POST /api/v1/workflow-templates/ml",
        "GET /api/v1/cron-workflows/ml/flow",
        "POST /api/v1/cron-workflows/ml",
    ]
    assert server.asked[-2:] == ["PUT /api/v1/workflow-templates/ml/flow", "GET /api/v1/cron-workflows/ml/flow"]
    assert server.tokens == {"Bearer v2:hush"}
    kept = server.objects["/api/v1/workflow-templates/ml/flow"]
    given = {item["name"]: item.get("value") for item in kept["spec"]["arguments"]["parameters"]}
    assert given["n"] == "9"
    assert kept["metadata"]["namespace"] == "ml"
    assert kept["apiVersion"] == "argoproj.io/v1alpha1"


def test_a_namespace_that_is_set_goes_before_the_environments(project: Any, server: ArgoServer) -> None:
    lines = said(submitted(project, "--to", f"{server.url}/", "--set", "namespace=own", ARGO_NAMESPACE="ml"))
    assert lines[0] == "WorkflowTemplate flow in namespace own: created"


def test_a_server_that_refuses_is_quoted(project: Any, server: ArgoServer) -> None:
    server.refuses = True
    done = submitted(project, "--to", server.url)
    assert done.code == 2
    assert "didn't take workflow-template.yaml" in done.err
    assert "workflowtemplates is forbidden" in done.err
    assert "ARGO_TOKEN" in done.err
    assert "hush" not in done.err


def test_a_server_that_is_not_there(project: Any) -> None:
    done = submitted(project, "--to", "http://127.0.0.1:9")
    assert done.code == 2
    assert "The Argo server at http://127.0.0.1:9 didn't take" in done.err


@pytest.fixture
def kubectl(tmp_path: Path) -> dict[str, str]:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "kubectl").write_text(KUBECTL)
    (folder / "kubectl").chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin", "SAID": str(tmp_path / "said")}


def test_without_an_address_kubectl_applies_the_files(project: Any, kubectl: dict[str, str]) -> None:
    done = submitted(project, "--to", "minikube", "--set", "namespace=ml", **kubectl)
    assert done.code == 0, done.err
    assert done.out.splitlines()[-2:] == [
        "workflowtemplate.argoproj.io/flow configured",
        "cronworkflow.argoproj.io/flow unchanged",
    ]
    words = Path(kubectl["SAID"]).read_text().split()
    assert words[:5] == ["--context", "minikube", "--namespace", "ml", "apply"]
    assert words[5:] == ["-f", "out/workflow-template.yaml", "-f", "out/cron-workflow.yaml"]


def test_a_kubectl_that_refuses_or_is_not_there(project: Any, kubectl: dict[str, str], tmp_path: Path) -> None:
    done = submitted(project, **kubectl, FAIL="1")
    assert done.code == 2
    assert "kubectl refused: error: no configuration" in done.err
    (tmp_path / "bin/kubectl").unlink()
    done = submitted(project, **{**kubectl, "PATH": str(tmp_path / "bin")})
    assert done.code == 2
    assert "There is no kubectl to submit with" in done.err
