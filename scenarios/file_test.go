package scenarios

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/tools/txtar"
)

// whole is a scenario with every kind of step.
const whole = `clock 2026-01-15T09:00:00Z
provider gmail.test
# A direct, signed, registered mail keeps its button,
# and the click is signed.
account alice@gmail.test
register noreply@shop.example actions=ConfirmAction bearer=yes since=2026-01-01 until=2026-02-01T00:00:00Z
dns zone
endpoint https://shop.example/approve status=408,200 body="a b" header="A: 1" header=B:2
route shop2.example to=127.0.0.1:8443
peer 127.0.0.1 as=192.0.2.10 ptr=mail.shop.example
inbound enforce proxy-from=127.0.0.0/8,::1/128
dial retry.5xx yes
sign mail.eml d=shop.example s=s1 i=@shop.example
	deliver mail.eml from=<> to=alice@gmail.test,bob@gmail.test peer=192.0.2.10 helo="[192.0.2.10]" tls=no
expect action.0 == offered

# The click.
click "Approve \"it\"" message=0
expect request.0.body == confirmed=Approved
expect request.0.header.authorization not matches "^Bearer [a-z]"
expect request.1 not exists
cmp verdict want
clock 2026-01-16T09:00:00Z
advance 10m
rotate
unsubscribe
-- zone --
shop.example. TXT "v=spf1 -all"
-- mail.eml --
From: x@shop.example

text
-- 
>-- not special --
-- want --
delivery accept
`

func mustParse(t *testing.T, text string) *File {
	t.Helper()
	f, errs := Parse("x.txtar", []byte(text))
	if len(errs) > 0 {
		t.Fatal(errs.Report())
	}
	return f
}

func TestParse(t *testing.T) {
	t.Parallel()
	f := mustParse(t, whole)
	var got []string
	for _, phase := range f.Phases {
		var verbs []string
		for _, s := range phase.Steps {
			verbs = append(verbs, s.Verb)
		}
		got = append(got, phase.Title+": "+strings.Join(verbs, " "))
	}
	want := []string{
		": clock provider",
		"A direct, signed, registered mail keeps its button,\nand the click is signed.: " +
			"account register dns endpoint route peer inbound dial sign deliver expect",
		"The click.: click expect expect expect cmp clock advance rotate unsubscribe",
	}
	if !slices.Equal(got, want) {
		t.Errorf("phases\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if f.Phases[0].Line != 1 || f.Phases[1].Line != 3 || f.Phases[2].Line != 17 {
		t.Errorf("phases begin at %d, %d, %d", f.Phases[0].Line, f.Phases[1].Line, f.Phases[2].Line)
	}
	if zone, ok := f.Section("zone"); !ok || string(zone) != "shop.example. TXT \"v=spf1 -all\"\n" {
		t.Errorf("section zone is %q", zone)
	}
	if _, ok := f.Section("zones"); ok {
		t.Error("there is a section zones")
	}
	if got := f.Sections[1]; got.Name != "mail.eml" || got.Line != 29 {
		t.Errorf("second section is %q in line %d", got.Name, got.Line)
	}
}

func TestStepValues(t *testing.T) {
	t.Parallel()
	f := mustParse(t, whole)
	steps := f.Phases[1].Steps
	endpoint, deliver := steps[3], steps[9]
	if got := endpoint.All("header"); !slices.Equal(got, []string{"A: 1", "B:2"}) {
		t.Errorf("header=%q", got)
	}
	if got := endpoint.List("status"); !slices.Equal(got, []string{"408", "200"}) {
		t.Errorf("status=%q", got)
	}
	if got, ok := endpoint.Get("body"); got != "a b" || !ok {
		t.Errorf("body=%q", got)
	}
	if got, ok := endpoint.Get("fail"); got != "" || ok || endpoint.List("fail") != nil {
		t.Errorf("fail=%q, %v", got, ok)
	}
	if deliver.Col != 2 || deliver.Line != 14 || deliver.Words[0] != (Word{Text: "mail.eml", Line: 14, Col: 10}) {
		t.Errorf("got %+v", deliver)
	}
	helo := deliver.Args[3]
	if helo.Key != "helo" || helo.Col != 78 || helo.Value != (Word{Text: "[192.0.2.10]", Line: 14, Col: 83, Quoted: true}) {
		t.Errorf("got %+v", helo)
	}
}

func TestClaim(t *testing.T) {
	t.Parallel()
	tests := []struct {
		src       string
		path      string
		not       bool
		predicate Predicate
		value     string
	}{
		{"expect a.0 == b", "a.0", false, Equal, "b"},
		{"expect a != ''", "a", false, NotEqual, "''"},
		{"expect a contains not", "a", false, Contains, "not"},
		{"expect a not matches ^x+$", "a", true, Matches, "^x+$"},
		{"expect a not exists", "a", true, Exists, ""},
		{`expect not not == "not"`, "not", true, Equal, "not"},
		{"expect a == #1", "a", false, Equal, "#1"},
		{"expect a == b=c", "a", false, Equal, "b=c"},
		{"expect a == `\"\\n`", "a", false, Equal, `"\n`},
		{`expect a == "\xff\u00e9\x41"`, "a", false, Equal, "\xffé\x41"},
	}
	for _, tt := range tests {
		phases, errs := ParseSteps("x", tt.src)
		if len(errs) > 0 {
			t.Error(errs.Report())
			continue
		}
		c := phases[0].Steps[0].Claim()
		if c.Path.Text != tt.path || c.Not != tt.not || c.Predicate != tt.predicate || c.Value.Text != tt.value {
			t.Errorf("%s: got %+v", tt.src, c)
		}
		if (c.Pattern != nil) != (c.Predicate == Matches) {
			t.Errorf("%s: pattern is %v", tt.src, c.Pattern)
		}
	}
	if c := (Step{Verb: "click", Words: []Word{{Text: "a"}, {Text: "exists"}}}).Claim(); c.Path.Text != "" {
		t.Errorf("a click claims %+v", c)
	}
}

func TestFormatKeepsBytes(t *testing.T) {
	t.Parallel()
	texts := []string{
		"",
		"\n\n",
		"rotate",
		whole,
		strings.TrimSuffix(whole, "\n"),
		strings.ReplaceAll(whole, "\n", "\r\n"),
		"cmp verdict a\ncmp mail b\n--   a  --\n\n\n-- b --",
		"cmp verdict a\n-- a --\r\n \xff\x00 \r\r\n",
	}
	for _, text := range texts {
		if got := mustParse(t, text).Format(); string(got) != text {
			t.Errorf("got %q, want %q", got, text)
		}
	}
}

func TestSetSection(t *testing.T) {
	t.Parallel()
	const script = "cmp verdict a\ncmp mail b\n"
	tests := []struct {
		text, name, data string
		want             string // Empty is an error.
	}{
		{script + "--  a --\r\nold\n-- b --\nrest", "a", "new\n", script + "--  a --\r\nnew\n-- b --\nrest"},
		{script + "-- a --\nold\n-- b --\nrest", "a", "", script + "-- a --\n-- b --\nrest"},
		{script + "-- a --\nold\n-- b --\nrest", "b", "1\r\n2", script + "-- a --\nold\n-- b --\n1\r\n2\n"},
		{script + "-- a --\n-- b --", "b", "new\n", script + "-- a --\n-- b --\nnew\n"},
		{script + "-- a --\n-- b --", "b", "x\n-- c --\n", ""},
		{script + "-- a --\n-- b --", "c", "new\n", ""},
	}
	for _, tt := range tests {
		f := mustParse(t, tt.text)
		err := f.SetSection(tt.name, []byte(tt.data))
		if (err != nil) != (tt.want == "") {
			t.Errorf("%q: %v", tt.data, err)
		}
		want := tt.want
		if want == "" {
			want = tt.text
		}
		if got := string(f.Format()); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if again := mustParse(t, want); err == nil {
			got, _ := f.Section(tt.name)
			if kept, _ := again.Section(tt.name); string(got) != string(kept) {
				t.Errorf("section is %q, read again %q", got, kept)
			}
		}
	}
}

func TestMail(t *testing.T) {
	t.Parallel()
	tests := []struct{ data, want string }{
		{"a: b\n\nc\n", "a: b\r\n\r\nc\r\n"},
		{"a: b\r\n\r\nc", "a: b\r\n\r\nc\r\n"},
		{"\na\rb\r\r\n\n", "\r\na\rb\r\r\n\r\n"},
		{"", ""},
	}
	for _, tt := range tests {
		f := mustParse(t, "cmp mail m.eml\n-- m.eml --\n"+tt.data)
		if got, ok := f.Mail("m.eml"); !ok || string(got) != tt.want {
			t.Errorf("%q becomes %q, want %q", tt.data, got, tt.want)
		}
		if string(f.Format()) != "cmp mail m.eml\n-- m.eml --\n"+tt.data {
			t.Errorf("Mail has changed the file")
		}
		if _, ok := f.Mail("m"); ok {
			t.Error("there is a mail m")
		}
	}
}

func TestCheckWorld(t *testing.T) {
	t.Parallel()
	world := mustParse(t, "# a world\nprovider gmail.test\ndial retry.5xx yes\n")
	if err := world.CheckWorld(); err != nil {
		t.Error(err)
	}
	f := mustParse(t, "provider gmail.test\n rotate\nunsubscribe\n")
	e, ok := errors.AsType[*Error](f.CheckWorld())
	if !ok {
		t.Fatal("a file with rotate is taken for a world")
	}
	const want = `x.txtar:2:2: a world has no "rotate"
   2 |  rotate
     |  ^
hint: a world is made of provider, clock, account, register, sender, dns, endpoint, route, peer, inbound, fault, dial, sink, popserver
`
	if got := e.Report(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestVerbs(t *testing.T) {
	t.Parallel()
	var names []string
	for _, v := range Verbs() {
		names = append(names, v.Name)
		if !strings.HasSuffix(v.Doc, ".") || v.Group == "" {
			t.Errorf("%s: doc %q, group %q", v.Name, v.Doc, v.Group)
		}
		if _, errs := ParseSteps("example", v.Example); len(errs) > 0 {
			t.Error(errs.Report())
		}
		if !strings.HasPrefix(v.Example, v.Name) {
			t.Errorf("%s: the example is of another verb", v.Name)
		}
		for i, p := range v.Words {
			if p.Key != "" || p.Required && i > 0 && !v.Words[i-1].Required || p.Repeated && i < len(v.Words)-1 {
				t.Errorf("%s: word %d is out of order", v.Name, i)
			}
		}
		for _, p := range v.Keys {
			if !keyPattern.MatchString(p.Key + "=") {
				t.Errorf("%s: %q cannot be a key", v.Name, p.Key)
			}
		}
	}
	const want = "provider clock account register sender dns endpoint route peer inbound fault dial sink popserver " +
		"sign deliver forward autoforward fetch click unsubscribe open sendas confirm advance rotate expect cmp probe"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("verbs are %s, want %s", got, want)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"deliver":  "deliver SECTION from=ADDRESS|<> to=ADDRESS[,ADDRESS]... [peer=IP] [helo=NAME] [tls=yes|no]",
		"inbound":  "inbound observe|enforce [proxy-from=CIDR[,CIDR]...] [tls=optional|required] [allow-from=CIDR[,CIDR]...]",
		"endpoint": "endpoint URL [status=STATUS[,STATUS]...] [body=TEXT] [header=NAME:VALUE]... [fail=timeout|reset|slow-header|cut-header|cut-body|bad-response|http2-unprocessed|http2-goaway|tls|tls-expired|tls-name|tls-version|tls-client-certificate|tls-none] [trusts=DOMAIN]",
		"expect":   "expect PATH [not] exists|==|!=|contains|matches [VALUE]",
		"rotate":   "rotate [withdraw=yes|no]",
	}
	for name, usage := range want {
		v, ok := findVerb(Verbs(), name)
		if got := v.Usage(); !ok || got != usage {
			t.Errorf("got  %s\nwant %s", got, usage)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte("# x\n#y\r\nexpect a = b\ndeliver m.eml to=\"a b\n-- m.eml--\n-- m.eml --\n-- --\n--  --\n-- m.eml --"))
	f.Add([]byte("click \"\\x\"\nclick `\n\xff\n\x1b\n\tclick é=\"\n-- \xff --"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, errs := Parse("x", data)
		checkPlaces(t, string(data), errs)
		if _, errs := ParseSteps("x", string(data)); len(errs) > 0 {
			checkPlaces(t, string(data), errs)
		}
		if len(errs) > 0 {
			return
		}
		if got := file.Format(); string(got) != string(data) {
			t.Fatalf("format gives %q for %q", got, data)
		}
		archive := txtar.Parse(data)
		if len(archive.Files) != len(file.Sections) {
			t.Fatalf("%d sections, %d in the archive", len(file.Sections), len(archive.Files))
		}
		for i, s := range file.Sections {
			if s.Name != archive.Files[i].Name || string(s.Data) != string(archive.Files[i].Data) {
				t.Fatalf("section %q differs from the archive's", s.Name)
			}
			if err := file.SetSection(s.Name, s.Data); err != nil {
				t.Fatal(err)
			}
		}
		again, errs := Parse("x", file.Format())
		if len(errs) > 0 || len(again.Sections) != len(file.Sections) {
			t.Fatalf("the rewritten file is not read again: %v", errs)
		}
		for i, s := range again.Sections {
			if string(s.Data) != string(file.Sections[i].Data) || s.Line != file.Sections[i].Line {
				t.Fatalf("section %q is changed by being rewritten", s.Name)
			}
		}
	})
}

// checkPlaces checks that errors are in order and each within the text.
func checkPlaces(t *testing.T, text string, errs Errors) {
	t.Helper()
	lines := strings.Split(text, "\n")
	for i, e := range errs {
		if e.Line < 1 || e.Line > len(lines) {
			t.Fatalf("%v is in none of %d lines", e, len(lines))
		}
		line := lines[e.Line-1]
		if e.Col < 1 || e.Col > utf8.RuneCountInString(line)+1 || !strings.HasPrefix(line, e.Src) {
			t.Fatalf("%v is outside of line %q", e, line)
		}
		if i > 0 && e.Line < errs[i-1].Line {
			t.Fatalf("%v comes after %v", e, errs[i-1])
		}
		report := e.Report()
		if strings.ContainsAny(report, "\x1b\x00\r") || !utf8.ValidString(report) {
			t.Fatalf("the report %q is not safe to print", report)
		}
	}
}
