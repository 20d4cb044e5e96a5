"""The house rules that no linter knows: each returns one line for each place that breaks it."""

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

Rule = Callable[[Path, Sequence[Path]], list[str]]

MOST_LINES = 300
WRITTEN_BY_HAND = {".py", ".lua", ".html", ".css", ".js", ".sh", ".sql"}
JUNK_WORDS = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers"}
PRODUCT = ("api", "workers", "shared")

# The one decides when; the other is the driver that then does it.
COMMITS = {"shared/database.py", "shared/sqlite_inline.py"}
STATEMENTS = {"select", "insert", "update", "delete", "text", "union", "union_all", "exists"}
MAY_SKIP = {"tests/e2e/browser.py"}  # outside CI, where there is no Chromium
SPEAKS_SQL = {"shared/database.py", "shared/outbox.py", "shared/migrate.py"}

# Brackets keep each pattern from finding itself.
PRIVATE_PLACES = re.compile(
    r"(?:^|[^\w./-])/(?:wor[k]|roo[t]|home/\w+|User[s]/\w+|tm[p]/\w+|op[t]/(?:pyp[i]|wheel[s])[\w-]*)/"
    r"|pyp[i]\.org|pythonhoste[d]\.org|npmj[s]\.(?:org|com)|deb\.debia[n]\.org|proxy\.golan[g]\.org"
)
UNFINISHED = re.compile(r"\bTOD[O]\b|\bFIXM[E]\b")
SKIPPED = re.compile(r"\bpytest\.(?:mark\.)?(?:ski[p]|xfai[l]|importorski[p])|unittest\.ski[p]")


def long_files(root: Path, files: Sequence[Path]) -> list[str]:
    """Files written by hand that are longer than a reader's patience."""
    found = []
    for file in files:
        if file.suffix in WRITTEN_BY_HAND:
            lines = len((root / file).read_text("utf-8").splitlines())
            if lines > MOST_LINES:
                found.append(f"{file}: {lines} lines, at most {MOST_LINES} are allowed")
    return found


def junk_names(_root: Path, files: Sequence[Path]) -> list[str]:
    """Files and folders whose name says nothing of what they hold."""
    return [
        f"{file}: {part!r} says nothing of what it holds"
        for file in files
        for part in file.parts
        if JUNK_WORDS & set(part.split(".")[0].lower().split("_"))
    ]


def stray_commits(root: Path, files: Sequence[Path]) -> list[str]:
    """Calls of `commit()` outside the one place that ends transactions."""
    return [
        f"{file}:{node.lineno}: only shared/database.py commits"
        for file, tree in _product_code(root, files, allowed=COMMITS)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and _called(node) == "commit"
    ]


def stray_sql(root: Path, files: Sequence[Path]) -> list[str]:
    """SQL outside the stores, the models and the database itself."""
    found = []
    for file, tree in _product_code(root, files, allowed=SPEAKS_SQL):
        if file.name.endswith("store.py") or file.name == "model.py" or "migrations" in file.parts:
            continue
        found += [f"{file}:{line}: {word} belongs in a store.py" for line, word in _sql_words(tree)]
    return found


def private_places(root: Path, files: Sequence[Path]) -> list[str]:
    """Package registries and folders of one machine, in any file, pictures and PDFs included."""
    found = []
    for file in files:
        for number, line in enumerate((root / file).read_bytes().splitlines(), start=1):
            if match := PRIVATE_PLACES.search(line.decode("latin-1")):
                found.append(f"{file}:{number}: names {match[0].strip()}")
    return found


def unfinished_work(root: Path, files: Sequence[Path]) -> list[str]:
    """Notes of work that is still to be done."""
    return _matches(root, files, UNFINISHED, "do it or file it")


def skipped_tests(root: Path, files: Sequence[Path]) -> list[str]:
    """Tests that do not run; what is not on every machine is asked for in one place."""
    tests = [f for f in files if f.parts[0] == "tests" and f.as_posix() not in MAY_SKIP]
    return _matches(root, tests, SKIPPED, "every test runs everywhere")


def speaking_packages(root: Path, files: Sequence[Path]) -> list[str]:
    """`__init__.py` files that hold something: modules are imported by their own names."""
    return [
        f"{file}: an __init__.py is empty"
        for file in files
        if file.name == "__init__.py" and (root / file).read_bytes().strip()
    ]


RULES: tuple[Rule, ...] = (
    long_files,
    junk_names,
    stray_commits,
    stray_sql,
    private_places,
    unfinished_work,
    skipped_tests,
    speaking_packages,
)


def _matches(root: Path, files: Sequence[Path], pattern: re.Pattern[str], advice: str) -> list[str]:
    return [
        f"{file}:{number}: {match[0]}: {advice}"
        for file in files
        if file.suffix in WRITTEN_BY_HAND
        for number, line in enumerate((root / file).read_text("utf-8").splitlines(), start=1)
        if (match := pattern.search(line))
    ]


def _product_code(
    root: Path, files: Sequence[Path], *, allowed: set[str]
) -> Iterator[tuple[Path, ast.Module]]:
    for file in files:
        if file.suffix == ".py" and file.parts[0] in PRODUCT and file.as_posix() not in allowed:
            yield file, ast.parse((root / file).read_text("utf-8"))


def _called(call: ast.Call) -> str | None:
    return call.func.attr if isinstance(call.func, ast.Attribute) else None


def _sql_words(tree: ast.Module) -> Iterator[tuple[int, str]]:
    modules = {"sqlalchemy", "sqlmodel"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            aliases = [each for each in node.names if each.name.split(".")[0] in modules]
            modules |= {each.asname for each in aliases if each.asname}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in modules:
            words = {each.name for each in node.names} & STATEMENTS
            yield from ((node.lineno, word) for word in sorted(words))
        elif isinstance(node, ast.Attribute) and node.attr in STATEMENTS:
            if isinstance(node.value, ast.Name) and node.value.id in modules:
                yield node.lineno, node.attr
        elif isinstance(node, ast.Call) and _called(node) == "exec_driver_sql":
            yield node.lineno, "exec_driver_sql"
