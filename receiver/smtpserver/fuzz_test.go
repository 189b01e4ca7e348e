package smtpserver

import (
	"context"
	"fmt"
	"io"
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
}

// FuzzDialogue says anything in each state. The session ends, every reply is
// well formed, there is one 250 for each message delivered, and the message of
// DATA is what a second decoder makes of it.
func FuzzDialogue(f *testing.F) {
	for state := range fuzzStates {
		f.Add(state, false, "Subject: x\r\n\r\n..\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<postmaster>\r\nBDAT 3 LAST\r\nabcQUIT\r\n")
		f.Add(state, true, "DATA\r\n.\r\r\n\r\n.\r\nRSET\r\n")
		f.Add(state, true, "a\r\r\n.\r\nEHLO d\r\nBDAT 0 LAST\r\nHELP\r\nNOOP\nVRFY\r\n")
	}
	f.Fuzz(func(t *testing.T, state int, slow bool, said string) {
		if state < 0 || state >= len(fuzzStates) || len(said) > 64<<10 {
			return
		}
		b := &box{onDeliver: func(context.Context, Envelope, []byte) Reply {
			return Reply{250, "2.0.0", []string{"stored"}}
		}}
		s := newServer(t, b, func(o *Options) { o.MaxSize = 32 << 10 })
		var in io.Reader = strings.NewReader(fuzzStates[state] + said)
		if slow {
			in = iotest.OneByteReader(in)
		}
		got := converse(s, in)
		stored := 0
		for line := range strings.Lines(got) {
			if len(line) < 6 || !isDigits(line[:3]) || line[3] != ' ' && line[3] != '-' || !strings.HasSuffix(line, "\r\n") {
				t.Fatalf("malformed reply line %q", line)
			}
			if strings.HasPrefix(line, "250 2.0.0 stored") {
				stored++
			}
		}
		mails := b.all()
		if stored != len(mails) {
			t.Fatalf("%d messages delivered, %d answered 250:\n%s", len(mails), stored, got)
		}
		for _, m := range mails {
			if len(m.Rcpts) == 0 || m.HELO == "" {
				t.Fatalf("delivered without recipients or greeting: %+v", m)
			}
		}
		if !strings.HasSuffix(fuzzStates[state], "DATA\r\n") {
			return
		}
		raw, _, ok := decodeDots(said)
		switch {
		case !ok && len(mails) != 0:
			t.Fatalf("delivered %q, which has no end", mails[0].raw)
		case ok && len(raw) > 32<<10:
		case ok && (len(mails) == 0 || mails[0].raw != raw):
			t.Fatalf("delivered %+v, want %q", mails, raw)
		}
	})
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
