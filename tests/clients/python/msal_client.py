"""MSAL's client of managed identities as a program: msal_client.py CREDENTIAL SELECTOR VALUE RESOURCE [twice]"""

import json
import sys
import time

import msal
import requests

SELECTORS = {
    "none": lambda _: msal.SystemAssignedManagedIdentity(),
    "client_id": lambda value: msal.UserAssignedManagedIdentity(client_id=value),
    "object_id": lambda value: msal.UserAssignedManagedIdentity(object_id=value),
    "resource_id": lambda value: msal.UserAssignedManagedIdentity(resource_id=value),
}


def ask(client: msal.ManagedIdentityClient, resource: str) -> dict:
    try:
        answer = client.acquire_token_for_client(resource=resource)
    except Exception as error:
        return {"error": " ".join(str(error).split()) or repr(error)}
    if "access_token" in answer:
        return {"token": answer["access_token"], "expires_on": int(time.time()) + int(answer["expires_in"])}
    return {"error": " ".join(f"{answer.get('error')}: {answer.get('error_description')}".split())}


def main(_: str, selector: str, value: str, resource: str, *twice: str) -> None:
    client = msal.ManagedIdentityClient(SELECTORS[selector](value), http_client=requests.Session())
    print(json.dumps(ask(client, resource)), flush=True)
    if twice:
        sys.stdin.readline()
        print(json.dumps(ask(client, resource)), flush=True)


main(*sys.argv[1:])
