"""Which call gets which treatment: rules that a test posts to the fake provider."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ACTIONS = frozenset(
    {
        "ok",
        "status",
        "hang",
        "drip",
        "reset",
        "truncate_sse",
        "missing_done",
        "malformed_json",
        "empty_choices",
        "error_in_200",
        "error_mid_stream",
        "no_usage",
        "huge",
        "gate",
    }
)


@dataclass(slots=True)
class Rule:
    """One treatment, for calls whose facts contain every given substring, `times` calls or forever.

    With `every` only each so-manieth of them.
    """

    action: str = "ok"
    options: Mapping[str, Any] = field(default_factory=dict)
    match: Mapping[str, str] = field(default_factory=dict)
    times: int | None = None
    every: int = 1
    seen: int = 0

    def fits(self, facts: Mapping[str, str]) -> bool:
        """Tell whether this rule has turns left and matches a call's model, marker, key and path."""
        if self.times == 0:
            return False
        return all(wanted in facts.get(name, "") for name, wanted in self.match.items())

    def is_due(self) -> bool:
        """Count a call that fits, and tell whether it is one to be treated so."""
        self.seen += 1
        return self.seen % self.every == 0


class Script:
    """The rules in force; the first that fits a call is used up by one turn."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._default = Rule()

    def add(self, rules: list[Mapping[str, Any]]) -> None:
        """Append rules as posted.

        Raises:
            ValueError: an action has no such name.
        """
        for given in rules:
            options = dict(given)
            action = options.pop("action", "ok")
            if action not in ACTIONS:
                message = f"no action is called {action}: {', '.join(sorted(ACTIONS))}"
                raise ValueError(message)
            match, times = options.pop("match", {}), options.pop("times", None)
            every = options.pop("every", 1)
            self._rules.append(Rule(action, options, match, times, every))

    def clear(self) -> None:
        """Forget every rule."""
        self._rules.clear()

    def take(self, facts: Mapping[str, str]) -> Rule:
        """Return the rule for a call and use up one of its turns; without one, a plain answer."""
        for rule in self._rules:
            if rule.fits(facts) and rule.is_due():
                if rule.times is not None:
                    rule.times -= 1
                return rule
        return self._default
