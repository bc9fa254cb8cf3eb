"""What is shipped: the wheel with all its data, compose file, image file, alert rules, dashboard."""

import http.server
import importlib.metadata
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import tomllib
import zipfile
from collections.abc import Callable, Iterable
from email import message_from_bytes
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from packaging.requirements import Requirement
from prometheus_client import generate_latest
from test_process import clean_environment

from voicegw.server.metrics import Metrics

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"


def run(*command: str, cwd: Path = ROOT, **env: str) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=os.environ | env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from what the image's COPY lines take."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "voicegw", source / "voicegw", ignore=shutil.ignore_patterns("__pycache__"))
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), cwd=source)
    (built,) = folder.glob("*.whl")
    return built


EXTRAS = ("embedded", "postgres", "otel")


@pytest.fixture(scope="module")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A venv with the wheel, and of all packages only those that it declares to need, with theirs.

    These are linked from the tests' own venv: to fetch them again would take minutes.
    """
    venv = tmp_path_factory.mktemp("clean") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", str(venv))
    pip = (sys.executable, "-m", "pip", "--python", str(venv / "bin" / "python"), "install", "--quiet")
    run(*pip, "--disable-pip-version-check", "--no-deps", "--no-index", str(wheel), cwd=wheel.parent)
    (packages,) = venv.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as packed:
        (name,) = [name for name in packed.namelist() if name.endswith(".dist-info/METADATA")]
        declared = message_from_bytes(packed.read(name)).get_all("Requires-Dist", [])
    seen: set[tuple[str, str]] = set()
    for requirement in declared:
        link_needed(requirement, EXTRAS, packages, seen)
    return venv


def link_needed(text: str, extras: Iterable[str], packages: Path, seen: set[tuple[str, str]]) -> None:
    """Link the package that a requirement names, and those that it needs itself."""
    requirement = Requirement(text)
    marker = requirement.marker
    if marker is not None and not any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
        return
    for extra in ("", *requirement.extras):
        if (requirement.name, extra) in seen:
            continue
        seen.add((requirement.name, extra))
        found = importlib.metadata.distribution(requirement.name)
        for top in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
            link = packages / top
            if not link.exists():
                link.symlink_to(Path(str(found.locate_file(top))))
        for needed in found.requires or ():
            link_needed(needed, (extra,) if extra else (), packages, seen)


def test_the_wheel_has_all_that_the_package_reads(wheel: Path) -> None:
    """Whatever lies beside the code in the repository is in what `pip install` brings."""
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
    files = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "voicegw").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert sorted(files - names) == []


@pytest.mark.timeout(300)
def test_the_installed_wheel_holds_a_conversation(clean: Path, tmp_path: Path) -> None:
    """`pip install` and `voicegw demo --once`: a call is answered, with nothing of the repository at hand."""
    voicegw = str(clean / "bin" / "voicegw")
    environment = clean_environment()
    done = subprocess.run(
        [voicegw, "demo", "--once"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "gateway" in run(voicegw, "--help", cwd=tmp_path)
    shown = run(voicegw, "calls", "list", cwd=tmp_path, VOICEGW_STORE__DATA_DIR=str(tmp_path / "data/demo"))
    assert "caller" in shown


def instruction(name: str) -> str:
    """The newest instruction of this name in the Dockerfile, its lines joined."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    return str(re.findall(rf"^{name} (.*)$", text, re.M)[-1]).strip()


@pytest.mark.timeout(300)
def test_what_the_image_runs_runs(clean: Path, tmp_path: Path) -> None:
    """The image itself was never built here. Its lines are run one by one: as its user, with its environment.

    The code is read-only to that user and nothing but the data folder can be written.
    """
    data = tmp_path / "data"
    data.mkdir()
    as_user: list[str] = []
    if os.geteuid() == 0:
        # As in the image all may be read (this machine's Python may lie in a home) and one folder written.
        os.chown(data, int(instruction("USER")), 0)
        capability = "-all,+dac_read_search"
        as_user = [
            "setpriv",
            "--reuid",
            instruction("USER"),
            "--regid",
            "0",
            "--clear-groups",
            "--no-new-privs",
        ]
        as_user += [f"--{kind}-caps={capability}" for kind in ("inh", "ambient")]
        as_user += [f"--bounding-set={capability}"]
    said = dict(re.findall(r"(\w+)=(\S+)", instruction("ENV")))
    said["PATH"] = (
        said["PATH"].replace("/opt/voicegw/bin", str(clean / "bin")).replace("$PATH", os.environ["PATH"])
    )
    assert said["VOICEGW_STORE__DATA_DIR"] == instruction("VOLUME") == instruction("WORKDIR")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert instruction("EXPOSE") == "8080"
    environment = clean_environment(**said) | {
        "VOICEGW_STORE__DATA_DIR": str(data),
        "VOICEGW_SERVER__PORT": str(port),
        "VOICEGW_PROVIDER__API_KEY": "test-key",
        "HOME": "/nonexistent",
    }
    command = as_user + json.loads(instruction("ENTRYPOINT")) + json.loads(instruction("CMD"))
    check = as_user + json.loads(instruction("HEALTHCHECK").partition("CMD ")[2])
    check[-1] = check[-1].replace("8080", str(port))
    # Listening everywhere without a secret it refuses, and says what to do.
    refused = subprocess.run(command, cwd=data, env=environment, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "VOICEGW_DOOR__SECRET" in refused.stderr
    environment["VOICEGW_DOOR__SECRET"] = "x" * 43
    with subprocess.Popen(
        command, cwd=data, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as serving:
        assert serving.stdout is not None
        assert "listening" in serving.stdout.readline()
        healthy = subprocess.run(check, env=environment, capture_output=True, text=True)
        assert healthy.returncode == 0, healthy.stderr
        assert instruction("STOPSIGNAL") == "SIGTERM"
        serving.send_signal(signal.SIGTERM)
        _, logged = serving.communicate(timeout=30)
    # It was the image's user that wrote.
    assert {path.stat().st_uid for path in data.rglob("*")} == {
        int(instruction("USER")) if as_user else os.geteuid()
    }
    assert serving.returncode == 0, logged
    assert all(json.loads(line)["event"] for line in logged.splitlines())
    # And a health check of a gateway that is gone fails.
    assert subprocess.run(check, env=environment, capture_output=True).returncode != 0


def test_the_readme_names_the_extras_that_there_are() -> None:
    """And no other ones; `dev` is for those who change it."""
    extras = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
    readme = (ROOT / "README.md").read_text()
    (paragraph,) = [part for part in readme.split("\n\n") if part.startswith("Extras:")]
    assert set(re.findall(r"`([\w-]+)`", paragraph)) == extras - {"dev"}


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


def test_what_is_provisioned_fits_together() -> None:
    """Grafana, Prometheus and the gateway find each other by the names and paths of the compose file."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    mounts = dict(
        volume.split(":")[:2] for volume in services["grafana"]["volumes"] if volume.startswith("./")
    )
    provisioning = DEPLOY / "grafana" / "provisioning"
    assert mounts["./deploy/grafana/provisioning"] == "/etc/grafana/provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    prometheus = urlsplit(source["url"])
    assert prometheus.hostname in services
    assert services[prometheus.hostname]["ports"][0].endswith(f":{prometheus.port}")
    (boards,) = yaml.safe_load((provisioning / "dashboards" / "voicegw.yml").read_text())["providers"]
    assert boards["options"]["path"] == mounts["./deploy/grafana/dashboards"]
    dashboard = json.loads((DEPLOY / "grafana" / "dashboards" / "voicegw.json").read_text())
    panels = dashboard["panels"]
    assert {panel["datasource"]["uid"] for panel in panels} == {source["uid"]}
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len(places)
    scraped = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())["scrape_configs"][0]
    host, _, port = scraped["static_configs"][0]["targets"][0].partition(":")
    assert services[host]["ports"][0].endswith(f":{port}")


def test_rules_and_dashboard_ask_for_metrics_that_there_are() -> None:
    """A panel that stays empty for ever looks like peace."""
    dashboard = json.loads((DEPLOY / "grafana" / "dashboards" / "voicegw.json").read_text())
    asked = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    asked += (DEPLOY / "alerts.yml").read_text()
    there = generate_latest(Metrics().registry).decode() + (ROOT / "voicegw/server/scraping.py").read_text()
    for name in set(re.findall(r"voicegw_[a-z_]+", asked)):
        base = re.sub(r"_(bucket|total)$", "", name)
        assert base in there or name in there, name


SCAN = (sys.executable, "-m", "detect_secrets", "scan", "--no-verify", "--disable-plugin", "KeywordDetector")


def test_no_secret_is_in_the_shipped_files() -> None:
    """By detect-secrets' detectors of real keys; words such as `api_key=...` are not meant."""
    files = run("git", "ls-files").split()
    texts = [name for name in files if not name.startswith(("tests/", "samples/", "docs/"))]
    # A made-up account of the rehearsed carrier.
    assert set(json.loads(run(*SCAN, *texts))["results"]) <= {"voicegw/rehearsal/bridges/twilio.py"}


def test_a_secret_would_be_found(tmp_path: Path) -> None:
    """A scan that never barked guards nothing."""
    (tmp_path / "leak.py").write_text('aws = "AKIA' + 'Q3EGRWYTUVLZ7B5C"\n')
    assert json.loads(run(*SCAN, "--all-files", "leak.py", cwd=tmp_path))["results"]


class Vulnerabilities(http.server.BaseHTTPRequestHandler):
    """OSV's `/v1/query` (https://google.github.io/osv.dev/post-v1-query/) that knows one vulnerability."""

    vulnerable = ""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["package"]["name"]
        found = {
            "id": "PYSEC-2026-1",
            "summary": "made up for a test",
            "details": "made up for a test",
            "published": "2026-01-01T00:00:00Z",
            "affected": [
                {
                    "package": {"name": asked, "ecosystem": "PyPI"},
                    "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "999.0"}]}],
                }
            ],
        }
        body = json.dumps({"vulns": [found]} if asked == self.vulnerable else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize(("vulnerable", "code"), [("", 0), ("aiohttp", 1)])
def test_a_vulnerable_package_stops_the_run(tmp_path: Path, vulnerable: str, code: int) -> None:
    """The audit of what is installed, by a service of the tests' own: it barks only when it should."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Vulnerabilities) as service:
        Vulnerabilities.vulnerable = vulnerable
        threading.Thread(target=service.serve_forever, daemon=True).start()
        done = audited(f"http://127.0.0.1:{service.server_port}/v1/query", tmp_path)
        service.shutdown()
    assert done.returncode == code, done.stdout + done.stderr
    assert ("aiohttp" in done.stdout) == bool(vulnerable)
    assert re.search(r"audited \d\d+ packages", done.stdout)


def test_an_audit_that_asked_nobody_says_so(tmp_path: Path) -> None:
    """Silence would look like safety."""
    done = audited("http://127.0.0.1:9/v1/query", tmp_path)
    assert done.returncode == 3
    assert done.stdout.startswith("NOT AUDITED")


def audited(url: str, cache: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ".ci/audit", "--osv-url", url, "--cache-dir", str(cache)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
