"""The command line itself: quick, and one line for a mistake."""

import subprocess
import sys
from pathlib import Path

import pytest

from api.cli import __main__ as command_line

ROOT = Path(__file__).parents[3]
SLOW_TO_LOAD = ("sqlalchemy", "pydantic", "httpx", "redis", "rich", "asyncpg")


def run(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str, str]:
    """Run a command in this process; return its exit code and what it said."""
    monkeypatch.setattr(sys, "argv", ["penstock", *arguments])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


@pytest.fixture(autouse=True)
def empty_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENSTOCK_DATA_DIR", str(tmp_path / "var"))
    for name in ("PENSTOCK_URL", "PENSTOCK_KEY", "PENSTOCK_ADMIN_KEY", "PENSTOCK_REDIS_URL"):
        monkeypatch.delenv(name, raising=False)


def test_help_names_every_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(["--help"], monkeypatch, capsys)

    assert code == 0
    for name in (
        "up",
        "demo",
        "process",
        "batch",
        "jobs",
        "webhooks",
        "keys",
        "tenants",
        "routes",
        "migrate",
        "doctor",
    ):
        assert f"\n  {name} " in out


@pytest.mark.parametrize(
    ("group", "names"),
    [
        ("batch", ("submit", "list", "show", "watch", "results", "cancel", "pause", "resume")),
        ("jobs", ("list", "show", "cancel", "retry")),
        ("keys", ("create", "list", "revoke")),
        ("routes", ("show", "check")),
        ("tenants", ("create", "list", "set")),
        ("webhooks", ("list", "create", "rotate", "test", "recover", "deliveries", "resend")),
    ],
)
def test_groups_name_their_commands(
    group: str,
    names: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, _ = run([group, "--help"], monkeypatch, capsys)

    assert code == 0
    for name in names:
        assert f"\n  {name} " in out


def test_help_loads_nothing_that_is_slow() -> None:
    program = "import sys, api.cli.__main__; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert not set(SLOW_TO_LOAD) & set(done.stdout.split())


TASK = ["--instructions", "Read it.", "--model", "sandbox/reader", "--schema"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["jobs", "list"], 2, "There is no key"),
        (["jobs", "list", "--key", "pk_x", "--url", "http://127.0.0.1:1"], 1, "Nothing answers at"),
        (["jobs", "list", "--key", "pk_x", "--url", "ftp://host"], 1, "Nothing answers at"),
        (["jobs", "list", "--key", "ключ", "--url", "http://127.0.0.1:1"], 2, "cannot be used"),
        (
            ["process", "missing.pdf", *TASK, "schema.json"],
            2,
            "missing.pdf is no file and no folder",
        ),
        (["process", __file__, *TASK, "missing.json"], 2, "missing.json cannot be read"),
        (["process", ".", *TASK, "schema.json"], 2, "no documents in ."),
        (
            ["process", ".", "--instructions", "no.txt", *TASK[2:], "s"],
            2,
            "There is no file no.txt",
        ),
        (["process", ".", *TASK, "s.json", "--out", "x", "--csv", "./x"], 2, "use the same file"),
        (["batch", "submit", "missing.jsonl", "--key", "pk_x"], 2, "missing.jsonl is no file"),
        (["batch", "submit", __file__, "--metadata", "lone"], 2, "lone is no key=value"),
        (["batch", "results", "batch_1", "--key", "pk_x", "--out", "."], 2, "cannot be written"),
        (["demo", "--documents", "missing"], 2, "missing cannot be read"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str],
    code: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ended, _, err = run(arguments, monkeypatch, capsys)

    assert ended == code
    assert words in err
    assert err.startswith("penstock: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PENSTOCK_PORT", "eighty", "PENSTOCK_PORT"),
        ("PENSTOCK_DATABASE_URL", "nonsense", "PENSTOCK_DATABASE_URL"),
        ("PENSTOCK_DATABASE_URL", "mysql://host/name", "PENSTOCK_DATABASE_URL"),
        ("PENSTOCK_DATABASE_URL", "postgresql+asyncpg://127.0.0.1:1/x", "cannot be used"),
        ("PENSTOCK_ADMIN_KEY", "short", "PENSTOCK_ADMIN_KEY"),
    ],
)
def test_a_wrong_setting_is_one_line(
    name: str,
    value: str,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(name, value)

    ended, _, err = run(["migrate"], monkeypatch, capsys)

    assert ended in {1, 2}
    assert words in err
    assert err.count("\n") == 1


def test_an_unknown_option_is_misuse(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ended, _, err = run(["up", "--nonsense"], monkeypatch, capsys)

    assert ended == 2
    assert "No such option" in err
