// @azure/msal-node: ManagedIdentityApplication.
import { ManagedIdentityApplication } from "@azure/msal-node";

import { main } from "./answer.mjs";

const names = {
  client_id: "userAssignedClientId",
  object_id: "userAssignedObjectId",
  resource_id: "userAssignedResourceId",
};

await main({
  managed: (selector, value) => {
    const managedIdentityIdParams = selector === "none" ? {} : { [names[selector]]: value };
    const application = new ManagedIdentityApplication({ managedIdentityIdParams });
    return async (resource) => {
      const { accessToken, expiresOn } = await application.acquireToken({ resource });
      return { token: accessToken, expiresOn };
    };
  },
});
