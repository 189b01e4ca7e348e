package smtpserver

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
)

// fuzzStates are what a session has said before the fuzzer speaks.
var fuzzStates = []string{
	"",
	"EHLO c\r\n",
	"EHLO c\r\nMAIL FROM:<a@b.example> SMTPUTF8\r\n",
	"EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<u@gmail.test>\r\n",
	"EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<u@gmail.test>\r\nBDAT 3\r\nabc",
	"EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<u@gmail.test>\r\nDATA\r\n",
	underTLS,
}

// underTLS is the state after a handshake.
const underTLS = "TLS"

// fuzzBackend takes what it likes.
func fuzzBackend() *box {
	refuse := func(s string, r Reply) *Reply {
		if refusedByModel(s) {
			return &r
		}
		return nil
	}
	return &box{
		onAdmit: func(_ context.Context, e *Envelope, at Stage) *Reply {
			switch at {
			case StageHello:
				return refuse(e.HELO, Reply{450, "4.7.0", []string{"Not now", "", "perhaps later"}})
			case StageMail:
				return refuse(e.From, Reply{550, "5.7.1", []string{"Not you"}})
			}
			return nil
		},
		onRcpt: func(_ context.Context, _ *Envelope, rcpt string) *Reply {
			return refuse(rcpt, Reply{550, "5.1.1", []string{"Nobody here"}})
		},
	}
}

// FuzzDialogue says anything in each state. The session ends; every reply is well
// formed; and the replies and the messages delivered are, in order, those of the
// model: nothing that the client did not end is delivered, nothing of a message
// is run as a command, nothing is answered twice or not at all.
func FuzzDialogue(f *testing.F) {
	for state := range fuzzStates {
		f.Add(state, false, false, "Subject: x\r\n\r\n..\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<postmaster>\r\nBDAT 3 LAST\r\nabcQUIT\r\n")
		f.Add(state, true, false, "DATA\r\n.\r\r\n\r\n.\r\nRSET\r\n")
		f.Add(state, true, true, "a\r\r\n.\r\nEHLO d\r\nBDAT 0 LAST\r\nHELP\r\nNOOP\nVRFY\r\n")
		f.Add(state, false, true, "HELO d\r\nMAIL FROM:<no@b.example> SIZE=9\r\nMAIL FROM:<b@b.example> SIZE=5000\r\nRCPT TO:<no@c.example>\r\nBDAT 5000 LAST\r\nSTARTTLS\r\nNOOP\r\n")
	}
	d := &dialogues{}
	f.Fuzz(func(t *testing.T, state int, slow, strict bool, said string) {
		if state >= 0 && state < len(fuzzStates) && len(said) <= 15<<10 {
			d.check(t, state, slow, strict, said)
		}
	})
}

// TestRandomDialogues is FuzzDialogue with what SMTP is made of.
func TestRandomDialogues(t *testing.T) {
	t.Parallel()
	pieces := []string{
		"EHLO c\r\n", "HELO c\r\n", "EHLO no\r\n", "MAIL FROM:<a@b.example>\r\n", "MAIL FROM:<> SIZE=5000\r\n", "MAIL FROM:<no@b.example>\r\n",
		"RCPT TO:<u@gmail.test>\r\n", "RCPT TO:<no@gmail.test>\r\n", "RCPT TO:<u@v@w>\r\n", "DATA\r\n", "BDAT 3\r\nabc", "BDAT 3 LAST\r\nabc",
		"BDAT 0\r\n", "BDAT 0 LAST\r\n", "BDAT 6\r\nQUIT\r\n", "BDAT 4096\r\n", "BDAT 9999999999\r\n", "BDAT\r\n", "RSET\r\n", "NOOP\r\n", "VRFY u\r\n", "HELP\r\n",
		"QUIT\r\n", "QUIT now\r\n", "STARTTLS\r\n", "EXPN u\r\n", "\r\n.\r\n", ".\r\n", "..\r\n", "\n.\n", "\r.\r", "\r\n.\n", "\r\n.\r", "\r", "\n", "\r\n", ".", "Subject: x\r\n", "\x00",
		"x", strings.Repeat("x", maxCommandLine) + "\r\n", strings.Repeat("NOOP\r\n", 400), strings.Repeat("y\r\n", 900), strings.Repeat("XYZZY\r\n", maxFaults),
	}
	d := &dialogues{}
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 1500 {
		var said strings.Builder
		for range 1 + rnd.IntN(30) {
			// Most often what goes on, so that sessions get somewhere.
			piece := pieces[rnd.IntN(len(pieces))]
			if rnd.IntN(3) > 0 {
				piece = pieces[[]int{0, 3, 6, 9, 10, 11, 26}[rnd.IntN(7)]]
			}
			said.WriteString(piece)
		}
		if said.Len() <= 15<<10 {
			slow := rnd.IntN(2) == 0 && said.Len() < maxCommandLine // An octet at a time takes its time.
			d.check(t, rnd.IntN(len(fuzzStates)), slow, rnd.IntN(2) == 0, said.String())
		}
	}
}

// dialogues have what all dialogues can share.
type dialogues struct{ pair tlsPair }

// check has one dialogue, and the model's beside it.
func (d *dialogues) check(t *testing.T, state int, slow, strict bool, said string) {
	b := fuzzBackend()
	options := func(o *Options) {
		o.MaxSize, o.MaxRecipients = modelMaxSize, modelMaxRcpts
		if strict {
			o.BareLineEnds = func() BareLineEnds { return BareLineEndsReject }
			o.PipelinedHello = func() PipelinedHello { return PipelinedHelloReject }
		}
	}
	m := &model{in: said, strict: strict, ahead: len(said)}
	var got string
	if fuzzStates[state] == underTLS {
		if d.pair.server == nil {
			d.pair = testTLS(t)
		}
		slow = slow && len(said) < 100 // Each octet is a record.
		m.tls, m.idle = true, len([]string{"EHLO", "STARTTLS"})
		got = converseTLS(t, newServer(t, b, func(o *Options) { options(o); o.TLSConfig = d.pair.server }), d.pair, said, slow)
	} else {
		hello, rest, ok := strings.Cut(fuzzStates[state], "\n")
		if ok {
			hello += "\n"
			m.ahead = len(rest+said) - 1 // It is sent when EHLO has been answered.
		}
		m.in = hello + rest + said
		var in io.Reader = io.MultiReader(strings.NewReader(hello), strings.NewReader(rest+said))
		if slow {
			in = iotest.OneByteReader(in)
		}
		c := &memConn{in: in}
		newServer(t, b, options).ServeConn(c)
		got = c.out.String()
		m.say("220")
	}
	if slow {
		m.ahead = -1
	}
	m.run()
	if replies := parseReplies(t, got); strings.Join(replies, "\n") != strings.Join(m.replies, "\n") {
		t.Fatalf("%s and %q: replies\n%q\nwant\n%q\nin\n%s", fuzzStates[state], said, replies, m.replies, got)
	}
	var mails []string
	for _, mail := range b.all() {
		mails = append(mails, mailText(mail.From, mail.Rcpts, mail.raw))
	}
	if strings.Join(mails, "\n") != strings.Join(m.mails, "\n") {
		t.Fatalf("%s and %q: delivered\n%q\nwant\n%q", fuzzStates[state], said, mails, m.mails)
	}
}

var (
	replyLine = regexp.MustCompile(`^([2-5][0-9]{2})([ -])(?:([245]\.[0-9]{1,3}\.[0-9]{1,3}) )?[ -~]*\r\n$`)
	replyTail = regexp.MustCompile(sessionID.String() + ` - gsmtp\r\n$`)
)

// parseReplies returns code and enhanced code of each reply in got, and checks
// that all its lines have them, and its last line the session id.
func parseReplies(t *testing.T, got string) []string {
	t.Helper()
	var replies []string
	begun := ""
	for line := range strings.Lines(got) {
		m := replyLine.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("malformed reply line %q", line)
		}
		codes := strings.TrimSuffix(m[1]+" "+m[3], " ")
		if begun != "" && begun != codes {
			t.Fatalf("reply line %q in a reply of %s", line, begun)
		}
		if begun = codes; m[2] == "-" {
			continue
		}
		begun = ""
		replies = append(replies, codes)
		if codes != "250" && !replyTail.MatchString(line) {
			t.Fatalf("reply line %q has no session id", line)
		}
	}
	if begun != "" {
		t.Fatalf("the reply %s has no end", begun)
	}
	return replies
}

// converseTLS is converse under TLS: it returns what is said after the handshake.
func converseTLS(t *testing.T, s *Server, pair tlsPair, said string, slow bool) string {
	t.Helper()
	near, far := net.Pipe()
	served := make(chan struct{})
	go func() { defer close(served); s.ServeConn(far) }()
	c := &client{t: t, conn: near, in: bufio.NewReader(near)}
	c.wantCode("220 ")
	c.hello()
	config := pair.client.Clone()
	config.DynamicRecordSizingDisabled = true // The server reads all of it at once.
	c.startTLS(config)
	go func() {
		var in io.Reader = strings.NewReader(said)
		if slow {
			in = iotest.OneByteReader(in)
		}
		// It ends early if the server hangs up.
		_, _ = io.Copy(struct{ io.Writer }{c.conn}, in)
		_ = c.conn.(*tls.Conn).CloseWrite()
	}()
	got, _ := io.ReadAll(c.in) // Its error may be that of a connection cut off.
	near.Close()
	<-served
	return string(got)
}

// FuzzChunks sends octets in two chunks: they arrive as they were sent, whatever
// they are.
func FuzzChunks(f *testing.F) {
	f.Add("a\r\n.\r\nQUIT\r\n", 3)
	f.Add("", 0)
	f.Fuzz(func(t *testing.T, data string, cut int) {
		if cut < 0 || cut > len(data) || len(data) > 64<<10 {
			return
		}
		b := &box{}
		got := converse(newServer(t, b, nil), strings.NewReader(fuzzStates[3]+
			fmt.Sprintf("BDAT %d\r\n%sBDAT %d LAST\r\n%sQUIT\r\n", cut, data[:cut], len(data)-cut, data[cut:])))
		if m := b.one(t); m.raw != data || !said(got, "221 ") {
			t.Fatalf("got %q, want %q; said\n%s", m.raw, data, got)
		}
	})
}
