"""Who may hit whose blocks. The salt enters the key of a sequence's first block and so of its whole chain."""

from collections.abc import Hashable
from typing import Protocol


class Isolation(Protocol):
    """Chooses the salt under which a request's blocks are cached."""

    name: str

    def salt(self, tenant: str, request: int) -> Hashable | None: ...


class ShareGlobally:
    """All requests share equal prefixes. Hit times tell one tenant what another asked (CVE-2025-46570)."""

    name = "global"

    def salt(self, tenant: str, request: int) -> Hashable | None:
        return None


class PerTenant:
    """Requests of one tenant share; across tenants nothing is shared, not even a public system prompt."""

    name = "per_tenant"

    def salt(self, tenant: str, request: int) -> Hashable | None:
        return tenant


class Never:
    """Every request has its own cache; only its own preemption and forks profit."""

    name = "never"

    def salt(self, tenant: str, request: int) -> Hashable | None:
        return (tenant, request)


ISOLATION: dict[str, type[Isolation]] = {kind.name: kind for kind in (ShareGlobally, PerTenant, Never)}
