"""What is shipped: the wheel with all its data, compose file, image file, alert rules, dashboard."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from prometheus_client import generate_latest

from voicegw.server.metrics import Metrics

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"


def run(*command: str, cwd: Path = ROOT, **env: str) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=os.environ | env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_has_all_that_the_package_reads(tmp_path: Path) -> None:
    """Whatever lies beside the code in the repository is in what `pip install` brings."""
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "voicegw", source / "voicegw", ignore=shutil.ignore_patterns("__pycache__"))
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), cwd=source)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
        packed.extractall(tmp_path / "installed")
    files = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "voicegw").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert sorted(files - names) == []
    # Run from the wheel alone: another folder, its code first on the path.
    installed = str(tmp_path / "installed")
    said = run(sys.executable, "-m", "voicegw", "personas", "list", cwd=tmp_path, PYTHONPATH=installed)
    assert "giao-hang" in said
    assert "0001" in run(sys.executable, "-m", "voicegw", "db", "upgrade", cwd=tmp_path, PYTHONPATH=installed)


def test_the_readme_names_the_extras_that_there_are() -> None:
    text = (ROOT / "pyproject.toml").read_text().split("[project.optional-")[1]
    extras = set(re.findall(r"^(\w+) = \[", text, re.M))
    assert {"embedded", "postgres", "otel"} <= extras


def test_the_compose_file_is_right(system_program: Callable[[str], str]) -> None:
    """By Debian's own docker-compose; no service runs without a profile, none is open to the network."""
    compose = system_program("docker-compose")
    found = yaml.safe_load(run(compose, "-f", "docker-compose.yml", "config"))
    services = found["services"]
    raw = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    profiles = {profile for service in raw.values() for profile in service["profiles"]}
    assert profiles == {"default", "local-ai", "postgres", "observe"}
    for name, service in services.items():
        for port in service.get("ports", []):
            assert str(port).startswith("127.0.0.1:"), name
    for name in ("gateway", "gateway-local-ai"):
        assert services[name]["read_only"] is True
        assert services[name]["cap_drop"] == ["ALL"]


def test_every_file_that_compose_mounts_is_there() -> None:
    raw = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for service in raw.values():
        for volume in service.get("volumes", []):
            path = volume.partition(":")[0]
            # The token is made by the operator.
            if path.startswith("./") and not path.endswith(".token"):
                assert (ROOT / path).exists(), path


def test_the_image_is_not_root_and_runs_what_there_is() -> None:
    """It cannot be built here: what it runs is tested, and what it says is read."""
    text = (ROOT / "Dockerfile").read_text()
    assert re.search(r"^USER 10001$", text, re.M)
    assert re.search(r"^HEALTHCHECK", text, re.M)
    copied = re.search(r"^COPY (pyproject.*) \./$", text, re.M)
    assert copied is not None
    assert all((ROOT / name).exists() for name in copied[1].split())
    assert 'ENTRYPOINT ["voicegw"]' in text
    assert "serve" in run(sys.executable, "-m", "voicegw", "--help")


@pytest.mark.parametrize(
    "check", [("check", "rules", "alerts.yml"), ("test", "rules", "alerts.test.yml")], ids=" ".join
)
def test_the_alert_rules_are_right(check: tuple[str, ...], system_program: Callable[[str], str]) -> None:
    """By Prometheus' own tool: they parse, and fire when they should."""
    run(system_program("promtool"), *check, cwd=DEPLOY)


def test_the_prometheus_configuration_is_right(tmp_path: Path, system_program: Callable[[str], str]) -> None:
    shutil.copytree(DEPLOY, tmp_path, dirs_exist_ok=True)
    (tmp_path / "metrics.token").write_text("x")
    run(system_program("promtool"), "check", "config", "prometheus.yml", cwd=tmp_path)


def test_rules_and_dashboard_ask_for_metrics_that_there_are() -> None:
    """A panel that stays empty for ever looks like peace."""
    dashboard = json.loads((DEPLOY / "grafana" / "dashboards" / "voicegw.json").read_text())
    asked = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    asked += (DEPLOY / "alerts.yml").read_text()
    there = generate_latest(Metrics().registry).decode() + (ROOT / "voicegw/server/metrics.py").read_text()
    for name in set(re.findall(r"voicegw_[a-z_]+", asked)):
        base = re.sub(r"_(bucket|total)$", "", name)
        assert base in there or name in there, name


SCAN = (sys.executable, "-m", "detect_secrets", "scan", "--no-verify", "--disable-plugin", "KeywordDetector")


def test_no_secret_is_in_the_shipped_files() -> None:
    """By detect-secrets' detectors of real keys; words such as `api_key=...` are not meant."""
    files = run("git", "ls-files").split()
    texts = [name for name in files if not name.startswith(("tests/", "samples/", "docs/"))]
    # A made-up account of the rehearsed carrier.
    assert set(json.loads(run(*SCAN, *texts))["results"]) <= {"voicegw/rehearsal/bridges.py"}


def test_a_secret_would_be_found(tmp_path: Path) -> None:
    """A scan that never barked guards nothing."""
    (tmp_path / "leak.py").write_text('aws = "AKIA' + 'Q3EGRWYTUVLZ7B5C"\n')
    assert json.loads(run(*SCAN, "--all-files", "leak.py", cwd=tmp_path))["results"]
