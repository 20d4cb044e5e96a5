"""docs/configuration.md says what the code takes: no setting, field, vendor or option more or less."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from shared.inference.sandbox_options import READERS, SandboxOptions, for_model, read_options
from shared.inference.vendors import VENDORS, known_vendors
from shared.providers.registry import build_provider
from shared.providers.transport import Http
from shared.routing.catalog import load_catalog
from shared.routing.model import DEFAULT_CONCURRENCY, Capability, Failure
from shared.routing.rows import DeploymentRow, RouteRow
from shared.settings import Settings

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "configuration.md").read_text("utf-8")
EXAMPLES = [tomllib.loads(each) for each in re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)]
INTERNAL = {"provider_keys"}


def rows(heading: str) -> list[list[str]]:
    """Return the cells of every table below a heading of the second order."""
    part = TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def table(heading: str, first: str) -> dict[str, str]:
    """Return the second column by the names of the first, of the table whose head begins so."""
    found, inside = dict[str, str](), False
    for cells in rows(heading):
        is_head = not cells[0].startswith("`")
        inside = cells[0] == first if is_head else inside
        if inside and not is_head:
            found[cells[0].strip("`")] = cells[1].strip("`")
    return found


def test_every_setting_is_there_with_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [each for each in rows("Settings") if each[0].startswith("`PENSTOCK_")]
    written = {name.strip("`"): default.strip("`") for name, default, *_ in cells}
    fields = {name: field for name, field in Settings.model_fields.items() if name not in INTERNAL}

    assert set(written) == {f"PENSTOCK_{name.upper()}" for name in fields}
    assert len(cells) == len(written)
    for name, field in fields.items():
        default = written[f"PENSTOCK_{name.upper()}"]
        if default == "–":
            assert not field.default, name
            continue
        monkeypatch.setenv(f"PENSTOCK_{name.upper()}", default)
        assert getattr(Settings(), name) == getattr(Settings(**{name: field.default}), name), name


def test_every_field_of_a_deployment_and_of_a_route_is_there() -> None:
    documented = table("penstock.toml", "deployment")

    assert set(documented) == {*DeploymentRow.model_fields}
    assert documented["concurrency"] == str(DEFAULT_CONCURRENCY)
    assert set(table("penstock.toml", "route")) == {*RouteRow.model_fields}
    part = TEXT.split("## penstock.toml")[1]
    assert [each for each in (*Capability, *Failure) if f"`{each}`" not in part] == []


def test_the_page_of_providers_is_as_the_registry_says() -> None:
    made = subprocess.run(
        [sys.executable, "-c", "import make_providers as m; print(m.page(), end='')"],
        cwd=ROOT / "docs",
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert (ROOT / "docs" / "providers.md").read_text("utf-8") == made, (
        "run python docs/make_providers.py"
    )
    assert all(f"| `{name}` |" in made for name in known_vendors())


def test_every_option_of_the_sandbox_does_what_the_name_does() -> None:
    cells = [each for each in rows("The sandbox") if each[0] != "in the name"]
    seen = set()
    for names, option, _ in cells:
        given = tomllib.loads(option.strip("`"))
        seen |= set(given)
        first = names.split(", ")[0].strip("`")
        assert for_model(SandboxOptions(), first) == read_options(given)

    assert seen == set(READERS)


@pytest.mark.parametrize("example", EXAMPLES)
async def test_the_examples_can_be_used_as_they_stand(
    example: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_KEY_A", "OPENAI_KEY_B"):
        monkeypatch.setenv(name, f"the key {name}")

    lanes = load_catalog(example, {}).lanes()  # type: ignore[arg-type]

    http = Http(httpx.AsyncHTTPTransport())
    for target in lanes.values():
        deployment = target.deployment
        build_provider(
            deployment.provider,
            http=http,
            base_url=deployment.base_url,
            api_key=target.api_key,
            options=deployment.options,
        )
    await http.aclose()
    assert lanes


def test_a_providers_variable_makes_its_models_work(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = table("Models without a file", "variable")
    for variable in variables:
        monkeypatch.setenv(variable, "a key")
    keys: dict[str, SecretStr] = Settings().provider_keys

    for models in variables.values():
        vendor = models.partition("/")[0]
        assert vendor in VENDORS
        assert load_catalog({}, keys).resolve(f"{vendor}/some-model").deployments[0].keys
