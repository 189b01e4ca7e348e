package smtpserver

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

// The tests in this file are about what go-smtp v0.25.1 does alone, where that
// would lose mail, run octets of a message as commands, or mix up recipients.
// Each says what that is.

// Alone: DATA that ends with a read error is answered 554, and when it was a
// timeout the rest of the message is run as commands. (The timeout itself is in
// TestStalledData.)
func TestBrokenDataRunsNothing(t *testing.T) {
	t.Parallel()
	b := &box{}
	got := converse(newServer(t, b, nil), strings.NewReader("EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<u@gmail.test>\r\nDATA\r\n"+
		"Subject: x\r\n\r\nVRFY u\r\nQUIT\r\n"))
	if len(b.all()) != 0 {
		t.Errorf("delivered: %+v", b.all())
	}
	lines := strings.Split(strings.TrimSuffix(got, "\r\n"), "\r\n")
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, "354 ") {
		t.Errorf("not 354 at the end, but %q", last)
	}
}

// Alone: after CR CR LF "." CR LF the server waits for more, for ever.
func TestDataEndsAfterCRCRLF(t *testing.T) {
	t.Parallel()
	b := &box{}
	c := dialPipe(t, newServer(t, b, nil))
	c.envelope()
	c.cmd("DATA", "354")
	c.cmd("x\r\r\n.", "250")
	c.cmd("NOOP", "250")
	if got := b.one(t).raw; got != "x\r\r\n" {
		t.Errorf("got %q", got)
	}
}

// Alone: the CR is lost with the dot, and with it a DKIM body hash.
func TestDotCRKeepsCR(t *testing.T) {
	t.Parallel()
	b := &box{}
	c := dialPipe(t, newServer(t, b, nil))
	c.envelope()
	c.cmd("DATA", "354")
	c.cmd(".\rX\r\n..\r\n...\r\n.\n\r\n.", "250")
	if got := b.one(t).raw; got != "\rX\r\n.\r\n..\r\n\n\r\n" {
		t.Errorf("got %q", got)
	}
}

// Alone: a message of exactly the limit is refused.
func TestSizeLimitIsExact(t *testing.T) {
	t.Parallel()
	line := strings.Repeat("x", 98) + "\r\n"
	tests := []struct {
		name string
		send string
		want string
	}{
		{"DATA, the limit", "DATA\r\n" + strings.Repeat(line, 10) + ".\r\n", "250 2.0.0 OK  "},
		{"DATA, the limit and a stuffed dot", "DATA\r\n.." + line[1:] + strings.Repeat(line, 9) + ".\r\n", "250 2.0.0 OK  "},
		{"DATA, one more", "DATA\r\nx" + strings.Repeat(line, 10) + ".\r\n", "552 5.3.4 "},
		{"BDAT, the limit", "BDAT 1000 LAST\r\n" + strings.Repeat(line, 10), "250 2.0.0 OK  "},
		{"BDAT in two chunks, the limit", "BDAT 900\r\n" + strings.Repeat(line, 9) + "BDAT 0\r\nBDAT 100 LAST\r\n" + line, "250 2.0.0 OK  "},
		{"BDAT, one more", "BDAT 1001 LAST\r\nx" + strings.Repeat(line, 10), "552 5.3.4 "},
		{"BDAT in two chunks, one more", "BDAT 900\r\n" + strings.Repeat(line, 9) + "BDAT 101 LAST\r\nx" + line, "552 5.3.4 "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := &box{}
			got := converse(newServer(t, b, func(o *Options) { o.MaxSize = 1000 }),
				strings.NewReader("EHLO c\r\nMAIL FROM:<a@b.example> SIZE=1000\r\nRCPT TO:<u@gmail.test>\r\n"+tt.send+"NOOP\r\n"))
			lines := strings.Split(strings.TrimSuffix(got, "\r\n"), "\r\n")
			if !strings.HasPrefix(lines[len(lines)-1], "250 2.0.0 OK ") {
				t.Fatalf("NOOP was not run last:\n%s", got)
			}
			answer := lines[len(lines)-2] // The last line of the one before.
			if !strings.HasPrefix(answer, tt.want) {
				t.Errorf("no %s in\n%s", tt.want, got)
			}
			delivered := len(b.all()) == 1 && len(b.all()[0].raw) == 1000
			if delivered != (strings.HasPrefix(tt.want, "250")) {
				t.Errorf("delivered: %v", delivered)
			}
		})
	}
}

// Alone: SIZE is read as 32 bits, so a size of 4 GiB is a syntax error.
func TestDeclaredSize(t *testing.T) {
	t.Parallel()
	c := dialPipe(t, newServer(t, &box{}, nil))
	c.hello()
	for _, size := range []string{"157286401", "4294967296"} {
		c.send("MAIL FROM:<a@b.example> SIZE=" + size + "\r\n")
		c.want(tooLarge(size, "157286400"))
	}
	for _, size := range []string{"9223372036854775808", strings.Repeat("9", 200)} {
		c.send("MAIL FROM:<a@b.example> SIZE=" + size + "\r\n")
		c.want(farTooLarge)
	}
	c.cmd("MAIL FROM:<a@b.example> SIZE=157286400", "250")
}

// Alone: the second MAIL is accepted, and its message goes to the recipients
// of the first.
func TestSecondMailKeepsTransaction(t *testing.T) {
	t.Parallel()
	b := &box{}
	c := dialPipe(t, newServer(t, b, nil))
	c.envelope()
	c.send("MAIL FROM:<other@sender.example>\r\n")
	c.want(badSequence)
	c.cmd("DATA", "354")
	c.cmd(".", "250")
	if m := b.one(t); m.From != "a@sender.example" || len(m.Rcpts) != 1 {
		t.Errorf("got %+v", m)
	}
}

// Alone: 501, against RFC 5321 4.5.1.
func TestPostmasterNeedsNoDomain(t *testing.T) {
	t.Parallel()
	b := &box{}
	c := dialPipe(t, newServer(t, b, nil))
	c.hello()
	c.cmd("MAIL FROM:<>", "250")
	c.cmd("RCPT TO:<PostMaster>", "250")
	c.cmd("DATA", "354")
	c.cmd(".", "250")
	if m := b.one(t); m.Rcpts[0] != "PostMaster" {
		t.Errorf("got %q", m.Rcpts)
	}
}

// Alone: "a@evil.com"@v.com becomes a@evil.com@v.com, which another reader may
// take for a mailbox at evil.com.
func TestQuotedLocalPartStaysQuoted(t *testing.T) {
	t.Parallel()
	b := &box{}
	c := dialPipe(t, newServer(t, b, nil))
	c.hello()
	c.cmd(`MAIL FROM:<"x> y"@sender.example>`, "250")
	c.cmd(`RCPT TO:<"a@evil.com"@gmail.test>`, "250")
	c.cmd(`RCPT TO:<"a\@evil.com"@gmail.test>`, "250")
	c.cmd("RCPT TO:<a@evil.com@gmail.test>", "553-5.1.3 ")
	c.cmd("DATA", "354")
	c.cmd(".", "250")
	if m := b.one(t); m.From != `"x> y"@sender.example` || strings.Join(m.Rcpts, " ") != `"a@evil.com"@gmail.test "a\@evil.com"@gmail.test` {
		t.Errorf("got %+v", m)
	}
}

// Alone: accepted.
func TestNonASCIIAddressNeedsSMTPUTF8(t *testing.T) {
	t.Parallel()
	c := dialPipe(t, newServer(t, &box{}, nil))
	c.hello()
	c.cmd("MAIL FROM:<ä@sender.example>", "553-5.1.7 ")
	c.cmd("MAIL FROM:<a@sender.example>", "250")
	c.cmd("RCPT TO:<ü@gmail.test>", "553-5.1.3 ")
	c.cmd("RSET", "250")
	c.cmd("MAIL FROM:<ä@sender.example> SMTPUTF8", "250")
	c.cmd("RCPT TO:<ü@gmail.test>", "250")
	c.cmd("RCPT TO:<\xfc@gmail.test>", "553-5.1.3 ") // Latin-1.
}

// Alone: a bare LF ends a command line, so that what one server relays as part
// of a line another runs as a command.
func TestBareLFInCommandRunsNothing(t *testing.T) {
	t.Parallel()
	for _, input := range []string{
		"EHLO c\r\nNOOP x\nMAIL FROM:<a@b.example>\r\n",
		"EHLO c\nMAIL FROM:<a@b.example>\r\n",
		"EHLO c\r\nNOOP " + strings.Repeat("x", 40<<10) + "\nMAIL FROM:<a@b.example>\r\n",
	} {
		got := converse(newServer(t, &box{}, nil), strings.NewReader(input))
		if said(got, "250 2.1.0 ") || !strings.Contains(got, "goodbye") {
			t.Errorf("%.40q: got\n%s", input, got)
		}
	}
}

// Alone: a long line closes the connection, and with MaxLineLength 0 it is
// held in memory whatever its length.
func TestLongLineIsReadToItsEnd(t *testing.T) {
	t.Parallel()
	const tooLong = "500-5.5.2 Syntax error: command line too long. For more information, go to\n" +
		"500-5.5.2 " + helpPage + " and review RFC 5321\n500 5.5.2 specifications. ID - gsmtp"
	c := dialPipe(t, newServer(t, &box{}, nil))
	c.hello()
	fits := "NOOP " + strings.Repeat("x", maxCommandLine-7)
	c.cmd(fits, "250")
	for _, line := range []string{fits + "x", "NOOP " + strings.Repeat("x", 3000), "NOOP " + strings.Repeat("x", 100<<10),
		strings.Repeat("x", readBuffer-1), strings.Repeat("x", readBuffer), "MAIL FROM:<" + strings.Repeat("a", 3000) + "@b.example>"} {
		go c.send(line + "\r\n")
		c.want(tooLong)
	}
	c.send("MAIL FROM:<a@b.example>\r\n")
	c.want(senderOK) // The one before did not run.

	got := converse(newServer(t, &box{}, nil), strings.NewReader(strings.Repeat("x", 2*maxDroppedLine)+"\r\nNOOP\r\n"))
	if strings.Count(got, "\r\n") != 1+3 || !said(got, "500 5.5.2 ") {
		t.Errorf("endless line: got\n%s", got)
	}
}

// Alone: whatever begins with STARTTLS is STARTTLS, and letters that only
// become ASCII in upper case count as ASCII.
func TestVerbsAreExact(t *testing.T) {
	t.Parallel()
	c := dialPipe(t, newServer(t, &box{}, func(o *Options) { o.TLSConfig = testTLS(t).server }))
	c.hello()
	for _, line := range []string{"STARTTLSFOO", "ſTARTTLS", "RſET", "  RSET", "RSET\t"} {
		c.send(line + "\r\n")
		got, err := c.reply()
		if err != nil || got != unknown && got != syntax {
			t.Errorf("%q: %q, %v", line, got, err)
		}
	}
}

// Alone: 501, and the octets of the chunk are run as commands, because nobody
// knows how many there are.
func TestMalformedChunkHangsUp(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"BDAT", "BDAT x", "BDAT -1", "BDAT +1", "BDAT 4 FIRST", "BDAT 4 LAST LAST", "BDAT 4  LAST", "BDAT 0x4",
		"BDAT 99999999999999999999", "BDAT\t4", "BDAT 4\x00", "BDAT 4 " + strings.Repeat(" ", 3000) + "LAST", "BDAT 4 LA\u017fT"} {
		b := &box{}
		got := converse(newServer(t, b, nil), strings.NewReader("EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<u@gmail.test>\r\n"+
			line+"\r\nVRFY u\r\n"))
		if said(got, "252 ") || !said(got, "555-5.5.2 Syntax error, goodbye.") || len(b.all()) != 0 {
			t.Errorf("%q: got\n%s", line, got)
		}
	}
}

// Alone: sizes are 32 bits, so this chunk is malformed and its octets run.
func TestHugeChunkHangsUp(t *testing.T) {
	t.Parallel()
	for _, state := range []string{"", "EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<u@gmail.test>\r\n"} {
		got := converse(newServer(t, &box{}, nil), strings.NewReader(state+"BDAT 4294967296\r\nVRFY u\r\n"))
		if said(got, "252 ") || !said(got, "552 5.3.4 ") {
			t.Errorf("got\n%s", got)
		}
	}
}

// Alone: Session.Data and Session.Reset run at the same time, which the race
// detector finds.
func TestChunksAndResetDoNotRace(t *testing.T) {
	t.Parallel()
	b := &box{}
	c := dialPipe(t, newServer(t, b, nil))
	for range 20 {
		c.envelope()
		c.send("BDAT 3\r\nabc")
		c.want("250 2.0.0 OK ID - gsmtp")
		c.cmd("RSET", "250 2.1.5 Flushed")
	}
	c.envelope()
	c.send("BDAT 3 LAST\r\nabc")
	c.wantCode("250 2.0.0 OK  ")
	if m := b.one(t); m.raw != "abc" {
		t.Errorf("got %q", m.raw)
	}
}

// Alone: the enhanced code stands on the last line only.
func TestEnhancedCodeOnEveryLine(t *testing.T) {
	t.Parallel()
	b := &box{onRcpt: func(context.Context, *Envelope, string) *Reply {
		return &Reply{550, "5.1.1", []string{"one", "two", "three"}}
	}}
	c := dialPipe(t, newServer(t, b, nil))
	c.hello()
	c.cmd("MAIL FROM:<>", "250")
	c.send("RCPT TO:<u@gmail.test>\r\n")
	c.want("550-5.1.1 one\n550-5.1.1 two\n550 5.1.1 three ID - gsmtp")
}

// Alone: a panic's value is logged, and it may quote the message.
func TestPanicOfBackend(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"connect", "hello", "mail", "rcpt", "deliver"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			b := &box{}
			switch where {
			case "rcpt":
				b.onRcpt = func(context.Context, *Envelope, string) *Reply { panic("s3cret") }
			case "deliver":
				b.onDeliver = func(_ context.Context, _ Envelope, raw []byte) Reply { panic(string(raw)) }
			default:
				b.onAdmit = func(_ context.Context, _ *Envelope, at Stage) *Reply {
					if string(at) == where {
						panic("s3cret")
					}
					return nil
				}
			}
			s := newServer(t, b, func(o *Options) { o.Logger = logTo(&log) })
			got := converse(s, strings.NewReader("EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<u@gmail.test>\r\nDATA\r\ns3cret\r\n.\r\nNOOP\r\n"))
			lines := strings.Split(strings.TrimSpace(got), "\r\n")
			if last := lines[len(lines)-1]; !strings.HasPrefix(last, "421 4.3.0 ") {
				t.Errorf("last reply: %q", last)
			}
			if !strings.Contains(log.String(), "backend panicked") || strings.Contains(log.String(), "s3cret") {
				t.Errorf("log:\n%s", log.String())
			}
		})
	}
}
