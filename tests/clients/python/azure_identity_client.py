"""azure-identity as a program: azure_identity_client.py CREDENTIAL SELECTOR VALUE RESOURCE [twice]"""

import asyncio
import inspect
import json
import sys

import azure.identity
import azure.identity.aio

NAMES = {"managed": "ManagedIdentityCredential", "default": "DefaultAzureCredential"}


def options(kind: str, selector: str, value: str) -> dict:
    """How each credential is told which identity it is to be."""
    match kind, selector:
        case _, "none":
            return {}
        case "managed", "client_id":
            return {"client_id": value}
        case "default", "client_id":
            return {"managed_identity_client_id": value}
        case "managed", _:
            return {"identity_config": {selector: value}}
    raise ValueError(f"{NAMES[kind]} has no option for {selector}")


async def result(of):
    return await of if inspect.isawaitable(of) else of


async def ask(credential, resource: str) -> dict:
    token = await result(credential.get_token(resource + "/.default"))
    return {"token": token.token, "expires_on": token.expires_on}


async def told(answer) -> None:
    try:
        said = await answer
    except Exception as error:
        said = {"error": " ".join(str(error).split()) or repr(error)}
    print(json.dumps(said), flush=True)


async def main(name: str, selector: str, value: str, resource: str, *twice: str) -> None:
    kind, _, flavour = name.partition("-")
    module = azure.identity.aio if flavour == "async" else azure.identity
    try:
        credential = getattr(module, NAMES[kind])(**options(kind, selector, value))
    except Exception as error:
        print(json.dumps({"error": str(error)}))
        return
    await told(ask(credential, resource))
    if twice:
        await asyncio.to_thread(sys.stdin.readline)
        await told(ask(credential, resource))
    await result(credential.close())


asyncio.run(main(*sys.argv[1:]))
