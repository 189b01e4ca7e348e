package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

type keysToken struct {
	apiFlag
	Aud      string   `placeholder:"URL" help:"The audience: the sender's domain as URL, such as https://shop.example."`
	Persona  string   `default:"provider" placeholder:"WHO" help:"Whose token: provider or other-provider. Default provider."`
	Provider string   `placeholder:"DOMAIN" help:"The provider, where a world has several. Default the first."`
	Claim    []string `sep:"none" placeholder:"NAME=JSON" help:"Set a claim. What is no JSON is a string; null or nothing removes it."`
	Header   []string `sep:"none" placeholder:"NAME=JSON" help:"Set a header parameter, likewise."`
	Sign     string   `default:"current" placeholder:"HOW" help:"How to sign: current, or as an attacker: stranger, withdrawn, hmac, none, broken, truncated."`
	Embed    []string `enum:"jwk,x5c" placeholder:"jwk,x5c" help:"Put the signing key into the header, as a JWK or as a certificate."`
	TTL      string   `name:"ttl" placeholder:"DUR" help:"Let it live that long after iat."`
	Iat      string   `placeholder:"TIME" help:"When it was issued: RFC 3339, or from now by the provider's clock, as in --iat=-10m."`
	Exp      string   `placeholder:"TIME" help:"When it expires, likewise."`
	JSON     bool     `name:"json" help:"Print as JSON, with header and claims."`
}

// Run prints a token that the running provider makes.
func (c *keysToken) Run(ctx context.Context, s streams) error {
	header, err := members("header", c.Header)
	if err != nil {
		return err
	}
	claims, err := members("claim", c.Claim)
	if err != nil {
		return err
	}
	if _, given := claims["aud"]; c.Aud == "" && !given {
		return usagef("--aud is missing: the sender's domain as URL, such as --aud https://shop.example")
	}
	if c.Aud != "" && !strings.HasPrefix(c.Aud, "https://") {
		fmt.Fprintf(s.err, "doppelbox: note: the provider's own tokens are for a URL, such as https://%s\n", oneLine(c.Aud))
	}
	question := map[string]any{
		"audience": c.Aud, "persona": c.Persona, "provider": c.Provider, "claims": claims, "header": header,
		"signing": c.Sign, "ttl": c.TTL, "iat": c.Iat, "exp": c.Exp,
	}
	for _, how := range c.Embed {
		question[map[string]string{"jwk": "embedKey", "x5c": "embedChain"}[how]] = true
	}
	var made struct {
		Token  string          `json:"token"`
		Header json.RawMessage `json:"header,omitempty"`
		Claims json.RawMessage `json:"claims,omitempty"`
	}
	if err := c.ask(ctx, "/api/v1/tokens", question, &made); err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(s, made)
	}
	// Nothing else, so that a shell can put it into a command.
	_, err = fmt.Fprintln(s.out, made.Token)
	return err
}

// members reads NAME=JSON.
func members(flag string, list []string) (map[string]json.RawMessage, error) {
	read := map[string]json.RawMessage{}
	for _, text := range list {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, usagef("--%s %q: want NAME=JSON, or NAME= to remove it", flag, text)
		}
		switch {
		case value == "":
			read[name] = json.RawMessage("null")
		case json.Valid([]byte(value)):
			read[name] = json.RawMessage(value)
		default:
			quoted, err := json.Marshal(value)
			if err != nil {
				return nil, usageError{err}
			}
			read[name] = quoted
		}
	}
	return read, nil
}
