package probe_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/dispatcher"
)

const audience = "https://shop.example"

// service is a service that verifies requests as the documentation says, but
// for its flaws. It shares no code with what attacks it.
type service struct {
	*httptest.Server
	flaws  []string
	keys   string // Base URL of the provider's published keys; with the flaw "other-provider" of others, too.
	others string
	pinned map[string]any // What was published at first.
	now    func() time.Time

	mu      sync.Mutex
	cache   map[string]map[string]any // Published keys.
	known   map[string]bool           // Header and claims of tokens that were verified, of the flaw "cache".
	actions map[string]*granted       // By limited-use token.
	done    int                       // How often an action was carried out.
	barrier *sync.WaitGroup           // Of the flaws "racy" and "racy-bearers": two requests that look before either acts.
}

// granted is an action that a mail offers.
type granted struct {
	expense, user string
	burnt, used   bool
	bearer        [32]byte        // Hash of the token that used it.
	queries       map[string]bool // With which it was asked for, of the flaw "whole-url".
}

func (s *service) has(flaw string) bool { return slices.Contains(s.flaws, flaw) }

// grant makes an action, and returns its URL.
func (s *service) grant(expense, user string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	token := fmt.Sprintf("%x", sha256.Sum256([]byte(fmt.Sprint(expense, user, len(s.actions)))))[:32]
	s.actions[token] = &granted{expense: expense, user: user, queries: make(map[string]bool)}
	return s.URL + "/approve?expense=" + expense + "&user=" + user + "&token=" + token
}

// refusal is a status with a reason.
type refusal struct {
	status int
	why    string
}

func (e refusal) Error() string { return e.why }

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if host, _ := url.Parse(s.URL); s.has("other-site") && r.Host != host.Host {
		return // With an empty page, as some servers do for all hosts that they do not know.
	}
	if s.has("answers-safe-methods") && (r.Method == "OPTIONS" || r.Method == "TRACE") {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if s.has("refuses-all") {
		http.Error(w, "not today", http.StatusUnauthorized)
		return
	}
	text, err := s.serve(w, r)
	if err == nil || s.has("polite") {
		_, _ = io.WriteString(w, text)
		return
	}
	var no refusal
	if !errors.As(err, &no) {
		no = refusal{http.StatusUnauthorized, err.Error()}
	}
	if s.has("crashes") && no.status == http.StatusUnauthorized {
		no.status = http.StatusInternalServerError
	}
	http.Error(w, no.why, no.status)
}

func (s *service) serve(w http.ResponseWriter, r *http.Request) (string, error) {
	burnt := s.burn(r)
	outer, method := r, r.Method
	if original, err := url.ParseRequestURI(r.Header.Get("X-Original-URL")); s.has("original-url") && err == nil {
		r = r.Clone(r.Context())
		r.URL = original
	}
	if s.has("method-override") && r.Header.Get("X-HTTP-Method-Override") != "" {
		method = r.Header.Get("X-HTTP-Method-Override")
	}
	switch {
	case method != "POST" && !s.has("any-method") && !(s.has("acts-on-options") && method == "OPTIONS"):
		return "", refusal{http.StatusMethodNotAllowed, "POST only"}
	case r.URL.Path != "/approve" && !(s.has("path") && strings.HasSuffix(r.URL.Path, "/approve")):
		return "", refusal{http.StatusNotFound, "no such page"}
	case r.UserAgent() != dispatcher.UserAgent && !s.has("user-agent"):
		return "", refusal{http.StatusForbidden, "who are you"}
	}
	bearer, err := s.authenticate(outer)
	if err != nil {
		if g, _ := s.find(r.URL.Query()); g != nil && s.has("acts-anyway") {
			_, _ = s.act(g, sha256.Sum256([]byte(bearer)))
		}
		return "", err
	}
	if err := s.readForm(w, r, method); err != nil {
		return "", err
	}
	g, err := s.find(r.URL.Query())
	if err != nil {
		return "", err
	}
	if g.burnt && g != burnt {
		return "", refusal{http.StatusConflict, "token was used"}
	}
	s.forget(g, r)
	return s.act(g, sha256.Sum256([]byte(bearer)))
}

// forget has a service with a flaw not know an action that was carried out.
func (s *service) forget(g *granted, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.has("whole-url"):
		g.used = g.used && g.queries[r.URL.RawQuery]
		g.queries[r.URL.RawQuery] = true
	case s.has("token-emptied") && r.URL.Query().Get("token") == "":
		g.used = false
	}
}

// burn has a limited-use token used up by the first request that names it,
// before anything is verified. It returns the action if this was the first.
func (s *service) burn(r *http.Request) *granted {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.actions[r.URL.Query().Get("token")]
	if !s.has("burns-first") && !(s.has("burns-head") && r.Method == "HEAD") && !(s.has("burns-options") && r.Method == "OPTIONS") || g == nil || g.burnt {
		return nil
	}
	g.burnt = true
	return g
}

// readForm reads the body, and wants it to say Approved.
func (s *service) readForm(w http.ResponseWriter, r *http.Request, method string) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 4096))
	if s.has("no-form") || r.Method != method || s.has("any-method") && r.Method != "POST" {
		return nil
	}
	form, parseErr := url.ParseQuery(string(body))
	switch {
	case err != nil:
		return refusal{http.StatusBadRequest, "body cannot be read"}
	case parseErr != nil || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded":
		return refusal{http.StatusUnsupportedMediaType, "not a form"}
	case !slices.Equal(form["confirmed"], []string{"Approved"}):
		return refusal{http.StatusBadRequest, "not approved"}
	}
	return nil
}

// find returns the action that a query names.
func (s *service) find(query url.Values) (*granted, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range []string{"expense", "user", "token"} {
		if len(query[name]) != 1 && !(s.has("no-limited-use") && name == "token") {
			return nil, refusal{http.StatusBadRequest, name + " once, please"}
		}
	}
	token := query.Get("token")
	if s.has("token-case") {
		token = strings.ToLower(token)
	}
	like := s.has("like") && token == "%" || s.has("injection") && strings.HasPrefix(token, "' OR ")
	emptied := s.has("token-emptied") && token == ""
	if s.has("no-limited-use") || like || emptied {
		for _, g := range s.actions {
			if g.expense == query.Get("expense") && g.user == query.Get("user") && (g.used || !emptied) {
				return g, nil
			}
		}
	}
	g := s.actions[token]
	switch {
	case g == nil:
		return nil, refusal{http.StatusNotFound, "no such token"}
	case g.expense != query.Get("expense") && !s.has("not-bound"), g.user != query.Get("user") && !s.has("not-bound"):
		return nil, refusal{http.StatusForbidden, "token of another action"}
	}
	return g, nil
}

// act carries an action out, once.
func (s *service) act(g *granted, bearer [32]byte) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	used, by, barrier := g.used, g.bearer, s.barrier
	if barrier != nil {
		s.mu.Unlock()
		barrier.Done()
		barrier.Wait()
		s.mu.Lock()
	}
	switch {
	case s.has("racy-bearers") && g.used && g.bearer == bearer:
		return "", refusal{http.StatusConflict, "used at this moment"}
	case !used || s.has("not-once"):
		g.used, g.bearer = true, bearer
		s.done++
		return "approved", nil
	case by == bearer && !s.has("idempotent") || s.has("no-retry"):
		return "", refusal{http.StatusConflict, "used before"}
	}
	return "approved before", nil
}

// certificate is one of its own for the address of a test's server. It is
// quicker to show than that of httptest.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2049, 1, 1, 0, 0, 0, 0, time.UTC),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// newService starts a service that finds the keys of a provider, and perhaps
// of another, at these addresses.
func newService(t *testing.T, now func() time.Time, published, others string, flaws ...string) *service {
	t.Helper()
	s := &service{flaws: flaws, keys: published, others: others, now: now, cache: make(map[string]map[string]any), known: make(map[string]bool), actions: make(map[string]*granted)}
	s.Server = httptest.NewUnstartedServer(s)
	s.Config.ErrorLog = discard()
	s.TLS = &tls.Config{Certificates: []tls.Certificate{certificate(t)}, CurvePreferences: []tls.CurveID{tls.X25519}}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}
