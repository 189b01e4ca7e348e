package smtpserver

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

// step is a line of the client and the reply to it.
type step struct{ send, want string }

const (
	greeting  = "220 mx.gmail.test ESMTP ID - gsmtp"
	ehloReply = "250-mx.gmail.test at your service, [127.0.0.1]\n" +
		"250-SIZE 157286400\n250-8BITMIME\n250-ENHANCEDSTATUSCODES\n250-PIPELINING\n250-CHUNKING\n250 SMTPUTF8"
	senderOK = "250 2.1.0 OK ID - gsmtp"
	rcptOK   = "250 2.1.5 OK ID - gsmtp"
	goAhead  = "354 Go ahead ID - gsmtp"
	accepted = "250 2.0.0 OK  1726000000 ID - gsmtp"
	helpPage = " https://support.google.com/a/answer/3221692"
	syntax   = "555-5.5.2 Syntax error. For more information, go to\n" +
		"555-5.5.2 " + helpPage + " and review RFC 5321\n555 5.5.2 specifications. ID - gsmtp"
	syntaxBye = "555-5.5.2 Syntax error, goodbye. For more information, go to\n" +
		"555-5.5.2 " + helpPage + " and review RFC 5321\n555 5.5.2 specifications. ID - gsmtp"
	unknown       = "502-5.5.1 Unrecognized command. For more information, go to\n502 5.5.1 " + helpPage + " ID - gsmtp"
	unimplemented = "502-5.5.1 Unimplemented command. For more information, go to\n502 5.5.1 " + helpPage + " ID - gsmtp"
	badSequence   = "503-5.5.1 Bad sequence of commands. For more information, go to\n" +
		"503-5.5.1 " + helpPage + " and review RFC 5321\n503 5.5.1 specifications. ID - gsmtp"
	helloFirst = "503-5.5.1 EHLO/HELO first. A mail transaction protocol command was issued out of\n" +
		"503-5.5.1 sequence. For more information, go to\n503 5.5.1  https://support.google.com/mail/?p=helo ID - gsmtp"
	farTooLarge = "552-5.3.4 The message exceeds the size limit. For more information, go to\n" +
		"552 5.3.4  https://support.google.com/mail/?p=MaxSizeError ID - gsmtp"
)

// tooLarge is the reply for numbers of the lengths that these tests have.
func tooLarge(size, limit string) string {
	return "552-5.3.4 The message of " + size + " octets exceeds the size limit of " + limit + "\n" +
		"552-5.3.4 octets. For more information, go to\n552 5.3.4  https://support.google.com/mail/?p=MaxSizeError ID - gsmtp"
}

func outOfSequence(what string) string {
	return "503-5.5.1 " + what + " A mail transaction protocol command was issued out of\n" +
		"503-5.5.1 sequence. For more information, go to\n" +
		"503-5.5.1 " + helpPage + " and review RFC 5321\n" +
		"503 5.5.1 specifications. ID - gsmtp"
}

func TestDialogue(t *testing.T) {
	t.Parallel()
	ehlo := step{"EHLO client.example", ehloReply}
	from := step{"MAIL FROM:<a@sender.example>", senderOK}
	to := step{"RCPT TO:<u@gmail.test>", rcptOK}
	tests := []struct {
		name  string
		steps []step
		end   bool // The server hangs up after that.
	}{
		{"before a greeting", []step{
			{"MAIL FROM:<a@sender.example>", helloFirst},
			{"RCPT TO:<u@gmail.test>", helloFirst},
			{"DATA", helloFirst},
			{"BDAT 0", helloFirst},
			{"RSET", "250 2.1.5 Flushed ID - gsmtp"},
			{"NOOP", "250 2.0.0 OK ID - gsmtp"},
			{"VRFY u", "252 2.1.5 Cannot verify the user, but will try to deliver ID - gsmtp"},
			{"HELP", "214 2.0.0 https://www.google.com/search?btnI&q=RFC+5321 ID - gsmtp"},
			{"QUIT", "221 2.0.0 closing connection ID - gsmtp"},
		}, true},
		{"HELO gets no capabilities", []step{{"HELO client.example", "250 mx.gmail.test at your service"}, from, to}, false},
		{"EHLO", []step{ehlo, ehlo}, false},
		{"lower case", []step{{"ehlo client.example", ehloReply}, {"mail from:<a@sender.example>", senderOK}, {"rcpt to:<u@gmail.test>", rcptOK}, {"data", goAhead}}, false},
		{"empty EHLO", []step{{"EHLO", "501-5.5.4 Empty HELO/EHLO argument not allowed, closing connection.\n" +
			"501 5.5.4  https://support.google.com/mail/?p=helo ID - gsmtp"}}, true},
		{"EHLO of two words", []step{{"EHLO a b", "501-5.5.4 HELO/EHLO argument a b invalid, closing connection.\n" +
			"501 5.5.4  https://support.google.com/mail/?p=helo ID - gsmtp"}}, true},
		{"a whole message", []step{ehlo, from, to, {"DATA", goAhead}, {"Subject: x\r\n\r\nhi\r\n.", accepted}, from, to, {"DATA", goAhead}, {".", accepted},
			{"QUIT", "221 2.0.0 closing connection ID - gsmtp"}}, true},
		{"out of sequence", []step{ehlo,
			{"RCPT TO:<u@gmail.test>", outOfSequence("MAIL first.")},
			{"DATA", outOfSequence("MAIL first.")},
			from,
			{"DATA", outOfSequence("RCPT first.")},
			{"BDAT 3 LAST\r\nabc", outOfSequence("RCPT first.") + "\n" + unknown}, // The test's own CRLF.
		}, false},
		{"all recipients refused", []step{ehlo, from, {"RCPT TO:<none@gmail.test>", "550-5.1.1 No such user.\n550 5.1.1  https://support.google.com/mail/?p=NoSuchUser ID - gsmtp"}, {"DATA", outOfSequence("RCPT first.")}}, false},
		{"RSET ends the transaction", []step{ehlo, from, to, {"RSET", "250 2.1.5 Flushed ID - gsmtp"}, {"DATA", outOfSequence("MAIL first.")}, from}, false},
		{"EHLO ends the transaction", []step{ehlo, from, to, ehlo, {"DATA", outOfSequence("MAIL first.")}, from}, false},
		{"unknown and unimplemented", []step{ehlo,
			{"XYZZY", unknown}, {"", unknown}, {"MAILFROM:<a@b>", unknown}, {"NOOP2", unknown},
			{"EXPN list", unimplemented},
			{"AUTH PLAIN", unimplemented},
			{"STARTTLS", unimplemented},
			{"NOOP anything goes", "250 2.0.0 OK ID - gsmtp"},
		}, false},
		{"syntax of commands", []step{ehlo,
			{"MAIL", syntax}, {"MAIL <a@b.example>", syntax}, {"MAIL FROM:a@b.example", syntax}, {"MAIL FROM:<a@b.example", syntax},
			{"MAIL FROM:<a@b.example>SIZE=1", syntax}, {"DATA now", syntax}, {"QUIT now", syntax}, {"NO\x00OP", syntax}, {"NO\rOP", syntax}, {"NOOP \x7f", syntax},
		}, false},
		{"parameters of MAIL", []step{ehlo,
			{"MAIL FROM:<a@b.example> SIZE=x", syntax}, {"MAIL FROM:<a@b.example> SIZE=-1", syntax}, {"MAIL FROM:<a@b.example> SIZE", syntax},
			{"MAIL FROM:<a@b.example> SIZE=1 SIZE=1", syntax}, {"MAIL FROM:<a@b.example> BODY=BINARYMIME", syntax}, {"MAIL FROM:<a@b.example> RET=HDRS", syntax},
			{"MAIL FROM:<a@b.example> SMTPUTF8=1", syntax},
			{"MAIL FROM: <a@b.example>  SIZE=100 body=8bitmime SMTPUTF8", senderOK},
			{"RCPT TO:<u@gmail.test> NOTIFY=NEVER", syntax},
		}, false},
		{"too many unrecognized", append([]step{{"EHLO client.example", ehloReply}}, append(repeat(step{"X", unknown}, maxFaults),
			step{"X", "502-5.5.1 Too many unrecognized commands, goodbye. For more information, go to\n502 5.5.1 " + helpPage + " ID - gsmtp"})...), true},
		{"too many recipients", append([]step{ehlo, from}, append(repeat(to, 3),
			step{"RCPT TO:<u@gmail.test>", "452-4.5.3 The message has too many recipients. For more information, go to\n" +
				"452 4.5.3  https://support.google.com/mail/?p=TooManyRecipientsError ID - gsmtp"}, step{"DATA", goAhead})...), false},
		{"a bare LF ends the session", []step{ehlo, {"NOOP\nRSET", syntaxBye}}, true},
		{"a proxy header from anybody", []step{{"PROXY TCP4 192.0.2.1 192.0.2.2 1 2", unknown}}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := &box{onRcpt: func(_ context.Context, _ *Envelope, rcpt string) *Reply {
				if strings.HasPrefix(rcpt, "none@") {
					return &Reply{550, "5.1.1", []string{"No such user.", " https://support.google.com/mail/?p=NoSuchUser"}}
				}
				return nil
			}}
			s := newServer(t, b, func(o *Options) { o.MaxRecipients = 3 })
			c := dialPipe(t, s)
			for _, st := range tt.steps {
				c.send(st.send + "\r\n")
				for want := st.want; ; {
					got, err := c.reply()
					if err != nil {
						t.Fatalf("after %q: %v", st.send, err)
					}
					rest, ok := strings.CutPrefix(want, got)
					if !ok {
						t.Fatalf("after %q got\n%s\nwant\n%s", st.send, got, want)
					}
					if want = strings.TrimPrefix(rest, "\n"); want == "" {
						break
					}
				}
			}
			if tt.end {
				c.wantEOF()
			}
		})
	}
}

func repeat(s step, n int) []step {
	steps := make([]step, n)
	for i := range steps {
		steps[i] = s
	}
	return steps
}

func TestEnvelope(t *testing.T) {
	t.Parallel()
	b := &box{}
	c := dialPipe(t, newServer(t, b, nil))
	c.cmd("EHLO client.example", "250")
	c.cmd("MAIL FROM:<ä@sender.example> SIZE=17 BODY=8BITMIME SMTPUTF8", "250")
	c.cmd("RCPT TO:<@relay.example,@b.example:u@gmail.test>", "250")
	c.cmd("RCPT TO:<ü@gmail.test>", "250")
	c.cmd("DATA", "354")
	c.cmd("Subject: ä\xff\r\n.", "250")
	c.cmd("HELO other.example", "250")
	c.cmd("MAIL FROM:<>", "250")
	c.cmd("RCPT TO:<u@gmail.test>", "250")
	c.cmd("DATA", "354")
	c.cmd(".", "250")
	mails := b.all()
	if len(mails) != 2 {
		t.Fatalf("got %d mails", len(mails))
	}
	first, second := mails[0], mails[1]
	if first.HELO != "client.example" || !first.ESMTP || first.From != "ä@sender.example" || strings.Join(first.Rcpts, " ") != "u@gmail.test ü@gmail.test" ||
		!first.UTF8 || first.Body != "8BITMIME" || first.DeclaredSize != 17 || first.TLS != nil || first.raw != "Subject: ä\xff\r\n" {
		t.Errorf("first: %+v", first)
	}
	if first.Peer.String() != "127.0.0.1" || first.Socket.String() != "127.0.0.1" || !sessionID.MatchString(first.Session) {
		t.Errorf("first session: %+v", first)
	}
	if second.HELO != "other.example" || second.ESMTP || second.From != "" || second.UTF8 || second.Body != "" || second.DeclaredSize != 0 ||
		len(second.Rcpts) != 1 || second.Session != first.Session || second.raw != "" {
		t.Errorf("second: %+v", second)
	}
}

func TestPipelining(t *testing.T) {
	t.Parallel()
	b := &box{}
	// The message too, which no client may know will be wanted: it is read all
	// the same, as go-smtp reads nothing ahead.
	got := converse(newServer(t, b, nil), strings.NewReader("EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<u@gmail.test>\r\nDATA\r\n"+
		"one\r\n.\r\nMAIL FROM:<b@b.example>\r\nRCPT TO:<v@gmail.test>\r\nBDAT 3\r\ntwoBDAT 2 LAST\r\n\r\nQUIT\r\n"))
	var codes []string
	for line := range strings.Lines(got) {
		if line[3] == ' ' {
			codes = append(codes, line[:3])
		}
	}
	if want := "220 250 250 250 354 250 250 250 250 250 221"; strings.Join(codes, " ") != want {
		t.Errorf("got codes %v, want %s", codes, want)
	}
	mails := b.all()
	if len(mails) != 2 || mails[0].raw != "one\r\n" || mails[1].raw != "two\r\n" || mails[1].From != "b@b.example" {
		t.Errorf("got %+v", mails)
	}
}

// TestPipelinedHelloIsAsked with each EHLO that something came with.
func TestPipelinedHelloIsAsked(t *testing.T) {
	t.Parallel()
	answers := []PipelinedHello{PipelinedHelloAccept, PipelinedHelloReject, PipelinedHelloAccept, "perhaps"}
	var log bytes.Buffer
	s := newServer(t, &box{}, func(o *Options) {
		o.Logger = logTo(&log)
		o.PipelinedHello = func() PipelinedHello {
			if len(answers) == 0 {
				panic("of the test")
			}
			answer := answers[0]
			answers = answers[1:]
			return answer
		}
	})
	for _, want := range []string{"221 2.0.0 ", "451 4.5.0 ", "221 2.0.0 ", "421 4.3.0 ", "421 4.3.0 "} {
		// One that waits, or has said EHLO before, is not asked about.
		if got := converse(s, strings.NewReader("EHLO c\r\nEHLO c\r\nQUIT\r\n")); !said(got, "221 2.0.0 ") {
			t.Errorf("got\n%s", got)
		}
		c := &memConn{in: strings.NewReader("EHLO c\r\nQUIT\r\n")}
		s.ServeConn(c)
		if !said(c.out.String(), want) {
			t.Errorf("got\n%s\nwant %s", c.out.String(), want)
		}
	}
	if !strings.Contains(log.String(), "perhaps") || !strings.Contains(log.String(), "panicked") {
		t.Errorf("log: %s", log.String())
	}
}

// TestReplies: what a Backend quotes from a client cannot split a reply.
func TestReplies(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		reply Reply
		want  string
	}{
		{"one line", Reply{250, "2.0.0", []string{"Yes"}}, "250 2.0.0 Yes ID - gsmtp"},
		{"blank line", Reply{550, "5.7.26", []string{"No", "", " https://x.example/"}}, "550-5.7.26 No\n550-5.7.26 \n550 5.7.26  https://x.example/ ID - gsmtp"},
		{"no enhanced code", Reply{550, "", []string{"No"}}, "550 No ID - gsmtp"},
		{"no lines", Reply{550, "5.7.1", nil}, "550 5.7.1  ID - gsmtp"},
		{"control and 8-bit octets", Reply{550, "5.7.1", []string{"a\r\n250 ok\x00ä\x1b"}}, "550 5.7.1 a??250 ok???? ID - gsmtp"},
		{"default words", Reply{Code: 250}, accepted},
		{"zero", Reply{}, shutDown},
		{"intermediate", Reply{Code: 354}, shutDown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := &box{onDeliver: func(context.Context, Envelope, []byte) Reply { return tt.reply }}
			c := dialPipe(t, newServer(t, b, nil))
			c.envelope()
			c.cmd("DATA", "354")
			c.send(".\r\n")
			c.want(tt.want)
			if strings.HasPrefix(tt.want, "421") {
				c.wantEOF()
			} else {
				c.cmd("NOOP", "250")
			}
		})
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	_, err := New(Options{Hostname: "a b", MaxSize: 100, MaxHeld: 99, MessageTimeout: -1})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"no backend", `"a b"`, "99 octets held", "negative"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not mention %q", err, want)
		}
	}
}
