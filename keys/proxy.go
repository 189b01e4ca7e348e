package keys

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// The limits of what a client may send before its tunnel stands.
const (
	maxProxyHead     = 16 << 10         // Octets of a request's head.
	headSlack        = 4 << 10          // So much more of one does net/http read than it is told.
	proxyHeadTime    = 10 * time.Second // For the head, and for a TLS handshake.
	proxyConnectTime = 30 * time.Second // Until a connection is passed on.
	proxyIdleTime    = 2 * time.Minute  // Between two requests for certificates.
	maxProxyTargets  = 1000             // Targets that are counted, each kind.
)

// ProxyOptions are the settings of a certificate proxy.
type ProxyOptions struct {
	// PassOn are the hosts to which connections are passed on: a name, an
	// address, "*.example.com" for all names below one, or PassAll. The hosts
	// of Google's keys cannot be among them, whatever the port.
	PassOn []string
	// Via returns the proxy by which a connection that is passed on goes on to
	// a target, which is HOST:PORT: an http or https URL, with credentials if
	// it wants any, or nil. Nil goes straight to every target. Its error is
	// told to the client and must hold no credentials.
	Via func(target string) (*url.URL, error)
	// Dial connects to targets and to the proxies of Via; nil is net.Dialer.
	Dial   func(ctx context.Context, network, addr string) (net.Conn, error)
	Logger *slog.Logger // Nil discards.
}

// Proxy is the certificate proxy: an HTTPS proxy (CONNECT, RFC 9110 9.3.6) that
// answers for the hosts at which the real keys are published, with
// certificates of a CA, and refuses every other host or passes it on. So a
// program verifies our tokens that cannot be told of another place, as no
// library of Google's can (gmail-actions.md 3.6): it only has to be told of a
// proxy and of an authority, and every program can.
//
// It is safe for concurrent use. The caller must call Close.
type Proxy struct {
	name    string // In Via, to know it again (RFC 9110 7.6.3).
	answers http.Handler
	configs map[string]*tls.Config // By host of Google's.
	rules   passRules
	opts    ProxyOptions
	log     *slog.Logger
	outer   *http.Server // Takes CONNECT.
	inner   *http.Server // Answers inside a tunnel.
	inside  *handover
	answer  sync.Once // Starts inner.

	ctx     context.Context // Ends with Close.
	stop    context.CancelFunc
	serving sync.WaitGroup // Calls of Serve.
	owned   sync.WaitGroup // Connections, requests and their tunnels.

	mu         sync.Mutex // Guards what follows.
	ended      bool
	tunnels    map[net.Conn]bool
	refused    []ProxyCount
	distrusted []ProxyCount
	handshakes int
	settled    chan struct{} // Closed when handshakes has come down to zero.
}

// ProxyCount is how often something happened to connections to one target.
type ProxyCount struct {
	Host  string // A name or an address, without brackets.
	Port  int
	Times int
}

// NewProxy makes a certificate proxy for a key set. It listens nowhere until
// it is told to serve. What is wrong with a host to pass on is told without
// where it stands.
func NewProxy(s *Set, ca *CA, o ProxyOptions) (*Proxy, error) {
	rules, err := parsePassRules(o.PassOn)
	if err != nil {
		return nil, err
	}
	p := &Proxy{
		name: "doppelbox-" + rand.Text(), answers: s.HostHandler(), rules: rules, opts: o, log: o.Logger, configs: map[string]*tls.Config{},
		inside: &handover{conns: make(chan net.Conn), done: make(chan struct{})}, tunnels: map[net.Conn]bool{},
	}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	if p.opts.Dial == nil {
		p.opts.Dial = (&net.Dialer{}).DialContext
	}
	for _, host := range GoogleHosts() {
		// One of its own for each, so that a tunnel to one answers for no other.
		config, err := ca.TLSConfig(host)
		if err != nil {
			return nil, err
		}
		config.NextProtos = []string{"h2", "http/1.1"}
		p.onlyFor(config, host)
		p.configs[host] = config
	}
	p.ctx, p.stop = context.WithCancel(context.Background())
	errorLog := slog.NewLogLogger(p.log.Handler(), slog.LevelDebug)
	p.outer = &http.Server{
		Handler: http.HandlerFunc(p.serveOuter), DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout: proxyHeadTime, IdleTimeout: proxyIdleTime, MaxHeaderBytes: maxProxyHead - headSlack,
		ErrorLog: errorLog, ConnState: p.track,
	}
	p.inner = &http.Server{
		Handler:           http.HandlerFunc(p.serveInner),
		ReadHeaderTimeout: proxyHeadTime, IdleTimeout: proxyIdleTime, MaxHeaderBytes: maxProxyHead - headSlack,
		ErrorLog: errorLog,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, tunnelKey{}, c.(*tls.Conn).NetConn().(*watchedConn).Conn)
		},
	}
	return p, nil
}

// track counts connections as long as they are the server's.
func (p *Proxy) track(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		p.owned.Add(1)
	case http.StateClosed, http.StateHijacked:
		p.owned.Done()
	}
}

// tunnelKey is where the context of a request inside a tunnel has the tunnel.
type tunnelKey struct{}

// Serve takes connections on l until the proxy is closed, and closes l.
func (p *Proxy) Serve(l net.Listener) error {
	p.mu.Lock()
	if p.ended {
		p.mu.Unlock()
		return l.Close()
	}
	p.serving.Add(1)
	p.mu.Unlock()
	defer p.serving.Done()
	if err := p.outer.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("certificate proxy: %w", err)
	}
	return nil
}

// Close ends the proxy's listeners, connections and tunnels, and waits for
// them. It may be called more than once.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.ended = true
	for conn := range p.tunnels {
		_ = conn.Close() // It ends, and that is all that is wanted.
	}
	p.mu.Unlock()
	p.stop()
	err := p.outer.Close()
	p.serving.Wait()
	// Again, for a connection that was accepted while the first one ran.
	_ = p.outer.Close()
	_ = p.inner.Close()
	_ = p.inside.Close()
	p.owned.Wait()
	return err
}

// Refused returns the targets that were refused and might be passed on, the
// first one first.
func (p *Proxy) Refused() []ProxyCount {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.refused)
}

// Settle waits until no TLS handshake is under way, or the context ends: before
// that, a client that has ended may not have been counted among those who
// refused a certificate.
func (p *Proxy) Settle(ctx context.Context) {
	p.mu.Lock()
	settled := p.settled
	p.mu.Unlock()
	if settled == nil {
		return // There never was one.
	}
	select {
	case <-settled:
	case <-ctx.Done():
	}
}

// handshake counts a handshake until what it returns is called.
func (p *Proxy) handshake() (over func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.handshakes == 0 {
		p.settled = make(chan struct{})
	}
	p.handshakes++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.handshakes--; p.handshakes == 0 {
			close(p.settled)
		}
	}
}

// Distrusted returns the hosts of Google's whose certificate a client refused,
// as it does if it does not know the CA.
func (p *Proxy) Distrusted() []ProxyCount {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.distrusted)
}

// count counts in one of the lists. Past their bound it counts only what they
// have.
func (p *Proxy) count(list *[]ProxyCount, t target) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range *list {
		if c := &(*list)[i]; c.Host == t.host && c.Port == int(t.port) {
			c.Times++
			return
		}
	}
	if len(*list) < maxProxyTargets {
		*list = append(*list, ProxyCount{t.host, int(t.port), 1})
	}
}

// hold lets Close close a connection; what it returns ends that.
func (p *Proxy) hold(conn net.Conn) (release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		_ = conn.Close()
		return func() {}
	}
	p.tunnels[conn] = true
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.tunnels, conn)
	}
}

// serveOuter answers what a client sends before there is a tunnel.
func (p *Proxy) serveOuter(w http.ResponseWriter, r *http.Request) {
	p.owned.Add(1) // Its connection is counted only until it is hijacked.
	defer p.owned.Done()
	if r.Method != http.MethodConnect {
		w.Header().Set("Connection", "close")
		code, text := notConnect(r)
		http.Error(w, text, code)
		return
	}
	t, err := connectTarget(r)
	conn, hijackErr := hijack(w)
	if hijackErr != nil {
		http.Error(w, "no tunnel is possible here", http.StatusInternalServerError)
		return
	}
	defer p.hold(conn)()
	defer conn.Close()
	received := r.Header.Values("Via")
	switch {
	case err != nil:
		refuse(conn, http.StatusBadRequest, err.Error())
	case strings.Contains(strings.Join(received, ","), p.name):
		p.log.Warn("proxy: HTTPS_PROXY leads from this proxy back to it", slog.String("target", t.String()))
		refuse(conn, http.StatusLoopDetected, "this came from here: HTTPS_PROXY leads doppelbox's proxy back to itself")
	case t.port == 443 && p.configs[t.host] != nil:
		p.answerFor(conn, t)
	case p.configs[t.host] != nil:
		// Never the real one, and there is nothing to let through.
		p.log.Info("proxy: refused", slog.String("target", t.String()))
		refuse(conn, http.StatusForbidden, "doppelbox answers for "+t.host+" at port 443 only")
	case p.rules.match(t.host):
		p.passOn(conn, t, received)
	default:
		p.count(&p.refused, t)
		p.log.Info("proxy: refused", slog.String("target", t.String()))
		refuse(conn, http.StatusForbidden, "doppelbox answers only for Google's certificates and does not pass on "+t.String()+"; --pass-on "+t.host+" lets it through")
	}
}

// notConnect says what to do instead of a request that is no CONNECT.
func notConnect(r *http.Request) (code int, text string) {
	const is = "This is doppelbox's certificate proxy. It takes HTTPS by CONNECT only"
	switch r.URL.Scheme {
	case "":
		return http.StatusBadRequest, is + "; to use it, set HTTPS_PROXY=http://" + localAddr(r) + " for the program whose tokens it has to verify."
	case "https":
		return http.StatusNotImplemented, is + ", and this program asked for an https URL without it, as it would for http. Its library needs a setting or an agent for proxies by CONNECT."
	}
	return http.StatusNotImplemented, is + ": set HTTPS_PROXY to it, and not HTTP_PROXY."
}

func localAddr(r *http.Request) string {
	if addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		return addr.String()
	}
	return "HOST:PORT"
}

// connectTarget returns what a CONNECT asks for. One with a body is refused: who
// takes it for a body, and who for the beginning of the tunnel, would read two
// different things (RFC 9110 9.3.6).
func connectTarget(r *http.Request) (target, error) {
	if r.ContentLength != 0 || len(r.TransferEncoding) > 0 {
		return target{}, errors.New("CONNECT has no body")
	}
	if strings.ContainsAny(r.RequestURI, "/@?#") {
		return target{}, errNoTarget
	}
	return parseTarget(r.RequestURI)
}

// answerFor stands in for a host of Google's.
func (p *Proxy) answerFor(conn *tunnel, t target) {
	p.log.Info("proxy: answering", slog.String("target", t.String()))
	conn.host = t.host
	inside, err := p.secure(conn, t)
	if err != nil {
		p.log.Info("proxy: no TLS", slog.String("target", t.String()), slog.Any("error", err))
		return
	}
	p.answer.Do(func() {
		p.owned.Go(func() { _ = p.inner.Serve(p.inside) }) // It ends with Close, and has no other way to fail.
	})
	if p.inside.give(inside) {
		<-conn.closed
	}
}

// serveInner answers a request inside a tunnel.
func (p *Proxy) serveInner(w http.ResponseWriter, r *http.Request) {
	host := r.Context().Value(tunnelKey{}).(*tunnel).host
	if bareHost(r.Host) != host {
		misdirected(w, host)
		return
	}
	p.log.Info("proxy: request", slog.String("host", host), slog.String("path", r.URL.EscapedPath()), slog.String("protocol", r.Proto))
	p.answers.ServeHTTP(w, r)
}
