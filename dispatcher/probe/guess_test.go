package probe_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/dispatcher"
	"github.com/doppelbox/doppelbox/dispatcher/probe"
)

// links is a service whose links have one form. It takes each link once; with
// the flaw it takes all that have something where the token is.
type links struct {
	form   string // With %T for the token and %N for a number that counts.
	flawed bool
	made   []string // Tokens.
	open   map[string]bool
	done   int
}

// make makes a link.
func (l *links) make() string {
	n := len(l.made) + 1
	sum := sha256.Sum256([]byte(strconv.Itoa(n)))
	l.made = append(l.made, hex.EncodeToString(sum[:10]))
	link := strings.NewReplacer("%T", l.made[n-1], "%N", strconv.Itoa(1000+n)).Replace(l.form)
	l.open[link] = true
	return "https://shop.example" + link
}

func (l *links) exchange(_ context.Context, r dispatcher.Raw) dispatcher.Attempt {
	a := dispatcher.Attempt{Status: 404, Addr: "127.0.0.1:443", TLSVersion: "TLS 1.3"}
	_, link, _ := strings.Cut(string(r.Octets), " ")
	link, _, _ = strings.Cut(link, " ")
	if l.open[link] || l.flawed {
		l.open[link] = false
		l.done++
		a.Status = 200
	}
	return a
}

// tryLinks tries a service of links with what is about limited-use tokens.
func tryLinks(t *testing.T, b *bench, l *links, named string, again bool) probe.Report {
	t.Helper()
	l.open = make(map[string]bool)
	target := func() probe.Target {
		return probe.Target{URL: l.make(), Method: "POST", Body: "confirmed=Approved", Audience: audience, Bearer: true, LimitedUse: named}
	}
	o := probe.Options{
		Keys: b.provider.Set, Exchange: l.exchange, Only: []string{"limited-use"},
		Effects: func(context.Context) (string, error) { return strconv.Itoa(l.done), nil },
	}
	if again {
		o.Fresh = func(context.Context) (probe.Target, error) { return target(), nil }
	}
	report, err := probe.Run(t.Context(), target(), o)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := probe.WriteJSON(&out, report); err != nil {
		t.Fatal(err)
	}
	for _, token := range l.made {
		if strings.Contains(out.String(), token) {
			t.Errorf("the report has the token %s", token)
		}
	}
	return report
}

func (l *links) String() string { return fmt.Sprintf("%s, flawed %v", l.form, l.flawed) }

// TestTellsLimitedUse has URLs in which several values look like a limited-use
// token: a fresh action shows which it is. Without one none is taken, unless it
// is named.
func TestTellsLimitedUse(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for form, named := range map[string]string{
		"/o/5f2b6c7d8e9f0a1b2c3d/approve/%T":             "/4",
		"/approve?cid=0a1b2c3d4e5f6a7b&expense=%N&ct=%T": "ct",
		"/approve?nonce=1234&ct=%T":                      "ct",
		"/approve?hash=0a1b2c3d4e5f6a7b8c9d0e1f&ct=%T":   "ct",
		"/approve?key=invoice-2024-00%N&ct=%T":           "ct",
		"/approve/0a1b2c3d4e5f6a7b?%63t=%T":              "ct",
	} {
		for _, flawed := range []bool{false, true} {
			for _, again := range []bool{false, true} {
				for _, word := range []string{"", named} {
					l := &links{form: form, flawed: flawed}
					report := tryLinks(t, b, l, word, again)
					place, _, _ := strings.Cut(report.LimitedUse, ",")
					told := again || word != ""
					if want := map[bool]string{true: `parameter "` + named + `"`, false: "segment 4 of the path"}[named != "/4"]; told && place != want || !told && place != "not known" {
						t.Errorf("%v, again %v, named %q: taken is %s", l, again, word, report.LimitedUse)
					}
					skipped := slices.Contains(found(report, probe.Skipped), "limited-use-altered")
					noted := slices.ContainsFunc(report.Notes, func(n string) bool { return strings.Contains(n, "--limited-use /N segment N of the path") })
					if skipped == told || noted == told {
						t.Errorf("%v, again %v, named %q: skipped %v, noted %v:\n%s", l, again, word, skipped, noted, describe(report))
					}
					if failed := slices.Contains(found(report, probe.Failed), "limited-use-altered"); failed != (flawed && told) || !flawed && report.Failed() {
						t.Errorf("%v, again %v, named %q: failed %v:\n%s", l, again, word, failed, describe(report))
					}
				}
			}
		}
	}
}

// TestUnlikelyLimitedUse has tokens that neither their name nor their look
// gives away, and what looks like one and is none.
func TestUnlikelyLimitedUse(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for form, want := range map[string]string{
		"/approve?ct=%T":                           `parameter "ct", which is another in each URL`,
		"/approve?b=eyJhbGciOiJIUzI1NiJ9.e30.%T":   `parameter "b", which is another in each URL`,
		"/approve?token=%T&session=0a1b2c3d4e5f6a": `parameter "token", guessed by its name`,
		"/approve/invoice-2024-00%N":               "none found",
		"/approve/0a1b2c3d4e5f6a7b/%N":             "none found",
		"/approve?t=17000000%N":                    "none found",
		"/approve?secret=abcd&x=%N":                "none found",
	} {
		if report := tryLinks(t, b, &links{form: form}, "", true); report.LimitedUse != want || report.Failed() {
			t.Errorf("%s: %s, want %s:\n%s", form, report.LimitedUse, want, describe(report))
		}
	}
}

// TestGuessIsSaid holds that what rests on a guess says so, until something
// bears it out.
func TestGuessIsSaid(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for named, want := range map[string]bool{"": true, "token": false} {
		report := tryLinks(t, b, &links{form: "/approve?token=%T", flawed: true}, named, false)
		for _, r := range report.Results {
			if r.Probe.ID == "limited-use-missing" && strings.Contains(r.Detail, `is a guess (parameter "token", guessed by its name): --limited-use names it`) != want {
				t.Errorf("named %q: %s", named, r.Detail)
			}
		}
	}
	report := tryLinks(t, b, &links{form: "/approve?token=%T", flawed: true}, "", true)
	if last := report.Results[len(report.Results)-1]; strings.Contains(last.Detail, "guess") {
		t.Errorf("what a fresh action bears out is called a guess: %s", last.Detail)
	}
}

// TestFreshFails has no second URL where it is needed: nothing was tried, and
// the error says why.
func TestFreshFails(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for name, fresh := range map[string]func(context.Context) (probe.Target, error){
		"no mail came":    func(context.Context) (probe.Target, error) { return probe.Target{}, errors.New("no mail came") },
		"begin with http": func(context.Context) (probe.Target, error) { return probe.Target{URL: "mailto:x"}, nil },
	} {
		target := probe.Target{URL: "https://shop.example/0a1b2c3d4e5f6a7b/0a1b2c3d4e5f6a7c", Body: "confirmed=Approved", Audience: audience}
		o := probe.Options{Keys: b.provider.Set, Exchange: (&links{}).exchange, Fresh: fresh}
		if _, err := probe.Run(t.Context(), target, o); err == nil || !strings.Contains(err.Error(), "(--again): ") || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNamedLimitedUse holds what is said of a name that is none.
func TestNamedLimitedUse(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for named, want := range map[string]string{
		"/4":    `the path has no segment "/4", or an empty one: it has 2`,
		"/2":    `the path has no segment "/2", or an empty one: it has 2`,
		"/0":    `the path has no segment "/0"`,
		"tokn":  `the URL has no parameter "tokn"; did you mean "token"?`,
		"1":     "a segment of the path is named by its number, as /1",
		"/path": `no parameter "/path"`,
	} {
		target := probe.Target{URL: "https://shop.example/approve/?token=abcdefgh", Body: "confirmed=Approved", Audience: audience, LimitedUse: named}
		o := probe.Options{Keys: b.provider.Set, Exchange: (&links{}).exchange}
		if _, err := probe.Run(t.Context(), target, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", named, err, want)
		}
	}
}

// TestSameLimitedUse has all actions with one limited-use token: exchanged for
// that of another it would make the good request.
func TestSameLimitedUse(t *testing.T) {
	t.Parallel()
	report := tryLinks(t, newBench(t), &links{form: "/approve?token=abcdefgh&x=%T"}, "token", true)
	for _, r := range report.Results {
		if r.Probe.ID == "limited-use-of-other-action" && (r.Mark != probe.Skipped || !strings.Contains(r.Detail, "the same limited-use token")) {
			t.Errorf("it is %s: %s", r.Mark, r.Detail)
		}
	}
}
