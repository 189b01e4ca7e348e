package dispatcher

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
)

// echo is a service on a real socket that redirects as its query says, and keeps
// what it was asked.
type echo struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
}

func newEcho(t *testing.T, b *bench) *echo {
	t.Helper()
	e := new(echo)
	e.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		from, _, _ := strings.Cut(r.RemoteAddr, ":")
		e.mu.Lock()
		e.asked = append(e.asked, strings.Join([]string{r.Method, r.URL.Path, r.Header.Get("Authorization"), r.Header.Get("Content-Type"), string(body), from}, " "))
		e.mu.Unlock()
		if to := r.URL.Query().Get("to"); to != "" {
			w.Header().Set("Location", to)
			var status int
			_, _ = fmt.Sscan(r.URL.Query().Get("status"), &status)
			w.WriteHeader(status)
		}
	}))
	e.TLS = b.authority.server(t, "127.0.0.1", b.authority.cert.NotAfter)
	e.StartTLS()
	t.Cleanup(e.Close)
	return e
}

func (e *echo) last() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.asked[len(e.asked)-1]
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	one, other := newEcho(t, b), newEcho(t, b)
	const form, bearer = ContentType, "Bearer AbCdEf123456"
	for name, tt := range map[string]struct {
		query  string
		follow int
		status int
		reason Reason
		hops   int
		asked  string // Of the last service.
	}{
		"307, same host":       {"?status=307&to=/new", 3, 200, "", 1, "POST /new " + bearer + " " + form + " confirmed=Approved 127.0.0.1"},
		"308, another host":    {"?status=308&to=" + other.URL + "/new", 3, 200, "", 1, "POST /new  " + form + " confirmed=Approved 127.0.0.1"},
		"302":                  {"?status=302&to=/new", 3, 200, "", 1, "GET /new " + bearer + "   127.0.0.1"},
		"303 with a fragment":  {"?status=303&to=/new%23part", 3, 200, "", 1, "GET /new " + bearer + "   127.0.0.1"},
		"for ever":             {"?status=307&to=%3Fstatus=307%26to=/approve%253Fstatus=307%2526to=/approve", 2, 307, ReasonStatus, 2, ""},
		"not a redirect":       {"?status=304&to=/new", 3, 304, ReasonStatus, 0, ""},
		"not followed":         {"?status=307&to=/new", 0, 307, ReasonStatus, 0, ""},
		"to plain HTTP":        {"?status=307&to=http://127.0.0.1/", 3, 307, ReasonNotHTTPS, 0, ""},
		"to a stranger":        {"?status=307&to=https://production.example/", 3, 307, ReasonHostNotRouted, 0, ""},
		"to the metadata host": {"?status=307&to=https://169.254.169.254/", 3, 307, ReasonHostNotRouted, 0, ""},
		"with credentials":     {"?status=307&to=https://a:b@127.0.0.1/", 3, 307, ReasonBadURL, 0, ""},
	} {
		r := withToken(approve())
		r.URL, r.Redirects = one.URL+"/approve"+tt.query, tt.follow
		a := b.run(t, r)
		if a.Status != tt.status || a.Reason != tt.reason || len(a.Hops) != tt.hops || a.Outcome == OutcomeWithheld {
			t.Errorf("%s: %d %s (%s) after %d hops, %s", name, a.Status, a.Reason, a.Error, len(a.Hops), a.Outcome)
		}
		if a.Reason != "" && a.Reason != ReasonStatus && !strings.HasPrefix(a.Error, "redirected to ") {
			t.Errorf("%s: %s", name, a.Error)
		}
		last := one
		if strings.Contains(name, "another") {
			last = other
		}
		if tt.asked != "" && last.last() != tt.asked {
			t.Errorf("%s: asked %q, want %q", name, last.last(), tt.asked)
		}
		if tt.hops == 1 {
			hop := a.Hops[0]
			if hop.URL != r.URL || !strings.Contains(hop.Location, "/new") || hop.Status/100 != 3 || !strings.HasPrefix(string(hop.Sent), "POST /approve") || hop.Addr == "" || hop.TLSVersion == "" {
				t.Errorf("%s: hop %+v", name, hop)
			}
		}
	}
}

func TestSource(t *testing.T) {
	t.Parallel()
	wholeLoopback(t)
	b := newBench(t, Options{})
	service := newEcho(t, b)
	r := approve()
	r.URL = service.URL
	r.Source = netip.MustParseAddr("127.0.0.2")
	if a := b.run(t, r); a.Status != 200 || !strings.HasSuffix(service.last(), " 127.0.0.2") {
		t.Errorf("%s (%s), asked %q", a.Reason, a.Error, service.last())
	}
	for source, want := range map[string]string{
		"::1":       "127.0.0.1 has no address that can be reached from ::1: one has IPv4 only, the other IPv6",
		"192.0.2.1": "no connection to 127.0.0.1 (" + service.Listener.Addr().String() + ") can be made from this address of the machine, or it is none: cannot assign requested address",
	} {
		r.Source = netip.MustParseAddr(source)
		if a := b.run(t, r); a.Reason != ReasonUnreachable || a.Error != want {
			t.Errorf("from %s: %s (%s)", source, a.Reason, a.Error)
		}
	}
}

// TestLocation holds that what is not ASCII is escaped, in the path as in the query.
func TestLocation(t *testing.T) {
	t.Parallel()
	got, err := location("https://shop.example/a", []Field{{"Location", "/ä?q=ä b%20&c=%zz"}})
	if want := "https://shop.example/%C3%A4?q=%C3%A4%20b%20&c=%zz"; err != nil || got != want {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}

// FuzzLocation holds that whatever a service redirects to is no URL, is refused,
// or makes one request with one line.
func FuzzLocation(f *testing.F) {
	for _, seed := range []string{"/new", "//evil.example/", "https://a:b@c/", "?x=1#y", "\\\\evil.example", "https://[::1]:8443/%zz", "http://127.0.0.1/", "javascript:0", "..//../a b", "\r\nX: y"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, to string) {
		next, err := location("https://shop.example/approve?a=b", []Field{{"Location", to}})
		if err != nil {
			return
		}
		target, err := parseTarget(next)
		if err != nil {
			return
		}
		raw, err := redirectedTo(target)
		if err != nil {
			t.Fatalf("%q leads to %q, which is not written: %v", to, next, err)
		}
		if _, rest, _ := strings.Cut(string(raw), "\r\n"); !strings.HasPrefix(rest, "Host: "+target.authority+"\r\nContent-Type: ") {
			t.Fatalf("%q leads to %q", to, raw)
		}
	})
}

func redirectedTo(to target) ([]byte, error) {
	r := approve()
	return r.message("").redirected(http.StatusTemporaryRedirect, false).wire(to)
}
