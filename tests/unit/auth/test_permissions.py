"""What each role may do."""

import pytest

from shared.auth.permissions import PERMISSIONS, Permission, Principal, Role
from shared.errors import Forbidden

READS = {Permission.JOBS_READ, Permission.FILES_READ, Permission.WEBHOOKS_READ}
WRITES = {Permission.JOBS_WRITE, Permission.FILES_WRITE}


def test_each_role_includes_the_next_one() -> None:
    assert PERMISSIONS[Role.VIEWER] == READS
    assert PERMISSIONS[Role.MEMBER] == READS | WRITES
    assert PERMISSIONS[Role.ADMIN] == set(Permission)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("permission", Permission)
def test_require_lets_pass_exactly_what_the_role_has(role: Role, permission: Permission) -> None:
    principal = Principal("ten_1", "key_1", role)

    if permission in PERMISSIONS[role]:
        principal.require(permission)
    else:
        with pytest.raises(Forbidden, match=permission.value):
            principal.require(permission)


def test_the_refusal_names_the_roles_that_would_do() -> None:
    with pytest.raises(Forbidden, match="`admin` or `member`"):
        Principal("ten_1", "key_1", Role.VIEWER).require(Permission.JOBS_WRITE)
