"""The dialects of managed identity as a client is pointed at them: by variables, or by an address."""

from dataclasses import dataclass

from .service import LINK_LOCAL, LOOPBACK


@dataclass(frozen=True, eq=False)
class Dialect:
    """One way to reach the service. `{secret}` and the like in `variables` stand for what the service tells."""

    name: str
    title: str
    variables: dict[str, str]
    place: str = LOOPBACK

    @property
    def has_secret(self) -> bool:
        return "{secret}" in self.variables.values()

    def environment(self, service, secret: str | None = None) -> dict[str, str]:
        """What to export; `secret` stands in for the right one."""
        known = {"tokens": service.tokens, "fabric": service.fabric, "thumbprint": service.thumbprint}
        known["secret"] = secret or service.secret
        return {name: value.format(**known) for name, value in self.variables.items()}


DIALECTS = [
    Dialect(
        "app-service",
        "App Service, Functions and Container Apps (2019-08-01)",
        {"IDENTITY_ENDPOINT": "{tokens}/msi/token", "IDENTITY_HEADER": "{secret}"},
    ),
    Dialect("imds", "VM IMDS, by variable", {"AZURE_POD_IDENTITY_AUTHORITY_HOST": "{tokens}"}),
    Dialect("imds-link-local", "VM IMDS, at 169.254.169.254", {}, LINK_LOCAL),
    Dialect(
        "app-service-2017",
        "App Service 2017-09-01 and Azure ML",
        {"MSI_ENDPOINT": "{tokens}/msi/token", "MSI_SECRET": "{secret}"},
    ),
    Dialect("cloud-shell", "Cloud Shell", {"MSI_ENDPOINT": "{tokens}/oauth2/token"}),
    Dialect("arc", "Azure Arc", {"IDENTITY_ENDPOINT": "{tokens}/arc/token", "IMDS_ENDPOINT": "{tokens}"}),
    Dialect(
        "service-fabric",
        "Service Fabric",
        {
            "IDENTITY_ENDPOINT": "{fabric}/fabric/token",
            "IDENTITY_HEADER": "{secret}",
            "IDENTITY_SERVER_THUMBPRINT": "{thumbprint}",
        },
    ),
]
