package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/keys"
	"software.sslmate.com/src/go-pkcs12"
)

// fetchCommand is a program of scripts that knows nothing of doppelbox: it gets
// URLs, as the environment says how, and prints the answers. With --post TEXT
// it posts the text.
func fetchCommand() {
	args, method, body := os.Args[1:], http.MethodGet, ""
	if len(args) > 2 && args[0] == "--post" {
		args, method, body = args[2:], http.MethodPost, args[1]
	}
	code := 0
	for _, url := range args {
		if err := fetchOne(method, url, body); err != nil {
			fmt.Println(err)
			code = 1
		}
	}
	os.Exit(code)
}

func fetchOne(method, url, body string) error {
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	if body != "" {
		r.Header.Set("Content-Type", "text/plain")
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	fmt.Printf("%s %s %s\n%s\n", answer.Proto, answer.Status, answer.Header.Get("Content-Type"), text)
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("answered %s", answer.Status)
	}
	return nil
}

// heedCommand is a program of tests that prints the signals that it gets, each
// by its name, and ends with 7 when it is told to terminate. First it says what
// it finds around it.
func heedCommand() {
	caught := make(chan os.Signal, 100)
	signal.Notify(caught)
	for i, f := range []*os.File{os.Stdin, os.Stdout, os.Stderr} {
		info, err := f.Stat()
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Printf("%d terminal=%t\n", i, info.Mode()&os.ModeCharDevice != 0)
	}
	if _, err := os.Stat(os.Getenv("DOPPELBOX_CA")); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready")
	for sig := range caught {
		switch name := sig.String(); name {
		case "urgent I/O condition", "child exited": // The first are the runtime's own.
		case "terminated":
			os.Exit(7)
		default:
			fmt.Println(name)
		}
	}
}

// What would lead past the proxy to the real Google is taken off the user's
// list, in every form that some program heeds.
func TestNoProxy(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]string{
		"":                             "",
		"*":                            "",
		" a.example , ,.b.example":     "a.example,.b.example,",
		"googleapis.com,x.example":     "x.example,",
		".googleapis.com,*.google.com": "",
		"oauth2.GoogleAPIs.com.:443":   "",
		"com":                          "",
		"storage.googleapis.com":       "storage.googleapis.com,",
		"apis.com,10.0.0.0/8,::1":      "10.0.0.0/8,::1,",
		"a.example google.com\tb":      "a.example,b,",
		"localhost":                    "localhost,",
	} {
		want += "localhost,127.0.0.1,::1"
		if list == "localhost" {
			want = "localhost,127.0.0.1,::1"
		}
		if strings.HasSuffix(list, "::1") {
			want = "10.0.0.0/8,::1,localhost,127.0.0.1"
		}
		if got := strings.Join(noProxy(list, ""), ","); got != want {
			t.Errorf("%q is %q, not %q", list, got, want)
		}
	}
}

// What is passed on goes by the proxy that the user has set, and one that is
// none is told of at the start, without what may be a password.
func TestFormerProxy(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		env  map[string]string
		want string // For shop.example:443; empty is none.
	}{
		{map[string]string{}, ""},
		{map[string]string{"HTTPS_PROXY": "192.0.2.1:3128"}, "http://192.0.2.1:3128"},
		{map[string]string{"https_proxy": "https://alice:s3cret@proxy.example"}, "https://alice:s3cret@proxy.example"},
		{map[string]string{"HTTPS_PROXY": "http://192.0.2.1", "https_proxy": "http://192.0.2.2"}, "http://192.0.2.1"},
		{map[string]string{"HTTPS_PROXY": "http://192.0.2.1", "NO_PROXY": "a.example shop.example"}, ""},
		{map[string]string{"HTTPS_PROXY": "http://192.0.2.1", "no_proxy": ".example"}, ""},
		{map[string]string{"ALL_PROXY": "http://192.0.2.1", "HTTP_PROXY": "http://192.0.2.1"}, ""},
		{map[string]string{"HTTPS_PROXY": "http://alice:s3 cret@192.0.2.1"}, "HTTPS_PROXY is not the URL of a proxy"},
		{map[string]string{"HTTPS_PROXY": "http://s3cret:x@192.0.2.1:s3cret"}, "HTTPS_PROXY is not the URL of a proxy"},
		{map[string]string{"https_proxy": "http://"}, "https_proxy is not the URL of a proxy"},
	} {
		via, err := formerProxy(func(name string) string { return test.env[name] })
		got := ""
		if err != nil {
			got = err.Error()
		} else if proxy, err := via("shop.example:443"); err != nil {
			t.Errorf("%v: %v", test.env, err)
		} else if proxy != nil {
			got = proxy.String()
		}
		if got != test.want {
			t.Errorf("%v: %q, not %q", test.env, got, test.want)
		}
	}
}

// The same list in Java's form, and options that Java reads back as they are.
func TestJavaOptions(t *testing.T) {
	t.Parallel()
	bypass := []string{"a.example", ".b.example", "*.c.example", "d.example:8443", "10.0.0.0/8", "192.0.2.1", "::1", "[2001:db8::1]:443", "localhost"}
	want := "a.example|*.a.example|*.b.example|*.c.example|d.example|*.d.example|192.0.2.1|[::1]|[2001:db8::1]|localhost"
	if got := strings.Join(nonProxyHosts(bypass), "|"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	// What other programs ignore leads nowhere.
	for _, entry := range []string{"*.googleapis.*", "www.googleapis*", "*www.google*", "https://www.googleapis.com", "a.example|www.googleapis.com",
		"[www.googleapis.com]", "[www.googleapis.com]:443", "*.*.com", "*", "https://a.example/"} {
		if got := nonProxyHosts([]string{entry}); len(got) > 0 {
			t.Errorf("of %s there is %s", entry, got)
		}
	}
	proxy := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4711}
	ours := ` "-Djavax.net.ssl.trustStore=/home/Alice's "'"'"own"'"'"/store" -Djavax.net.ssl.trustStoreType=PKCS12 ` +
		`-Djavax.net.ssl.trustStorePassword=changeit -Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=4711 -Dhttp.nonProxyHosts=localhost`
	const trust, hosts = "-Djavax.net.ssl.trustStore=x", "-Dhttp.nonProxyHosts=*"
	for _, test := range []struct{ tool, jdk, last, want string }{
		{"", "", "", "JAVA_TOOL_OPTIONS=" + ours[1:]},
		{"-Xmx1g", "-Dhttp.proxyHost=x", "-Xmx2g", "JAVA_TOOL_OPTIONS=-Xmx1g" + ours},
		// Two variables count for more than that one.
		{trust, trust, hosts, "JAVA_TOOL_OPTIONS=" + trust + ours + "\nJDK_JAVA_OPTIONS=" + trust + ours + "\n_JAVA_OPTIONS=" + hosts + ours},
		{"", "", "-Dhttps.proxyHost=x", "JAVA_TOOL_OPTIONS=" + ours[1:] + "\n_JAVA_OPTIONS=-Dhttps.proxyHost=x" + ours},
	} {
		env := map[string]string{"JAVA_TOOL_OPTIONS": test.tool, "JDK_JAVA_OPTIONS": test.jdk, "_JAVA_OPTIONS": test.last}
		got := javaEnv(func(name string) string { return env[name] }, proxy, `/home/Alice's "own"/store`, []string{"localhost"})
		if text := strings.Join(got, "\n"); text != test.want {
			t.Errorf("of %v there is\n%s\nnot\n%s", env, text, test.want)
		}
	}
}

// The trust store has every certificate of the bundle, and nothing else of it.
func TestTrustStore(t *testing.T) {
	t.Parallel()
	text := "a comment\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
	for range 2 { // Of the same name.
		ca, err := keys.NewCA(keys.CAOptions{})
		if err != nil {
			t.Fatal(err)
		}
		text += string(ca.PEM())
	}
	path, err := trustMaker{dir: t.TempDir()}.writeTrustStore([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	certs, err := pkcs12.DecodeTrustStore(data, "")
	if err != nil || len(certs) != 2 || certs[0].Equal(certs[1]) {
		t.Errorf("%d certificates, %v", len(certs), err)
	}
}
