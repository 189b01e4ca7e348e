package smtpserver

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// TestAdmit: a Backend can answer at each stage, in its own words, and sees
// what the client has said until then.
func TestAdmit(t *testing.T) {
	t.Parallel()
	throttled := &Reply{421, "4.7.0", []string{"Try again later, closing connection. (EHLO)", " https://support.google.com/a/answer/3726730"}}
	const (
		tail  = " ID - gsmtp"
		later = "421-4.7.0 Try again later, closing connection. (EHLO)\n421 4.7.0  https://support.google.com/a/answer/3726730" + tail
	)
	refused := &Reply{550, "5.7.1", []string{"Not you."}}
	from := step{"MAIL FROM:<a@sender.example>", senderOK}
	no := "550 5.7.1 Not you." + tail
	tests := []struct {
		name   string
		at     Stage
		reply  *Reply
		opened string // What the client is greeted with.
		steps  []step
		end    bool // The server hangs up after that.
		want   string
	}{
		{"nobody", "", nil, greeting, []step{{"EHLO client.example", ehloReply}, from, {"RCPT TO:<u@gmail.test>", rcptOK}}, false,
			"connect hello:client.example mail:client.example:a@sender.example"},
		{"the connection, for now", StageConnect, throttled, later, nil, true, "connect"},
		{"the connection, for ever", StageConnect, refused, no, nil, true, "connect"},
		{"EHLO, and the session", StageHello, throttled, greeting, []step{{"EHLO client.example", later}}, true, "connect hello:client.example"},
		{"EHLO, as if it had not been said", StageHello, refused, greeting, []step{
			{"EHLO client.example", no}, {"HELO again.example", no}, {"MAIL FROM:<>", helloFirst},
		}, false, "connect hello:client.example hello:again.example"},
		{"MAIL, and the session", StageMail, throttled, greeting, []step{{"EHLO client.example", ehloReply}, {from.send, later}}, true,
			"connect hello:client.example mail:client.example:a@sender.example"},
		{"MAIL, as if it had not been said", StageMail, refused, greeting, []step{
			{"EHLO client.example", ehloReply}, {from.send, no}, {"RCPT TO:<u@gmail.test>", outOfSequence("MAIL first.")}, {"MAIL FROM:<>", no},
		}, false, "connect hello:client.example mail:client.example:a@sender.example mail:client.example:"},
		{"in words nobody could say", StageMail, &Reply{Code: 250}, greeting, []step{{"EHLO client.example", ehloReply}, {from.send, shutDown}}, true,
			"connect hello:client.example mail:client.example:a@sender.example"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var asked []string
			b := &box{onAdmit: func(_ context.Context, e *Envelope, at Stage) *Reply {
				asked = append(asked, seen(e, at))
				if at == tt.at {
					return tt.reply
				}
				return nil
			}}
			c := dialPipeFrom(t, newServer(t, b, nil), tcpAddr("127.0.0.1"))
			c.want(tt.opened)
			for _, st := range tt.steps {
				c.send(st.send + "\r\n")
				c.want(st.want)
			}
			if tt.end {
				c.wantEOF()
			}
			if got := strings.Join(asked, " "); got != tt.want {
				t.Errorf("asked %q, want %q", got, tt.want)
			}
		})
	}
}

// seen is what Admit was shown, in short.
func seen(e *Envelope, at Stage) string {
	if e.Peer.String() != "127.0.0.1" || e.Session == "" || len(e.Rcpts) > 0 {
		return fmt.Sprintf("%+v", *e)
	}
	switch at {
	case StageHello:
		return string(at) + ":" + e.HELO
	case StageMail:
		return string(at) + ":" + e.HELO + ":" + e.From
	}
	return string(at) + e.HELO + e.From
}

// TestAdmitLater: a refused EHLO in the middle of a session leaves everything as
// it was, the transaction too (RFC 5321 4.1.4).
func TestAdmitLater(t *testing.T) {
	t.Parallel()
	b := &box{onAdmit: func(_ context.Context, e *Envelope, _ Stage) *Reply {
		if e.HELO == "other.example" {
			return &Reply{550, "5.7.1", []string{"Not you."}}
		}
		return nil
	}}
	c := dialPipe(t, newServer(t, b, nil))
	c.envelope()
	c.cmd("HELO other.example", "550 5.7.1 ")
	c.cmd("DATA", "354")
	c.cmd(".", "250")
	if m := b.one(t); m.HELO != "client.example" || !m.ESMTP || len(m.Rcpts) != 1 {
		t.Errorf("got %+v", m)
	}
}

// TestAdmitNeverAgain: who is refused at EHLO may ask again, but not for ever.
func TestAdmitNeverAgain(t *testing.T) {
	t.Parallel()
	b := &box{onAdmit: func(_ context.Context, _ *Envelope, at Stage) *Reply {
		if at == StageHello {
			return &Reply{450, "4.7.0", []string{"Not now."}}
		}
		return nil
	}}
	c := dialPipe(t, newServer(t, b, nil))
	for range maxStrange {
		c.cmd("EHLO client.example", "450 4.7.0 ")
	}
	c.cmd("EHLO client.example", "554-5.7.0 ")
	c.wantEOF()
}

// TestAdmitUnderTLS: what was said before STARTTLS is not known any more.
func TestAdmitUnderTLS(t *testing.T) {
	t.Parallel()
	b := &box{onAdmit: func(_ context.Context, e *Envelope, at Stage) *Reply {
		if at == StageMail && e.TLS == nil {
			return &Reply{550, "5.7.29", []string{"TLS first."}}
		}
		return nil
	}}
	pair := testTLS(t)
	c := dialPipe(t, newServer(t, b, func(o *Options) { o.TLSConfig = pair.server }))
	c.hello()
	c.cmd("MAIL FROM:<>", "550 5.7.29 ")
	c.startTLS(pair.client)
	c.hello()
	c.cmd("MAIL FROM:<>", "250 2.1.0 ")
}
