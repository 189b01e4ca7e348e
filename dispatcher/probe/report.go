package probe

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
)

// Fix is the id of the fix for a result; empty if there is none.
func (r Result) Fix() string {
	if r.Outcome == ServerError {
		return "errors"
	}
	return r.Probe.Fix
}

// fixIDs are the ids of all that mends a result: what was refused and used the
// action up all the same shows that too little was verified before.
func (r Result) fixIDs() []string {
	var ids []string
	if r.Outcome == Consumed && r.Probe.Phase == Hostile {
		ids = append(ids, "limited-use")
	}
	if id := r.Fix(); id != "" && !slices.Contains(ids, id) {
		ids = append(ids, id)
	}
	return ids
}

// Severity is that of the probe for a finding. A remark is of low severity.
func (r Result) Severity() Severity {
	if r.Mark == Noted && r.Probe.Severity != Info {
		return Low
	}
	return r.Probe.Severity
}

// Finding says whether a result speaks against the service.
func (r Result) Finding() bool { return r.Mark == Failed || r.Mark == Warned }

// bySeverity returns the results that somebody should read, the worst first:
// by mark, then by severity, then in the order in which they were tried.
func (r Report) bySeverity(marks ...Mark) []Result {
	list := slices.DeleteFunc(slices.Clone(r.Results), func(result Result) bool { return !slices.Contains(marks, result.Mark) })
	slices.SortStableFunc(list, func(a, b Result) int {
		if byMark := slices.Index(Marks(), a.Mark) - slices.Index(Marks(), b.Mark); byMark != 0 {
			return byMark
		}
		return slices.Index(Severities(), a.Severity()) - slices.Index(Severities(), b.Severity())
	})
	return list
}

// Fixes returns the fixes for what a report has found, in the order of the
// findings, each once.
func (r Report) Fixes() []Fix {
	var list []Fix
	for _, result := range r.bySeverity(Failed, Warned, Noted) {
		if !result.Finding() && result.Outcome != ServerError {
			continue
		}
		for _, id := range result.fixIDs() {
			if f, ok := r.fixOf(id); ok && !slices.ContainsFunc(list, func(f Fix) bool { return f.ID == id }) {
				list = append(list, f)
			}
		}
	}
	return list
}

// fixOf is the fix of an id for a service with or without bearer tokens.
func (r Report) fixOf(id string) (Fix, bool) {
	if !r.Bearer && id == "once" {
		f, ok := FixOf(onceWithoutBearer)
		f.ID = id
		return f, ok
	}
	return FixOf(id)
}

// Should says in a sentence what a sound service does with a probe.
func (p Probe) Should() string {
	switch {
	case p.Expect == MustAccept:
		return "answer 200"
	case p.Change.Plan == TwoBearers:
		return "carry the action out once, and accept one of the two or both"
	case p.Expect == AtMostOnce:
		return "answer as it likes, and not carry the action out again"
	case p.Expect == MustNotAct:
		return "answer as it likes, and leave the action as it is"
	case p.Expect == Either:
		return "accept or refuse it, and not fail at it"
	case p.Change.Plan == AtOnce:
		return "accept one of the two, and carry the action out once"
	case p.Change.crosses():
		return "answer 4xx, or go by what the token was granted for alone, and leave the action of the URL as it is"
	case fixes[p.Fix].bearer:
		return "answer 401, and leave the action as it is"
	case p.Fix == "method":
		return "answer 405, and leave the action as it is"
	}
	return "answer 4xx, and leave the action as it is"
}

// wireReport is a report in JSON.
type wireReport struct {
	Service    string       `json:"service"`
	Method     string       `json:"method"`
	Audience   string       `json:"audience"`
	Bearer     bool         `json:"bearer"`
	LimitedUse string       `json:"limitedUse"`
	Failed     bool         `json:"failed"`
	Stopped    bool         `json:"stopped,omitempty"` // The run had to end before everything was tried.
	Counts     map[Mark]int `json:"counts"`
	Problems   []string     `json:"problems"`
	Notes      []string     `json:"notes"`
	Results    []Result     `json:"results"`
	Fixes      []wireFix    `json:"fixes"`
}

type wireResult struct {
	ID        string     `json:"id"`
	Group     string     `json:"group"`
	Title     string     `json:"title"`
	Reason    string     `json:"reason"`
	Source    string     `json:"source"`
	Severity  Severity   `json:"severity"`
	Expect    Expect     `json:"expect"`
	Phase     Phase      `json:"phase"`
	Mark      Mark       `json:"mark"`
	Outcome   Outcome    `json:"outcome"`
	Detail    string     `json:"detail"`
	Should    string     `json:"should"`
	Fix       string     `json:"fix,omitempty"`
	Exchanges []Exchange `json:"exchanges"`
}

type wireFix struct {
	ID    string            `json:"id"`
	Title string            `json:"title"`
	Text  string            `json:"text"`
	Code  map[string]string `json:"code"`
}

// MarshalJSON writes a result with what its probe is about.
func (r Result) MarshalJSON() ([]byte, error) {
	p := r.Probe
	return marshal(wireResult{
		ID: p.ID, Group: p.Group, Title: p.Title, Reason: p.Reason, Source: p.Source, Severity: p.Severity, Expect: p.Expect, Phase: p.Phase,
		Mark: r.Mark, Outcome: r.Outcome, Detail: r.Detail, Should: p.Should(), Fix: r.Fix(),
		Exchanges: append([]Exchange{}, r.Exchanges...),
	})
}

// MarshalJSON writes a report: what was tried in the order in which it was, and
// the fixes for what was found.
func (r Report) MarshalJSON() ([]byte, error) {
	w := wireReport{
		Service: r.Service, Method: r.Method, Audience: r.Audience, Bearer: r.Bearer, LimitedUse: r.LimitedUse,
		Failed: r.Failed(), Stopped: r.Stopped, Counts: make(map[Mark]int), Problems: append([]string{}, r.Problems...), Notes: append([]string{}, r.Notes...),
		Results: append([]Result{}, r.Results...), Fixes: []wireFix{},
	}
	for _, m := range Marks() {
		w.Counts[m] = r.Count(m)
	}
	for _, f := range r.Fixes() {
		w.Fixes = append(w.Fixes, wireFix{f.ID, f.Title, f.Text, f.Code})
	}
	return marshal(w)
}

// marshal encodes without escapes for HTML, which nobody who reads URLs wants.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return b.Bytes(), err
}

// WriteJSON writes a report as JSON.
func WriteJSON(w io.Writer, r Report) error { return writeIndented(w, r) }

func writeIndented(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
