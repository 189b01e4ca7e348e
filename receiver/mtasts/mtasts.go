// Package mtasts reads what a domain says of TLS for mail to it: MTA-STS records
// and policies (RFC 8461).
//
// It fetches nothing and remembers nothing.
package mtasts

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MaxPolicy bounds a policy, in octets (RFC 8461 3.3 advises such a limit).
const MaxPolicy = 64 << 10

// maxAge is the longest time that a policy can ask for: a year (RFC 8461 3.2).
const maxAge = 31557600

// maxHosts bounds the patterns of a policy, maxRecords the records that are
// looked at.
const (
	maxHosts   = 100
	maxRecords = 20
)

// Mode says what follows when a host does not keep to a policy.
type Mode string

// The modes (RFC 8461 5).
const (
	Enforce Mode = "enforce" // It gets no mail.
	Testing Mode = "testing" // It gets mail, and the domain a report.
	None    Mode = "none"    // The domain has no policy any more.
)

// Policy is a policy.
type Policy struct {
	Mode   Mode
	MaxAge time.Duration // How long it may be remembered.
	Hosts  []string      // Patterns of MX hosts, in lower case: names, or "*." and a name.
	Lines  []string      // All of it, as reports quote it (RFC 8460 4.4).
}

// Record returns the id in the record of a domain, which is at its name
// "_mta-sts". ok is false unless there is exactly one record, with a valid id
// (RFC 8461 3.1).
func Record(texts []string) (id string, ok bool) {
	count := 0
	for i, text := range texts {
		version, rest, _ := strings.Cut(text, ";")
		if i >= maxRecords || strings.TrimRight(version, " \t") != "v=STSv1" {
			continue
		}
		count++
		id = ""
		for field := range strings.SplitSeq(rest, ";") {
			if name, value, _ := strings.Cut(field, "="); strings.Trim(name, " \t") == "id" && id == "" {
				id = strings.Trim(value, " \t")
			}
		}
	}
	isBad := func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}
	if count != 1 || id == "" || len(id) > 32 || strings.ContainsFunc(id, isBad) {
		return "", false
	}
	return id, true
}

// Host is the host that has a domain's policy, and Path is where.
func Host(domain string) string { return "mta-sts." + domain }

// Path is where a host has a policy.
const Path = "/.well-known/mta-sts.txt"

// Parse reads a policy. Of what stands twice the first counts, but for mx, which
// may; unknown fields are skipped (RFC 8461 3.2).
func Parse(text []byte) (Policy, error) {
	if len(text) > MaxPolicy {
		return Policy{}, fmt.Errorf("a policy of more than %d octets", MaxPolicy)
	}
	var p Policy
	fields := map[string]string{}
	for line := range strings.SplitSeq(string(text), "\n") {
		line = strings.TrimRight(line, " \t\r")
		if line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		value = strings.Trim(value, " \t")
		if !ok || name == "" || strings.ContainsFunc(line, isControl) {
			return Policy{}, fmt.Errorf("%.100q is no field", line)
		}
		if name == "mx" {
			host := strings.ToLower(value)
			if !isPattern(host) || len(p.Hosts) == maxHosts {
				return Policy{}, fmt.Errorf("mx: %.100q is no pattern of a host, or one too many", value)
			}
			p.Hosts = append(p.Hosts, host)
			p.Lines = append(p.Lines, line)
			continue
		}
		if _, twice := fields[name]; !twice && slices.Contains([]string{"version", "mode", "max_age"}, name) {
			fields[name] = value
			p.Lines = append(p.Lines, line)
		}
	}
	return p.with(fields)
}

// with adds what the fields say that are no patterns.
func (p Policy) with(fields map[string]string) (Policy, error) {
	p.Mode = Mode(fields["mode"])
	age, err := strconv.ParseUint(fields["max_age"], 10, 32)
	switch {
	case fields["version"] != "STSv1":
		return Policy{}, fmt.Errorf("version is %.100q, not STSv1", fields["version"])
	case p.Mode != Enforce && p.Mode != Testing && p.Mode != None:
		return Policy{}, fmt.Errorf("mode is %.100q, not enforce, testing or none", fields["mode"])
	case err != nil || age > maxAge:
		return Policy{}, fmt.Errorf("max_age is %.100q, not a number of seconds up to %d", fields["max_age"], maxAge)
	case len(p.Hosts) == 0 && p.Mode != None:
		return Policy{}, errors.New("there is no mx")
	}
	p.MaxAge = time.Duration(age) * time.Second
	return p, nil
}

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// isPattern reports whether a pattern is a name of letters, digits and hyphens,
// or such a one below "*.".
func isPattern(s string) bool {
	s = strings.TrimPrefix(s, "*.")
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		isBad := func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' }
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, isBad) {
			return false
		}
	}
	return true
}

// Permits reports whether mail may go to an MX host: its name is a pattern, or
// has one label more than what follows "*." (RFC 8461 4.1).
func (p Policy) Permits(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	_, above, _ := strings.Cut(host, ".")
	return slices.ContainsFunc(p.Hosts, func(pattern string) bool {
		rest, wild := strings.CutPrefix(pattern, "*.")
		return !wild && pattern == host || wild && above == rest
	})
}
