package message

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/testdata/conformance"
)

// crlf makes the CRLF lines of a message out of a Go literal's.
func crlf(s string) []byte { return []byte(strings.ReplaceAll(s, "\n", "\r\n")) }

func codes(list []policy.Problem) []policy.Reason {
	var codes []policy.Reason
	for _, p := range list {
		codes = append(codes, p.Code)
	}
	return codes
}

// checkInvariants holds for any octets: what Parse says it does with raw, and
// what Header and Parts promise.
func checkInvariants(t *testing.T, raw []byte) {
	t.Helper()
	m := Parse(raw)
	fields, skipped, pos := m.Fields, m.Skipped, 0
	next := func(b []byte) bool {
		return len(b) > 0 && pos < len(raw) && &b[0] == &raw[pos]
	}
	for len(fields)+len(skipped) > 0 {
		switch {
		case len(fields) > 0 && next(fields[0].Raw):
			f := fields[0]
			fields, pos = fields[1:], pos+len(f.Raw)
			if !strings.HasSuffix(string(f.Raw), ":"+f.Value) || !strings.HasPrefix(string(f.Raw), f.Name) {
				t.Fatalf("field %q: %q is not its value", f.Raw, f.Value)
			}
		case len(skipped) > 0 && next(skipped[0]):
			skipped, pos = skipped[1:], pos+len(skipped[0])
		default:
			t.Fatalf("octets of the header are lost at %d", pos)
		}
	}
	if pos != m.HeaderSize {
		t.Fatalf("HeaderSize is %d, fields and skipped lines have %d", m.HeaderSize, pos)
	}
	if n := len(raw) - pos - len(m.Body); n != len(lineEnd(raw[pos:])) && n != 0 {
		t.Fatalf("%d octets between header and body", n)
	}
	if !bytes.HasSuffix(raw, m.Body) {
		t.Fatalf("the body is not the end of the message")
	}
	if len(m.Skipped) > 0 && len(m.Problems) == 0 {
		t.Fatal("lines were skipped without a problem")
	}

	h := m.Header()
	for _, a := range slices.Concat(h.From, h.To, h.Cc) {
		if a.Domain == "" || strings.HasSuffix(a.Domain, ".") || strings.ToLower(a.Domain) != a.Domain || !strings.HasSuffix(a.Addr, "@"+a.Domain) {
			t.Fatalf("address %+v", a)
		}
	}
	if len(h.From) == 0 && len(h.Problems) == 0 {
		t.Fatal("no author and no problem")
	}
	if len(h.Problems) > policy.MaxProblems+50 {
		t.Fatalf("%d problems", len(h.Problems))
	}
	parts, _ := m.Parts()
	for _, p := range parts {
		if p.Number == "" || !strings.Contains(p.Type, "/") && p.Type != "" {
			t.Fatalf("part %q of type %q", p.Number, p.Type)
		}
		if strings.HasPrefix(p.Type, "text/") && !utf8.Valid(p.Text) {
			t.Fatalf("part %s is not UTF-8", p.Number)
		}
	}
	again := Parse(raw)
	againParts, _ := again.Parts()
	if !reflect.DeepEqual(h, again.Header()) || !reflect.DeepEqual(parts, againParts) {
		t.Fatal("read differently the second time")
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, raw string
		fields    []string // Name=unfolded value.
		skipped   string
		body      string
		problems  []policy.Reason
	}{
		{"plain", "From: a@b.example\r\nSubject:  x\r\n\ty \r\n\r\nHi\r\n",
			[]string{"From=a@b.example", "Subject=x\ty"}, "", "Hi\r\n", nil},
		{"no body", "A: b\r\n", []string{"A=b"}, "", "", nil},
		{"no line end", "A: b", []string{"A=b"}, "", "", nil},
		{"empty line and nothing", "A: b\r\n\r\n", []string{"A=b"}, "", "", nil},
		{"nothing", "", nil, "", "", []policy.Reason{NoHeader}},
		{"empty header", "\r\nA: b\r\n", nil, "", "A: b\r\n", []policy.Reason{NoHeader}},
		{"no field at all", "hello\r\nworld\r\n\r\nrest", nil, "", "hello\r\nworld\r\n\r\nrest", []policy.Reason{HeaderLine, HeaderLine, NoHeader}},
		{"line without colon", "A: b\r\nnonsense\r\n folded\r\nC: d\r\n\r\n", []string{"A=b", "C=d"}, "nonsense\r\n folded\r\n", "", []policy.Reason{HeaderLine}},
		{"mbox line", "From me Thu Jan 1 00:00:00 1970\r\nA: b\r\n\r\n", []string{"A=b"}, "From me Thu Jan 1 00:00:00 1970\r\n", "", []policy.Reason{MboxLine}},
		{"name with space", "A b: c\r\nD: e\r\n\r\n", []string{"D=e"}, "A b: c\r\n", "", []policy.Reason{HeaderLine}},
		{"empty name", ": c\r\nD: e\r\n\r\n", []string{"D=e"}, ": c\r\n", "", []policy.Reason{HeaderLine}},
		{"space before colon", "A \t: c\r\n\r\n", []string{"A=c"}, "", "", []policy.Reason{SpaceBefore}},
		{"folded first line", " x\r\nA: b\r\n\r\n", []string{"A=b"}, " x\r\n", "", []policy.Reason{HeaderLine}},
		{"blank fold", "A: b\r\n \r\nC: d\r\n\r\n", []string{"A=b", "C=d"}, "", "", []policy.Reason{BlankFold}},
		{"LF", "A: b\n\nC\n", []string{"A=b"}, "", "C\n", []policy.Reason{BareLF}},
		{"mixed ends", "A: b\r\nC: d\n\r\nE", []string{"A=b", "C=d"}, "", "E", []policy.Reason{BareLF}},
		{"bare CR", "A: b\rC: d\r\n\r\nE", []string{"A=b\rC: d"}, "", "E", []policy.Reason{BareCR}},
		{"CR CR LF", "A: b\r\r\n\r\nE", []string{"A=b"}, "", "E", []policy.Reason{BareCR}},
		{"NUL", "A: b\x00\r\n\r\nE", []string{"A=b\x00"}, "", "E", []policy.Reason{NUL}},
		{"long", "A: " + strings.Repeat("b", 996) + "\r\n\r\n", []string{"A=" + strings.Repeat("b", 996)}, "", "", []policy.Reason{LineTooLong}},
		{"latin1", "A: \xe9\r\n\r\n", []string{"A=\xe9"}, "", "", []policy.Reason{Header8Bit}},
		{"utf-8", "A: \u00e9\r\n\r\n", []string{"A=\u00e9"}, "", "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			checkInvariants(t, []byte(tt.raw))
			m := Parse([]byte(tt.raw))
			var fields []string
			for _, f := range m.Fields {
				fields = append(fields, f.Name+"="+f.Unfolded())
			}
			if !slices.Equal(fields, tt.fields) {
				t.Errorf("fields %q, want %q", fields, tt.fields)
			}
			if got := string(bytes.Join(m.Skipped, nil)); got != tt.skipped {
				t.Errorf("skipped %q, want %q", got, tt.skipped)
			}
			if got := string(m.Body); got != tt.body {
				t.Errorf("body %q, want %q", got, tt.body)
			}
			if got := codes(m.Problems); !slices.Equal(got, tt.problems) {
				t.Errorf("problems %+v, want %q", m.Problems, tt.problems)
			}
		})
	}
}

func TestParsePlaces(t *testing.T) {
	t.Parallel()
	m := Parse([]byte("A: b\r\nnonsense\r\nC: d\r\n\r\nbody\r\nx\ry\n"))
	want := map[policy.Reason]policy.Place{
		BareLF:     {Line: 6},
		BareCR:     {Line: 6, Col: 2},
		HeaderLine: {Line: 2},
	}
	for _, p := range m.Problems {
		if p.Place != want[p.Code] {
			t.Errorf("%s at %+v, want %+v", p.Code, p.Place, want[p.Code])
		}
		delete(want, p.Code)
	}
	if len(want) > 0 {
		t.Errorf("not reported: %v", want)
	}
}

func TestParseLimits(t *testing.T) {
	t.Parallel()
	m := Parse(crlf(strings.Repeat("A: b\n", maxFields) + "C: d\n e\nF: g\n\nbody"))
	if len(m.Fields) != maxFields || string(bytes.Join(m.Skipped, nil)) != "C: d\r\n e\r\nF: g\r\n" || string(m.Body) != "body" {
		t.Errorf("%d fields, skipped %q, body %q", len(m.Fields), m.Skipped, m.Body)
	}
	if got := codes(m.Problems); !slices.Equal(got, []policy.Reason{TooManyFields}) {
		t.Errorf("problems %q", got)
	}

	m = Parse(crlf("A: b\n" + strings.Repeat("nonsense\n", 250) + "C: d\n\n"))
	if n := len(m.Problems); n != policy.MaxProblems+1 || m.Problems[n-1].Code != MoreProblems {
		t.Errorf("%d problems, last %+v", n, m.Problems[n-1])
	}
	if len(m.Fields) != 2 || len(m.Skipped) != 1 {
		t.Errorf("%d fields, %d skipped runs", len(m.Fields), len(m.Skipped))
	}
}

func TestField(t *testing.T) {
	t.Parallel()
	m := Parse(crlf("X-A: 1\nx-a: 2\nB: 3\n\n"))
	if got := m.All("X-a"); len(got) != 2 || got[1].Unfolded() != "2" {
		t.Errorf("All: %+v", got)
	}
	if f, ok := m.Get("X-A"); !ok || f.Unfolded() != "1" || f.Value != " 1\r\n" || string(f.Raw) != "X-A: 1\r\n" {
		t.Errorf("Get: %+v, %v", f, ok)
	}
	if _, ok := m.Get("C"); ok {
		t.Error("Get found a field that is not there")
	}
}

// malformed calls visit with each message of the malformed corpus.
func malformed(t testing.TB, visit func(name string, raw []byte)) {
	t.Helper()
	dir := conformance.Path(t, "malformed")
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		switch filepath.Ext(path) {
		case ".xml", ".json", ".txt":
			return nil
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		visit(filepath.ToSlash(name), raw)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestMalformedCorpus(t *testing.T) {
	t.Parallel()
	n := 0
	malformed(t, func(name string, raw []byte) {
		n++
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkInvariants(t, raw)
		})
	})
	conformance.Report(t, "malformed, parsed", n, 0)
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("From: a@b.example\r\nSubject: x\r\n y\r\n\r\nbody"))
	f.Add([]byte("From x\nnonsense\n folded\nA : b\n \nTo: a <b@c>, \"d\"@e\n\n"))
	f.Add(crlf("From: G: =?utf-8?q?x?= <@r:a@B.example.>;\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nhi\n--b\nContent-Type: text/html; charset=latin1\nContent-Transfer-Encoding: base64\n\n4Q==\n--b--\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		checkInvariants(t, raw)
		// Whatever a header has, lines before it hide no problem.
		before := codes(Parse(raw).Header().Problems)
		after := codes(Parse(slices.Concat(bytes.Repeat([]byte("junk\r\n"), 2*policy.MaxProblems), raw)).Header().Problems)
		for _, code := range before {
			if !slices.Contains(after, code) {
				t.Fatalf("%s is not seen behind junk: %q", code, after)
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	raw := benchmarkMessage()
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		Parse(raw)
	}
}

func BenchmarkHeader(b *testing.B) {
	m := Parse(benchmarkMessage())
	b.ReportAllocs()
	for b.Loop() {
		m.Header()
	}
}

func BenchmarkParts(b *testing.B) {
	m := Parse(benchmarkMessage())
	b.ReportAllocs()
	for b.Loop() {
		m.Parts()
	}
}

// benchmarkMessage is a mail of 2.8 KB as a service sends it.
func benchmarkMessage() []byte {
	return crlf(`Return-Path: <bounce@shop.example>
Received: from mx.shop.example (mx.shop.example [192.0.2.10])
	by mx.gmail.test with ESMTPS id 4xYz for <alice@gmail.test>
	(version=TLS1_3 cipher=TLS_AES_128_GCM_SHA256 bits=128/128);
	Thu, 01 Jan 2026 10:00:00 +0000
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=shop.example; s=s1;
	h=from:to:subject:date:message-id:mime-version:content-type;
	bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;
	b=` + strings.Repeat("Abcd", 60) + `
From: =?UTF-8?Q?Gesch=C3=A4ft?= <noreply@shop.example>
To: Alice Example <alice@gmail.test>
Subject: =?UTF-8?B?QmVzdGVsbHVuZyBiZXN0w6R0aWdlbg==?=
Date: Thu, 01 Jan 2026 10:00:00 +0000
Message-ID: <1234567890.abcdef@shop.example>
MIME-Version: 1.0
List-Unsubscribe: <https://shop.example/u/abcdef>
List-Unsubscribe-Post: List-Unsubscribe=One-Click
Content-Type: multipart/alternative; boundary="=_b1"

--=_b1
Content-Type: text/plain; charset=utf-8

Please confirm.
--=_b1
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: quoted-printable

<html><body>
` + strings.Repeat("<p style=3D\"color:black\">Thank you for your order of today.</p>=\n", 20) + `
</body></html>
--=_b1--
`)
}
