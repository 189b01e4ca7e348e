package scenarios

import (
	"strings"
	"testing"
)

// What is wrong with a step of the verbs that speak of mail elsewhere, at its
// place.
func TestElsewhereStepErrors(t *testing.T) {
	t.Parallel()
	tests := []struct{ src, want string }{
		{"sink", "1:5: sink needs DOMAIN"},
		{"sink acme..test", `1:6: "acme..test" is not a domain`},
		{"sink acme.test to=localhost:25", `1:19: "localhost:25" is not an IP address and port such as 127.0.0.1:8443`},
		{"sink acme.test code=451", `1:21: unknown value "451"; did you mean "450"?`},
		{"  sink acme.test to=127.0.0.1:25 code=250", "1:3: a sink with to= answers with its own code"},
		{"  sink acme.test to=127.0.0.1:25 tls=none", "1:3: a sink with to= has its own TLS"},

		{"popserver", "1:10: popserver needs ADDRESS"},
		{"popserver isp.example", `1:11: "isp.example" is not an address: it has no @`},
		{"popserver old@isp.example at=127.0.0.1", `1:30: "127.0.0.1" is not an IP address and port such as 127.0.0.1:8443`},
		{"popserver old@isp.example at=127.0.0.1:0", `1:30: "127.0.0.1:0" is not an IP address and port such as 127.0.0.1:8443`},
		{"popserver old@isp.example host=a..b", `1:32: "a..b" is not a domain`},
		{`popserver old@isp.example login="a b"`, `1:33: "a b" is empty or has a blank in it`},
		{"popserver old@isp.example tls=starttls", `1:31: unknown value "starttls"; known are implicit, stls, none`},
		{"popserver old@isp.example keep=maybe", `1:32: unknown value "maybe"; known are yes, no`},
		{"popserver old@isp.example fail=tls", `1:32: unknown value "tls"; known are login, drop`},
		{"popserver old@isp.example fail=drop at=127.0.0.1:995", "1:1: fail= is for a mailbox within the process, and at= names another one"},

		{"forward m by=b@b.test", "1:22: forward needs style= and to="},
		{"forward m by=b@b.test style=gmial to=a@a.test", `1:29: unknown value "gmial"; did you mean "gmail"?`},
		{"forward m by=b@b.test style=gmail language=klingon to=a@a.test", `1:44: unknown value "klingon"; `},
		{"forward m by=b@b.test style=gmail as=attachment markup=keep to=a@a.test", "1:1: an attached original stays as it is: markup= is for as=inline"},
		{"forward m by=b@b.test style=gmail as=attachment markup=strip to=a@a.test", "1:1: an attached original stays as it is: markup= is for as=inline"},
		{"forward m by=b@b.test style=gmail as=both to=a@a.test", `1:38: unknown value "both"; known are inline, attachment`},
		{"forward m by=b@b.test style=gmail to=a@a.test d=b.test", "1:55: a signature needs both d= and s="},
		{"forward m by=b@b.test style=gmail to=a@a.test s=s1", "1:51: a signature needs both d= and s="},
		{"forward m by=b@b.test style=gmail to=a@a.test,c@c.test", `1:38: "a@a.test,c@c.test" is not an address`},
		{"forward m by=<> style=gmail to=a@a.test", `1:14: "<>" is not an address: it has no @`},
		{"forward m by=b@b.test style=gmail to=a@a.test from=", "1:52: the null reverse-path is written <>"},

		{"autoforward m by=b@b.test style=srs to=a@a.test", "1:48: autoforward needs from="},
		{"autoforward m by=b@b.test style=gmail from=<> to=a@a.test", `1:33: unknown value "gmail"; known are srs, plain, caf, resent`},
		{"autoforward m by=b@b.test style=srs from=<> to=a@a.test break=body", `1:63: unknown value "body"; known are footer, subject, reencode`},
		{"autoforward m by=b@b.test style=srs from=<> to=a@a.test s=s1", "1:61: a signature needs both d= and s="},
		{"autoforward m by=b@b.test style=srs from=<> to=a@a.test peer=300.0.0.1", `1:62: "300.0.0.1" is not an IP address`},

		{"fetch a@a.test", "1:15: fetch needs from="},
		{"fetch from=b@b.test", "1:20: fetch needs ACCOUNT"},
		{"fetch a@a.test from=b", `1:21: "b" is not an address: it has no @`},
		{"fetch a@a.test from=b@b.test into=c", `1:30: unknown key "into"; known are from, mail`},

		{"account a@a.test sendas=b@b.test,b", `1:34: "b" is not an address: it has no @`},
		{"account a@a.test popfrom=", `1:26: "" is not an address: it has no @`},
		{"account a@a.test forward=b@b.test,c@c.test", `1:26: "b@b.test,c@c.test" is not an address`},
		{"account a@a.test sendas=b@b.test sendas=c@c.test", `1:34: key "sendas" is given twice`},

		{"sendas a@a.test", "1:16: sendas needs ADDRESS"},
		{"sendas a b@b.test", `1:8: "a" is not an address: it has no @`},
		{"confirm a@a.test b@b.test code=", `1:32: "" is empty or has a blank in it`},
		{"confirm a@a.test b@b.test 123", `1:27: "123" is one word too many`},

		{"open", "1:5: open needs N"},
		{"open -1", `1:6: "-1" is not a whole number from 0`},
		{"open first", `1:6: "first" is not a whole number from 0`},
		{"open 1000001", `1:6: "1000001" is not a whole number from 0`},

		{"click A persona=thirdparty", `1:17: unknown value "thirdparty"; did you mean "third-party"?`},
		{"endpoint https://x.test/ trusts=x..y", `1:33: "x..y" is not a domain`},
		{"endpoint https://x.test/ fail=reset trusts=gmail.test", "1:37: an endpoint with fail= gives no answer that could have trusts="},
		{"dial forward.spam perhaps", `1:19: dial forward.spam takes no or yes, not "perhaps"`},
		{"dial pop.interval 1h,0s", `1:19: dial pop.interval takes durations such as 2m,1h, not "1h,0s"`},
		{"dial pop.refused trash", `1:18: dial pop.refused takes spam or inbox, not "trash"`},
	}
	for _, tt := range tests {
		_, errs := ParseSteps("x", tt.src)
		got := strings.ReplaceAll(errs.Error(), "x:", "")
		if (got == "") != (tt.want == "") || !strings.HasPrefix(got, tt.want) || len(errs) > 1 {
			t.Errorf("%s\ngot  %s\nwant %s", tt.src, got, tt.want)
		}
	}
}

// A language that a style is known in is taken, and any other one is not:
// nobody would know what to write.
func TestForwardLanguages(t *testing.T) {
	t.Parallel()
	known, unknown := 0, 0
	for _, style := range styles() {
		for _, language := range languages() {
			src := "forward m by=b@b.test style=" + style + " language=" + language + " to=a@a.test"
			switch _, errs := ParseSteps("x", src); errs.Error() {
			case "":
				known++
			case "x:1:1: how " + style + " words a forward in \"" + language + "\" is not known":
				unknown++
			default:
				t.Errorf("%s: %s", src, errs)
			}
		}
	}
	if known < len(styles()) || known+unknown != len(styles())*len(languages()) {
		t.Errorf("%d are known, %d not", known, unknown)
	}
}

// The names of sections in a list, each at its place.
func TestSectionLists(t *testing.T) {
	t.Parallel()
	const sections = "-- one.eml --\n-- two.eml --\n"
	tests := []struct{ src, want string }{
		{"fetch a@gmail.test from=b@b.test mail=one.eml,two.eml\n" + sections, ""},
		{"fetch a@gmail.test from=b@b.test mail=one.eml\nfetch a@gmail.test from=b@b.test mail=two.eml\n" + sections, ""},
		{"fetch a@gmail.test from=b@b.test mail=one.eml,tow.eml\n" + sections, `x:1:47: there is no section "tow.eml"; did you mean "two.eml"?`},
		{"fetch a@gmail.test from=b@b.test mail=one.eml,two.eml,\n" + sections, `x:1:55: there is no section ""`},
		{"fetch a@gmail.test from=b@b.test mail=xyzzy,two.eml\nsign one.eml d=b.test s=s\n" + sections, `x:1:39: there is no section "xyzzy"`},
		{"fetch a@gmail.test from=b@b.test mail=one.eml\n" + sections, `x:3:1: unused section "two.eml": no step names it`},
		{"forward tow.eml by=b@b.test style=gmail to=a@gmail.test\nautoforward ome.eml by=b@b.test style=srs from=<> to=a@gmail.test\n" + sections,
			"x:1:9: there is no section \"tow.eml\"; did you mean \"two.eml\"?\nx:2:13: there is no section \"ome.eml\"; did you mean \"one.eml\"?"},
	}
	for _, tt := range tests {
		if _, errs := Parse("x", []byte(tt.src)); errs.Error() != tt.want {
			t.Errorf("%s\ngot  %s\nwant %s", tt.src, errs, tt.want)
		}
	}
}

// Several providers come first, in any order, each once.
func TestProvidersComeFirst(t *testing.T) {
	t.Parallel()
	tests := []struct{ src, want string }{
		{"provider a.test\nclock 2026-01-15T09:00:00Z\nprovider b.test\nprovider c.test\n", ""},
		{"provider a.test\nprovider b.test\nprovider a.test\n", "x:3:1: this provider is already named in line 1"},
		{"provider a.test\nsink c.test\nprovider b.test\n", "x:3:1: provider comes after sink in line 2"},
		{"popserver a@b.test\nprovider b.test\n", "x:2:1: provider comes after popserver in line 1"},
		// The case of a domain does not matter: it is the same provider.
		{"provider a.test\nprovider A.test\n", "x:2:1: this provider is already named in line 1"},
	}
	for _, tt := range tests {
		if _, errs := Parse("x", []byte(tt.src)); errs.Error() != tt.want {
			t.Errorf("%s\ngot  %s\nwant %s", tt.src, errs, tt.want)
		}
	}
}

// Every verb has an example that uses each of its words.
func TestExamples(t *testing.T) {
	t.Parallel()
	for _, v := range Verbs() {
		phases, errs := ParseSteps("x", v.Example)
		if errs.Err() != nil || len(phases) != 1 || len(phases[0].Steps) != 1 || phases[0].Steps[0].Verb != v.Name {
			t.Errorf("%s: %s", v.Name, errs.Report())
			continue
		}
		if got := len(phases[0].Steps[0].Words); got < len(v.Words) {
			t.Errorf("%s has %d words, its example %d", v.Name, len(v.Words), got)
		}
		if !strings.HasSuffix(v.Doc, ".") {
			t.Errorf("%s: %q", v.Name, v.Doc)
		}
	}
}

// What makes a world may stand in one; what is done in it may not.
func TestCheckWorldElsewhere(t *testing.T) {
	t.Parallel()
	for verb, world := range map[string]bool{
		"sink acme.test": true, "popserver old@isp.example": true, "account a@gmail.test forward=b@b.test password=x": true, "provider b.test": true,
		"sendas a@gmail.test b@b.test": false, "confirm a@gmail.test b@b.test": false, "open 0": false, "fetch a@gmail.test from=b@b.test": false,
	} {
		f, errs := Parse("x", []byte(verb+"\n"))
		if errs.Err() != nil {
			t.Fatal(errs.Report())
		}
		if err := f.CheckWorld(); (err == nil) != world {
			t.Errorf("%s: %v", verb, err)
		}
	}
}
