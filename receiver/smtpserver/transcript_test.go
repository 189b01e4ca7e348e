package smtpserver

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestTranscripts replays testdata/transcripts.txt: each reply of Replies() has
// a session there that ends with it.
func TestTranscripts(t *testing.T) {
	t.Parallel()
	sections := readTranscripts(t)
	covered := make(map[string]bool)
	for name, text := range sections {
		if name == strings.ToUpper(name) {
			continue
		}
		id, _, _ := strings.Cut(name, "/")
		covered[id] = true
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lines := include(t, sections, text)
			if id == name {
				endsWith(t, lines, id)
			}
			synctest.Test(t, func(t *testing.T) { replay(t, lines) })
		})
	}
	for _, r := range Replies() {
		if !covered[r.ID] {
			t.Errorf("no transcript for %q", r.ID)
		}
		delete(covered, r.ID)
	}
	for id := range covered {
		t.Errorf("transcript for %q, which is no reply", id)
	}
}

// readTranscripts returns the sections by name.
func readTranscripts(t *testing.T) map[string]string {
	t.Helper()
	raw, err := os.ReadFile("testdata/transcripts.txt")
	if err != nil {
		t.Fatal(err)
	}
	sections := make(map[string]string)
	parts := strings.Split("\n"+string(raw), "\n-- ")
	for _, part := range parts[1:] {
		name, text, ok := strings.Cut(part, " --\n")
		if _, twice := sections[name]; !ok || twice {
			t.Fatalf("section %.40q has no name of its own", part)
		}
		sections[name] = text
	}
	return sections
}

// include returns the lines of a section, with those of its beginning.
func include(t *testing.T, sections map[string]string, text string) []string {
	t.Helper()
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if name, ok := strings.CutPrefix(line, "include "); ok {
			if sections[name] == "" {
				t.Fatalf("there is no beginning %q", name)
			}
			lines = append(lines, include(t, sections, sections[name])...)
		} else if line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// endsWith checks that the last reply in lines is the catalogued one.
func endsWith(t *testing.T, lines []string, id string) {
	t.Helper()
	var said string
	for _, line := range lines {
		if text, ok := strings.CutPrefix(line, "S: "); ok {
			said += text + "\r\n"
		}
	}
	for _, r := range Replies() {
		if r.ID != id {
			continue
		}
		tail := "ID - gsmtp"
		if strings.HasSuffix(r.When, "has no session id.") {
			tail = ""
		}
		if want := string(r.Reply.appendTo(nil, tail)); !strings.HasSuffix("\n"+said, "\n"+want) {
			t.Errorf("the transcript does not end with\n%s", want)
		}
	}
}

var transcriptStep = regexp.MustCompile(`^([CS])(?: x([0-9]+))?([:=])(?: (.*))?$`)

// player plays the client of a transcript.
type player struct {
	*client
	server *Server
	pair   tlsPair
	toSend strings.Builder
	id     string // The session's, once it is known.
}

func replay(t *testing.T, lines []string) {
	t.Helper()
	var words []string
	if len(lines) > 0 && strings.HasPrefix(lines[0], "with ") {
		words, lines = strings.Fields(lines[0])[1:], lines[1:]
	}
	s, pair := transcriptServer(t, words)
	p := &player{client: dialPipeFrom(t, s, tcpAddr("192.0.2.10")), server: s, pair: pair}
	for _, line := range lines {
		if m := transcriptStep.FindStringSubmatch(line); m != nil {
			p.line(m[1] == "C", m[2], m[3] == "=", m[4])
			continue
		}
		p.flush()
		if line == "END" {
			p.wantEOF()
			return
		}
		p.event(line)
	}
	p.quit()
}

// line is a line of the client or of the server.
func (p *player) line(ours bool, times string, quoted bool, text string) {
	p.t.Helper()
	n := 1
	if times != "" {
		n, _ = strconv.Atoi(times)
	}
	if quoted {
		var err error
		if text, err = strconv.Unquote(text); err != nil {
			p.t.Fatalf("%q: %v", text, err)
		}
	} else {
		text += "\r\n"
	}
	if ours {
		p.toSend.WriteString(strings.Repeat(text, n))
		return
	}
	p.flush()
	for range n {
		p.wantLine(text)
	}
}

// flush sends all that the client has said since the server's last line.
func (p *player) flush() {
	if p.toSend.Len() > 0 {
		go io.WriteString(p.conn, p.toSend.String()) // The server may answer before it has read all.
		synctest.Wait()
		p.toSend.Reset()
	}
}

// event is what is no line.
func (p *player) event(line string) {
	p.t.Helper()
	verb, arg, _ := strings.Cut(line, " ")
	switch verb {
	case "TLS":
		conn := tls.Client(p.conn, p.pair.client)
		if err := conn.Handshake(); err != nil {
			p.t.Fatal(err)
		}
		p.conn, p.in = conn, bufio.NewReader(conn)
	case "wait":
		d, err := time.ParseDuration(arg)
		if err != nil {
			p.t.Fatal(err)
		}
		time.Sleep(d)
	case "stop":
		go p.server.Close()
	default:
		p.t.Fatalf("no such step: %q", line)
	}
}

// quit ends a session that the server would go on with.
func (p *player) quit() {
	p.t.Helper()
	go io.WriteString(p.conn, "QUIT\r\n")
	if got, err := p.reply(); err != nil || !strings.HasPrefix(got, "221 ") && !strings.HasPrefix(got, "421-") {
		p.t.Fatalf("after all that, got %q, %v", got, err)
	}
	p.wantEOF()
}

// wantLine reads a line. All session ids in it, ID in want, are one.
func (p *player) wantLine(want string) {
	p.t.Helper()
	got, err := p.in.ReadString('\n')
	if p.id == "" {
		p.id = sessionID.FindString(got)
	}
	if p.id != "" {
		got = strings.ReplaceAll(got, p.id, "ID")
	}
	if err != nil || got != want {
		p.t.Fatalf("got %q, %v; want %q", got, err, want)
	}
}

// transcriptServer makes the server that the words of a "with" ask for.
func transcriptServer(t *testing.T, words []string) (*Server, tlsPair) {
	t.Helper()
	var pair tlsPair
	other := ""
	b := &box{}
	change := func(o *Options) {
		for _, word := range words {
			key, value, _ := strings.Cut(word, "=")
			n, _ := strconv.Atoi(value)
			switch key {
			case "tls":
				pair = testTLS(t)
				o.TLSConfig = pair.server
			case "size":
				o.MaxSize = int64(n)
			case "held":
				o.MaxHeld = int64(n)
			case "recipients":
				o.MaxRecipients = n
			case "connections":
				o.MaxConnections = n
			case "line-ends":
				o.BareLineEnds = func() BareLineEnds { return BareLineEnds(value) }
			case "pipelined-hello":
				o.PipelinedHello = func() PipelinedHello { return PipelinedHello(value) }
			case "failing":
				b.onDeliver = func(context.Context, Envelope, []byte) Reply { panic("of the test") }
			case "other":
				other = value
			default:
				t.Fatalf("no such option: %q", word)
			}
		}
	}
	s := newServer(t, b, change)
	switch other {
	case "idle":
		dialPipe(t, s)
	case "holding":
		c := dialPipe(t, s)
		c.send("HELO other.example\r\n")
		c.wantCode("250 ")
		c.cmd("MAIL FROM:<>", "250")
		c.cmd("RCPT TO:<u@gmail.test>", "250")
		c.send(fmt.Sprintf("BDAT 190000\r\n%s", strings.Repeat("x", 190_000)))
		c.wantCode("250 ")
	}
	return s, pair
}
