"""The Lua scripts: read from the files beside this one, named by their digests."""

import hashlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Script:
    """A script as Redis runs it, and the digest that EVALSHA calls it by."""

    text: str
    sha: str


@dataclass(frozen=True, slots=True)
class Scripts:
    """One script for each decision; the file of a field has its name."""

    acquire: Script
    settle: Script
    lease: Script
    pause: Script
    observe: Script
    headroom: Script


def load_scripts() -> Scripts:
    """Read the scripts of the limiter's decisions."""
    return Scripts(
        acquire=load_script("acquire"),
        settle=load_script("settle"),
        lease=load_script("lease"),
        pause=load_script("pause"),
        observe=load_script("observe"),
        headroom=load_script("headroom"),
    )


def load_script(name: str) -> Script:
    """Read one script: `lane.lua` followed by its own text."""
    folder = Path(__file__).parent
    text = (folder / "lane.lua").read_text("utf-8") + (folder / f"{name}.lua").read_text("utf-8")
    # Redis names a script by its SHA-1; nothing is protected by it.
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())
