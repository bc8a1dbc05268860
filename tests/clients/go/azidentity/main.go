// Azidentity gets tokens with azidentity, the Azure SDK's credentials: `managed` and `default`.
package main

import (
	"context"
	"os"
	"time"

	"bursar.test/clients/contract"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

func main() {
	contract.Run(connect)
}

func connect(request contract.Request) (contract.Get, error) {
	credential, err := credential(request)
	if err != nil {
		return nil, err
	}
	options := policy.TokenRequestOptions{Scopes: []string{request.Resource + "/.default"}}
	return func() (string, time.Time, error) {
		token, err := credential.GetToken(context.Background(), options)
		return token.Token, token.ExpiresOn, err
	}, nil
}

func credential(request contract.Request) (azcore.TokenCredential, error) {
	switch request.Credential {
	case "managed":
		return managed(request)
	case "default":
		return chain(request)
	}
	return nil, request.Unknown()
}

func managed(request contract.Request) (azcore.TokenCredential, error) {
	options := azidentity.ManagedIdentityCredentialOptions{}
	switch request.Selector {
	case "none":
	case "client_id":
		options.ID = azidentity.ClientID(request.Value)
	case "object_id":
		options.ID = azidentity.ObjectID(request.Value)
	case "resource_id":
		options.ID = azidentity.ResourceID(request.Value)
	default:
		return nil, request.Unknown()
	}
	return azidentity.NewManagedIdentityCredential(&options)
}

// DefaultAzureCredential knows the identity from AZURE_CLIENT_ID alone; there is no option for it.
func chain(request contract.Request) (azcore.TokenCredential, error) {
	switch request.Selector {
	case "none":
	case "client_id":
		if err := os.Setenv("AZURE_CLIENT_ID", request.Value); err != nil {
			return nil, err
		}
	default:
		return nil, request.Unknown()
	}
	return azidentity.NewDefaultAzureCredential(nil)
}
