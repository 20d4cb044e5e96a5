"""Who may do what: roles are sets of permissions, and a principal is a caller with one role."""

from dataclasses import dataclass
from enum import StrEnum

from shared.errors import Forbidden


class Permission(StrEnum):
    """One kind of act; reading includes downloading."""

    JOBS_READ = "jobs.read"
    JOBS_WRITE = "jobs.write"
    FILES_READ = "files.read"
    FILES_WRITE = "files.write"
    WEBHOOKS_READ = "webhooks.read"
    WEBHOOKS_MANAGE = "webhooks.manage"
    KEYS_MANAGE = "keys.manage"
    CONFIG_MANAGE = "config.manage"


class Role(StrEnum):
    """What a key is given; each role includes the next one."""

    ADMIN = "admin"
    MEMBER = "member"
    VIEWER = "viewer"


_VIEWER = frozenset({Permission.JOBS_READ, Permission.FILES_READ, Permission.WEBHOOKS_READ})
_MEMBER = _VIEWER | {Permission.JOBS_WRITE, Permission.FILES_WRITE}
PERMISSIONS = {
    Role.ADMIN: _MEMBER
    | {Permission.WEBHOOKS_MANAGE, Permission.KEYS_MANAGE, Permission.CONFIG_MANAGE},
    Role.MEMBER: _MEMBER,
    Role.VIEWER: _VIEWER,
}


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller: everything it does happens inside its tenant."""

    tenant_id: str
    key_id: str
    role: Role

    def require(self, permission: Permission) -> None:
        """Let pass whoever may do this.

        Raises:
            Forbidden: the role does not include the permission.
        """
        if permission in PERMISSIONS[self.role]:
            return
        roles = " or ".join(f"`{role}`" for role in Role if permission in PERMISSIONS[role])
        detail = (
            f"A key with the role `{self.role}` has no permission `{permission}`:"
            f" use a key with the role {roles}."
        )
        raise Forbidden(detail, extra={"permission": permission.value, "role": self.role.value})
