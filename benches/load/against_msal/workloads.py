"""The four workloads that MSAL for Python publishes figures of, run as often as each line of the input says.

They are those of its tests/test_benchmark.py: one or a thousand applications with ten tokens each, and an
application that is drawn for each call. What is asked for is in the cache, or is answered by a function in place of
a socket and, since the cache can then no longer be changed, is asked for anew each time.
"""

import random
import sys
from unittest.mock import patch

import msal


class Answer:
    status_code = 200
    headers = {}

    def __init__(self, text):
        self.text = text

    def raise_for_status(self):
        pass


def post(url, **kwargs):
    return Answer('{"access_token": "AT for %s", "token_type": "bearer"}' % kwargs["data"]["scope"])


def ask(application, scope="scope"):
    return application.acquire_token_for_client([scope], post=post)


def applications(tenants, hit):
    endpoint = "https://contoso.com/placeholder"
    discovered = {"authorization_endpoint": endpoint, "token_endpoint": endpoint, "issuer": endpoint}
    with patch.object(msal.authority, "tenant_discovery", return_value=discovered):
        made = [
            msal.ConfidentialClientApplication(
                "client_id",
                client_credential="foo",
                authority="https://login.microsoftonline.com/tenant_%s" % tenant,
            )
            for tenant in range(tenants)
        ]
        for application in made:
            for scope in range(10):
                ask(application, "scope_%s" % scope)
            if hit:
                ask(application)
            application.token_cache.modify = lambda *args, **kwargs: None
            assert ask(application)["access_token"] == "AT for scope"
    return made


workloads = {
    "%s %s" % (tenants, what): applications(tenants, what == "hit") for tenants in (1, 1000) for what in ("hit", "miss")
}
print(msal.__version__, flush=True)
for line in sys.stdin:
    name, times = line.rsplit(" ", 1)
    made = workloads[name]
    for _ in range(int(times)):
        ask(random.choice(made))
    print("done", flush=True)
