//go:build peers

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/doppelbox/doppelbox/keys"
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

// tokenVerifier is a program that asks a library about tokens.
type tokenVerifier struct {
	column string // That of the library in verifierColumns.
	argv   []string
	keeps  bool // It keeps the keys that it fetched as long as Cache-Control says, or longer.
	// refusals is how the library says that a token is bad, in contrast to
	// everything else that may go wrong.
	refusals *regexp.Regexp
}

// verify asks a verifier about a token of a provider that is served.
func (v tokenVerifier) verify(s *served, token string) (tokenAnswer, error) {
	job, err := json.Marshal(tokenJob{token, audience})
	if err != nil {
		return tokenAnswer{}, err
	}
	cmd := exec.CommandContext(s.ctx, v.argv[0], v.argv[1:]...)
	cmd.Env = append(os.Environ(), "HTTPS_PROXY="+s.Proxy, "REQUESTS_CA_BUNDLE="+s.ca)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(job), &out, &errs
	if err := cmd.Run(); err != nil {
		return tokenAnswer{}, fmt.Errorf("running %v: %w\n%s", cmd.Args, err, &errs)
	}
	return readAnswer(out.String())
}

// tokenJob is what a verifier is asked.
type tokenJob struct {
	Token    string `json:"token"`
	Audience string `json:"audience"`
}

// tokenAnswer is what a verifier says to a token.
type tokenAnswer struct {
	Claims struct {
		Issuer          string `json:"iss"`
		Audience        any    `json:"aud"` // Some make a list of it.
		AuthorizedParty string `json:"azp"`
		Email           string `json:"email"`
		EmailVerified   bool   `json:"email_verified"`
		Subject         string `json:"sub"`
	}
	Refused string
}

func readAnswer(text string) (tokenAnswer, error) {
	var a tokenAnswer
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		return tokenAnswer{}, fmt.Errorf("reading the answer %q: %w", text, err)
	}
	return a, nil
}

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

// verifyTokens makes a service accept requests with the provider's token, by
// the judgement of a library of Google's, and no others.
func verifyTokens(service *peerService, s *served, v tokenVerifier) {
	service.acceptIf(func(token string) error {
		answer, err := v.verify(s, token)
		if err != nil {
			return err
		}
		return answer.trusted()
	})
}

// pythonVerifier is python3-google-auth of Debian.
func pythonVerifier(t *testing.T) tokenVerifier {
	t.Helper()
	// Not the python3 of PATH, which may be another one, without the packages.
	python := needDebian(t, "/usr/bin/python3", "python3")
	needDebianFor(t, "google-auth for Python", func() error {
		return exec.Command(python, "-c", "import google.oauth2.id_token, requests").Run()
	}, "python3-google-auth", "python3-requests")
	return tokenVerifier{
		column: "python", argv: []string{python, filepath.Join(peerData(t), "verify.py")},
		refusals: regexp.MustCompile(`^ValueError: (Token |Could not verify token signature|Certificate for key id |Wrong number of segments)`),
	}
}
