package console

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/doppelbox/doppelbox/dispatcher/probe"
	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// maxProbes bounds how many probes run at once.
const maxProbes = 16

// ProbeRequest is the body of POST /api/v1/probes.
type ProbeRequest struct {
	Message  string `json:"message,omitempty"` // Its id; empty is the newest message with an in-app action, unless a URL is given.
	Account  string `json:"account,omitempty"` // Whose newest message; empty is anybody's.
	Action   string `json:"action,omitempty"`  // Label or index; empty is the first in-app action.
	URL      string `json:"url,omitempty"`     // A handler, instead of a message.
	Domain   string `json:"domain,omitempty"`  // That of From, with URL.
	Method   string `json:"method,omitempty"`
	NoBearer bool   `json:"noBearer,omitempty"`

	LimitedUse string   `json:"limitedUse,omitempty"` // The parameter with the limited-use token, or the segment of the path, such as /2.
	Only       []string `json:"only,omitempty"`
	Skip       []string `json:"skip,omitempty"`
	Timeout    string   `json:"timeout,omitempty"` // Of one request, such as "5s".
	Wait       string   `json:"wait,omitempty"`    // For the mail of an action made anew.

	Rotate bool   `json:"rotate,omitempty"` // The provider's keys may be rotated.
	Form   string `json:"form,omitempty"`   // Of the report: json, which is the default, text, junit or sarif.

	// Asks are what the client will answer: the events of kind "ask" have no
	// other words.
	Asks []ProbeAsk `json:"asks,omitempty"`
}

// ProbeAsk is what a running probe may ask of its client.
type ProbeAsk string

// The asks.
const (
	AskAgain   ProbeAsk = "again"   // Have the service make the action anew; answer its URL, or nothing if mail brings it.
	AskOther   ProbeAsk = "other"   // Likewise, for another user.
	AskEffects ProbeAsk = "effects" // Answer something that changes if and only if the action is carried out: a number that goes up or down by one, so that one can be told from two.
)

// ProbeEvent is a line of the answer to POST /api/v1/probes. The first one has
// the id, the last one the report or an error.
type ProbeEvent struct {
	Event  string          `json:"event"` // started, result, ask, report, error
	ID     string          `json:"id,omitempty"`
	Result json.RawMessage `json:"result,omitempty"` // As one of the results of a report.
	Ask    ProbeAsk        `json:"ask,omitempty"`
	N      int             `json:"n,omitempty"`      // Of the ask; the answer repeats it.
	Failed bool            `json:"failed,omitempty"` // The service is unsound, or could not be judged.
	Report string          `json:"report,omitempty"` // In the form that was asked for.
	Error  string          `json:"error,omitempty"`
}

// reportForms are the forms of a report.
func reportForms() map[string]func(io.Writer, probe.Report) error {
	return map[string]func(io.Writer, probe.Report) error{
		"text": probe.WriteText, "json": probe.WriteJSON, "junit": probe.WriteJUnit, "sarif": probe.WriteSARIF,
	}
}

// ProbeAnswer is the body of POST /api/v1/probes/ID/answers.
type ProbeAnswer struct {
	N     int    `json:"n"`
	Text  string `json:"text,omitempty"`
	Error string `json:"error,omitempty"` // Instead: why there is no answer.
}

// probes are the running probes.
type probes struct {
	mu   sync.Mutex
	last int
	byID map[string]*runningProbe
}

// runningProbe writes the events of one probe, and takes its client's answers.
type runningProbe struct {
	mu      sync.Mutex // Guards what is written, and asked.
	out     *json.Encoder
	flush   func() error
	asked   int
	waits   bool // For an answer to what was asked last.
	answers chan ProbeAnswer
	stop    func()
}

func (ps *probes) begin(p *runningProbe) (string, bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if len(ps.byID) >= maxProbes {
		return "", false
	}
	ps.last++
	id := "p" + strconv.Itoa(ps.last)
	ps.byID[id] = p
	return id, true
}

func (ps *probes) end(id string) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	delete(ps.byID, id)
}

func (ps *probes) find(id string) *runningProbe {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return ps.byID[id]
}

func (p *runningProbe) write(e ProbeEvent) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// A client that went away ends the request's context, and so the probe.
	_ = p.out.Encode(e)
	_ = p.flush()
}

// ask asks the client, and waits for its answer.
func (p *runningProbe) ask(ctx context.Context, what ProbeAsk) (string, error) {
	p.mu.Lock()
	p.asked++
	n := p.asked
	p.waits = true
	p.mu.Unlock()
	p.write(ProbeEvent{Event: "ask", Ask: what, N: n})
	select {
	case a := <-p.answers:
		if a.Error != "" {
			return "", errors.New(a.Error)
		}
		return a.Text, nil
	case <-ctx.Done():
		p.mu.Lock()
		defer p.mu.Unlock()
		p.waits = false
		select {
		case <-p.answers: // It came too late, and is none to what is asked next.
		default:
		}
		return "", fmt.Errorf("waiting for the answer to %q: %w", what, context.Cause(ctx))
	}
}

// take takes an answer, if it is the one that is waited for.
func (p *runningProbe) take(a ProbeAnswer) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a.N < 1 || a.N > p.asked {
		return fmt.Errorf("the probe has asked nothing of number %d", a.N)
	}
	if a.N < p.asked || !p.waits {
		return fmt.Errorf("the probe waits for no answer to number %d any more", a.N)
	}
	p.waits = false
	p.answers <- a // It has room for the one that is waited for.
	return nil
}

// probe runs a probe, and tells of it line by line.
func (a api) probe(w http.ResponseWriter, r *http.Request) {
	var ask ProbeRequest
	if !readBody(w, r, &ask) {
		return
	}
	b, err := a.probing(r.Context(), ask)
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	write, ok := reportForms()[cmp.Or(ask.Form, "json")]
	if !ok {
		problem(w, http.StatusBadRequest, fmt.Sprintf("a report has the form text, json, junit or sarif, not %q", ask.Form))
		return
	}
	run := &runningProbe{out: json.NewEncoder(w), flush: http.NewResponseController(w).Flush, answers: make(chan ProbeAnswer, 1)}
	ctx, stop := context.WithCancelCause(r.Context())
	defer stop(nil)
	run.stop = func() { stop(errors.New("whoever asked for the probe stopped it")) }
	run.out.SetEscapeHTML(false)
	id, ok := a.probes.begin(run)
	if !ok {
		problem(w, http.StatusTooManyRequests, fmt.Sprintf("%d probes are running: wait for one to end", maxProbes))
		return
	}
	defer a.probes.end(id)
	w.Header().Set("Content-Type", "application/x-ndjson")
	run.write(ProbeEvent{Event: "started", ID: id})
	b.OnResult = func(r probe.Result) {
		text, err := json.Marshal(r)
		if err != nil {
			text = nil // It has nothing that cannot be written; the report has it anyway.
		}
		run.write(ProbeEvent{Event: "result", Result: text})
	}
	for _, what := range ask.Asks {
		asking := func(ctx context.Context) (string, error) { return run.ask(ctx, what) }
		switch what {
		case AskAgain:
			b.Again = asking
		case AskOther:
			b.Other = asking
		case AskEffects:
			b.Effects = asking
		}
	}
	report, err := a.p.Probe(ctx, b)
	a.probes.end(id) // Before its client can know.
	var text strings.Builder
	if err == nil {
		err = write(&text, report)
	}
	if err != nil {
		run.write(ProbeEvent{Event: "error", Error: err.Error()})
		return
	}
	run.write(ProbeEvent{Event: "report", Failed: report.Failed(), Report: text.String()})
}

// answerProbe takes an answer to what a probe has asked.
func (a api) answerProbe(w http.ResponseWriter, r *http.Request) {
	var answer ProbeAnswer
	if !readBody(w, r, &answer) {
		return
	}
	run := a.probes.find(r.PathValue("id"))
	if run == nil {
		problem(w, http.StatusNotFound, fmt.Sprintf("no probe %q is running", r.PathValue("id")))
		return
	}
	if err := run.take(answer); err != nil {
		problem(w, http.StatusConflict, err.Error())
		return
	}
	reply(w, http.StatusOK, map[string]bool{"taken": true})
}

// stopProbe has a running probe end, with a report on what it has found so far.
func (a api) stopProbe(w http.ResponseWriter, r *http.Request) {
	run := a.probes.find(r.PathValue("id"))
	if run == nil {
		problem(w, http.StatusNotFound, fmt.Sprintf("no probe %q is running", r.PathValue("id")))
		return
	}
	run.stop()
	reply(w, http.StatusOK, map[string]bool{"stopped": true})
}

// probing reads what is to be probed.
func (a api) probing(ctx context.Context, ask ProbeRequest) (provider.Probing, error) {
	b := provider.Probing{
		Message: ask.Message, URL: ask.URL, Domain: ask.Domain, Method: ask.Method, NoBearer: ask.NoBearer,
		LimitedUse: ask.LimitedUse, Only: ask.Only, Skip: ask.Skip, Rotate: ask.Rotate,
	}
	for _, d := range []struct {
		name, text string
		to         *time.Duration
	}{{"timeout", ask.Timeout, &b.Timeout}, {"wait", ask.Wait, &b.Wait}} {
		if d.text == "" {
			continue
		}
		v, err := time.ParseDuration(d.text)
		if err != nil || v <= 0 {
			return b, fmt.Errorf("%s is a duration such as 5s, not %q", d.name, d.text)
		}
		*d.to = v
	}
	words := []string{string(AskAgain), string(AskOther), string(AskEffects)}
	for _, what := range ask.Asks {
		if what != AskAgain && what != AskOther && what != AskEffects {
			near, _ := policy.Nearest(string(what), words)
			return b, fmt.Errorf("a probe never asks %q; did you mean %q?", what, near)
		}
	}
	if err := probe.Check(slices.Concat(b.Only, b.Skip)); err != nil {
		return b, err
	}
	if ask.URL != "" && (ask.Message != "" || ask.Account != "" || ask.Action != "") {
		return b, errors.New("a URL and a mail are two things to probe: name one")
	}
	if ask.URL != "" {
		return b, nil
	}
	m, action, err := a.probed(ctx, ask)
	b.Message, b.Action = m.ID, action
	return b, err
}

// probed finds the message and the action that a request names.
func (a api) probed(ctx context.Context, ask ProbeRequest) (mailbox.Message, int, error) {
	var list []mailbox.Message
	var err error
	if ask.Account != "" {
		accounts := a.p.Accounts()
		at := slices.IndexFunc(accounts, func(address string) bool { return strings.EqualFold(address, ask.Account) })
		if at < 0 {
			return mailbox.Message{}, 0, fmt.Errorf("there is no account %q%s", ask.Account, policy.Suggest(ask.Account, accounts))
		}
		ask.Account = accounts[at]
	}
	if ask.Message != "" {
		m, findErr := a.p.Store().Message(ctx, a.p.WorldName(), ask.Message)
		list, err = []mailbox.Message{m}, findErr
	} else {
		list, err = a.p.Store().Messages(ctx, mailbox.Query{World: a.p.WorldName(), Account: ask.Account})
	}
	if errors.Is(err, mailbox.ErrNotFound) {
		return mailbox.Message{}, 0, fmt.Errorf("there is no message %q", ask.Message)
	}
	if err != nil {
		return mailbox.Message{}, 0, err
	}
	for i := len(list) - 1; i >= 0; i-- {
		m := list[i]
		if ask.Action != "" {
			action, err := provider.FindAction(m, ask.Action)
			if err == nil || ask.Message != "" {
				return m, action, err
			}
			continue
		}
		for _, action := range m.Evidence.Markup.Actions {
			if action.Kind == policy.KindInApp {
				return m, action.Index, nil
			}
		}
	}
	if ask.Action != "" {
		return mailbox.Message{}, 0, fmt.Errorf("no message has a button %q", ask.Action)
	}
	return mailbox.Message{}, 0, errors.New("there is no message with an in-app action to probe; a URL and the sender's domain can be given instead")
}
