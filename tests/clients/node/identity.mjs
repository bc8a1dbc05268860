// @azure/identity: ManagedIdentityCredential by itself, and DefaultAzureCredential with all that it tries.
import { DefaultAzureCredential, ManagedIdentityCredential } from "@azure/identity";

import { main } from "./answer.mjs";

const managed = { client_id: "clientId", object_id: "objectId", resource_id: "resourceId" };
const byDefault = { client_id: "managedIdentityClientId", resource_id: "managedIdentityResourceId" };

await main({
  managed: (selector, value) => asking(new ManagedIdentityCredential(options(managed, selector, value))),
  default: (selector, value) => asking(new DefaultAzureCredential(options(byDefault, selector, value))),
});

function options(names, selector, value) {
  if (selector === "none") {
    return {};
  }
  if (!names[selector]) {
    throw new Error(`this credential has no option for ${selector}`);
  }
  return { [names[selector]]: value };
}

function asking(credential) {
  return async (resource) => {
    const { token, expiresOnTimestamp } = await credential.getToken(`${resource}/.default`);
    return { token, expiresOn: new Date(expiresOnTimestamp) };
  };
}
