package smtpserver

import (
	"bytes"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
)

// decodeDots is a second opinion on readData, straight from RFC 5321 4.5.2. It
// returns the message before the first end of data in s, and what follows it.
func decodeDots(s string) (raw, rest string, ok bool) {
	body, rest, ok := strings.Cut("\r\n"+s, "\r\n.\r\n")
	if !ok {
		return "", "", false
	}
	if body == "" {
		return "", rest, true // Only the CRLF of the line before.
	}
	lines := strings.Split(body[2:], "\r\n")
	for i, line := range lines {
		lines[i] = strings.TrimPrefix(line, ".")
	}
	return strings.Join(lines, "\r\n") + "\r\n", rest, true
}

func TestReadData(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", readBuffer-1)
	for _, data := range []string{
		"", "a\r\n", ".\r\n", "..\r\n", "\r\n", "\n", "\r", "\n.\r\n", "\r.\r\n", "\r\r\n", "a\n.\nb\r\n", ".a\r\n", ".a\r\n.b\r\n",
		long + "\r\n", "x" + long + "\r\n", long + "\r\n\r\n", "." + long + "\r\n", "." + long + "x\r\n", "a\r\n." + long + "\r\n.b\r\n", long + "\r\rx\r\n",
		strings.Repeat("x", 5*readBuffer) + "\r\n", strings.Repeat("\r", 2*readBuffer) + "\n", strings.Repeat(".\r\r\n", 9000),
	} {
		stuffed := data
		if !strings.HasSuffix(stuffed, "\r\n") {
			stuffed += "\r\n"
		}
		stuffed += ".\r\n"
		want, rest, ok := decodeDots(stuffed)
		if !ok {
			t.Fatalf("%.40q has no end", stuffed)
		}
		b := &box{}
		in := "EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<u@gmail.test>\r\nDATA\r\n" + stuffed + "QUIT\r\n"
		var reader io.Reader = strings.NewReader(in)
		if len(in) < 1000 {
			reader = iotest.OneByteReader(reader)
		}
		got := converse(newServer(t, b, nil), reader)
		if mails := b.all(); len(mails) != 1 || mails[0].raw != want {
			t.Errorf("data %.40q: got %d mails, want %.40q", data, len(mails), want)
		}
		if rest == "" && !said(got, "221 ") {
			t.Errorf("data %.40q: QUIT was not run:\n%s", data, got)
		}
	}
}

// TestReadDataInPieces: where reads happen to end does not matter.
func TestReadDataInPieces(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	alphabet := []string{"\r", "\n", ".", "\r\n", "x", strings.Repeat("y", 3000)}
	for range 300 {
		var sb strings.Builder
		for range rnd.IntN(40) {
			sb.WriteString(alphabet[rnd.IntN(len(alphabet))])
		}
		sb.WriteString("\r\n.\r\n")
		want, _, _ := decodeDots(sb.String())
		b := &box{}
		in := strings.NewReader("EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<u@gmail.test>\r\nDATA\r\n" + sb.String())
		converse(newServer(t, b, nil), pieces{in, rnd})
		mails := b.all()
		if len(mails) == 0 || mails[0].raw != want {
			t.Fatalf("%q: got %d mails, want %q", sb.String(), len(mails), want)
		}
	}
}

// pieces reads a random number of octets at a time.
type pieces struct {
	r   io.Reader
	rnd *rand.Rand
}

func (p pieces) Read(b []byte) (int, error) {
	return p.r.Read(b[:min(len(b), 1+p.rnd.IntN(1+p.rnd.IntN(20000)))])
}

func TestBareLineEnds(t *testing.T) {
	t.Parallel()
	for _, send := range []string{"DATA\r\na\nb\r\n.\r\n", "DATA\r\na\rb\r\n.\r\n", "DATA\r\na\r\r\n.\r\n", "BDAT 3 LAST\r\na\nb", "BDAT 2\r\na\rBDAT 1 LAST\r\nb"} {
		for treatment, want := range map[BareLineEnds]string{BareLineEndsAccept: "250 2.0.0 OK  ", BareLineEndsReject: "554 5.6.0 "} {
			b := &box{}
			s := newServer(t, b, func(o *Options) { o.BareLineEnds = func() BareLineEnds { return treatment } })
			got := converse(s, strings.NewReader("EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<u@gmail.test>\r\n"+send+"QUIT\r\n"))
			if !said(got, want) || !said(got, "221 ") || (len(b.all()) == 1) != (treatment == BareLineEndsAccept) {
				t.Errorf("%q, %s: got\n%s", send, treatment, got)
			}
		}
	}
	// A CRLF split between two chunks is a CRLF.
	b := &box{}
	s := newServer(t, b, func(o *Options) { o.BareLineEnds = func() BareLineEnds { return BareLineEndsReject } })
	converse(s, strings.NewReader("EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<u@gmail.test>\r\nBDAT 2\r\na\rBDAT 1 LAST\r\n\n"))
	if got := b.one(t).raw; got != "a\r\n" {
		t.Errorf("got %q", got)
	}
}

// TestBareLineEndsAreAsked with each message: the answer may change.
func TestBareLineEndsAreAsked(t *testing.T) {
	t.Parallel()
	answers := []BareLineEnds{BareLineEndsAccept, BareLineEndsReject, BareLineEndsAccept, "perhaps"}
	var log bytes.Buffer
	s := newServer(t, &box{}, func(o *Options) {
		o.Logger = logTo(&log)
		o.BareLineEnds = func() BareLineEnds {
			answer := answers[0]
			answers = answers[1:]
			return answer
		}
	})
	c := dialPipe(t, s)
	c.hello()
	for _, want := range []string{accepted, "554 5.6.0 Mail message is malformed. Not accepted. ID - gsmtp", accepted, shutDown} {
		c.cmd("MAIL FROM:<>", "250")
		c.cmd("RCPT TO:<u@gmail.test>", "250")
		c.send("BDAT 3 LAST\r\na\nb")
		c.want(want)
	}
	c.wantEOF()
	if !strings.Contains(log.String(), "perhaps") {
		t.Errorf("log: %s", log.String())
	}
}

// TestDataFarBeyondLimit: what is too large is read to its end up to a point.
func TestDataFarBeyondLimit(t *testing.T) {
	t.Parallel()
	b := &box{}
	s := newServer(t, b, func(o *Options) { o.MaxSize = 1000 })
	line := strings.Repeat("x", 998) + "\r\n"
	head := "EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<u@gmail.test>\r\nDATA\r\n"
	got := converse(s, io.MultiReader(strings.NewReader(head), io.LimitReader(&endless{line: line}, maxDropped+2000), strings.NewReader("\r\n.\r\nNOOP\r\n")))
	if !said(got, "552 5.3.4 ") || said(got, "250 2.0.0 OK ") || len(b.all()) != 0 {
		t.Errorf("got\n%s", got)
	}
	got = converse(s, io.MultiReader(strings.NewReader(head), io.LimitReader(&endless{line: line}, 1<<20), strings.NewReader("\r\n.\r\nNOOP\r\n")))
	if !said(got, "552 5.3.4 ") || !said(got, "250 2.0.0 OK ") || len(b.all()) != 0 {
		t.Errorf("got\n%s", got)
	}
}

// endless repeats a line.
type endless struct {
	line string
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		m := copy(p[n:], e.line[e.at:])
		n += m
		e.at = (e.at + m) % len(e.line)
	}
	return n, nil
}
