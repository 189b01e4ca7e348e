package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/cmd/doppelbox/console"
	"github.com/doppelbox/doppelbox/dispatcher/probe"
)

// probedWorld has two services in the process: one verifies tokens, but not for
// whom they are, and one takes everything.
const probedWorld = `account alice@gmail.test
register noreply@shop.example bearer=yes
endpoint https://shop.example/approve trusts=gmail.test
endpoint https://open.example/approve
`

// probeCommandLine runs probe against a provider.
func probeCommandLine(t *testing.T, s *serving, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return command(t, append([]string{"probe", "--api=" + s.API}, args...)...)
}

func startProbed(t *testing.T) *serving {
	t.Helper()
	world := filepath.Join(t.TempDir(), "world")
	if err := os.WriteFile(world, []byte(probedWorld), 0o644); err != nil {
		t.Fatal(err)
	}
	return startServe(t, world)
}

func TestProbeURL(t *testing.T) {
	t.Parallel()
	s := startProbed(t)
	code, out, errs := probeCommandLine(t, s, "--url=https://shop.example/approve?token=a1b2c3d4e5f6a7b8", "--domain=shop.example", "--format=json", "--only=token-missing,aud-other")
	if code != exitNot {
		t.Fatalf("exit code %d: %s%s", code, out, errs)
	}
	got := map[string]probe.Mark{}
	for _, r := range resultsOf(t, out) {
		got[r.ID] = r.Mark
	}
	if got["token-missing"] != probe.Held || got["aud-other"] != probe.Failed {
		t.Errorf("the service that looks at no audience was judged %v", got)
	}
	code, out, _ = probeCommandLine(t, s, "--url=https://open.example/approve?token=a1b2c3d4e5f6a7b8", "--domain=shop.example")
	if code != exitNot || !strings.Contains(out, "alg-none") {
		t.Errorf("the service that takes everything: exit code %d\n%s", code, out)
	}
	for _, form := range []string{"junit", "sarif"} {
		file := filepath.Join(t.TempDir(), form)
		if code, out, errs := probeCommandLine(t, s, "--url=https://open.example/approve", "--domain=shop.example", "--only=token-missing", "--format="+form, "-o", file); code != exitNot || out != "" {
			t.Errorf("%s: exit code %d, printed %q %q", form, code, out, errs)
		}
		if data, err := os.ReadFile(file); err != nil || len(data) == 0 {
			t.Errorf("%s: %d octets were written: %v", form, len(data), err)
		}
	}
}

// TestProbeHelped has commands that make the action anew and look at what was
// done.
func TestProbeHelped(t *testing.T) {
	t.Parallel()
	s := startProbed(t)
	code, out, errs := probeCommandLine(t, s, "--url=https://shop.example/approve?token=a1b2c3d4e5f6a7b8", "--domain=shop.example",
		"--again=echo chatter; echo 'https://shop.example/approve?token=0123456789abcdef'", "--effects=echo 0",
		"--format=json")
	if code != exitNot || errs != "" {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	if n := len(resultsOf(t, out)); n != len(probe.Catalogue()) {
		t.Errorf("%d results of %d requests", n, len(probe.Catalogue()))
	}
}

// probeResult is what a script reads of a report.
type probeResult struct {
	ID   string
	Mark probe.Mark
}

func resultsOf(t *testing.T, report string) []probeResult {
	t.Helper()
	var r struct{ Results []probeResult }
	if err := json.Unmarshal([]byte(report), &r); err != nil {
		t.Fatal(err)
	}
	return r.Results
}

func TestProbeMistakes(t *testing.T) {
	t.Parallel()
	s := startProbed(t)
	for want, args := range map[string][]string{
		"there is no message with an in-app action":                                nil,
		`there is no message "m77"`:                                                {"m77"},
		`there is no account "alcie@gmail.test"; did you mean "alice@gmail.test"?`: {"--account=alcie@gmail.test"},
		"--url needs --domain":                                                     {"--url=https://shop.example/"},
		"--domain, --method and --no-bearer go with --url":                         {"--domain=shop.example"},
		"name one":                     {"m1", "--url=https://shop.example/", "--domain=shop.example"},
		`did you mean "token-missing"`: {"--url=https://shop.example/", "--domain=shop.example", "--only=token-misssing"},
		`the path has no segment "/2"`: {"--url=https://shop.example/approve", "--domain=shop.example", "--limited-use=/2"},
		"production.example, port 443, is neither routed nor loopback nor a": {"--url=https://production.example/", "--domain=shop.example"},
	} {
		if code, out, errs := probeCommandLine(t, s, args...); code != exitUsage || !strings.Contains(errs, want) || out != "" {
			t.Errorf("%v: exit code %d, printed %q and\n%s\nwant %s", args, code, out, errs, want)
		}
	}
}

func TestProbeList(t *testing.T) {
	t.Parallel()
	code, out, _ := command(t, "probe", "--list")
	if code != exitHeld {
		t.Fatalf("exit code %d", code)
	}
	_, asJSON, _ := command(t, "probe", "--list", "--format=json")
	var list []struct{ ID, Should string }
	if err := json.Unmarshal([]byte(asJSON), &list); err != nil {
		t.Fatal(err)
	}
	for i, p := range probe.Catalogue() {
		if !strings.Contains(out, p.ID) || list[i].ID != p.ID || list[i].Should == "" {
			t.Errorf("%s is not listed", p.ID)
		}
	}
}

// TestProbeHelp holds what the options promise that is easily taken otherwise.
func TestProbeHelp(t *testing.T) {
	t.Parallel()
	_, out, errs := command(t, "probe", "--help")
	text := strings.Join(strings.Fields(out+errs), " ")
	for _, want := range []string{
		"whatever the dial token.aud says",
		"a number that goes up or down by one each time",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("--help does not say %q", want)
		}
	}
}

// TestProbeEvents holds what a client in another language relies on.
func TestProbeEvents(t *testing.T) {
	t.Parallel()
	s := startProbed(t)
	f := apiFlag{API: s.API}
	body := `{"url": "https://open.example/approve", "domain": "shop.example", "only": ["token-missing"]}`
	data, err := f.call(t.Context(), "POST", "/api/v1/probes", body)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for line := range strings.Lines(string(data)) {
		var e console.ProbeEvent
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, e.Event)
	}
	if first, last := kinds[0], kinds[len(kinds)-1]; first != "started" || last != "report" {
		t.Errorf("the events are %v", kinds)
	}
	for body, want := range map[string]string{
		`{"url": "https://open.example/approve", "domain": "shop.example", "asks": ["agin"]}`: `did you mean "again"`,
		`{"urls": "x"}`: `did you mean "url"`,
		`{} {}`:         "no JSON object",
		`{"url": "https://open.example/", "domain": "shop.example", "wait": "soon"}`: "wait is a duration",
	} {
		if _, err := f.call(t.Context(), "POST", "/api/v1/probes", body); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s was answered %v", body, err)
		}
	}
	if _, err := f.call(t.Context(), "POST", "/api/v1/probes/p99/answers", `{"n": 1}`); err == nil {
		t.Error("an answer to no probe was taken")
	}
}

// TestProbeStopped has a probe stopped while it waits for its client, who gets a
// report all the same. What is answered twice, or too late, is refused.
func TestProbeStopped(t *testing.T) {
	t.Parallel()
	s := startProbed(t)
	f := apiFlag{API: s.API}
	body := `{"url": "https://shop.example/approve?token=a1b2c3d4e5f6a7b8", "domain": "shop.example", "asks": ["effects"], "form": "text"}`
	answer, err := f.send(t.Context(), http.DefaultClient, "POST", "/api/v1/probes", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	post := func(path, body string) error {
		_, err := f.call(t.Context(), "POST", "/api/v1/probes/"+path, body)
		return err
	}
	id, last := "", console.ProbeEvent{}
	for d := json.NewDecoder(answer.Body); last.Event != "report"; {
		last = console.ProbeEvent{}
		if err := d.Decode(&last); err != nil {
			t.Fatal(err)
		}
		switch {
		case last.Event == "error":
			t.Fatal(last.Error)
		case last.Event == "started":
			id = last.ID
		case last.Event == "ask" && last.N == 5:
			if err := post(id+"/stop", ""); err != nil {
				t.Fatal(err)
			}
		case last.Event == "ask":
			ok := fmt.Sprintf(`{"n": %d, "text": "0"}`, last.N)
			if err := post(id+"/answers", ok); err != nil {
				t.Fatal(err)
			}
			if err := post(id+"/answers", ok); err == nil {
				t.Errorf("answer %d was taken twice", last.N)
			}
		}
	}
	if !last.Failed || !strings.Contains(last.Report, "stopped before the end: whoever asked for the probe stopped it") {
		t.Errorf("the report is %s", last.Report)
	}
	if err := post(id+"/stop", ""); err == nil {
		t.Error("a probe that has ended was stopped")
	}
}
