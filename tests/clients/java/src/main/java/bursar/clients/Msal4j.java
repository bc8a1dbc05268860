package bursar.clients;

import com.microsoft.aad.msal4j.IAuthenticationResult;
import com.microsoft.aad.msal4j.ManagedIdentityApplication;
import com.microsoft.aad.msal4j.ManagedIdentityId;
import com.microsoft.aad.msal4j.ManagedIdentityParameters;

/** Gets tokens with MSAL for Java's managed-identity application: {@code managed}. */
public final class Msal4j {
    private Msal4j() {
    }

    public static void main(String[] args) throws Exception {
        Contract.run(args, Msal4j::connect);
    }

    private static Contract.Get connect(Contract.Request request) {
        if (!request.credential().equals("managed")) {
            throw request.unknown();
        }
        ManagedIdentityApplication application = ManagedIdentityApplication.builder(identity(request)).build();
        return () -> {
            ManagedIdentityParameters parameters = ManagedIdentityParameters.builder(request.resource()).build();
            IAuthenticationResult result = application.acquireTokenForManagedIdentity(parameters).get();
            return new Contract.Token(result.accessToken(), result.expiresOnDate().toInstant().getEpochSecond());
        };
    }

    private static ManagedIdentityId identity(Contract.Request request) {
        return switch (request.selector()) {
            case "none" -> ManagedIdentityId.systemAssigned();
            case "client_id" -> ManagedIdentityId.userAssignedClientId(request.value());
            case "object_id" -> ManagedIdentityId.userAssignedObjectId(request.value());
            case "resource_id" -> ManagedIdentityId.userAssignedResourceId(request.value());
            default -> throw request.unknown();
        };
    }
}
