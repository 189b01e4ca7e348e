package main

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/keys"
)

// audience is that of the tokens of the sender's requests.
const audience = "https://shop.example"

// verifierColumns are the libraries that verify tokens in the tests with peers,
// as README names them. Versions and copies of one library are one column: they
// agree.
var verifierColumns = []struct{ name, heading string }{
	{"idtoken", "Go idtoken"},
	{"oidc", "go-oidc"},
	{"node", "Node"},
	{"python", "google-auth"},
	{"oauth2client", "oauth2client"},
	{"java", "Java"},
}

// verifierToken is a token that verifiers are asked about, and what they say.
// It is what the provider sends with a request but for what is named here.
type verifierToken struct {
	name    string
	accepts string // The columns that accept it, all, or none.

	signing                keys.Signing
	header, claims         map[string]any // A time.Duration is a time from now on, as is a fraction; nil removes.
	currentKid             bool           // The header names the key that signs, whoever has signed.
	embedKey, embedChain   bool
	payloadChanged, cutOff bool // What is changed in a finished token.
}

// fraction is how long from now on a time is that is not written in whole
// seconds.
type fraction time.Duration

// verifierTokens are the tokens, with the answers that the libraries gave. That
// a library refuses what another one accepts is why a service has to know its
// own; what all accept, the service has to look at itself.
var verifierTokens = []verifierToken{
	{name: "as the provider makes it", accepts: "all"},

	{name: "`aud` of another sender", accepts: "none", claims: map[string]any{"aud": "https://other.example"}},
	{name: "`aud` with a slash at its end", accepts: "none", claims: map[string]any{"aud": audience + "/"}},
	{name: "`aud` that begins like the right one", accepts: "none", claims: map[string]any{"aud": audience + ".evil.example"}},
	{name: "`aud` as a list", accepts: "oidc java", claims: map[string]any{"aud": []string{audience}}},
	{name: "no `aud`", accepts: "none", claims: map[string]any{"aud": nil}},

	{name: "`iss` without https://", accepts: "all", claims: map[string]any{"iss": "accounts.google.com"}},
	{name: "`iss` of somebody else", accepts: "idtoken python oauth2client", claims: map[string]any{"iss": "https://accounts.google.com.evil.example"}},
	{name: "`azp` of another client", accepts: "all", claims: map[string]any{"azp": "another-client.apps.googleusercontent.com"}},
	{name: "no `azp`", accepts: "all", claims: map[string]any{"azp": nil}},
	{name: "`email` of somebody else", accepts: "all", claims: map[string]any{"email": "mallory@evil.example"}},
	{name: "`email_verified` false", accepts: "all", claims: map[string]any{"email_verified": false}},

	{name: "expired 10 minutes ago", accepts: "none", claims: map[string]any{"iat": -70 * time.Minute, "exp": -10 * time.Minute}},
	{name: "no `exp`", accepts: "none", claims: map[string]any{"exp": nil}},
	{name: "`exp` in 48 hours", accepts: "idtoken oidc python java", claims: map[string]any{"exp": 48 * time.Hour}},
	{name: "`iat` in 10 minutes", accepts: "idtoken oidc", claims: map[string]any{"iat": 10 * time.Minute}},
	{name: "no `iat`", accepts: "idtoken oidc", claims: map[string]any{"iat": nil}},
	{name: "`exp` with half a second", accepts: "oidc node python oauth2client", claims: map[string]any{"exp": fraction(30 * time.Minute)}},
	{name: "`iat` with half a second", accepts: "oidc node python oauth2client", claims: map[string]any{"iat": fraction(-10 * time.Minute)}},
	{name: "`iat` 0", accepts: "idtoken oidc python oauth2client java", claims: map[string]any{"iat": 0}},
	{name: "`nbf` in 30 minutes", accepts: "idtoken node python oauth2client java", claims: map[string]any{"nbf": 30 * time.Minute}},

	{name: "`typ` a number", accepts: "oidc node python oauth2client", header: map[string]any{"typ": 5}},
	{name: "signature changed", accepts: "none", signing: keys.SignBroken},
	{name: "payload changed", accepts: "none", payloadChanged: true},
	{name: "signature truncated", accepts: "none", signing: keys.SignTruncated},
	{name: "no third part", accepts: "none", cutOff: true},
	{name: "`alg` none", accepts: "none", signing: keys.SignNone, currentKid: true},
	{name: "HS256 with the public certificate", accepts: "none", signing: keys.SignHMAC},
	{name: "`kid` unknown", accepts: "oauth2client", header: map[string]any{"kid": "0000000000000000000000000000000000000000"}},
	{name: "no `kid`", accepts: "oidc python oauth2client", header: map[string]any{"kid": nil}},
	{name: "a stranger's key", accepts: "none", signing: keys.SignStranger},
	{name: "a stranger's key under the right `kid`", accepts: "none", signing: keys.SignStranger, currentKid: true},
	{name: "a stranger's key by `jku`", accepts: "none", signing: keys.SignStranger, header: map[string]any{"jku": "https://www.googleapis.com" + keys.PathStrangerJWKS}},
	{name: "a stranger's key in `jwk`", accepts: "none", signing: keys.SignStranger, embedKey: true},
	{name: "a stranger's key in `x5c`", accepts: "none", signing: keys.SignStranger, embedChain: true},
	{name: "a key that was withdrawn", accepts: "none", signing: keys.SignWithdrawn},
}

// acceptedBy says whether the library of a column accepts the token.
func (v verifierToken) acceptedBy(column string) bool {
	return v.accepts == "all" || slices.Contains(strings.Fields(v.accepts), column)
}

// verifierTable is what README says of verifiers: what all of them refuse, what
// none of them does, and a table of the rest.
func verifierTable() string {
	var b strings.Builder
	var refused, accepted []string
	b.WriteString("| token |")
	for _, c := range verifierColumns {
		fmt.Fprintf(&b, " %s |", c.heading)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(verifierColumns)) + "\n")
	for i, v := range verifierTokens {
		switch {
		case i == 0: // The good one.
		case v.accepts == "none":
			refused = append(refused, v.name)
		case v.accepts == "all":
			accepted = append(accepted, v.name)
		default:
			fmt.Fprintf(&b, "| %s |", v.name)
			for _, c := range verifierColumns {
				fmt.Fprintf(&b, " %s |", map[bool]string{true: "accepted", false: "refused"}[v.acceptedBy(c.name)])
			}
			b.WriteByte('\n')
		}
	}
	fmt.Fprintf(&b, "\n- All accept: %s.\n- All refuse: %s.\n", strings.Join(accepted, "; "), strings.Join(refused, "; "))
	return b.String()
}

// TestVerifierPrograms holds that the programs that verify tokens know nothing of
// us: they could be anybody's.
func TestVerifierPrograms(t *testing.T) {
	t.Parallel()
	folder := os.DirFS("../../testdata/peers")
	var paths []string
	for _, pattern := range []string{"verify.*", "Verify.*", "goverify/*", "goverify/*/*"} {
		list, err := fs.Glob(folder, pattern)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, list...)
	}
	if len(paths) < 7 {
		t.Errorf("the programs are only %q", paths)
	}
	for _, path := range paths {
		if info, err := fs.Stat(folder, path); err != nil || info.IsDir() {
			continue // Glob named it just now.
		}
		text, err := fs.ReadFile(folder, path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(strings.ToLower(string(text)), "doppelbox") {
			t.Errorf("%s names doppelbox", path)
		}
	}
}
