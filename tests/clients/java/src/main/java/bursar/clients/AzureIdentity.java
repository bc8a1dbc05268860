package bursar.clients;

import com.azure.core.credential.AccessToken;
import com.azure.core.credential.TokenCredential;
import com.azure.core.credential.TokenRequestContext;
import com.azure.identity.DefaultAzureCredentialBuilder;
import com.azure.identity.ManagedIdentityCredentialBuilder;

/** Gets tokens with azure-identity: {@code managed} and {@code default}. */
public final class AzureIdentity {
    private AzureIdentity() {
    }

    public static void main(String[] args) throws Exception {
        Contract.run(args, AzureIdentity::connect);
    }

    private static Contract.Get connect(Contract.Request request) {
        TokenCredential credential = switch (request.credential()) {
            case "managed" -> managed(request);
            case "default" -> chain(request);
            default -> throw request.unknown();
        };
        TokenRequestContext context = new TokenRequestContext().addScopes(request.resource() + "/.default");
        return () -> {
            AccessToken token = credential.getTokenSync(context);
            return new Contract.Token(token.getToken(), token.getExpiresAt().toEpochSecond());
        };
    }

    private static TokenCredential managed(Contract.Request request) {
        ManagedIdentityCredentialBuilder builder = new ManagedIdentityCredentialBuilder();
        return switch (request.selector()) {
            case "none" -> builder.build();
            case "client_id" -> builder.clientId(request.value()).build();
            case "object_id" -> builder.objectId(request.value()).build();
            case "resource_id" -> builder.resourceId(request.value()).build();
            default -> throw request.unknown();
        };
    }

    private static TokenCredential chain(Contract.Request request) {
        DefaultAzureCredentialBuilder builder = new DefaultAzureCredentialBuilder();
        return switch (request.selector()) {
            case "none" -> builder.build();
            case "client_id" -> builder.managedIdentityClientId(request.value()).build();
            case "resource_id" -> builder.managedIdentityResourceId(request.value()).build();
            default -> throw request.unknown();
        };
    }
}
