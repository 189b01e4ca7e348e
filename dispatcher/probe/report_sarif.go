package probe

import (
	"io"
	"strings"
)

// The parts of SARIF 2.1.0 (OASIS) that a report needs.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool struct {
			Driver sarifDriver `json:"driver"`
		} `json:"tool"`
		Invocations []sarifInvocation `json:"invocations"`
		Results     []sarifResult     `json:"results"`
	}
	sarifDriver struct {
		Name  string      `json:"name"`
		Rules []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID            string          `json:"id"`
		Short         sarifText       `json:"shortDescription"`
		Full          sarifText       `json:"fullDescription"`
		Help          *sarifText      `json:"help,omitempty"`
		Configuration sarifLevel      `json:"defaultConfiguration"`
		Properties    sarifProperties `json:"properties"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifLevel struct {
		Level string `json:"level"`
	}
	sarifProperties struct {
		Tags     []string `json:"tags"`
		Severity Severity `json:"severity"`
		Expect   Expect   `json:"expect"`
		Source   string   `json:"source"`
		// Number is what GitHub sorts by, on the scale of CVSS.
		Number string `json:"security-severity"`
	}
	sarifInvocation struct {
		Successful    bool                `json:"executionSuccessful"`
		Notifications []sarifNotification `json:"toolExecutionNotifications,omitempty"`
	}
	sarifNotification struct {
		Level   string    `json:"level"`
		Message sarifText `json:"message"`
	}
	sarifResult struct {
		RuleID       string            `json:"ruleId"`
		RuleIndex    int               `json:"ruleIndex"`
		Kind         string            `json:"kind"`
		Level        string            `json:"level"`
		Message      sarifText         `json:"message"`
		Locations    []sarifLocation   `json:"locations"`
		Fingerprints map[string]string `json:"partialFingerprints"`
	}
	sarifLocation struct {
		Physical struct {
			Artifact struct {
				URI string `json:"uri"`
			} `json:"artifactLocation"`
		} `json:"physicalLocation"`
		Logical []sarifLogical `json:"logicalLocations"`
	}
	sarifLogical struct {
		Name string `json:"fullyQualifiedName"`
		Kind string `json:"kind"`
	}
)

// sarifLevels are the levels of a rule, and what GitHub sorts by, by severity.
var sarifLevels = map[Severity]struct{ level, number string }{
	Critical: {"error", "9.5"}, High: {"error", "8.0"}, Medium: {"warning", "5.5"}, Low: {"note", "2.5"}, Info: {"note", "0.0"},
}

// sarifKinds are the kinds of the results that are written.
var sarifKinds = map[Mark]string{Failed: "fail", Warned: "fail", Undetermined: "open", NotProven: "open", Noted: "informational"}

// WriteSARIF writes a report as SARIF 2.1.0: a rule for each probe that was
// tried, and a result for each that did not simply hold. The place of a result
// is the service's URL.
func WriteSARIF(w io.Writer, r Report) error {
	run := sarifRun{Results: []sarifResult{}}
	run.Tool.Driver = sarifDriver{Name: "doppelbox probe", Rules: []sarifRule{}}
	for _, result := range r.Results {
		if result.Mark == Skipped {
			continue
		}
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, r.ruleOf(result))
		kind := sarifKinds[result.Mark]
		if kind == "" {
			continue
		}
		level := "none" // As it must be for all but "fail" (SARIF 3.27.10).
		if kind == "fail" {
			level = sarifLevels[result.Probe.Severity].level
		}
		if result.Mark == Warned && level == "error" {
			level = "warning"
		}
		run.Results = append(run.Results, sarifResult{
			RuleID: result.Probe.ID, RuleIndex: len(run.Tool.Driver.Rules) - 1, Kind: kind, Level: level,
			Message:      sarifText{result.message()},
			Locations:    []sarifLocation{r.location()},
			Fingerprints: map[string]string{"probe/v1": r.Method + " " + r.Service + " " + result.Probe.ID},
		})
	}
	invocation := sarifInvocation{Successful: !r.Stopped}
	for _, p := range r.Problems {
		invocation.Notifications = append(invocation.Notifications, sarifNotification{"error", sarifText{p}})
	}
	for _, n := range r.Notes {
		invocation.Notifications = append(invocation.Notifications, sarifNotification{"note", sarifText{n}})
	}
	run.Invocations = []sarifInvocation{invocation}
	return writeIndented(w, sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}})
}

// ruleOf is a probe as a rule.
func (r Report) ruleOf(result Result) sarifRule {
	p := result.Probe
	if result.Outcome == ServerError {
		result.Outcome = "" // What mends that is not what the rule is about.
	}
	rule := sarifRule{
		ID: p.ID, Short: sarifText{p.Title}, Full: sarifText{p.Reason},
		Configuration: sarifLevel{sarifLevels[p.Severity].level},
		Properties: sarifProperties{
			Tags: []string{"security", p.Group}, Severity: p.Severity, Expect: p.Expect, Source: p.Source, Number: sarifLevels[p.Severity].number,
		},
	}
	if p.Expect == ShouldRefuse && rule.Configuration.Level == "error" {
		rule.Configuration.Level = "warning"
	}
	var help []string
	for _, id := range result.fixIDs() {
		if f, ok := r.fixOf(id); ok {
			help = append(help, f.Title+". "+f.Text)
		}
	}
	if len(help) > 0 {
		rule.Help = &sarifText{strings.Join(help, " ")}
	}
	return rule
}

// message is a result in one text.
func (r Result) message() string {
	var b strings.Builder
	b.WriteString(r.Probe.Title + ": " + r.Detail + ". A sound service would " + r.Probe.Should() + ".")
	for _, e := range r.Exchanges {
		b.WriteString(" Sent " + e.Request + "; got " + e.got() + ".")
	}
	return b.String()
}

func (r Report) location() sarifLocation {
	var l sarifLocation
	l.Physical.Artifact.URI = strings.ReplaceAll(r.Service, "…", "%E2%80%A6")
	l.Logical = []sarifLogical{{Name: r.Method + " " + r.Service, Kind: "resource"}}
	return l
}
