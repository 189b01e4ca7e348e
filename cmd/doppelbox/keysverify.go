package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/doppelbox/doppelbox/keys"
	"github.com/doppelbox/doppelbox/policy"
)

type keysVerify struct {
	apiFlag
	Token    []string `arg:"" optional:"" help:"The token, also with \"Bearer\" before it, or as keys token --json prints it; - or none reads standard input."`
	Aud      string   `placeholder:"URL" help:"What the audience must be. Without it, any is good."`
	At       string   `placeholder:"TIME" help:"Verify as of then: RFC 3339, or from now, as in --at=-10m. Default now, by the provider's clock. The keys are those of now."`
	Provider string   `placeholder:"DOMAIN" help:"The provider, where a world has several. Default the first."`
	Keys     string   `placeholder:"FILE" help:"Ask no provider, and verify with the keys of a file: a JWK, a JWK set, PEM by key id in JSON, or PEM."`
	Alg      []string `placeholder:"ALG" help:"With --keys: the algorithms that are permitted. Default RS256."`
	Iss      string   `placeholder:"URL" help:"With --keys: what the issuer must be."`
	Azp      string   `placeholder:"ID" help:"With --keys: what the authorized party must be."`
	Foreign  bool     `help:"With --keys: it is no mail provider's token; aud may be a list, iat missing, a time have a fraction, the email not be verified, the life be long."`
	JWS      bool     `name:"jws" help:"With --keys: look at the signature only; the payload may be anything."`
	JSON     bool     `name:"json" help:"Print as JSON."`
}

// maxTokenText bounds what is read of a token: a longer one is none.
const maxTokenText = 64 << 10

// Run verifies a token and prints what was found.
func (c *keysVerify) Run(ctx context.Context, s streams) error {
	token, err := c.token(s)
	if err != nil {
		return err
	}
	var e keys.Examination
	clock := "the provider's clock"
	if c.Keys != "" {
		clock = "the time of this machine"
		e, err = c.examine(token)
	} else {
		e, err = c.askProvider(ctx, token)
	}
	if err != nil {
		return err
	}
	if c.At != "" {
		clock = "--at"
	}
	if c.JSON {
		err = writeJSON(s, e)
	} else {
		_, err = io.WriteString(s.out, examinationText(e, clock))
	}
	if err == nil && !e.Verified {
		return errNotHeld
	}
	return err
}

// token is the token as it was given, without what stands around it in a header
// field or a file. No error has it in it.
func (c *keysVerify) token(s streams) (string, error) {
	text := strings.Join(c.Token, " ")
	if text == "" || text == "-" {
		data, err := io.ReadAll(io.LimitReader(s.in, maxTokenText+1))
		if err != nil {
			return "", usagef("reading the token: %w", err)
		}
		text = string(data)
	}
	if len(text) > maxTokenText {
		return "", usagef("the token has more than %d octets", maxTokenText)
	}
	return bare(text), nil
}

// bare returns a token without what stands around it where it was copied from: a
// byte order mark, quotes, the name of its field, the scheme, what keys token
// --json prints beside it, and the line breaks of a mail or a log.
func bare(text string) string {
	text = unquoted(strings.TrimPrefix(text, "\ufeff"))
	if name, rest, ok := strings.Cut(text, ":"); ok && strings.EqualFold(strings.TrimSpace(name), "Authorization") {
		text = unquoted(rest)
	}
	if fields := strings.Fields(text); len(fields) > 1 && strings.EqualFold(fields[0], "Bearer") {
		text = unquoted(strings.Join(fields[1:], " "))
	}
	var made struct {
		Token string `json:"token"`
	}
	if json.Unmarshal([]byte(text), &made) == nil && made.Token != "" {
		text = made.Token
	}
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\r' || r == '\n' })
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(lines, "")
}

// unquoted returns a text without the quotes around it.
func unquoted(text string) string { return strings.Trim(strings.TrimSpace(text), `"'`) }

// askProvider lets the running provider verify the token.
func (c *keysVerify) askProvider(ctx context.Context, token string) (keys.Examination, error) {
	var e keys.Examination
	if c.Alg != nil || c.Iss != "" || c.Azp != "" || c.Foreign || c.JWS {
		return e, usagef("--alg, --iss, --azp, --foreign and --jws go with --keys: the provider knows its own")
	}
	err := c.ask(ctx, "/api/v1/tokens/verify", map[string]any{"token": token, "audience": c.Aud, "at": c.At, "provider": c.Provider}, &e)
	return e, err
}

// examine verifies the token with the keys of the file.
func (c *keysVerify) examine(token string) (keys.Examination, error) {
	if c.Provider != "" {
		return keys.Examination{}, usagef("--provider goes without --keys: no provider is asked")
	}
	for _, alg := range c.Alg {
		if !slices.Contains(keys.Algorithms(), alg) {
			return keys.Examination{}, usagef("--alg: there is no algorithm %q%s", alg, policy.Suggest(alg, keys.Algorithms()))
		}
	}
	at, err := c.time()
	if err != nil {
		return keys.Examination{}, err
	}
	f, err := os.Open(c.Keys)
	if err != nil {
		return keys.Examination{}, usagef("--keys: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxAnswer+1))
	if err != nil {
		return keys.Examination{}, usagef("--keys: %w", err)
	}
	if len(data) > maxAnswer {
		return keys.Examination{}, usagef("--keys: %s has more than %d octets", c.Keys, maxAnswer)
	}
	trusted, err := keys.ParseKeys(data)
	if err != nil {
		return keys.Examination{}, usagef("--keys: %s: %w", c.Keys, err)
	}
	return keys.Examine(token, trusted, keys.VerifyOptions{
		Audience: c.Aud, AnyAudience: c.Aud == "", At: at, Issuer: c.Iss, AuthorizedParty: c.Azp,
		Algorithms: c.Alg, Foreign: c.Foreign, SignatureOnly: c.JWS,
	}), nil
}

// time is when the token is verified.
func (c *keysVerify) time() (time.Time, error) {
	now := time.Now()
	if c.At == "" {
		return now, nil
	}
	if at, err := time.Parse(time.RFC3339, c.At); err == nil {
		return at, nil
	}
	d, err := time.ParseDuration(c.At)
	if err != nil {
		return now, usagef("--at: %q is neither a time (2026-01-15T09:00:00Z) nor a duration from now (-10m)", c.At)
	}
	return now.Add(d), nil
}

// examinationText tells people what was found.
func examinationText(e keys.Examination, clock string) string {
	var b strings.Builder
	vouched := ""
	if e.Verified {
		fmt.Fprintf(&b, "verified at %s (%s)\n", e.At.Format(time.RFC3339), clock)
	} else {
		vouched = " (not verified)"
		fmt.Fprintf(&b, "not verified at %s (%s): %s\n", e.At.Format(time.RFC3339), clock, e.Reason)
	}
	writeMembers(&b, "header"+vouched, e.Header)
	writeMembers(&b, "claims"+vouched, e.Claims)
	b.WriteString("checks\n")
	for _, f := range e.Findings {
		fmt.Fprintf(&b, "  %-4s  %-16s  %s", f.Result, f.Check, policy.Printable(f.Detail))
		if f.Reason != "" {
			fmt.Fprintf(&b, "  [%s]", f.Reason)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// writeMembers writes the members of a JSON object, in the order in which it
// has them.
func writeMembers(b *strings.Builder, title string, object json.RawMessage) {
	d := json.NewDecoder(bytes.NewReader(object))
	if _, err := d.Token(); err != nil {
		return
	}
	b.WriteString(title + "\n")
	for d.More() {
		name, err := d.Token()
		var value json.RawMessage
		if err != nil || d.Decode(&value) != nil {
			return
		}
		var compact bytes.Buffer
		if json.Compact(&compact, value) != nil {
			return
		}
		fmt.Fprintf(b, "  %-14s  %s\n", policy.Printable(fmt.Sprint(name)), policy.Printable(compact.String()))
	}
}
