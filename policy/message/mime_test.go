package message

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/testdata/conformance"
)

func TestParts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, raw string
		want      []string // Number, type, disposition and text of each part.
		problems  []policy.Reason
	}{
		{"no content type", "A: b\n\nhi\n", []string{"1 text/plain  hi\r\n"}, nil},
		{"html", "Content-Type: TEXT/HTML; Charset=\"utf-8\" (really)\n\nhi", []string{"1 text/html  hi"}, nil},
		{"latin1", "Content-Type: text/html; charset=iso-8859-1\nContent-Transfer-Encoding: Quoted-Printable\n\n=e4=C4", []string{"1 text/html  äÄ"}, nil},
		{"base64", "Content-Transfer-Encoding: base64 (c)\n\naGVs\nbG8=\n", []string{"1 text/plain  hello"}, nil},
		{"binary is not converted", "Content-Type: image/png; charset=latin1\nContent-Transfer-Encoding: base64\nContent-Disposition: Attachment; filename=x\n\n/w==", []string{"1 image/png attachment \xff"}, nil},
		{"nested", `Content-Type: multipart/mixed; boundary="o"

preamble
--o
Content-Type: multipart/alternative; boundary=o-1

--o-1

plain
--o-1 	
Content-Type: text/html

html
--o-1--
--o
Content-Type: message/rfc822

Content-Type: text/html

inside
--o--
epilogue
`, []string{"1.1 text/plain  plain", "1.2 text/html  html", "2 message/rfc822  Content-Type: text/html\r\n\r\ninside"}, nil},
		{"digest", "Content-Type: multipart/digest; boundary=b\n\n--b\n\nA: b\n\nhi\n--b--", []string{"1 message/rfc822  A: b\r\n\r\nhi"}, nil},
		{"empty part", "Content-Type: multipart/mixed; boundary=b\n\n--b\n--b--", []string{"1 text/plain  "}, nil},
		{"part without header", "Content-Type: multipart/mixed; boundary=b\n\n--b\nhello\n\nworld\n--b--", []string{"1 text/plain  hello\r\n\r\nworld"}, []policy.Reason{HeaderLine}},

		{"two types", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html\nContent-Type: text/plain\n\nhi\n--b--", []string{"1 text/html  hi"}, []policy.Reason{Duplicate}},

		{"no boundary", "Content-Type: multipart/mixed\n\nhi", []string{"1 multipart/mixed  hi"}, []policy.Reason{BoundaryMissing}},
		{"unused boundary", "Content-Type: multipart/mixed; boundary=b\n\nhi", nil, []policy.Reason{NoParts}},
		{"unterminated", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nhi\n", []string{"1 text/plain  hi\r\n"}, []policy.Reason{Unterminated}},
		{"encoded multipart", "Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64\n\n--b\n\nhi\n--b--", []string{"1 text/plain  hi"}, []policy.Reason{MultipartEncoded}},
		{"unknown encoding", "Content-Type: text/html\nContent-Transfer-Encoding: x-uuencode\n\nhi", []string{"1 application/octet-stream  hi"}, []policy.Reason{UnknownEncoding}},
		{"unknown charset", "Content-Type: text/html; charset=x-none\n\nh\xe4", []string{"1 text/html  h\uFFFD"}, []policy.Reason{UnknownCharset}},
		{"wrong charset", "Content-Type: text/html; charset=utf-8\n\nh\xe4", []string{"1 text/html  h\uFFFD"}, []policy.Reason{BrokenCharset}},
		{"two charsets", "Content-Type: text/html; charset=utf-8; charset=latin1\n\nhä", []string{"1 text/html  hä"}, []policy.Reason{ContentType}},
		{"bad parameter", "Content-Type: text/html; a b c; charset=\"a;b\"\n\nhi", []string{"1 text/html  hi"}, []policy.Reason{ContentType, UnknownCharset}},
		{"no semicolon", "Content-Type: text/html charset=utf-8\n\nhi", []string{"1 text/html  hi"}, []policy.Reason{ContentType}},
		{"bad type", "Content-Type: html\n\nhi", []string{"1 text/plain  hi"}, []policy.Reason{ContentType}},
		{"long type", "Content-Type: text/html; a=" + strings.Repeat("b", maxContentType) + "\n\nhi", []string{"1 text/plain  hi"}, []policy.Reason{ContentType}},
		{"foreign base64", "Content-Transfer-Encoding: base64\n\naG*Vs bG8=", []string{"1 text/plain  hello"}, []policy.Reason{Base64}},
		{"cut base64", "Content-Transfer-Encoding: base64\n\naGVsbG8hI", []string{"1 text/plain  hello!"}, []policy.Reason{Base64}},
		{"no padding", "Content-Transfer-Encoding: base64\n\naGVsbG8", []string{"1 text/plain  hello"}, []policy.Reason{Base64}},
		{"base64 twice", "Content-Transfer-Encoding: base64\n\naGVsbG8=aGVsbG8=", []string{"1 text/plain  hello"}, []policy.Reason{Base64}},
		{"quoted-printable lines", "Content-Transfer-Encoding: quoted-printable\n\na=\nb= \nc \t\nd=3D", []string{"1 text/plain  abc\r\nd="}, nil},
		{"broken quoted-printable", "Content-Transfer-Encoding: quoted-printable\n\n<a href=http://x>=4", []string{"1 text/plain  <a href=http://x>=4"}, []policy.Reason{QuotedPrintable}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			raw := crlf(tt.raw)
			checkInvariants(t, raw)
			parts, problems := Parse(raw).Parts()
			var got []string
			for _, p := range parts {
				got = append(got, fmt.Sprintf("%s %s %s %s", p.Number, p.Type, p.Disposition, p.Text))
				problems = append(problems, p.Problems...)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("parts %q, want %q", got, tt.want)
			}
			if !slices.Equal(codes(problems), tt.problems) {
				t.Errorf("problems %+v, want %q", problems, tt.problems)
			}
			for _, p := range problems {
				if p.Place.Part == "" && len(parts) > 0 && p.Code != Unterminated && p.Code != MultipartEncoded {
					t.Errorf("%s without a part", p.Code)
				}
			}
		})
	}
}

func TestPartsLimits(t *testing.T) {
	t.Parallel()
	var deep strings.Builder
	for i := range maxDepth + 1 {
		fmt.Fprintf(&deep, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
	}
	many := "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\n\nx\n", maxParts+1) + "--b--"
	for name, tt := range map[string]struct {
		raw   string
		parts int
		code  policy.Reason
	}{
		"deep": {deep.String(), 1, TooDeep},
		"many": {many, maxParts, TooManyParts},
	} {
		parts, problems := Parse(crlf(tt.raw)).Parts()
		list := codes(problems)
		for _, p := range parts {
			list = append(list, codes(p.Problems)...)
		}
		if len(parts) != tt.parts || !slices.Contains(list, tt.code) {
			t.Errorf("%s: %d parts, problems %q", name, len(parts), list)
		}
	}
}

func TestPartsTooLarge(t *testing.T) {
	t.Parallel()
	// The first part is within the limit; the second is not any more.
	half := bytes.Repeat([]byte{'x'}, maxDecoded/2+1)
	raw := slices.Concat(crlf("Content-Type: multipart/mixed; boundary=b\n\n--b\n\n"), half, crlf("\n--b\n\n"), half, crlf("\n--b--"))
	parts, _ := Parse(raw).Parts()
	if len(parts) != 2 || len(parts[0].Text) != len(half) || parts[1].Text != nil || !slices.Equal(codes(parts[1].Problems), []policy.Reason{TooLarge}) {
		t.Errorf("%d parts", len(parts))
	}
}

// entityXML is the structure that mime4j's tests expect of a message.
type entityXML struct {
	Fields    []string   `xml:"header>field"`
	Body      *string    `xml:"body"`
	Message   *entityXML `xml:"message"`
	Multipart *struct {
		Parts []entityXML `xml:"body-part"`
	} `xml:"multipart"`
}

// leaves counts the leaves as Parts has them: a message in a part is one.
func (e entityXML) leaves() int {
	if e.Multipart == nil {
		return 1
	}
	n := 0
	for _, p := range e.Multipart.Parts {
		n += p.leaves()
	}
	return n
}

// expectedNoXML are the mails whose expectation is in Latin-1 without saying so:
// no XML, and nothing to compare them with.
var expectedNoXML = []string{
	"mime-tools-testmsgs/2002_06_12_doublebound.msg",
	"mime-tools-testmsgs/twopart.msg",
}

// structureDiffers says why the structure is not what mime4j expects.
var structureDiffers = map[string]string{
	"mime4j/malformedHeaderStartsBody-nocrlfcrlf.msg": "there a line that is no field starts the body; here it is skipped and the header goes on",
	"mime4j/ending-boundaries.msg":                    "there text may follow the boundary on its line; here only white space may, or a boundary that begins with another would end its part",
}

func TestStructure(t *testing.T) {
	t.Parallel()
	n := 0
	malformed(t, func(name string, raw []byte) {
		expected := filepath.Join(conformance.Path(t, "malformed"), strings.TrimSuffix(name, ".msg")+".xml")
		data, err := os.ReadFile(expected)
		if err != nil {
			return
		}
		n++
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var want entityXML
			err := xml.Unmarshal(data, &want)
			if slices.Contains(expectedNoXML, name) != (err != nil) {
				t.Errorf("the expectation: %v", err)
			}
			if err != nil {
				return
			}
			m := Parse(raw)
			parts, _ := m.Parts()
			same := len(parts) == want.leaves() && len(m.Fields) == len(want.Fields)
			if why, ok := structureDiffers[name]; ok == same {
				t.Errorf("%d leaves and %d fields, expected %d and %d; difference known: %q", len(parts), len(m.Fields), want.leaves(), len(want.Fields), why)
			}
		})
	})
	conformance.Report(t, "malformed, structure", n-len(expectedNoXML), len(structureDiffers))
}

func TestPartsWithin(t *testing.T) {
	t.Parallel()
	raw := "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/alternative; boundary=b\n\n--b\n\nx\n--b--\n--a\nContent-Type: multipart/related; boundary=c\n\n--c\n\ny\n--c--\n--a\n\nz\n--a--\n"
	parts, problems := Parse([]byte(raw)).Parts()
	var got []string
	for _, p := range parts {
		got = append(got, p.Number+" "+strings.Join(p.Within, " "))
	}
	want := []string{"1.1 multipart/mixed multipart/alternative", "2.1 multipart/mixed multipart/related", "3 multipart/mixed"}
	if !slices.Equal(got, want) || len(problems) > 0 {
		t.Errorf("%q, problems %v", got, problems)
	}
}
