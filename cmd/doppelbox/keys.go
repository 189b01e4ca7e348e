package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/doppelbox/doppelbox/keys"
	"github.com/doppelbox/doppelbox/policy"
)

type keysCommand struct {
	List   keysList   `cmd:"" default:"withargs" help:"List the published keys."`
	Rotate keysRotate `cmd:"" help:"Make the provider sign with its next key."`
	Export keysExport `cmd:"" help:"Print a published form of the keys, or the authority."`
	Token  keysToken  `cmd:"" help:"Print a bearer token, good or forged."`
	Verify keysVerify `cmd:"" help:"Verify a bearer token, and say why not."`
}

type keysList struct {
	apiFlag
	JSON bool `name:"json" help:"Print as JSON, with the certificates."`
}

// Run lists the keys.
func (c *keysList) Run(ctx context.Context, s streams) error {
	data, err := c.call(ctx, http.MethodGet, "/api/v1/keys", "")
	if err != nil {
		return err
	}
	if c.JSON {
		_, err := s.out.Write(data)
		return err
	}
	var list []keys.Key
	if err := json.Unmarshal(data, &list); err != nil {
		return usagef("reading the list of keys: %w", err)
	}
	for _, k := range list {
		fmt.Fprintf(s.out, "%s %s", policy.Printable(k.ID), policy.Printable(string(k.State)))
		if !k.Until.IsZero() {
			fmt.Fprintf(s.out, " until %s", k.Until.UTC().Format(time.RFC3339))
		}
		fmt.Fprintln(s.out)
	}
	return nil
}

type keysRotate struct {
	apiFlag
	Withdraw bool `help:"Publish no key any more that has signed, as when keys have become known to others. It is never too soon for that."`
	JSON     bool `name:"json" help:"Print the keys as JSON, with the certificates."`
}

// Run rotates the keys.
func (c *keysRotate) Run(ctx context.Context, s streams) error {
	step := "rotate\n"
	if c.Withdraw {
		step = "rotate withdraw=yes\n"
	}
	if _, err := c.call(ctx, http.MethodPost, "/api/v1/steps", step); err != nil {
		if refused, ok := errors.AsType[*statusError](err); ok && refused.status == http.StatusConflict {
			return hinted{err, "in an emergency, doppelbox keys rotate --withdraw does not wait"}
		}
		return err
	}
	return (&keysList{apiFlag: c.apiFlag, JSON: c.JSON}).Run(ctx, s)
}

type keysExport struct {
	apiFlag
	Form string `enum:"certs,jwks,discovery,ca" default:"jwks" help:"certs (X.509 map), jwks (JWK set), discovery, or ca (the authority, PEM)."`
	From string `env:"DOPPELBOX_CERTS" placeholder:"URL" help:"Where the certificates are published; default https://127.0.0.1:8443."`
	Out  string `short:"o" placeholder:"FILE" help:"Write to a file."`
}

// Run prints a published form, fetched as a verifier fetches it: over HTTPS,
// trusting the provider's authority and nobody else.
func (c *keysExport) Run(ctx context.Context, s streams) error {
	data, err := c.call(ctx, http.MethodGet, "/api/v1/ca.pem", "")
	if err != nil {
		return err
	}
	if c.Form != "ca" {
		if data, err = c.fetch(ctx, data); err != nil {
			return err
		}
	}
	if c.Out == "" {
		_, err := s.out.Write(data)
		return err
	}
	if err := os.WriteFile(c.Out, data, 0o644); err != nil {
		return usageError{err}
	}
	return nil
}

func (c *keysExport) fetch(ctx context.Context, ca []byte) ([]byte, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(bytes.TrimSpace(ca)) {
		return nil, usagef("the provider's authority cannot be read")
	}
	path := map[string]string{"certs": keys.PathCertificates, "jwks": keys.PathJWKS, "discovery": keys.PathDiscovery}[c.Form]
	// Under exec it is the address of one of the forms.
	base := strings.TrimSuffix(strings.TrimSuffix(c.From, keys.PathCertificates), "/")
	if base == "" {
		base = "https://127.0.0.1:8443"
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+path, nil)
	if err != nil {
		return nil, usageError{err}
	}
	client := http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}
	answer, err := client.Do(r)
	if err != nil {
		return nil, hinted{usagef("%w", err), "name the address with --from, as doppelbox serve prints it"}
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, usagef("%s answered %s", r.URL, answer.Status)
	}
	return readWhole(r.URL.String(), answer.Body)
}
