package scenarios

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/doppelbox/doppelbox/dispatcher/probe"
	"github.com/doppelbox/doppelbox/receiver/dnszone"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// DefaultTime is where the clock of a scenario stands that sets none, so that
// it says the same on every run.
const DefaultTime = "2026-01-15T09:00:00Z"

// RunOptions say how a file is run. The zero value runs it against a provider
// of its own, within the process.
type RunOptions struct {
	Logger *slog.Logger
	// Provider runs the file against a provider that is there already; the
	// file may then have no provider and no clock step.
	Provider *provider.Provider
	// Update lets cmp rewrite its section instead of comparing.
	Update bool
	// Paths asks for everything that can be asserted at the end of the file. Of
	// the requests, outgoing mails and sessions of a Provider that was there
	// already it has those that the file made, carried on or names in a claim,
	// and the last one of each.
	Paths bool
}

// Result is what came of running a file.
type Result struct {
	Path   string        `json:"path"`
	Phases []PhaseResult `json:"phases"`
	// Stopped says that a step could not be carried out, so that the rest was
	// not run. The last failure says why.
	Stopped bool `json:"stopped,omitempty"`
	// Updated says that cmp rewrote a section of the file.
	Updated bool `json:"updated,omitempty"`
	// Paths is what can be asserted at the end, as RunOptions has it.
	Paths []Path `json:"-"`
}

// PhaseResult is what came of one phase.
type PhaseResult struct {
	Title    string `json:"title"`
	Line     int    `json:"line"`
	Steps    int    `json:"steps"`             // Those that were carried out.
	Claims   int    `json:"claims"`            // How many of them were expect or cmp.
	Skipped  bool   `json:"skipped,omitempty"` // An earlier phase stopped the file.
	Failures Errors `json:"failures,omitempty"`
}

// Held says whether every claim held and every step could be carried out.
func (r Result) Held() bool { return len(r.Failures()) == 0 }

// Failures returns the failures of all phases.
func (r Result) Failures() Errors {
	var list Errors
	for _, p := range r.Phases {
		list = append(list, p.Failures...)
	}
	return list
}

// Claims returns how many claims were evaluated.
func (r Result) Claims() int {
	n := 0
	for _, p := range r.Phases {
		n += p.Claims
	}
	return n
}

// Run runs a file. A claim that does not hold, and a step that cannot be
// carried out, are failures in the result; an error is the world's: the
// provider could not be started, or ctx ended.
func Run(ctx context.Context, f *File, o RunOptions) (Result, error) {
	p := o.Provider
	if p == nil {
		var err error
		if p, err = open(f, provider.Options{Logger: o.Logger, RoutedOnly: true}, false); err != nil {
			return Result{}, err
		}
		defer p.Close()
	}
	r := NewRunner(p, f)
	r.update, r.given = o.Update, o.Provider != nil
	if r.given {
		if err := r.resume(ctx); err != nil {
			return Result{}, err
		}
	}
	result := Result{Path: f.Path}
	for _, phase := range f.Phases {
		if result.Stopped {
			result.Phases = append(result.Phases, PhaseResult{Title: phase.Title, Line: phase.Line, Skipped: true})
			continue
		}
		done, stopped := r.phase(ctx, phase)
		result.Phases, result.Stopped = append(result.Phases, done), stopped
	}
	if ctx.Err() != nil {
		return result, context.Cause(ctx)
	}
	result.Updated = r.updated
	if !o.Paths {
		return result, nil
	}
	var err error
	// Keys that a running provider has not needed yet are not made for this.
	result.Paths, err = r.paths(ctx, o.Provider == nil)
	return result, err
}

// Open starts the provider of a world: of a file that has only world steps.
// Its clock runs; a clock step says what it shows at the start. The caller
// must call Close.
func Open(ctx context.Context, f *File, o provider.Options) (*provider.Provider, error) {
	p, err := open(f, o, true)
	if err != nil {
		return nil, err
	}
	r := NewRunner(p, f)
	r.clockSet = true
	for _, phase := range f.Phases {
		if done, _ := r.phase(ctx, phase); len(done.Failures) > 0 {
			return nil, errors.Join(done.Failures, p.Close())
		}
	}
	return p, nil
}

// clock makes the clock of a file, which runs or stands; the step that sets it
// says where it begins.
func (f *File) clock(runs bool) (*provider.Clock, error) {
	s, set := f.first("clock")
	text := DefaultTime
	if set {
		text = s.Words[0].Text
	}
	at, err := time.Parse(time.RFC3339, text)
	switch {
	case err != nil:
		return nil, err // Parse has checked the form; this is a fault of ours.
	case !runs:
		return provider.StandingClock(at), nil
	}
	c := provider.RunningClock(time.Now)
	if !set {
		return c, nil
	}
	if err := c.Set(at); err != nil {
		return nil, &Error{Path: f.Path, Line: s.Words[0].Line, Col: s.Words[0].Col, Src: s.Src, Msg: err.Error()}
	}
	return c, nil
}

// open makes a provider with what cannot be changed later: its domain, and
// where its clock begins.
func open(f *File, o provider.Options, runs bool) (*provider.Provider, error) {
	var err error
	if o.Clock, err = f.clock(runs); err != nil {
		return nil, err
	}
	var domains []string
	for _, phase := range f.Phases {
		for _, s := range phase.Steps {
			switch s.Verb {
			case "provider":
				domains = append(domains, s.Words[0].Text)
			case "inbound":
				if err := readInbound(s, &o); err != nil {
					return nil, err
				}
			}
		}
	}
	if len(domains) > 0 {
		o.Domain = domains[0]
	}
	if !runs {
		// The same seals on every run.
		key, err := TestKey("")
		if err != nil {
			return nil, err
		}
		o.MailKey = key
	}
	p, err := provider.New(o)
	if err != nil {
		return nil, err
	}
	for _, domain := range domains[min(1, len(domains)):] {
		if _, err := p.Beside(domain); err != nil {
			return nil, errors.Join(err, p.Close())
		}
	}
	return p, nil
}

func (f *File) first(verb string) (Step, bool) {
	for _, phase := range f.Phases {
		if i := slices.IndexFunc(phase.Steps, func(s Step) bool { return s.Verb == verb }); i >= 0 {
			return phase.Steps[i], true
		}
	}
	return Step{}, false
}

// Runner carries out steps against a provider and remembers what they speak
// of: the last delivery, the last click.
type Runner struct {
	p    *provider.Provider
	file *File

	mails   map[string][]byte // Sections as they are now, signed or not.
	last    *provider.Delivery
	message *mailbox.Message // The one that claims speak of.
	click   *mailbox.Click
	// fetched and fetchErr are of the last fetch, confirmErr is of the last
	// confirm.
	fetched    *provider.Fetched
	fetchErr   error
	confirmed  bool
	confirmErr error
	probed     *probe.Report // The last one.

	given   bool    // The provider was there before the file.
	before  *before // What it had; nil if it was not.
	update  bool
	updated bool
	// clockSet says that the next clock step has been carried out already.
	clockSet bool
}

// NewRunner returns a runner of a file's steps. The file may be empty, for
// steps that come from elsewhere and need no sections.
func NewRunner(p *provider.Provider, f *File) *Runner {
	return &Runner{p: p, file: f, mails: map[string][]byte{}}
}

// phase runs the steps of a phase. All its claims are evaluated; the first
// other step that fails stops the file.
func (r *Runner) phase(ctx context.Context, phase Phase) (PhaseResult, bool) {
	done := PhaseResult{Title: phase.Title, Line: phase.Line}
	for _, s := range phase.Steps {
		err := r.Step(ctx, s)
		done.Steps++
		claim := isClaim(s)
		if claim {
			done.Claims++
		}
		if err != nil {
			done.Failures = append(done.Failures, r.failures(s, err)...)
			if !claim || ctx.Err() != nil {
				return done, true
			}
		}
	}
	return done, false
}

func isClaim(s Step) bool { return s.Verb == "expect" || s.Verb == "cmp" }

// failures gives an error its place: that of the step, unless it has a better
// one.
func (r *Runner) failures(s Step, err error) Errors {
	var placed *Error
	if errors.As(err, &placed) {
		return Errors{placed}
	}
	var zone *zoneErrors
	if errors.As(err, &zone) {
		return zone.list
	}
	return Errors{{Path: r.file.Path, Line: s.Line, Col: s.Col, Src: s.Src, Msg: err.Error()}}
}

// at is an error at a word of a step.
func (r *Runner) at(s Step, w Word, format string, args ...any) *Error {
	return &Error{Path: r.file.Path, Line: w.Line, Col: w.Col, Src: s.Src, Msg: fmt.Sprintf(format, args...)}
}

// zoneErrors are the mistakes of a zone text, at their places in the file.
type zoneErrors struct{ list Errors }

func (e *zoneErrors) Error() string { return e.list.Error() }

// placeZone turns places in a section into places in the file.
func (r *Runner) placeZone(section string, list []*dnszone.Error) error {
	if len(list) == 0 {
		return nil
	}
	at := r.file.section(section)
	lines := strings.Split(string(at.Data), "\n")
	placed := &zoneErrors{}
	for _, e := range list {
		src := ""
		if e.Line >= 1 && e.Line <= len(lines) {
			src = lines[e.Line-1]
		}
		placed.list = append(placed.list, &Error{Path: r.file.Path, Line: at.Line + e.Line, Col: e.Col, Src: src, Msg: e.Msg})
	}
	return placed
}
