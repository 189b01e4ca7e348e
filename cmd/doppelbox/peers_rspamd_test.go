//go:build peers

package main

import (
	"context"
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/mailbox"
)

// opinion is what somebody says of a mail's authentication: words by method,
// which is "spf", "dkim" with a selector, "dmarc" or "arc". That a mail has no
// chain is left out.
type opinion map[string]string

// String shows an opinion in the order of its methods' names.
func (o opinion) String() string {
	var words []string
	for _, method := range slices.Sorted(maps.Keys(o)) {
		words = append(words, method+"="+o[method])
	}
	return strings.Join(words, " ")
}

// delivered is a mail and how it comes.
type delivered struct {
	peer, from string // The client's address, and the envelope's sender.
	mail       []byte
}

// judge asks the program about a mail, with the records of a zone file, by the
// standards: Rspamd does not know what the real provider leaves out.
func judge(t *testing.T, zone string, d delivered) opinion {
	t.Helper()
	binary, err := filepath.Abs("../../.bin/doppelbox")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(peerContext(t), binary, "check", "-", "--json", "--dns=zone", "--zone="+zone,
		"--to="+peerAccount, "--peer="+d.peer, "--helo="+peerHELO, "--from="+d.from, "--dial=profile=rfc")
	cmd.Stdin = strings.NewReader(string(d.mail))
	text, err := cmd.Output()
	// That the mail is not taken is no fault.
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != exitHeld && cmd.ProcessState.ExitCode() != exitNot {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, text)
	}
	var m mailbox.Message
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	a := m.Evidence.Auth
	o := opinion{"spf": string(a.SPF.Result), "dmarc": string(a.DMARC.Result)}
	if a.DMARC.Result == policy.AuthFail {
		o["dmarc"] += "/" + a.DMARC.Policy
	}
	for _, d := range a.DKIM {
		o["dkim/"+d.Selector] = string(d.Result)
	}
	if a.ARC.Result != policy.AuthNone {
		o["arc"] = string(a.ARC.Result)
	}
	return o
}

// rspamd is a running Rspamd.
type rspamd struct {
	*peerProcess
	client *http.Client
}

// startRspamd starts Rspamd over a DNS server, for mail of domains that end in
// the given suffixes, and waits until it listens.
func startRspamd(t *testing.T, nameserver string, suffixes ...string) *rspamd {
	t.Helper()
	program := needRspamd(t)
	dir := peerDir(t, "rspamd")
	config := filepath.Join(dir, "rspamd.conf")
	writeFile(t, config, template(t, "rspamd.conf", "dir", dir, "dns", nameserver), 0o644)
	writeFile(t, filepath.Join(dir, "suffixes"), strings.Join(suffixes, "\n")+"\n", 0o644)
	args := []string{"--no-fork", "--config", config}
	if os.Geteuid() == 0 {
		// It refuses to judge as root.
		args = append(args, "--user", "nobody", "--group", "nogroup")
	}
	r := &rspamd{startPeer(t, program, args...), unixClient(filepath.Join(dir, "http"))}
	r.await(t, "starting normal process")
	return r
}

// symbols are the words for what Rspamd says.
var symbols = map[string]struct{ method, word string }{
	"R_SPF_ALLOW":             {"spf", "pass"},
	"R_SPF_PLUSALL":           {"spf", "pass"},
	"R_SPF_FAIL":              {"spf", "fail"},
	"R_SPF_SOFTFAIL":          {"spf", "softfail"},
	"R_SPF_NEUTRAL":           {"spf", "neutral"},
	"R_SPF_NA":                {"spf", "none"},
	"R_SPF_DNSFAIL":           {"spf", "temperror"},
	"R_SPF_PERMFAIL":          {"spf", "permerror"},
	"R_DKIM_ALLOW":            {"dkim", "pass"},
	"R_DKIM_REJECT":           {"dkim", "fail"},
	"R_DKIM_TEMPFAIL":         {"dkim", "temperror"},
	"R_DKIM_PERMFAIL":         {"dkim", "permerror"},
	"DMARC_POLICY_ALLOW":      {"dmarc", "pass"},
	"DMARC_POLICY_REJECT":     {"dmarc", "fail/reject"},
	"DMARC_POLICY_QUARANTINE": {"dmarc", "fail/quarantine"},
	"DMARC_POLICY_SOFTFAIL":   {"dmarc", "fail/none"},
	"DMARC_NA":                {"dmarc", "none"},
	"DMARC_BAD_POLICY":        {"dmarc", "permerror"},
	"DMARC_DNSFAIL":           {"dmarc", "temperror"},
	"ARC_ALLOW":               {"arc", "pass"},
	"ARC_REJECT":              {"arc", "fail"},
	"ARC_INVALID":             {"arc", "fail"},
	"ARC_DNSFAIL":             {"arc", "temperror"},
}

// judge asks Rspamd about a mail.
func (r *rspamd) judge(t *testing.T, d delivered) opinion {
	t.Helper()
	request, err := http.NewRequestWithContext(r.ctx, http.MethodPost, "http://rspamd/checkv2", strings.NewReader(string(d.mail)))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"IP": d.peer, "From": d.from, "Helo": peerHELO, "Rcpt": peerAccount} {
		request.Header.Set(name, value)
	}
	reply, err := r.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	var answer struct {
		Symbols map[string]struct{ Options []string }
	}
	if err := json.NewDecoder(reply.Body).Decode(&answer); err != nil || reply.StatusCode != http.StatusOK {
		t.Fatalf("Rspamd answered %s, %v", reply.Status, err)
	}
	o := opinion{}
	for symbol, found := range answer.Symbols {
		is, ok := symbols[symbol]
		if !ok {
			continue
		}
		if is.method != "dkim" {
			o[is.method] = is.word
			continue
		}
		for _, option := range found.Options {
			// Such as "shop.example:s=s1", perhaps with more after it.
			_, selector, _ := strings.Cut(option, ":s=")
			selector, _, _ = strings.Cut(selector, ":")
			o["dkim/"+selector] = is.word
		}
	}
	return o
}

// unixClient is an HTTP client for a server at a socket.
func unixClient(socket string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		// Rspamd waits for open connections when it is stopped.
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
}
