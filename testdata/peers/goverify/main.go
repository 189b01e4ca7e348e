// Goverify asks one of three libraries about tokens, as a service written in Go
// would: idtoken of google.golang.org/api, idtoken of cloud.google.com/go/auth,
// or go-oidc. What it reads and writes is what verify.py does.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	authidtoken "cloud.google.com/go/auth/credentials/idtoken"
	"github.com/coreos/go-oidc/v3/oidc"
	"google.golang.org/api/idtoken"
)

// verifier returns the claims of a token that is good for an audience.
type verifier func(ctx context.Context, token, audience string) (map[string]any, error)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "goverify:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	libraries := map[string]verifier{"idtoken": byIDToken, "auth": byAuth, "oidc": byOIDC()}
	if len(args) != 1 || libraries[args[0]] == nil {
		return fmt.Errorf("called with %q, want idtoken, auth or oidc", args)
	}
	jobs, answers := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var job struct{ Token, Audience string }
		if err := jobs.Decode(&job); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		answer := map[string]any{}
		if claims, err := libraries[args[0]](ctx, job.Token, job.Audience); err != nil {
			answer["refused"] = err.Error()
		} else {
			answer["claims"] = claims
		}
		if err := answers.Encode(answer); err != nil {
			return err
		}
	}
}

func byIDToken(ctx context.Context, token, audience string) (map[string]any, error) {
	payload, err := idtoken.Validate(ctx, token, audience)
	if err != nil {
		return nil, err
	}
	return payload.Claims, nil
}

func byAuth(ctx context.Context, token, audience string) (map[string]any, error) {
	payload, err := authidtoken.Validate(ctx, token, audience)
	if err != nil {
		return nil, err
	}
	return payload.Claims, nil
}

// byOIDC looks the provider up once, as its keys are kept with it.
func byOIDC() verifier {
	var provider *oidc.Provider
	return func(ctx context.Context, token, audience string) (map[string]any, error) {
		if provider == nil {
			var err error
			if provider, err = oidc.NewProvider(ctx, "https://accounts.google.com"); err != nil {
				return nil, err
			}
		}
		verified, err := provider.Verifier(&oidc.Config{ClientID: audience}).Verify(ctx, token)
		if err != nil {
			return nil, err
		}
		var claims map[string]any
		return claims, verified.Claims(&claims)
	}
}
