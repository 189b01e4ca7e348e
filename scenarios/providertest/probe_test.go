package providertest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/smtp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/dispatcher"
	"github.com/doppelbox/doppelbox/dispatcher/probe"
	"github.com/doppelbox/doppelbox/keys"
	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/scenarios/providertest"
)

// approvals is a service under test: it sends mail with a limited-use token,
// and carries an approval out once.
type approvals struct {
	p        *providertest.Provider
	careless bool // It takes a token for whomever it was made.
	mu       sync.Mutex
	sent     int
	open     map[string]bool // By limited-use token.
	seen     map[string]bool // Bearer tokens that approved something.
	claims   []keys.Claims   // Of those.
	done     int
}

// mail sends a mail with a new limited-use token.
func (a *approvals) mail(context.Context) (string, error) {
	a.mu.Lock()
	a.sent++
	limited := fmt.Sprintf("a1b2c3d4e5f6%08d", a.sent)
	a.open[limited] = true
	a.mu.Unlock()
	text := strings.ReplaceAll(approval, "/approve?id=4711", "/approve?token="+limited)
	text = strings.ReplaceAll(text, "<4711@", "<"+limited+"@")
	c, err := smtp.Dial(a.p.SMTPAddr)
	if err != nil {
		return "", err
	}
	w, err := mailFrom(c, "bounce@shop.example", "alice@gmail.test")
	if err != nil {
		return "", err
	}
	_, err = io.WriteString(w, strings.ReplaceAll(text, "\n", "\r\n"))
	return "", errors.Join(err, w.Close(), c.Quit())
}

func (a *approvals) effects(context.Context) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return strconv.Itoa(a.done), nil
}

func (a *approvals) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status := a.handle(r)
	w.WriteHeader(status)
}

func (a *approvals) handle(r *http.Request) int {
	fields := r.Header["Authorization"]
	if len(fields) != 1 {
		return http.StatusUnauthorized
	}
	token, isBearer := strings.CutPrefix(fields[0], "Bearer ")
	o := keys.VerifyOptions{Audience: "https://shop.example", AnyAudience: a.careless}
	claims, err := a.p.Keys().Verify(token, o)
	if err != nil || !isBearer {
		return http.StatusUnauthorized
	}
	if r.Method != http.MethodPost || r.URL.Path != "/approve" {
		return http.StatusMethodNotAllowed
	}
	limited := r.URL.Query()["token"]
	if r.UserAgent() != dispatcher.UserAgent || len(limited) != 1 || r.ParseForm() != nil || len(r.PostForm["confirmed"]) != 1 || r.PostForm.Get("confirmed") != "Approved" {
		return http.StatusBadRequest
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	open, known := a.open[limited[0]]
	switch {
	case !known, a.seen[token]:
		return http.StatusForbidden
	case !open:
		return http.StatusOK // A retry of what has been done: its answer was lost.
	}
	a.open[limited[0]], a.seen[token] = false, true
	a.claims = append(a.claims, claims)
	a.done++
	return http.StatusOK
}

// probed has a service probed by a provider with dials set, and returns it with
// the report.
func probed(t *testing.T, careless bool, dials map[string]string) (*approvals, probe.Report) {
	t.Helper()
	p := providertest.New(t)
	p.Zone(`shop.example. TXT "v=spf1 ip4:192.0.2.10 -all"`)
	p.Peer("192.0.2.10", "mail.shop.example")
	p.Register(policy.Registration{From: "noreply@shop.example", Bearer: true})
	for name, value := range dials {
		if err := p.SetDial(name, value); err != nil {
			t.Fatal(err)
		}
	}
	inbox := p.Inbox("alice@gmail.test")
	service := &approvals{p: p, careless: careless, open: map[string]bool{}, seen: map[string]bool{}}
	p.Handle("shop.example", service)
	if _, err := service.mail(t.Context()); err != nil {
		t.Fatal(err)
	}
	return service, inbox.Next(t.Context()).Probe("Approve expense", providertest.Probing{Again: service.mail, Effects: service.effects})
}

// held reports what a sound service did not hold.
func held(t *testing.T, r probe.Report) {
	t.Helper()
	if r.Failed() {
		var text strings.Builder
		if err := probe.WriteText(&text, r); err != nil {
			t.Fatal(err)
		}
		t.Errorf("a sound service failed:\n%s", &text)
	}
}

func TestProbeSound(t *testing.T) {
	t.Parallel()
	_, report := probed(t, false, nil)
	held(t, report)
}

// A probe's tokens are as the dials have those of clicks.
func TestProbeDials(t *testing.T) {
	t.Parallel()
	service, report := probed(t, false, map[string]string{"token.iss": "host", "token.email": "no", "token.ttl": "2h", "token.iat": "30m"})
	held(t, report)
	if len(service.claims) == 0 {
		t.Fatal("nothing was approved")
	}
	// The first is the good request: what came before was hostile. Its token lives
	// some seconds less than others, so as to differ from them.
	c := service.claims[0]
	life := c.Expiry.Sub(c.IssuedAt)
	if c.Issuer != "accounts.google.com" || c.Email != "" || life > 2*time.Hour || life < 110*time.Minute || service.p.Clock().Now().Sub(c.IssuedAt) < 30*time.Minute {
		t.Errorf("the good token has the claims %+v", c)
	}
}

func TestProbeCareless(t *testing.T) {
	t.Parallel()
	var failed []string
	_, report := probed(t, true, nil)
	for _, result := range report.Results {
		if result.Mark == probe.Failed {
			failed = append(failed, result.Probe.ID)
		}
	}
	if !strings.HasPrefix(strings.Join(failed, " "), "aud-other ") || !strings.HasPrefix(failed[len(failed)-1], "aud-") {
		t.Errorf("a service that looks at no audience failed %v", failed)
	}
}
