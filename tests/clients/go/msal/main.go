// Msal gets tokens with MSAL for Go's managed-identity client: `managed`.
package main

import (
	"context"
	"time"

	"bursar.test/clients/contract"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/managedidentity"
)

func main() {
	contract.Run(connect)
}

func connect(request contract.Request) (contract.Get, error) {
	id := identity(request)
	if request.Credential != "managed" || id == nil {
		return nil, request.Unknown()
	}
	client, err := managedidentity.New(id)
	if err != nil {
		return nil, err
	}
	return func() (string, time.Time, error) {
		result, err := client.AcquireToken(context.Background(), request.Resource)
		return result.AccessToken, result.ExpiresOn, err
	}, nil
}

func identity(request contract.Request) managedidentity.ID {
	switch request.Selector {
	case "none":
		return managedidentity.SystemAssigned()
	case "client_id":
		return managedidentity.UserAssignedClientID(request.Value)
	case "object_id":
		return managedidentity.UserAssignedObjectID(request.Value)
	case "resource_id":
		return managedidentity.UserAssignedResourceID(request.Value)
	}
	return nil
}
