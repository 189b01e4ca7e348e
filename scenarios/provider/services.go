package provider

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/doppelbox/doppelbox/keys"
)

// Service is a fake service of a sender, in the process: it answers requests
// to one URL.
type Service struct {
	URL      string // Absolute https; its query, if any, does not matter.
	Statuses []int  // Used in order, the last one from then on; none is 200.
	Header   http.Header
	Body     string
	Fail     Failure // Instead of an answer.
	// Trusts is the domain of the one provider of the world whose tokens it
	// accepts: it answers 401 to every request without one. Empty accepts all.
	Trusts string

	keys *keys.Set // Those of Trusts.
}

// services answers for all fake services of a provider, over TLS on a
// listener in the process.
type services struct {
	ca       *keys.CA
	now      func() time.Time
	listener *pipeListener
	server   *http.Server
	owned    sync.WaitGroup

	mu       sync.Mutex
	byURL    map[string]*Service // By host and path.
	leaves   map[string]*tls.Certificate
	stranger *keys.CA // For FailTLS; made when first needed.
}

// connKey is where the request's context holds its connection.
type connKey struct{}

func newServices(ca *keys.CA, now func() time.Time) (*services, error) {
	s := &services{ca: ca, now: now, listener: newPipeListener(), byURL: map[string]*Service{}, leaves: map[string]*tls.Certificate{}}
	s.server = &http.Server{
		Handler: s, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
	}
	config := &tls.Config{GetConfigForClient: s.agree, MinVersion: tls.VersionTLS12}
	s.owned.Go(func() {
		// It ends with close, and has no other way to fail.
		_ = s.server.Serve(tls.NewListener(s.listener, config))
	})
	return s, nil
}

func (s *services) close() error {
	err := s.server.Close()
	s.owned.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// add puts a service up and returns its host and port.
func (s *services) add(service Service) (string, error) {
	u, err := url.Parse(service.URL)
	if err != nil {
		return "", err
	}
	if u.Scheme != "https" || u.Host == "" || u.User != nil {
		return "", errors.New("a service's URL is absolute https, without credentials")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byURL[serviceKey(u.Host, u.EscapedPath())] = &service
	delete(s.leaves, strings.ToLower(u.Hostname())) // Whose authority it has may have changed.
	return u.Host, nil
}

func serviceKey(host, path string) string {
	host, _ = strings.CutSuffix(strings.ToLower(host), ":443")
	if path == "" {
		path = "/"
	}
	return host + path
}

// hostOf is the host in a key of byURL, without its port.
func hostOf(key string) string {
	host, _, _ := strings.Cut(key, "/")
	if h, _, err := net.SplitHostPort(host); err == nil {
		return h
	}
	return host
}

// lowerName is the host that a client names, as hostOf has it.
func lowerName(hello *tls.ClientHelloInfo) string { return strings.ToLower(hello.ServerName) }

// dial connects to the services.
func (s *services) dial(ctx context.Context) (net.Conn, error) {
	return s.listener.dial(ctx, peerAddr(netip.IPv6Loopback()))
}

// certificate makes the certificate of the host that a client names.
func (s *services) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := lowerName(hello)
	if leaf, ok := s.leaves[name]; ok {
		return leaf, nil
	}
	leaf, err := s.failingLeaf(name)
	if err == nil && leaf == nil {
		var good tls.Certificate
		good, err = s.ca.Leaf(name)
		leaf = &good
	}
	if err != nil {
		return nil, err
	}
	s.leaves[name] = leaf
	return leaf, nil
}

// ServeHTTP answers a request to one of the services.
func (s *services) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	service, ok := s.byURL[serviceKey(r.Host, r.URL.EscapedPath())]
	status := http.StatusOK
	if ok && len(service.Statuses) > 0 {
		status = service.Statuses[0]
		if len(service.Statuses) > 1 {
			service.Statuses = service.Statuses[1:]
		}
	}
	s.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	if service.Fail.fail(w, r) {
		return
	}
	if service.keys != nil {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if _, err := service.keys.Verify(token, keys.VerifyOptions{AnyAudience: true}); err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
	}
	w.Header().Set("Date", s.now().Format(http.TimeFormat))
	for name, values := range service.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, service.Body) // A client that went away is its own loss.
}
