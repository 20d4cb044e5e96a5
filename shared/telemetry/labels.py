"""Label values that stay few: names that a client chose must never become series."""

from typing import Protocol

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Named(Protocol):
    """What a deployment tells of itself."""

    @property
    def name(self) -> str:
        """What the operator called it, or provider/model where a client's `model` named it."""
        ...

    @property
    def provider(self) -> str:
        """The provider's row."""
        ...

    @property
    def model(self) -> str:
        """The provider's own model name."""
        ...


def deployment_label(deployment: Named) -> str:
    """Return the configured name; `openai/*` stands for all that clients name without one."""
    name, provider = deployment.name, deployment.provider
    return f"{provider}/*" if name == f"{provider}/{deployment.model}" else name


def method_label(method: str) -> str:
    """Return the method, `other` for one that someone made up."""
    return method if method in METHODS else "other"
