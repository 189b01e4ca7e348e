package smtpserver

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/testdata/conformance"
)

// smugglingData are the cases that servers were once caught with.
type smugglingData struct {
	Sequences []struct {
		Seq       string `json:"seq"`
		Repr      string `json:"repr"`
		EndOfData bool   `json:"end_of_data"`
	} `json:"sequences"`
	Other []struct {
		Name string `json:"name"`
	} `json:"other"`
}

func readSmuggling(t *testing.T) smugglingData {
	t.Helper()
	raw, err := os.ReadFile(conformance.Path(t, "malformed/smtp-smuggling/end-of-data-sequences.json"))
	if err != nil {
		t.Fatal(err)
	}
	var data smugglingData
	if err := json.Unmarshal(raw, &data); err != nil {
		t.Fatal(err)
	}
	if len(data.Sequences) < 12 || len(data.Other) < 4 {
		t.Fatalf("only %d sequences and %d other cases", len(data.Sequences), len(data.Other))
	}
	return data
}

// dials are the ways a client gets to a server.
var dials = map[string]func(*testing.T, *Server, tlsPair) *client{
	"pipe": func(t *testing.T, s *Server, _ tlsPair) *client { return dialPipe(t, s) },
	"tcp":  func(t *testing.T, s *Server, _ tlsPair) *client { return dialTCP(t, s) },
	"tls": func(t *testing.T, s *Server, pair tlsPair) *client {
		c := dialTCP(t, s)
		c.hello()
		c.startTLS(pair.client)
		return c
	},
}

// TestSmuggling puts sequences that some server somewhere takes for an end of
// data into a message, followed by a second message. There must be one, or none
// where bare line ends are refused, and no command in it is run.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	pair, sequences := testTLS(t), readSmuggling(t).Sequences
	conformance.Report(t, "malformed/smtp-smuggling, ends of data", len(sequences), 0)
	for _, seq := range sequences {
		if seq.EndOfData {
			t.Errorf("%s is an end of data?", seq.Repr)
		}
		for name, dial := range dials {
			for _, pipelined := range []bool{false, true} {
				for _, verb := range []string{"DATA", "BDAT"} {
					for _, treatment := range []BareLineEnds{BareLineEndsAccept, BareLineEndsReject} {
						t.Run(fmt.Sprintf("%s %s %s %v %s", seq.Repr, name, verb, pipelined, treatment), func(t *testing.T) {
							t.Parallel()
							b := &box{}
							c := dial(t, newServer(t, b, func(o *Options) {
								o.TLSConfig = pair.server
								o.BareLineEnds = func() BareLineEnds { return treatment }
							}), pair)
							smuggle(t, c, b, seq.Seq, verb == "BDAT", pipelined, treatment == BareLineEndsReject)
						})
					}
				}
			}
		}
	}
}

func smuggle(t *testing.T, c *client, b *box, seq string, chunk, pipelined, strict bool) {
	t.Helper()
	body := "Subject: one\r\n\r\nfirst" + seq + "MAIL FROM:<admin@trusted.example>\r\nRCPT TO:<victim@gmail.test>\r\nDATA\r\nSubject: two\r\n\r\nsecond\r\n"
	want := body
	if !chunk {
		var ok bool
		want, _, ok = decodeDots(body + ".\r\n")
		if !ok || strings.Count(want, "Subject: two") != 1 {
			t.Fatalf("the sequence is an end of data")
		}
	}
	commands := []string{"MAIL FROM:<a@sender.example>\r\n", "RCPT TO:<victim@gmail.test>\r\n"}
	codes := []string{"250 2.1.0 ", "250 2.1.5 "}
	answer := "250 2.0.0 OK  "
	refused := strict && hasBareLineEnd([]byte(want))
	if refused {
		answer = "554 5.6.0 "
	}
	if chunk {
		commands = append(commands, "BDAT 5\r\n"+body[:5], "BDAT "+strconv.Itoa(len(body)-5)+" LAST\r\n"+body[5:])
		codes = append(codes, "250 2.0.0 OK ", answer)
	} else {
		commands = append(commands, "DATA\r\n", body+".\r\n")
		codes = append(codes, "354 ", answer)
	}
	commands, codes = append(commands, "QUIT\r\n"), append(codes, "221 2.0.0 ")
	c.send("EHLO smuggler.example\r\n")
	c.wantCode("250-")
	if pipelined {
		c.send(strings.Join(commands, ""))
	}
	for i, code := range codes {
		if !pipelined {
			c.send(commands[i])
		}
		c.wantCode(code)
	}
	c.wantEOF()
	if refused {
		if len(b.all()) != 0 {
			t.Errorf("delivered: %+v", b.all())
		}
		return
	}
	if m := b.one(t); m.raw != want || m.From != "a@sender.example" {
		t.Errorf("got %q, want %q", m.raw, want)
	}
}

// exchange is what a client sends in one write, and what comes of it.
type exchange struct {
	name  string
	send  string   // After EHLO.
	codes string   // The codes of the replies to it, in order.
	raw   []string // The messages delivered.
	ends  bool     // The server hangs up; if not, QUIT is run next.
}

// run has e over c.
func (e exchange) run(t *testing.T, c *client, b *box) {
	t.Helper()
	c.send("EHLO smuggler.example\r\n")
	c.wantCode("250-")
	c.send(e.send)
	for _, code := range strings.Fields(e.codes) {
		c.wantCode(code)
	}
	if !e.ends {
		c.cmd("QUIT", "221")
	}
	c.wantEOF()
	var raw []string
	for _, m := range b.all() {
		raw = append(raw, m.raw)
		if m.From != "a@sender.example" {
			t.Errorf("a message from %s", m.From)
		}
	}
	if strings.Join(raw, "|") != strings.Join(e.raw, "|") || len(raw) != len(e.raw) {
		t.Errorf("got mails %q, want %q", raw, e.raw)
	}
}

const (
	openTransaction = "MAIL FROM:<a@sender.example>\r\nRCPT TO:<u@gmail.test>\r\n"
	smuggled        = "RSET\r\nMAIL FROM:<admin@trusted.example>\r\nRCPT TO:<u@gmail.test>\r\nBDAT 3 LAST\r\nbad"
)

// TestSmugglingOtherwise has the cases that are no sequences.
func TestSmugglingOtherwise(t *testing.T) {
	t.Parallel()
	longLine := "NOOP " + strings.Repeat("x", maxCommandLine-7)
	cases := map[string][]exchange{
		"pipelining after DATA": {
			{"the next transaction", openTransaction + "DATA\r\none\r\n.\r\n" + openTransaction + "DATA\r\ntwo\r\n..\r\n.\r\n",
				"250 250 354 250 250 250 354 250", []string{"one\r\n", "two\r\n.\r\n"}, false},
			{"QUIT", openTransaction + "DATA\r\none\r\n.\r\nQUIT\r\n" + smuggled, "250 250 354 250 221", []string{"one\r\n"}, true},
			{"a message that nobody wants", "MAIL FROM:<a@sender.example>\r\nDATA\r\nQUIT\r\n", "250 503 221", nil, true},
		},
		"BDAT smuggling": {
			{"a size too small", openTransaction + "BDAT 3 LAST\r\noneXYZZY\r\n", "250 250 250 502", []string{"one"}, false},
			{"a size too small, of a chunk", openTransaction + "BDAT 3\r\none\r\nBDAT 3 LAST\r\ntwo", "250 250 250 502 250", []string{"onetwo"}, false},
			{"a size too large", openTransaction + "BDAT 15 LAST\r\none\r\nQUIT\r\n.\r\n!", "250 250 250", []string{"one\r\nQUIT\r\n.\r\n!"}, false},
			{"nothing, and not the last", openTransaction + "BDAT 0\r\nRSET\r\n", "250 250 250 250", nil, false},
			{"nothing, many times", openTransaction + strings.Repeat("BDAT 0\r\n", 50) + "BDAT 0 LAST\r\n", strings.Repeat("250 ", 53), []string{""}, false},
			{"in the data of DATA", openTransaction + "DATA\r\nBDAT 3 LAST\r\none\r\n.\r\n", "250 250 354 250", []string{"BDAT 3 LAST\r\none\r\n"}, false},
			{"after DATA", openTransaction + "DATA\r\none\r\n.\r\nBDAT " + strconv.Itoa(len(smuggled)) + " LAST\r\n" + smuggled, "250 250 354 250 503", []string{"one\r\n"}, false},
			{"refused, and dropped", "BDAT " + strconv.Itoa(len(smuggled)) + "\r\n" + smuggled + "BDAT 0 LAST\r\n", "503 503", nil, false},
			{"bare line ends are text", openTransaction + "BDAT 9 LAST\r\n\n.\n\r.\r\n.\n", "250 250 250", []string{"\n.\n\r.\r\n.\n"}, false},
			{"no size", openTransaction + "BDAT\r\n" + smuggled, "250 250 555", nil, true},
			{"a line that a bare LF ends", openTransaction + "BDAT 3 LAST\n" + smuggled, "250 250 555", nil, true},
		},
		"too long line": {
			{"the longest", longLine + "\r\n", "250", nil, false},
			{"an octet longer", longLine + "x\r\n", "500", nil, false},
			{"RCPT", "MAIL FROM:<a@sender.example>\r\nRCPT TO:<" + strings.Repeat("a", 2000) + "@gmail.test>\r\nDATA\r\n", "250 500 503", nil, false},
			{"with a bare LF", longLine + "x\n" + smuggled, "555", nil, true},
			{"with a bare CR", longLine + "\rQUIT\r\n", "500", nil, false},
		},
		"STARTTLS injection": {
			{"one command", "STARTTLS\r\nNOOP\r\n", "523", nil, true},
			{"a transaction", "STARTTLS\r\n" + smuggled, "523", nil, true},
			{"half a command", "STARTTLS\r\nMAIL FROM:<ad", "523", nil, true},
			{"one octet", "STARTTLS\r\n\n", "523", nil, true},
			{"with a parameter", "STARTTLS now\r\n" + smuggled, "523", nil, true},
			{"in a transaction", openTransaction + "STARTTLS\r\nDATA\r\nbad\r\n.\r\n", "250 250 523", nil, true},
			{"twice", "STARTTLS\r\nSTARTTLS\r\n", "523", nil, true},
		},
	}
	pair := testTLS(t)
	for _, other := range readSmuggling(t).Other {
		if len(cases[other.Name]) == 0 {
			t.Errorf("nothing tests %q", other.Name)
		}
		for _, e := range cases[other.Name] {
			for name, dial := range dials {
				t.Run(other.Name+" "+e.name+" "+name, func(t *testing.T) {
					t.Parallel()
					b := &box{}
					e.run(t, dial(t, newServer(t, b, func(o *Options) { o.TLSConfig = pair.server }), pair), b)
				})
			}
		}
	}
}

// TestStartTLSInjectionBehindTheBuffer: the server has read nothing beyond
// STARTTLS when it runs it, yet more has been sent. That is the beginning of a
// handshake, and a bad one.
func TestStartTLSInjectionBehindTheBuffer(t *testing.T) {
	t.Parallel()
	pair := testTLS(t)
	for name, dial := range map[string]func(*testing.T, *Server) *client{"pipe": dialPipe, "tcp": dialTCP} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &box{}
			c := dial(t, newServer(t, b, func(o *Options) { o.TLSConfig = pair.server }))
			c.hello()
			const noop, end, lines = "NOOP \r\n", "STARTTLS\r\n", 16
			pad := strings.Repeat("NOOP "+strings.Repeat("x", readBuffer/lines-len(noop))+"\r\n", lines)
			pad = strings.Replace(pad, strings.Repeat("x", len(end)), "", 1) + end
			if len(pad) != readBuffer {
				t.Fatalf("padded to %d octets", len(pad))
			}
			sent := make(chan struct{})
			go func() { defer close(sent); io.WriteString(c.conn, pad+"EHLO smuggler.example\r\n"+smuggled) }()
			for range lines {
				c.wantCode("250 2.0.0 OK ")
			}
			// Over TCP a Read need not end there.
			if got, err := c.reply(); err != nil || !strings.HasPrefix(got, "220 2.0.0 ") && (name == "pipe" || !strings.HasPrefix(got, "523-5.7.10 ")) {
				t.Errorf("got %q, %v", got, err)
			}
			rest, _ := io.ReadAll(c.in) // An alert of TLS, perhaps, and the end.
			c.conn.Close()
			<-sent
			if strings.Contains(string(rest), "gsmtp") || len(b.all()) != 0 {
				t.Errorf("got %q and %+v", rest, b.all())
			}
		})
	}
}

// TestNothingSurvivesTheHandshake: what was said in the clear is forgotten, also
// a message of which chunks were there.
func TestNothingSurvivesTheHandshake(t *testing.T) {
	t.Parallel()
	pair := testTLS(t)
	b := &box{}
	c := dialTCP(t, newServer(t, b, func(o *Options) { o.TLSConfig = pair.server }))
	c.hello()
	c.send(openTransaction + "BDAT 3\r\nbad")
	for _, code := range []string{"250", "250", "250"} {
		c.wantCode(code)
	}
	c.send("STARTTLS\r\n")
	c.wantCode("220")
	conn := tls.Client(c.conn, pair.client)
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	c.conn, c.in = conn, bufio.NewReader(conn)
	c.cmd("BDAT 0 LAST", "503-5.5.1 EHLO/HELO first.")
	c.hello()
	c.cmd("BDAT 0 LAST", "503-5.5.1 MAIL first.")
	if len(b.all()) != 0 {
		t.Errorf("delivered: %+v", b.all())
	}
}
