package message

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
)

func TestHeader(t *testing.T) {
	t.Parallel()
	raw := crlf(`Received: from a
Received: from b
From: =?utf-8?q?Gesch=C3=A4ft?= <noreply@Shop.example>
To: a@b.example,
 "B" <b@b.example>
Cc: G: c@c.example;
Subject: =?utf-8?q?Gr=C3=BC?=
 =?iso-8859-1?q?=DFe?=
Message-ID: <1@shop.example>
Date: Thu, 01 Jan 2026 10:00:00 +0000

body
`)
	want := policy.Header{
		From:       []policy.Address{{Name: "Geschäft", Addr: "noreply@shop.example", Domain: "shop.example"}},
		FromFields: 1,
		To:         []policy.Address{{Addr: "a@b.example", Domain: "b.example"}, {Name: "B", Addr: "b@b.example", Domain: "b.example"}},
		Cc:         []policy.Address{{Addr: "c@c.example", Domain: "c.example"}},
		Subject:    "Grüße",
		MessageID:  "<1@shop.example>",
		Date:       "Thu, 01 Jan 2026 10:00:00 +0000",
		Received:   2,
		Fields:     8,
		HeaderSize: len(raw) - len("\r\nbody\r\n"),
		Size:       len(raw),

		LongestValue: len(" =?utf-8?q?Gesch=C3=A4ft?= <noreply@Shop.example>\r\n"),
		LongestName:  len("Message-ID"),

		Authored: []policy.FieldCount{{Name: "from", Count: 1}, {Name: "to", Count: 1}, {Name: "cc", Count: 1}, {Name: "subject", Count: 1}, {Name: "date", Count: 1}, {Name: "message-id", Count: 1}},
	}
	if got := Parse(raw).Header(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestHeaderProblems(t *testing.T) {
	t.Parallel()
	const date, from = "Date: x\n", "From: a@b.example\n"
	tests := []struct {
		name, raw string
		line      int // Of the first problem.
		want      []policy.Reason
	}{
		{"none", from + date, 0, nil},
		{"empty", "", 1, []policy.Reason{NoHeader, NoFrom, NoDate}},
		{"no From", date, 0, []policy.Reason{NoFrom}},
		{"no Date", from, 0, []policy.Reason{NoDate}},
		{"two From", from + date + from + from, 3, []policy.Reason{FromSeveral, NoSender}},
		{"two authors", "From: a@b.example, c@d.example\n" + date, 0, []policy.Reason{NoSender}},
		{"two authors and Sender", "From: a@b.example, c@d.example\nSender: a@b.example\n" + date, 0, nil},
		{"empty From", date + "From:\n", 2, []policy.Reason{FromUnreadable}},
		{"empty group", date + "From: G:;\n", 2, []policy.Reason{FromUnreadable, FromGroup}},
		{"no address", date + "From: Alice\n", 2, []policy.Reason{FromUnreadable}},
		{"one of two is none", date + "From: a@b.example, Alice\n", 2, []policy.Reason{FromUnreadable}},
		{"dot at the end", date + "From: a@b.example.\n", 2, []policy.Reason{FromUnreadable}},
		{"dots at the end", date + "From: a@b.example..\n", 2, []policy.Reason{FromUnreadable}},
		{"dot at the end of a recipient", from + date + "To: a@b.example.\n", 3, []policy.Reason{AddressSyntax}},
		{"two angle addresses", date + "From: <a@b.example> <c@d.example>\n", 2, []policy.Reason{FromUnreadable}},
		{"address as name", date + "From: x@y.example <a@b.example>\n", 2, []policy.Reason{AddressSyntax}},
		{"bad To", from + date + "To: Alice\n", 3, []policy.Reason{AddressSyntax}},
		{"duplicates", from + date + "subject: a\nSubject: b\nMIME-Version: 1.0\nMime-Version: 1.0\nX-A: 1\nX-A: 2\n", 4, []policy.Reason{Duplicate, Duplicate}},
		{"charset of the subject", from + date + "Subject: =?x-none?q?a?=\n", 3, []policy.Reason{EncodedWord}},
		{"octets of the subject", from + date + "Subject: =?utf-8?q?=E4?=\n", 3, []policy.Reason{EncodedWord}},
		{"group", date + "From: G: a@b.example;\n", 2, []policy.Reason{FromGroup}},
		{"source route", date + "From: <@c.example:a@b.example>\n", 2, []policy.Reason{FromObsolete}},
		{"white space in the address", date + "From: a @b.example\n", 2, []policy.Reason{FromObsolete}},
		{"comment in the address", date + "From: a@(c)b.example\n", 2, []policy.Reason{FromObsolete}},
		{"white space beside the address", date + "From: A < a@b.example > (c)\n", 0, nil},
		{"encoded word in the address", date + "From: =?utf-8?q?a?=@b.example\n", 2, []policy.Reason{EncodedAddress}},
		{"encoded word in a quoted local part", date + "From: \"=?utf-8?q?a?=\"@b.example\n", 2, []policy.Reason{EncodedAddress}},
		{"encoded word as name", date + "From: =?utf-8?q?a?= <a@b.example>\n", 0, nil},
		{"equals sign and question mark", date + "From: a=?b?=@c.example\n", 0, nil},
		{"underscore in the domain", date + "From: a@b_c.example\n", 2, []policy.Reason{FromDomain}},
		{"hyphen at an end", date + "From: a@-b.example\n", 2, []policy.Reason{FromDomain}},
		{"long label", date + "From: a@" + strings.Repeat("b", 64) + ".example\n", 2, []policy.Reason{FromDomain}},
		{"capitals", date + "From: A@B.Example\n", 0, nil},
		{"IDN", date + "From: a@Bücher.example\n", 0, nil},
		{"IDN as A-label", date + "From: a@xn--bcher-kva.example\n", 0, nil},
		{"A-label of nothing", date + "From: a@xn--99999999.example\n", 2, []policy.Reason{FromDomain}},
		{"full width", date + "From: a@ｂ.example\n", 2, []policy.Reason{FromDomain}},
		{"ideographic dot", date + "From: a@b。example\n", 2, []policy.Reason{FromDomain}},
		{"space before the colon", date + "From : a@b.example\n", 2, []policy.Reason{SpaceBefore}},
		{"encoded word in Message-ID", from + date + "Message-ID: <=?utf-8?q?a?=@b.example>\n", 3, []policy.Reason{EncodedAddress}},
		{"encoded word in a comment", from + "Date: x (=?utf-8?q?a?=)\n", 0, nil},
		{"other letters in MIME-Version", from + date + "MIME-Version: 1.0é\n", 3, []policy.Reason{UnicodeField}},
		{"other letters in a comment", from + "Date: x (é)\n", 0, nil},
		{"problem of a line", from + date + "X\n", 3, []policy.Reason{HeaderLine}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := Parse(crlf(tt.raw))
			h := m.Header()
			if !slices.Equal(codes(h.Problems), tt.want) || len(tt.want) > 0 && h.Problems[0].Place.Line != tt.line {
				t.Errorf("problems %v, want %q at line %d", h.Problems, tt.want, tt.line)
			}
			if again := m.Header(); !reflect.DeepEqual(again, h) {
				t.Errorf("the second time %+v", again)
			}
		})
	}
}

// TestHeaderComments: what comments say is kept of the author alone.
func TestHeaderComments(t *testing.T) {
	t.Parallel()
	h := Parse(crlf("From: (a) B (=?utf-8?q?=C3=A9?=) <a@(d)b.example> (e\\))\nTo: c@c.example (f)\nSender: g@g.example\n\n")).Header()
	want := policy.Address{Name: "B", Addr: "a@b.example", Domain: "b.example", Comment: "a é d e)"}
	if len(h.From) != 1 || h.From[0] != want || h.To[0].Comment != "" || len(h.Sender) != 1 || h.Sender[0].Domain != "g.example" {
		t.Errorf("%+v", h)
	}
}

func TestHeaderFirstCounts(t *testing.T) {
	t.Parallel()
	h := Parse(crlf("Subject: a\nSubject: b\nDate: c\nDate: d\nTo: e@e.example\nTo: f@f.example\nFrom: a@a.example\nFrom: b@b.example\n\n")).Header()
	if h.Subject != "a" || h.Date != "c" || len(h.To) != 2 || len(h.From) != 2 || h.FromFields != 2 {
		t.Errorf("%+v", h)
	}
}

// TestHeaderManyProblems: a replayer puts junk before a signed mail to hide
// the field that was added to it.
func TestHeaderManyProblems(t *testing.T) {
	t.Parallel()
	h := Parse(crlf(strings.Repeat("junk\n", 3*policy.MaxProblems) + "From: Alice\nContent-Type: text/html\nContent-Type: text/plain\nDate: x\nSubject: =?x-none?q?a?=\n\n")).Header()
	got := slices.Compact(codes(h.Problems))
	if want := []policy.Reason{HeaderLine, FromUnreadable, Duplicate, EncodedWord, MoreProblems}; !slices.Equal(got, want) {
		t.Errorf("codes %q, want %q", got, want)
	}
	h = Parse(crlf(strings.Repeat("junk\n", 3*policy.MaxProblems))).Header()
	if got, want := slices.Compact(codes(h.Problems)), []policy.Reason{HeaderLine, NoHeader, NoFrom, NoDate, MoreProblems}; !slices.Equal(got, want) {
		t.Errorf("codes %q, want %q", got, want)
	}
}

// TestHeaderManyRecipients: what is kept of the recipients has a bound for all
// fields together, and none of them costs the author.
func TestHeaderManyRecipients(t *testing.T) {
	t.Parallel()
	const from = "From: a@b.example\nDate: x\n"
	several := strings.Repeat("Cc: "+strings.Repeat("a@b.example,", 400)+"\n", 20)
	h := Parse(crlf(several + from)).Header()
	if len(h.Cc) != maxAddresses || len(h.From) != 1 {
		t.Errorf("%d recipients, %d authors", len(h.Cc), len(h.From))
	}
	if got := slices.Compact(codes(h.Problems)); !slices.Equal(got, []policy.Reason{LineTooLong, Duplicate, TooManyAddresses, Duplicate, TooManyAddresses, Duplicate, TooManyAddresses, Duplicate, TooManyAddresses, Duplicate, TooManyAddresses, Duplicate, TooManyAddresses, Duplicate, TooManyAddresses, Duplicate, TooManyAddresses}) {
		t.Errorf("problems %q", got)
	}
	large := "To: " + strings.Repeat(" ", 300<<10) + "c@d.example, e@f.example\n"
	h = Parse(crlf(large + from + "Cc: (" + strings.Repeat("x", 300<<10) + ") g@h.example\n")).Header()
	if len(h.To) != 2 || len(h.Cc) != 1 || len(h.From) != 1 {
		t.Errorf("%d and %d recipients, %d authors: white space at the ends does not count", len(h.To), len(h.Cc), len(h.From))
	}
	comment := "(" + strings.Repeat("x", 300<<10) + ")"
	h = Parse(crlf("To: " + comment + "c@d.example\n" + from + "Cc: " + comment + "g@h.example\n")).Header()
	if len(h.To) != 1 || len(h.Cc) != 0 || len(h.From) != 1 || !slices.Contains(codes(h.Problems), TooManyAddresses) {
		t.Errorf("%d and %d recipients, %d authors, problems %q", len(h.To), len(h.Cc), len(h.From), codes(h.Problems))
	}
}

func TestHeaderLongAddressField(t *testing.T) {
	t.Parallel()
	h := Parse(crlf("From: " + strings.Repeat("a@b.example,\n ", maxAddressOctets/12) + "a@b.example\nDate: x\n\n")).Header()
	if !slices.Equal(codes(h.Problems), []policy.Reason{TooManyAddresses, FromUnreadable}) || len(h.From) > 0 {
		t.Errorf("%d authors, problems %v", len(h.From), h.Problems)
	}
}
