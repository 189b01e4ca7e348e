//go:build peers

package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/doppelbox/doppelbox/keys"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
)

// peerData returns the folder with our programs for peers.
func peerData(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../testdata/peers")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// peerService is a real HTTPS service for shop.example, with an authority of
// its own.
type peerService struct {
	addr, ca string // Where it listens, and the file with its authority.

	mu       sync.Mutex
	accepts  func(token string) error // Nil accepts every request.
	requests []peerRequest
}

// peerRequest is what the service has received.
type peerRequest struct{ method, uri, body, token string }

func startService(t *testing.T) *peerService {
	t.Helper()
	authority, err := keys.NewCA(keys.CAOptions{Name: "the authority of shop.example"})
	if err != nil {
		t.Fatal(err)
	}
	s := &peerService{ca: filepath.Join(t.TempDir(), "service-ca.pem")}
	if err := os.WriteFile(s.ca, authority.PEM(), 0o644); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(s)
	if server.TLS, err = authority.TLSConfig("shop.example"); err != nil {
		t.Fatal(err)
	}
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	server.StartTLS()
	t.Cleanup(server.Close)
	s.addr = server.Listener.Addr().String()
	return s
}

func (s *peerService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return // The client has gone away.
	}
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, peerRequest{r.Method, r.RequestURI, string(body), token})
	if s.accepts != nil {
		if err := s.accepts(token); err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
		}
	}
}

// acceptIf makes the service accept the requests whose tokens it is content with.
func (s *peerService) acceptIf(check func(token string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepts = check
}

// request returns the one request that came since the last call.
func (s *peerService) request(t *testing.T) peerRequest {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.requests) != 1 {
		t.Fatalf("the service received %d requests, want one", len(s.requests))
	}
	r := s.requests[0]
	s.requests = nil
	return r
}

// tokenCase is a token as a service gets it, and what it says to it.
type tokenCase struct {
	Name     string `json:"-"`
	Token    string `json:"token"`
	Audience string `json:"audience"`
	refused  string // In the refusal's text; empty if it is to be accepted.
}

// tokenVerifier is a library of Google's that verifies tokens.
type tokenVerifier struct {
	command func(ctx context.Context, s *served) *exec.Cmd
	// What it says to a broken signature and to another audience.
	signature, audience string
}

// verify asks the verifier about tokens.
func (v tokenVerifier) verify(ctx context.Context, s *served, cases []tokenCase) ([]tokenAnswer, error) {
	job, err := json.Marshal(map[string]any{"pem": s.Certificates, "jwk": s.JWKSet, "ca": s.ca, "cases": cases})
	if err != nil {
		return nil, err
	}
	cmd := v.command(ctx, s)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(job), &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("running %v: %w\n%s", cmd.Args, err, &errs)
	}
	var answers []tokenAnswer
	if err := json.Unmarshal(out.Bytes(), &answers); err != nil {
		return nil, fmt.Errorf("reading what %v wrote: %w\n%s", cmd.Args, err, &out)
	}
	if len(answers) != len(cases) {
		return nil, fmt.Errorf("%v gave %d answers to %d tokens", cmd.Args, len(answers), len(cases))
	}
	return answers, nil
}

// tokenAnswer is what a verifier says to a token.
type tokenAnswer struct {
	Claims struct {
		Issuer          string `json:"iss"`
		Audience        string `json:"aud"`
		AuthorizedParty string `json:"azp"`
		Email           string `json:"email"`
		EmailVerified   bool   `json:"email_verified"`
		Subject         string `json:"sub"`
	}
	Refused string
}

// audience is that of the tokens of the sender's requests.
const audience = "https://shop.example"

// trusted says whether the token that was verified is the provider's. The
// libraries leave that to the service.
func (a tokenAnswer) trusted() error {
	const party = "gmail@system.gserviceaccount.com"
	c := a.Claims
	if a.Refused != "" || c.Issuer != "https://accounts.google.com" || c.Audience != audience || c.AuthorizedParty != party || c.Email != party || !c.EmailVerified || c.Subject == "" {
		return fmt.Errorf("not the provider's token: %+v", a)
	}
	return nil
}

// deliverAndClick delivers a mail, presses its button, and returns the token of
// the request.
func deliverAndClick(t *testing.T, s *served, service *peerService) string {
	t.Helper()
	// Scenario lines, so that this needs no mailer. The letter from the peer
	// is authenticated by SPF alone.
	s.call(t, "POST", "steps", "deliver mail.eml from="+peerEnvelope+" to="+peerAccount+" peer=192.0.2.10 helo="+peerHELO+"\nexpect action.0 == offered\n-- mail.eml --\n"+peerMail())
	m := s.message(t)
	s.click(t)
	if list := s.clicks(t, m); len(list) != 1 || list[0].State != mailbox.ClickSucceeded {
		t.Fatalf("the clicks are %+v", list)
	}
	return service.request(t).token
}

// tamper changes one part of a token: 0 is the header, 1 the payload, 2 the
// signature.
func tamper(t *testing.T, token string, part int, change func([]byte) []byte) string {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("the token has %d parts", len(parts))
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[part])
	if err != nil {
		t.Fatal(err)
	}
	changed := change(bytes.Clone(raw))
	if bytes.Equal(changed, raw) {
		t.Fatalf("part %d of the token was not changed: %s", part, raw)
	}
	parts[part] = base64.RawURLEncoding.EncodeToString(changed)
	return strings.Join(parts, ".")
}

// testTokens has tokens of real requests verified, before and after the keys
// have been rotated.
func testTokens(t *testing.T, v tokenVerifier) {
	service := startService(t)
	s := startServed(t, peerWorld(service.addr), "--trust", service.ca)
	first := deliverAndClick(t, s, service)
	cases := []tokenCase{
		{"good", first, audience, ""},
		{"another audience", first, "https://other.example", v.audience},
		{"payload changed", tamper(t, first, 1, func(raw []byte) []byte {
			return bytes.Replace(raw, []byte(audience), []byte("https://evil.example"), 1)
		}), "https://evil.example", v.signature},
		{"signature changed", tamper(t, first, 2, func(raw []byte) []byte { raw[len(raw)/2] ^= 1; return raw }), audience, v.signature},
	}
	checkTokens(t, s, v, cases)

	s.call(t, "POST", "steps", "rotate\n")
	second := deliverAndClick(t, s, service)
	if keyID(first) == keyID(second) {
		t.Errorf("after the rotation, the header of tokens is still %s", keyID(first))
	}
	checkTokens(t, s, v, []tokenCase{
		{"of the retired key", first, audience, ""},
		{"of the new key", second, audience, ""},
		{"of the new key with the signature of the retired one", second[:strings.LastIndexByte(second, '.')] + first[strings.LastIndexByte(first, '.'):], audience, v.signature},
	})
}

// keyID returns the header of a token, which names its key.
func keyID(token string) string {
	header, _, _ := strings.Cut(token, ".")
	return header
}

func checkTokens(t *testing.T, s *served, v tokenVerifier, cases []tokenCase) {
	t.Helper()
	answers, err := v.verify(s.ctx, s, cases)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range cases {
		if c.refused != "" {
			if !strings.Contains(answers[i].Refused, c.refused) {
				t.Errorf("token %q: %+v, want a refusal with %q", c.Name, answers[i], c.refused)
			}
			continue
		}
		if err := answers[i].trusted(); err != nil {
			t.Errorf("token %q: %v", c.Name, err)
		}
	}
}

// pythonVerifier is python3-google-auth of Debian.
func pythonVerifier(t *testing.T) tokenVerifier {
	t.Helper()
	// Not the python3 of PATH, which may be another one, without the packages.
	python := needDebian(t, "/usr/bin/python3", "python3")
	needDebianFor(t, "google-auth for Python", func() error {
		return exec.Command(python, "-c", "import google.oauth2.id_token, requests").Run()
	}, "python3-google-auth", "python3-requests")
	script := filepath.Join(peerData(t), "verify.py")
	return tokenVerifier{
		command:   func(ctx context.Context, _ *served) *exec.Cmd { return exec.CommandContext(ctx, python, script) },
		signature: "Could not verify token signature", audience: "Token has wrong audience",
	}
}

func TestPeersTokenPython(t *testing.T) {
	t.Parallel()
	testTokens(t, pythonVerifier(t))
}

func TestPeersTokenNode(t *testing.T) {
	t.Parallel()
	node := needNode(t, "google-auth-library@10.9.1")
	testTokens(t, tokenVerifier{
		command: func(ctx context.Context, s *served) *exec.Cmd {
			return node(ctx, "verify.cjs", "NODE_EXTRA_CA_CERTS="+s.ca)
		},
		signature: "Invalid token signature", audience: "Wrong recipient",
	})
}
