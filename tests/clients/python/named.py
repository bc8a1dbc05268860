"""A way to the emulated authority under a name that it has in the world, without asking any name server."""

from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter


class Named(HTTPAdapter):
    """Takes requests for a host to an address; the host stays what is asked for and what is certified."""

    def __init__(self, host: str, address: str):
        self._host, self._address = host, address
        super().__init__()

    def init_poolmanager(self, *arguments, **pool):
        return super().init_poolmanager(*arguments, server_hostname=self._host, assert_hostname=self._host, **pool)

    def send(self, request, *arguments, **how):
        request.headers["Host"] = self._host
        request.url = request.url.replace(f"https://{self._host}/", f"https://{self._address}/", 1)
        return super().send(request, *arguments, **how)


def session(sts, host: str) -> requests.Session:
    """An `http_client` for MSAL, to which `host` is the authority on loopback, and there is nothing else."""
    told = requests.Session()
    told.trust_env = False
    told.verify = sts.ca_file
    told.adapters.clear()
    told.mount(f"https://{host}/", Named(host, urlsplit(sts.authority).netloc))
    return told
