package mailaccess

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"
)

// imapTree0 has what BODYSTRUCTURE can say.
const imapTree0 = `From: =?utf-8?q?J=C3=B6rg?= <joerg@shop.example>, "Two, B." <b@SHOP.example>
Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=
 folded
To: friends: alice@gmail.test, bob@gmail.test;
Date: Thu, 10 Sep 2026 08:00:00 +0200 (CEST)
Message-ID: <1@shop.example> (comment)
In-Reply-To: <a@b> <c@d>
content-type: multipart/mixed (a; b) ; boundary="b 1"; x=";"
Content-Language: de, en

preamble
--b 1
Content-Type: text/plain; charset=utf-8

one
two
--b 1
Content-Type: message/rfc822
Content-Disposition: attachment; filename*=utf-8''%c3%bc; filename="a \"b\""

Subject: inner
From: x@y.example
Content-Type: multipart/alternative; boundary=c

--c
Content-ID: <id>
Content-Transfer-Encoding: BASE64 (why)

aGk=
--c
Content-Type: text/html

<p>
--c--
epilogue
--b 1  
Content-Type: image/png; name=x
Content-Description: a picture

x--b 1--
--b 1--
`

func TestIMAPFetch(t *testing.T) {
	t.Parallel()
	tree := crlf(imapTree0)
	header, text, _ := strings.Cut(tree, "\r\n\r\n")
	header += "\r\n\r\n"
	inner := tree[strings.Index(tree, "Subject: inner"):strings.Index(tree, "\r\n--b 1  ")]
	innerHeader, innerText, _ := strings.Cut(inner, "\r\n\r\n")
	innerHeader += "\r\n\r\n"
	size := fmt.Sprint(len(inner))
	section := func(item, octets string) string { return fmt.Sprintf("%s {%d}\r\n%s", item, len(octets), octets) }
	tests := []struct{ items, want string }{
		{"FAST", fmt.Sprintf(`FLAGS () INTERNALDATE "10-Sep-2026 23:30:00 -0700" RFC822.SIZE %d`, len(tree))},
		{"ENVELOPE", `ENVELOPE ("Thu, 10 Sep 2026 08:00:00 +0200" "=?utf-8?q?gr=C3=BC=C3=9Fe?= folded" ` +
			`(("=?utf-8?q?J=C3=B6rg?=" NIL "joerg" "shop.example") ("Two, B." NIL "b" "shop.example")) ` +
			`(("=?utf-8?q?J=C3=B6rg?=" NIL "joerg" "shop.example") ("Two, B." NIL "b" "shop.example")) ` +
			`(("=?utf-8?q?J=C3=B6rg?=" NIL "joerg" "shop.example") ("Two, B." NIL "b" "shop.example")) ` +
			`((NIL NIL "alice" "gmail.test") (NIL NIL "bob" "gmail.test")) NIL NIL "<a@b> <c@d>" "<1@shop.example>")`},
		{"BODYSTRUCTURE", `BODYSTRUCTURE (("text" "plain" ("charset" "utf-8") NIL NIL "7bit" 8 1 NIL NIL NIL NIL)` +
			`("message" "rfc822" NIL NIL NIL "7bit" ` + size + ` ` +
			`(NIL "inner" ((NIL NIL "x" "y.example")) ((NIL NIL "x" "y.example")) ((NIL NIL "x" "y.example")) NIL NIL NIL NIL NIL) ` +
			`(("text" "plain" NIL "<id>" NIL "base64" 4 0 NIL NIL NIL NIL)("text" "html" NIL NIL NIL "7bit" 3 0 NIL NIL NIL NIL) "alternative" ("boundary" "c") NIL NIL NIL) 14 ` +
			`NIL ("attachment" ("filename" "a \"b\"" "filename*" "utf-8''%c3%bc")) NIL NIL)` +
			`("image" "png" ("name" "x") NIL "a picture" "7bit" 8 NIL NIL NIL NIL) ` +
			`"mixed" ("boundary" "b 1" "x" ";") NIL ("de" "en") NIL)`},
		{"BODY", `BODY (("text" "plain" ("charset" "utf-8") NIL NIL "7bit" 8 1)` +
			`("message" "rfc822" NIL NIL NIL "7bit" ` + size + ` ` +
			`(NIL "inner" ((NIL NIL "x" "y.example")) ((NIL NIL "x" "y.example")) ((NIL NIL "x" "y.example")) NIL NIL NIL NIL NIL) ` +
			`(("text" "plain" NIL "<id>" NIL "base64" 4 0)("text" "html" NIL NIL NIL "7bit" 3 0) "alternative") 14)` +
			`("image" "png" ("name" "x") NIL "a picture" "7bit" 8) "mixed")`},
		{"BODY.PEEK[]", section("BODY[]", tree)},
		{"RFC822.PEEK", section("RFC822.PEEK", tree)},
		{"RFC822.HEADER", section("RFC822.HEADER", header)},
		{"BODY.PEEK[HEADER]", section("BODY[HEADER]", header)},
		{"BODY.PEEK[TEXT]", section("BODY[TEXT]", text)},
		{"BODY.PEEK[TEXT]<3.5>", section("BODY[TEXT]<3>", text[3:8])},
		{"BODY.PEEK[]<0.99999>", section("BODY[]<0>", tree)},
		{"BODY.PEEK[]<99999.1>", section("BODY[]<99999>", "")},
		{"BODY.PEEK[HEADER.FIELDS (SUBJECT {4+}\r\ndate)]", section(`BODY[HEADER.FIELDS ("SUBJECT" "date")]`,
			crlf("Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\n folded\nDate: Thu, 10 Sep 2026 08:00:00 +0200 (CEST)\n\n"))},
		{"BODY.PEEK[HEADER.FIELDS.NOT (SUBJECT from TO DATE In-Reply-To Content-Type)]",
			section(`BODY[HEADER.FIELDS.NOT ("SUBJECT" "from" "TO" "DATE" "In-Reply-To" "Content-Type")]`,
				crlf("Message-ID: <1@shop.example> (comment)\nContent-Language: de, en\n\n"))},
		{"BODY.PEEK[1]", section("BODY[1]", "one\r\ntwo")},
		{"BODY.PEEK[1.MIME]", section("BODY[1.MIME]", "Content-Type: text/plain; charset=utf-8\r\n\r\n")},
		{"BODY.PEEK[1.HEADER]", section("BODY[1.HEADER]", "")},
		{"BODY.PEEK[1.1]", section("BODY[1.1]", "")},
		{"BODY.PEEK[2]", section("BODY[2]", inner)},
		{"BODY.PEEK[2.HEADER]", section("BODY[2.HEADER]", innerHeader)},
		{"BODY.PEEK[2.HEADER.FIELDS (From)]", section(`BODY[2.HEADER.FIELDS ("From")]`, "From: x@y.example\r\n\r\n")},
		{"BODY.PEEK[2.TEXT]", section("BODY[2.TEXT]", innerText)},
		{"BODY.PEEK[2.1]", section("BODY[2.1]", "aGk=")},
		{"BODY.PEEK[2.1.MIME]", section("BODY[2.1.MIME]", "Content-ID: <id>\r\nContent-Transfer-Encoding: BASE64 (why)\r\n\r\n")},
		{"BODY.PEEK[2.2]<1.1>", section("BODY[2.2]<1>", "p")},
		{"BODY.PEEK[2.3]", section("BODY[2.3]", "")},
		{"BODY.PEEK[3]", section("BODY[3]", "x--b 1--")},
		{"BODY.PEEK[4]", section("BODY[4]", "")},
		{"BODY.PEEK[0]", section("BODY[0]", "")},
		{"(UID BODY.PEEK[1] BODY.PEEK[3])", "UID 10 " + section("BODY[1]", "one\r\ntwo") + " " + section("BODY[3]", "x--b 1--")},
	}
	for _, tt := range tests {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			d := openIMAP(t, newIMAPServer(t, newIMAPBox(tree), readOnlyIMAP))
			if got, want := d.do("FETCH 1 "+tt.items), "* 1 FETCH ("+tt.want+")\r\nx OK FETCH completed\r\n"; got != want {
				t.Errorf("%s\n got %q\nwant %q", tt.items, got, want)
			}
		})
	}
}

func TestIMAPFetchRefused(t *testing.T) {
	t.Parallel()
	d := openIMAP(t, newIMAPServer(t, newIMAPBox(imapPlainMail), nil))
	for items, want := range map[string]string{
		"BODY[MIME]":                         "x BAD [CLIENTBUG] MIME needs the number of a part\n",
		"BODY[HEADER.FIELDS (\"a b\")]":      "x BAD [CLIENTBUG] that is not the name of a header field\n",
		"BODY[HEADER.FIELDS (a \"\")]":       "x BAD [CLIENTBUG] that is not the name of a header field\n",
		"BODY[]<0.0>":                        "x BAD [CLIENTBUG] a part of a section has an offset and a size of 32 bits\n",
		"BODY[]<4294967296.1>":               "x BAD [CLIENTBUG] a part of a section has an offset and a size of 32 bits\n",
		"BODY[]<1.9223372036854775807>":      "x BAD [CLIENTBUG] a part of a section has an offset and a size of 32 bits\n",
		"BINARY[1]":                          "x BAD [CLIENTBUG] there is no BINARY\n",
		"BINARY.SIZE[1]":                     "x BAD [CLIENTBUG] there is no BINARY\n",
		"BODY[TEXT.MIME]":                    "x BAD [CLIENTBUG] unknown body section specifier\n",
		"(FLAGS BODY[1.2.3.4.5.6.7.8.9]x]x]": "x BAD [CLIENTBUG] Syntax error: expected SP, got \"x\"\n",
	} {
		d.want("FETCH 1 "+items, want)
	}
	d.want("FETCH 2 UID", "x BAD [CLIENTBUG] no message has that number\n")
	d.want("FETCH $ UID", "x BAD [CLIENTBUG] results of SEARCH are not kept\n")
}

// Of a single part, number 1 is its content; a message in a message has parts of
// its own; what is no multipart is text.
func TestIMAPFetchParts(t *testing.T) {
	t.Parallel()
	const rfc822 = "Content-Type: message/rfc822\r\n\r\nA: b\r\n\r\ninner"
	deep := strings.Repeat("Content-Type: message/rfc822\r\n\r\n", 30) + "A: b\r\n\r\ninner"
	tests := []struct{ mail, section, want string }{
		{imapPlainMail, "1", "Hello Alice\r\n"},
		{imapPlainMail, "1.MIME", imapPlainMail[:len(imapPlainMail)-len("Hello Alice\r\n")]},
		{imapPlainMail, "1.1", ""},
		{imapPlainMail, "2", ""},
		{rfc822, "1", "A: b\r\n\r\ninner"},
		{rfc822, "1.HEADER", "A: b\r\n\r\n"},
		{rfc822, "1.TEXT", "inner"},
		{rfc822, "1.1", "inner"},
		{"Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\nx", "1", "--b\r\n\r\nx"},
		{"Content-Type: multipart/mixed; boundary=c\r\n\r\n--b\r\n\r\nx", "1", "--b\r\n\r\nx"},
		{"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b\n\ny", "1", "x"},
		{"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b\n\ny", "2", "y"},
		{"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n--b\r\nA: b\r\n--b--\r\n", "2.MIME", "A: b"},
		{"Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nA: b\r\n\r\nx\r\n--b--", "1.HEADER", "A: b\r\n\r\n"},
		{deep, "1" + strings.Repeat(".1", 20) + ".HEADER", ""},
		{"no header at all\r\n", "HEADER", ""},
		{"no header at all\r\n", "TEXT", "no header at all\r\n"},
		{"\r\nno header\r\n", "HEADER", "\r\n"},
		{"A: b", "HEADER", "A: b"},
		{"A: b", "HEADER.FIELDS (a)", "A: b\r\n\r\n"},
		{"A: b\nC:d\n\n", "HEADER.FIELDS (C)", "C:d\n\r\n"},
		{"", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.section, func(t *testing.T) {
			t.Parallel()
			d := openIMAP(t, newIMAPServer(t, newIMAPBox(tt.mail), readOnlyIMAP))
			got := d.do("FETCH 1 (BODYSTRUCTURE BODY.PEEK[" + tt.section + "])")
			end := fmt.Sprintf("] {%d}\r\n%s)\r\nx OK FETCH completed\r\n", len(tt.want), tt.want)
			if !strings.HasSuffix(got, end) {
				t.Errorf("%q %s\n got %q\nwant at its end %q", tt.mail, tt.section, got, end)
			}
		})
	}
}

// A message is read when somebody asks for what is in it, and the Backend is told
// how much of it went out.
func TestIMAPFetchReads(t *testing.T) {
	t.Parallel()
	tests := []struct {
		command string
		reads   string
		events  string // Of EventRead.
		seen    string // UIDs with \Seen after it.
	}{
		{"FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)", "[]", "", ""},
		{"FETCH 2 ENVELOPE", "[id2]", "id2 false\n", ""},
		{"UID FETCH 30 BODY.PEEK[]", "[id3]", "id3 true\n", ""},
		{"UID FETCH 5:10,25:* BODY[]", "[id1 id3]", "id1 true\nid3 true\n", " 10 30"},
		{"FETCH 2 BODY[]<0.5>", "[id2]", "id2 false\n", " 20"},
		{"FETCH 2 (BODY.PEEK[]<0.5> BODY.PEEK[]<0.999>)", "[id2]", "id2 true\n", ""},
		{"FETCH 2 (BODY.PEEK[HEADER] BODY.PEEK[TEXT])", "[id2]", "id2 true\n", ""},
		{"FETCH 2 (BODY.PEEK[TEXT] BODY.PEEK[HEADER])", "[id2]", "id2 false\n", ""},
		{"FETCH 2 (BODY.PEEK[HEADER] BODY.PEEK[1])", "[id2]", "id2 false\n", ""},
		{"FETCH 2 (BODY.PEEK[HEADER] BODY.PEEK[TEXT]<1.99>)", "[id2]", "id2 false\n", ""},
		{"FETCH * RFC822", "[id3]", "id3 true\n", " 30"},
		{"FETCH 3 RFC822.TEXT", "[id3]", "id3 false\n", " 30"},
		{"FETCH 3 RFC822.HEADER", "[id3]", "id3 false\n", ""},
		{"UID FETCH 99 BODY[]", "[]", "", ""},
		{"UID FETCH 99:* UID", "[]", "", ""},
		{"SEARCH FROM shop SEEN", "[]", "", ""},
		{"SEARCH FROM shop UNSEEN", "[id1 id2 id3]", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.command, func(t *testing.T) {
			t.Parallel()
			b := newIMAPBox(imapPlainMail, imapPlainMail, imapPlainMail)
			d := openIMAP(t, newIMAPServer(t, b, nil))
			got := d.do(tt.command)
			if !strings.Contains(got, "\r\nx OK") && !strings.HasPrefix(got, "x OK") {
				t.Fatalf("got %q", got)
			}
			b.mu.Lock()
			if reads := fmt.Sprint(b.reads); reads != tt.reads {
				t.Errorf("read %s, want %s", reads, tt.reads)
			}
			var events strings.Builder
			for _, e := range b.events {
				if e.Kind == EventRead {
					fmt.Fprintln(&events, e.Message, e.Whole)
				}
			}
			b.mu.Unlock()
			if events.String() != tt.events {
				t.Errorf("got events\n%swant\n%s", events.String(), tt.events)
			}
			d.want("UID SEARCH SEEN", "* SEARCH"+tt.seen+"\nx OK UID SEARCH completed\n")
		})
	}
}

func TestIMAPBackendFails(t *testing.T) {
	t.Parallel()
	b := newIMAPBox(imapPlainMail)
	d := openIMAP(t, newIMAPServer(t, b, nil))
	const unavailable = "x NO [UNAVAILABLE] the mailbox cannot be read now\n"
	b.readErr = errors.New("disk on fire")
	d.want("FETCH 1 BODY[]", unavailable)
	d.want("SEARCH TEXT x", unavailable)
	d.want("SEARCH NOT OR SEEN TEXT x", unavailable)
	d.want("FETCH 1 FLAGS", "* 1 FETCH (FLAGS ())\nx OK FETCH completed\n")
	b.mu.Lock()
	b.listErr = errors.New("disk on fire")
	b.mu.Unlock()
	d.want("STATUS INBOX (MESSAGES)", unavailable)
	d.want("LIST \"\" * RETURN (STATUS (MESSAGES))", unavailable)
	d.want("NOOP", "x OK NOOP completed\n")
	d.want("SELECT INBOX", "* OK [CLOSED] Previous mailbox is now closed\n"+unavailable)
	d.want("FETCH 1 FLAGS", "x BAD [CLIENTBUG] This command is only valid in the selected state\n")
}

// A panic ends its session, and no other.
func TestIMAPPanic(t *testing.T) {
	t.Parallel()
	s := newIMAPServer(t, newIMAPBox("panic"), nil)
	d, other := openIMAP(t, s), openIMAP(t, s)
	d.want("FETCH 1 BODY[]", "")
	other.want("NOOP", "x OK NOOP completed\n")
}

func TestIMAPValue(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in, word string
		params   []string
	}{
		{"", "", nil},
		{"TEXT/Plain", "text/plain", nil},
		{` text/plain ; CharSet = "a;b" ;charset=c; x; =y; z=`, "text/plain", []string{"charset=a;b", "z="}},
		{`a/b (c;d=(\))) ; e="f\"g`, "a/b", []string{`e=f"g`}},
		{`a/b c; d="("; e=f (g)`, "a/b", []string{"d=(", "e=f"}},
	}
	for _, tt := range tests {
		v := parseIMAPValue(tt.in)
		var params []string
		for name, value := range v.params {
			params = append(params, name+"="+value)
		}
		slices.Sort(params)
		if v.word != tt.word || !slices.Equal(params, tt.params) {
			t.Errorf("%q: got %q %q, want %q %q", tt.in, v.word, params, tt.word, tt.params)
		}
	}
}

// A client that takes a message in pieces has it with the last of them.
func TestIMAPFetchPieces(t *testing.T) {
	t.Parallel()
	b := newIMAPBox(imapPlainMail)
	d := openIMAP(t, newIMAPServer(t, b, nil))
	for _, piece := range []string{"[HEADER]", "[]<20.100>", "[TEXT]<0.5>", "[TEXT]<5.100>"} {
		d.do("FETCH 1 BODY.PEEK" + piece)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, e := range b.events[1:] {
		if e.Whole != (i == 3) {
			t.Errorf("piece %d: whole is %v", i, e.Whole)
		}
	}
}

func TestIMAPPartLimits(t *testing.T) {
	t.Parallel()
	many := "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\n\r\nx\r\n", imapMaxParts+9)
	if n := len(parseIMAPEntity([]byte(many), true).children); n != imapMaxParts {
		t.Errorf("%d parts", n)
	}
	params := "a/b" + strings.Repeat(";x=y", 9)
	for i := range imapMaxParams + 9 {
		params += fmt.Sprintf(";p%d=", i)
	}
	if n := len(parseIMAPValue(params).params); n != imapMaxParams {
		t.Errorf("%d parameters", n)
	}
}

// FuzzIMAPEntity: what is shown of a message is a slice of it, in order, and the
// structure is one that go-imap can write.
func FuzzIMAPEntity(f *testing.F) {
	for _, seed := range []string{imapTree0, imapPlainMail, "", "a\n\nb", "Content-Type: multipart/digest; boundary=\"\n--\"\n\n----", "From: a: b@c,;\nDate: x\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		e := parseIMAPEntity(raw, true)
		left := 2*imapMaxParts + 2
		checkIMAPEntity(t, e, &left)
		checkIMAPStructure(t, e.structure(), 0)
		e.envelope()
		newIMAPText(raw)
	})
}

func checkIMAPEntity(t *testing.T, e *imapEntity, left *int) {
	if *left--; *left < 0 {
		t.Fatal("too many parts")
	}
	if string(e.header)+string(e.body) != string(e.raw) {
		t.Fatalf("%q and %q are not %q", e.header, e.body, e.raw)
	}
	rest := string(e.body)
	for _, c := range e.children {
		_, after, ok := strings.Cut(rest, string(c.raw))
		if !ok {
			t.Fatalf("part %q is not in %q", c.raw, rest)
		}
		rest = after
		checkIMAPEntity(t, c, left)
	}
	if e.message != nil {
		if string(e.message.raw) != string(e.body) {
			t.Fatalf("message %q is not %q", e.message.raw, e.body)
		}
		checkIMAPEntity(t, e.message, left)
	}
}

func checkIMAPStructure(t *testing.T, s imap.BodyStructure, depth int) {
	if depth > imapMaxDepth {
		t.Fatal("too deep")
	}
	switch s := s.(type) {
	case *imap.BodyStructureMultiPart:
		if len(s.Children) == 0 || s.Extended == nil {
			t.Fatalf("got %+v", s)
		}
		for _, c := range s.Children {
			checkIMAPStructure(t, c, depth+1)
		}
	case *imap.BodyStructureSinglePart:
		typ := s.MediaType()
		if s.Extended == nil || (s.Text != nil) != strings.HasPrefix(typ, "text/") || (s.MessageRFC822 != nil) != isMessage(typ) {
			t.Fatalf("got %+v", s)
		}
		if s.MessageRFC822 != nil {
			checkIMAPStructure(t, s.MessageRFC822.BodyStructure, depth+1)
		}
	}
}
