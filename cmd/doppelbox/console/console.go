// Package console is the HTTP API over a running provider: for tests in every
// language, and for the command itself. It speaks the words of scenario files
// and has none of its own. It answers only requests that come from this
// machine's own programs.
package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/scenarios"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// Limits of requests.
const (
	maxSteps = 16 << 20    // Octets of a scenario; as of a file.
	maxWait  = time.Minute // A client that wants to wait longer asks again.
)

// Handler returns the API:
//
//	POST /api/v1/steps                 steps, or a whole scenario; results, and what can be asserted of them, as JSON
//	GET  /api/v1/messages              the mail; account=, after=SEQ, refused=yes, wait=DURATION
//	GET  /api/v1/messages/ID           one message
//	GET  /api/v1/messages/ID/clicks    the clicks on it, with their attempts
//	GET  /api/v1/messages/ID/raw       it as it came
//	GET  /api/v1/messages/ID/stored    it as mail programs read it, under the provider's header block
//	GET  /api/v1/outgoing              the mail that the provider has sent: forwards, confirmations
//	GET  /api/v1/reports               DMARC and TLS reports; for=DOMAIN, form=google|rfc9990|both, day=YYYY-MM-DD
//	GET  /api/v1/accesses              the sessions of mail programs
//	GET  /api/v1/keys                  the published keys
//	POST /api/v1/tokens                a token: {"audience": URL, "persona", "provider", "claims": {}, "header": {}, "signing", "ttl", "iat", "exp", ...}
//	POST /api/v1/tokens/verify         what is wrong with a token, or nothing: {"token", "audience", "at", "provider"}
//	GET  /api/v1/ca.pem                the authority to trust
//	POST /api/v1/probes                probes a service; a [ProbeRequest], answered with a [ProbeEvent] a line
//	POST /api/v1/probes/ID/answers     a [ProbeAnswer] to what a running probe asks
//	POST /api/v1/probes/ID/stop        has it end, and report what it has found
//
// A request must name a host of this machine, and a browser's must come from
// the same origin, so that no web page can press a button here.
func Handler(p *provider.Provider) http.Handler {
	a := api{p, &probes{byID: map[string]*runningProbe{}}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/steps", a.steps)
	mux.HandleFunc("GET /api/v1/messages", a.messages)
	mux.HandleFunc("GET /api/v1/messages/{id}", a.message)
	mux.HandleFunc("GET /api/v1/messages/{id}/clicks", a.clicks)
	mux.HandleFunc("GET /api/v1/messages/{id}/raw", a.raw)
	mux.HandleFunc("GET /api/v1/messages/{id}/stored", a.stored)
	mux.HandleFunc("GET /api/v1/outgoing", a.outgoing)
	mux.HandleFunc("GET /api/v1/reports", a.reports)
	mux.HandleFunc("GET /api/v1/accesses", a.accesses)
	mux.HandleFunc("GET /api/v1/keys", a.keys)
	mux.HandleFunc("POST /api/v1/tokens", a.makeToken)
	mux.HandleFunc("POST /api/v1/tokens/verify", a.verifyToken)
	mux.HandleFunc("GET /api/v1/ca.pem", a.ca)
	mux.HandleFunc("POST /api/v1/probes", a.probe)
	mux.HandleFunc("POST /api/v1/probes/{id}/answers", a.answerProbe)
	mux.HandleFunc("POST /api/v1/probes/{id}/stop", a.stopProbe)
	return onlyLocal(http.NewCrossOriginProtection().Handler(mux))
}

// onlyLocal refuses requests that name another host: a page of evil.example
// whose name leads to this machine would name evil.example.
func onlyLocal(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
		if host != "localhost" && (err != nil || !ip.IsLoopback()) {
			problem(w, http.StatusMisdirectedRequest, fmt.Sprintf("this API answers for localhost and loopback addresses, not for %q", host))
			return
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

type api struct {
	p      *provider.Provider
	probes *probes
}

// steps runs steps against the provider. The status is 200 if all held, 409 if
// a claim did not or a step could not be carried out, 400 if they cannot be
// read. Of requests, outgoing mails and sessions the answer tells of those that
// the steps made, carried on or name, and of the last one (see
// [scenarios.RunOptions]): it does not grow with all that ever was.
func (a api) steps(w http.ResponseWriter, r *http.Request) {
	// A form of another site's page can send text/plain; that is refused by
	// its origin. What is not text at all is a mistake.
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && kind == "application/json" {
		problem(w, http.StatusUnsupportedMediaType, "send the lines of a scenario as text")
		return
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxSteps))
	if err != nil {
		problem(w, http.StatusRequestEntityTooLarge, "reading steps: "+err.Error())
		return
	}
	f, mistakes := scenarios.Parse("steps", text)
	if len(mistakes) > 0 {
		reply(w, http.StatusBadRequest, map[string]any{"error": "the steps cannot be read", "mistakes": mistakes})
		return
	}
	result, err := scenarios.Run(r.Context(), f, scenarios.RunOptions{Provider: a.p, Paths: true})
	if err != nil {
		problem(w, http.StatusInternalServerError, err.Error())
		return
	}
	status := http.StatusOK
	if !result.Held() {
		status = http.StatusConflict
	}
	reply(w, status, scenarios.Reported(result))
}

func (a api) messages(w http.ResponseWriter, r *http.Request) {
	q := mailbox.Query{World: a.p.WorldName(), Account: r.URL.Query().Get("account"), Refused: r.URL.Query().Get("refused") == "yes"}
	if text := r.URL.Query().Get("after"); text != "" {
		after, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			problem(w, http.StatusBadRequest, "after: "+err.Error())
			return
		}
		q.AfterSeq = after
	}
	if text := r.URL.Query().Get("wait"); text != "" {
		wait, err := time.ParseDuration(text)
		if err != nil || wait < 0 || wait > maxWait {
			problem(w, http.StatusBadRequest, fmt.Sprintf("wait is a duration of at most %s, not %q", maxWait, text))
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), wait)
		defer cancel()
		// The end of the wait is no error: the list is then empty.
		if _, err := a.p.Store().Wait(ctx, q); err != nil && r.Context().Err() != nil {
			return
		}
	}
	list, err := a.p.Store().Messages(r.Context(), q)
	if err != nil {
		problem(w, http.StatusInternalServerError, err.Error())
		return
	}
	out := make([]mailbox.Summary, len(list))
	for i, m := range list {
		out[i] = mailbox.Summary{Message: m}
	}
	reply(w, http.StatusOK, out)
}

func (a api) find(w http.ResponseWriter, r *http.Request) (mailbox.Message, bool) {
	m, err := a.p.Store().Message(r.Context(), a.p.WorldName(), r.PathValue("id"))
	switch {
	case errors.Is(err, mailbox.ErrNotFound):
		problem(w, http.StatusNotFound, fmt.Sprintf("there is no message %q", r.PathValue("id")))
		return m, false
	case err != nil:
		problem(w, http.StatusInternalServerError, err.Error())
		return m, false
	}
	return m, true
}

func (a api) message(w http.ResponseWriter, r *http.Request) {
	if m, ok := a.find(w, r); ok {
		reply(w, http.StatusOK, mailbox.Summary{Message: m})
	}
}

func (a api) raw(w http.ResponseWriter, r *http.Request) {
	if m, ok := a.find(w, r); ok {
		// Plain text, so that no browser shows foreign HTML.
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write(m.Raw)
	}
}

func (a api) stored(w http.ResponseWriter, r *http.Request) {
	m, ok := a.find(w, r)
	if !ok {
		return
	}
	raw, err := a.p.Stored(m)
	if err != nil {
		problem(w, http.StatusInternalServerError, err.Error())
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write(raw)
}

func (a api) outgoing(w http.ResponseWriter, r *http.Request) {
	list, err := a.p.Store().Outgoing(r.Context(), a.p.WorldName())
	rows(w, list, err)
}

func (a api) accesses(w http.ResponseWriter, r *http.Request) {
	list, err := a.p.Store().Accesses(r.Context(), a.p.WorldName())
	rows(w, list, err)
}

// rows writes rows; none are an empty list.
func rows[T any](w http.ResponseWriter, list []T, err error) {
	if err != nil {
		problem(w, http.StatusInternalServerError, err.Error())
		return
	}
	if list == nil {
		list = []T{}
	}
	reply(w, http.StatusOK, list)
}

func (a api) clicks(w http.ResponseWriter, r *http.Request) {
	m, ok := a.find(w, r)
	if !ok {
		return
	}
	type click struct {
		mailbox.Click
		Attempts []mailbox.Attempt `json:"attempts"`
	}
	list, err := a.p.Store().Clicks(r.Context(), a.p.WorldName(), m.ID)
	out := make([]click, 0, len(list))
	for _, c := range list {
		attempts, attemptsErr := a.p.Store().Attempts(r.Context(), a.p.WorldName(), c.ID)
		err = errors.Join(err, attemptsErr)
		// Never null: a click without a request has an empty list.
		out = append(out, click{c, append([]mailbox.Attempt{}, attempts...)})
	}
	if err != nil {
		problem(w, http.StatusInternalServerError, err.Error())
		return
	}
	reply(w, http.StatusOK, out)
}

func (a api) keys(w http.ResponseWriter, _ *http.Request) {
	list, err := a.p.Keys().Keys()
	if err != nil {
		problem(w, http.StatusInternalServerError, err.Error())
		return
	}
	reply(w, http.StatusOK, list)
}

func (a api) ca(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/x-pem-file")
	_, _ = w.Write(a.p.CA().PEM())
}

// reply writes a value as JSON. A client that went away is its own loss.
func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	_ = e.Encode(v)
}

func problem(w http.ResponseWriter, status int, text string) {
	reply(w, status, map[string]string{"error": text})
}
