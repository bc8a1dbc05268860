// Package contract is what every client program of the matrix has in common: its arguments and its one line per token.
package contract

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
)

// Request is what the command line asks for: CREDENTIAL SELECTOR VALUE RESOURCE [twice].
type Request struct {
	Credential string
	Selector   string // none, client_id, object_id or resource_id
	Value      string
	Resource   string
	Twice      bool
}

// Get asks one and the same credential object for a token.
type Get func() (token string, expires time.Time, err error)

// Run makes a credential for the request and prints one line for each token that it is asked for.
// What the SDK refuses is an outcome, and so a line as well; only wrong arguments are a failure.
func Run(connect func(Request) (Get, error)) {
	request, err := parse(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(64)
	}
	get, err := connect(request)
	if err != nil {
		get = func() (string, time.Time, error) { return "", time.Time{}, err }
	}
	print(get())
	if request.Twice && bufio.NewScanner(os.Stdin).Scan() {
		print(get())
	}
}

func parse(args []string) (Request, error) {
	if len(args) < 4 || len(args) > 5 || (len(args) == 5 && args[4] != "twice") {
		return Request{}, fmt.Errorf("usage: CREDENTIAL none|client_id|object_id|resource_id VALUE RESOURCE [twice]")
	}
	return Request{args[0], args[1], args[2], args[3], len(args) == 5}, nil
}

// Unknown is the error for a credential or a selector that a program has not got.
func (r Request) Unknown() error {
	return fmt.Errorf("%s with %s: this client has no such thing", r.Credential, r.Selector)
}

func print(token string, expires time.Time, err error) {
	line := map[string]any{"token": token, "expires_on": expires.Unix()}
	if err != nil {
		line = map[string]any{"error": strings.Join(strings.Fields(err.Error()), " ")}
	}
	if err := json.NewEncoder(os.Stdout).Encode(line); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(74)
	}
}
