//go:build peers

package main

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/receiver/mailbox"
)

// executed is a program that runs under doppelbox exec, in the environment that it
// gets there and no other. Served is the provider beside it.
type executed struct {
	*served
	in io.WriteCloser // The program's standard input.
}

// startExec runs a program under doppelbox exec. A shell around it says where
// the provider's API is, and is replaced by it.
func startExec(t *testing.T, world string, flags []string, program ...string) *executed {
	t.Helper()
	args := append([]string{"exec"}, flags...)
	args = append(args, worldFile(t, world), "--", "sh", "-c", `echo "API $DOPPELBOX_API"; exec "$@"`, "sh")
	e := &executed{served: &served{peerProcess: newPeer(t, builtBinary(t), append(args, program...)...)}}
	var err error
	if e.in, err = e.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	e.start(t)
	e.API = strings.TrimPrefix(e.await(t, "API "), "API ") + "/api/v1/"
	return e
}

// end closes the program's standard input, waits for its end, and expects it to
// be a good one.
func (e *executed) end(t *testing.T) {
	t.Helper()
	if err := e.in.Close(); err != nil {
		t.Error(err)
	}
	e.ended(t, exitHeld)
}

// stop signals doppelbox, which passes that on, and expects the program to have
// died of it.
func (e *executed) stop(t *testing.T) {
	t.Helper()
	if err := e.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	e.ended(t, 128+int(syscall.SIGTERM))
}

func (e *executed) ended(t *testing.T, want int) {
	t.Helper()
	select {
	case <-e.over:
	case <-e.ctx.Done():
		t.Fatal("the program has not ended")
	}
	if code := e.cmd.ProcessState.ExitCode(); code != want {
		t.Errorf("doppelbox exec ended with %d, want %d", code, want)
	}
	// Such as that the program wanted another host, or does not trust us.
	if text := e.text(); strings.Contains(text, "doppelbox: ") {
		t.Errorf("doppelbox exec complained:\n%s", text)
	}
}

// ask has the program verify a token.
func (e *executed) ask(t *testing.T, token, audience string) tokenAnswer {
	t.Helper()
	if err := json.NewEncoder(e.in).Encode(tokenJob{token, audience}); err != nil {
		t.Fatal(err)
	}
	answer, err := readAnswer(e.await(t, `{"`))
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// deliver delivers a mail whose button is offered. Scenario lines do it, so that
// this needs no mailer; the letter is authenticated by SPF alone.
func (e *executed) deliver(t *testing.T) mailbox.Message {
	t.Helper()
	e.steps(t, "deliver mail.eml from="+peerEnvelope+" to="+peerAccount+" peer=192.0.2.10 helo="+peerHELO,
		"expect action.0 == offered", "-- mail.eml --", peerMail())
	var list []mailbox.Message
	if err := json.Unmarshal(e.call(t, "GET", "messages", ""), &list); err != nil {
		t.Fatal(err)
	}
	return list[len(list)-1]
}

// request delivers a mail, presses its button, and returns the token with which
// the service has got the request.
func (e *executed) request(t *testing.T, service *peerService) string {
	t.Helper()
	m := e.deliver(t)
	e.click(t)
	if list := e.clicks(t, m); len(list) != 1 || list[0].State != mailbox.ClickSucceeded {
		t.Fatalf("the clicks are %+v", list)
	}
	return service.request(t).token
}

// forge makes one of the tokens of the table. Good is that of a request.
func (e *executed) forge(t *testing.T, v verifierToken, good string) string {
	t.Helper()
	parts := strings.Split(good, ".")
	switch {
	case v.payloadChanged:
		raw, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err != nil {
			t.Fatal(err)
		}
		// Nothing else is wrong with it: the claim is one that nobody looks at.
		changed := strings.Replace(string(raw), `"sub":"`, `"sub":"9`, 1)
		if changed == string(raw) {
			t.Fatalf("the payload %s has no sub", raw)
		}
		return parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(changed)) + "." + parts[2]
	case v.cutOff:
		return parts[0] + "." + parts[1]
	}
	header, claims := map[string]any{}, map[string]any{}
	for name, value := range v.header {
		header[name] = value
	}
	if v.currentKid {
		header["kid"] = keyID(t, good)
	}
	for name, value := range v.claims {
		switch d := value.(type) {
		case time.Duration:
			value = time.Now().Add(d).Unix()
		case fraction:
			value = float64(time.Now().Add(time.Duration(d)).Unix()) + 0.5
		}
		claims[name] = value
	}
	job, err := json.Marshal(map[string]any{
		"audience": audience, "signing": v.signing, "header": header, "claims": claims, "embedKey": v.embedKey, "embedChain": v.embedChain,
	})
	if err != nil {
		t.Fatal(err)
	}
	var made struct{ Token string }
	if err := json.Unmarshal(e.call(t, "POST", "tokens", string(job)), &made); err != nil {
		t.Fatal(err)
	}
	return made.Token
}

// keyID returns which key a token says that it is signed with.
func keyID(t *testing.T, token string) string {
	t.Helper()
	part, _, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		t.Fatal(err)
	}
	var header struct{ Kid string }
	if err := json.Unmarshal(raw, &header); err != nil {
		t.Fatal(err)
	}
	return header.Kid
}
