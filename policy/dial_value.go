package policy

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The forms of a value that is not one of a few words.
const (
	formCount     = "COUNT"
	formLimits    = "off|COUNT/DURATION,..."
	formDuration  = "DURATION"
	formDurations = "DURATION,..."
)

// The forms that stand among words, as does a range such as "1..100" or "1s..24h".
const (
	formAddress  = "ADDR"
	formStatuses = "STATUS,..."
)

// Durations returns the value of a dial that is a list of durations.
func (d Dials) Durations(id DialID) []time.Duration {
	var list []time.Duration
	for word := range strings.SplitSeq(d.Get(id), ",") {
		if v, err := time.ParseDuration(word); err == nil {
			list = append(list, v)
		}
	}
	return list
}

// Limit is how much mail may come in a time.
type Limit struct {
	Count  int
	Window time.Duration
}

// Limits returns the value of a dial that is a list of limits; none if it is
// off. The list is not to be changed.
func (d Dials) Limits(id DialID) []Limit {
	switch value := d.Get(id); value {
	case "off":
		return nil
	case accountLimits: // Read for every message, as hardly any other value is.
		return parsedAccountLimits
	default:
		list, _ := parseLimits(value)
		return list
	}
}

// accountLimits is what the dial rate.account has by default, and
// parsedAccountLimits the same.
const accountLimits = "60/1m,3600/1h,86400/24h"

var parsedAccountLimits = []Limit{{60, time.Minute}, {3600, time.Hour}, {86400, 24 * time.Hour}}

// Count returns the value of a dial that is a number.
func (d Dials) Count(id DialID) int {
	n, _ := strconv.Atoi(d.Get(id))
	return n
}

// maxCount bounds counts and limits; nothing is counted that far.
const maxCount = 1_000_000_000

// maxWindow bounds the time over which mail is counted.
const maxWindow = 7 * 24 * time.Hour

func parseLimits(value string) (list []Limit, ok bool) {
	if value == "off" {
		return nil, true
	}
	for word := range strings.SplitSeq(value, ",") {
		count, window, _ := strings.Cut(word, "/")
		n, err := strconv.Atoi(count)
		d, timeErr := time.ParseDuration(window)
		if err != nil || timeErr != nil || n < 0 || n > maxCount || d < time.Second || d > maxWindow {
			return nil, false
		}
		list = append(list, Limit{n, d})
	}
	return list, len(list) <= maxLimits
}

// maxLimits is how many limits one dial can have.
const maxLimits = 10

// Statuses returns the value of a dial that is a list of statuses.
func (d Dials) Statuses(id DialID) []int {
	var list []int
	for word := range strings.SplitSeq(d.Get(id), ",") {
		if n, err := strconv.Atoi(word); err == nil {
			list = append(list, n)
		}
	}
	return list
}

// Duration returns the value of a dial that is a duration; zero if it is off.
func (d Dials) Duration(id DialID) time.Duration {
	v, _ := time.ParseDuration(d.Get(id))
	return v
}

// Set returns the dials with one of them set; d stays as it is. The error is
// that of [ParseDial], or says which other dial the value does not go together
// with.
func (d Dials) Set(name, value string) (Dials, error) {
	id, value, err := ParseDial(name, value)
	if err != nil {
		return nil, err
	}
	set := make(Dials, len(d)+1)
	maps.Copy(set, d)
	set[id] = value
	for _, pair := range pairs {
		if id != pair.less && id != pair.more {
			continue
		}
		less, more := set.Duration(pair.less), set.Duration(pair.more)
		if more == 0 || less < more || less == more && pair.orEqual {
			continue
		}
		other := pair.less
		if id == other {
			other = pair.more
		}
		return nil, fmt.Errorf("dial %s cannot be %s while dial %s is %s: %s", id, value, other, set.Get(other), pair.because)
	}
	return set, nil
}

// pairs are dials of which one has to be less than the other; where that is off,
// anything goes.
var pairs = []struct {
	less, more DialID
	orEqual    bool
	because    string
}{
	{DialTokenAge, DialTokenLife, false, "a token would have expired when it is made"},
	{DialKeyMaxAge, DialKeyRotation, true, "a key would sign that verifiers with a cache do not have yet"},
}

// ParseDial reads a dial's value. The error of an unknown dial is an
// [UnknownDialError]; any other says which values the dial takes.
func ParseDial(name, value string) (DialID, string, error) {
	i := slices.IndexFunc(dials, func(d Dial) bool { return string(d.ID) == name })
	if i < 0 {
		return "", "", UnknownDialError{Name: name}
	}
	return dials[i].ID, value, dials[i].accepts(value)
}

func (d Dial) accepts(value string) error {
	switch d.Values[0] {
	case formCount:
		if n, err := strconv.Atoi(value); err != nil || n < 1 || n > maxCount {
			return fmt.Errorf("dial %s takes a number such as %s, not %q", d.ID, d.Default, value)
		}
		return nil
	case formLimits:
		if _, ok := parseLimits(value); !ok {
			return fmt.Errorf("dial %s takes off, or limits such as 60/1m,3600/1h within a week, not %q", d.ID, value)
		}
		return nil
	case formDuration:
		if v, err := time.ParseDuration(value); err != nil || v <= 0 {
			return fmt.Errorf("dial %s takes a duration such as %s, not %q", d.ID, d.Default, value)
		}
		return nil
	case formDurations:
		for word := range strings.SplitSeq(value, ",") {
			if v, err := time.ParseDuration(word); err != nil || v <= 0 {
				return fmt.Errorf("dial %s takes durations such as %s, not %q", d.ID, d.Default, value)
			}
		}
		return nil
	}
	if !slices.ContainsFunc(d.Values, func(form string) bool { return fits(form, value) }) {
		remark := ""
		if slices.Contains(d.Values, formStatuses) {
			remark = fmt.Sprintf(": from 400 to 499, without 408, which is always retried, and 429, which %s is for", DialRetryTooMany)
		}
		return fmt.Errorf("dial %s takes %s, not %q%s", d.ID, strings.Join(d.Values, " or "), value, remark)
	}
	return nil
}

// fits says whether a value is a word, or of one of the forms that stand among
// words. A range of durations takes whole seconds, if it begins with one.
func fits(form, value string) bool {
	switch form {
	case formAddress:
		a, err := netip.ParseAddr(value)
		return err == nil && a.Zone() == "" && !a.IsUnspecified() && !a.IsMulticast()
	case formStatuses:
		for word := range strings.SplitSeq(value, ",") {
			// 408 is always retried, and 429 has a dial of its own.
			if !inRange("400", "499", word) || word == "408" || word == "429" {
				return false
			}
		}
		return strings.Count(value, ",") < maxStatuses
	}
	least, most, ok := strings.Cut(form, "..")
	if !ok {
		return form == value
	}
	from, err := time.ParseDuration(least)
	if err != nil {
		return inRange(least, most, value)
	}
	to, _ := time.ParseDuration(most)
	v, err := time.ParseDuration(value)
	return err == nil && from <= v && v <= to && (v%time.Second == 0 || from%time.Second != 0)
}

// maxStatuses is how many statuses one dial can have; there are no more.
const maxStatuses = 98

// inRange says whether a value is a number between two others, or one of them.
func inRange(least, most, value string) bool {
	from, _ := strconv.Atoi(least)
	to, _ := strconv.Atoi(most)
	n, err := strconv.Atoi(value)
	return err == nil && from <= n && n <= to
}

// UnknownDialError is the error of a name that is no dial's.
type UnknownDialError struct{ Name string }

func (e UnknownDialError) Error() string { return "unknown dial " + strconv.Quote(e.Name) }

// Suggestion is the end of a message about the name: the dial that was most likely
// meant, or all there are.
func (e UnknownDialError) Suggestion() string {
	known := make([]string, len(dials))
	for i, d := range dials {
		known[i] = string(d.ID)
	}
	if _, ok := Nearest(e.Name, known); !ok {
		// Its last word alone, such as aud.
		for _, id := range known {
			if strings.HasSuffix(id, "."+e.Name) {
				return fmt.Sprintf("; did you mean %q?", id)
			}
		}
	}
	return Suggest(e.Name, known)
}
