"""The dialects of managed identity: which place serves each, and what it shows."""

from dataclasses import dataclass

from .service import LINK_LOCAL, LOOPBACK


@dataclass(frozen=True, eq=False)
class Dialect:
    """One way to reach the service, by the variables that `bursar env` prints. At the link-local address there are
    none: that this address leads to Bursar is for the namespace to see to."""

    name: str
    title: str
    has_secret: bool = False
    place: str = LOOPBACK

    @property
    def has_variables(self) -> bool:
        return self.place == LOOPBACK


DIALECTS = [
    Dialect("app-service", "App Service, Functions and Container Apps (2019-08-01)", has_secret=True),
    Dialect("imds", "VM IMDS, by variable"),
    Dialect("imds-link-local", "VM IMDS, at 169.254.169.254", place=LINK_LOCAL),
    Dialect("app-service-2017", "App Service 2017-09-01 and Azure ML", has_secret=True),
    Dialect("cloud-shell", "Cloud Shell"),
    Dialect("arc", "Azure Arc"),
    Dialect("service-fabric", "Service Fabric", has_secret=True),
]
