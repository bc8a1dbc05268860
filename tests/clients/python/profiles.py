"""The kinds of authority that MSAL tells apart, and how it is led to each."""

from dataclasses import dataclass

import jwt
import msal
import requests

import named
from authority import TENANT, TIMEOUT

RESOURCE = "https://vault.azure.net"
CIAM_HOST = "contoso.ciamlogin.com"
B2C_HOST = "contoso.b2clogin.com"
DOMAIN = "contoso.onmicrosoft.com"
POLICY = "B2C_1A_Apps"


@dataclass(frozen=True)
class Profile:
    """How MSAL is led to an authority, and what it should find there."""

    path: str
    token_path: str
    algorithm: str
    thumbprint: str
    client_claim: str
    host: str | None = None
    parameter: str = "authority"
    version: str = "/v2.0"

    def base(self, sts) -> str:
        return f"https://{self.host}" if self.host else sts.authority

    def http_client(self, sts) -> requests.Session:
        if self.host:
            return named.session(sts, self.host)
        told = requests.Session()
        told.verify = sts.ca_file
        return told

    def authority(self, sts) -> str:
        return self.base(sts) + self.path

    def client(self, sts, client_id, credential, **more):
        return msal.ConfidentialClientApplication(
            client_id,
            client_credential=credential,
            http_client=self.http_client(sts),
            instance_discovery=None if self.parameter == "oidc_authority" else False,
            **{self.parameter: self.authority(sts)},
            **more,
        )

    def document(self, sts) -> dict:
        url = f"{self.authority(sts)}{self.version}/.well-known/openid-configuration"
        return self.http_client(sts).get(url, timeout=TIMEOUT).json()

    def claims(self, sts, token) -> dict:
        """What a resource server makes of the token, which knows the authority by its document."""
        document = self.document(sts)
        answer = self.http_client(sts).get(document["jwks_uri"], timeout=TIMEOUT)
        keys = jwt.PyJWKSet.from_dict(answer.json())
        key = keys[jwt.get_unverified_header(token)["kid"]].key
        issuer = document.get("access_token_issuer", document["issuer"])
        return jwt.decode(token, key, algorithms=["RS256"], audience=RESOURCE, issuer=issuer)


ENTRA = Profile(f"/{TENANT}", f"/{TENANT}/oauth2/v2.0/token", "PS256", "x5t#S256", "appid")
PROFILES = {
    "adfs": Profile("/adfs", "/adfs/oauth2/token", "RS256", "x5t", "appid", version=""),
    "b2c": Profile(f"/{TENANT}/{POLICY}", f"/{TENANT}/{POLICY}/oauth2/v2.0/token", "PS256", "x5t#S256", "azp"),
    "b2c-host": Profile(
        f"/{DOMAIN}/{POLICY}", f"/{DOMAIN}/{POLICY}/oauth2/v2.0/token", "PS256", "x5t#S256", "azp", host=B2C_HOST
    ),
    "ciam": Profile(f"/{TENANT}", f"/{TENANT}/oauth2/v2.0/token", "PS256", "x5t#S256", "appid", host=CIAM_HOST),
    "ciam-domain": Profile(f"/{DOMAIN}", "/oauth2/v2.0/token", "PS256", "x5t#S256", "appid", host=CIAM_HOST),
    "oidc": Profile(
        "/oidc", "/oidc/token", "PS256", "x5t#S256", "client_id", parameter="oidc_authority", version=""
    ),
    "oidc-of-ciam": Profile(
        f"/{TENANT}/v2.0",
        f"/{TENANT}/oauth2/v2.0/token",
        "PS256",
        "x5t#S256",
        "appid",
        host=CIAM_HOST,
        parameter="oidc_authority",
        version="",
    ),
}
