package keys

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
)

// googleHosts are the hosts at which the real keys are published, each with
// the paths that it has there, and which of ours answers (gmail-actions.md
// 3.4). Besides what verifiers ask for today there is /oauth2/v2/certs: an
// older discovery document named it, so it is in the settings of old services,
// and it has the form of the third. /oauth2/v3/tokeninfo is where the token
// info was before it had a host of its own.
var googleHosts = map[string]map[string]string{
	"www.googleapis.com": {
		"/oauth2/v1/certs":     PathCertificates,
		"/oauth2/v2/certs":     PathJWKS,
		"/oauth2/v3/certs":     PathJWKS,
		"/oauth2/v3/tokeninfo": PathTokenInfo,
	},
	"accounts.google.com":   {"/.well-known/openid-configuration": PathDiscovery},
	"oauth2.googleapis.com": {"/tokeninfo": PathTokenInfo},
}

// GoogleHosts are the names of the hosts at which the real keys are published,
// in order. A new slice each time.
func GoogleHosts() []string { return slices.Sorted(maps.Keys(googleHosts)) }

// HostHandler serves the published forms by host. One that asks for a host of
// Google's gets what the real host has at that path, and 404 otherwise, with
// the paths that there are. Any other host, as localhost, gets all that Handler
// has. A request that names another host than its connection was made to is
// answered 421 (RFC 9110 15.5.20).
func (s *Set) HostHandler() http.Handler {
	all := s.Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := bareHost(r.Host)
		if r.TLS != nil && googleHosts[r.TLS.ServerName] != nil && r.TLS.ServerName != host {
			misdirected(w, r.TLS.ServerName)
			return
		}
		paths, google := googleHosts[host]
		if !google {
			all.ServeHTTP(w, r)
			return
		}
		path, ok := paths[r.URL.Path]
		if !ok {
			there := strings.Join(slices.Sorted(maps.Keys(paths)), ", ")
			http.Error(w, fmt.Sprintf("doppelbox stands in for %s here, and has only %s", host, there), http.StatusNotFound)
			return
		}
		// A copy: the request belongs to who serves it.
		request, target := *r, *r.URL
		target.Path, target.RawPath = path, ""
		request.URL = &target
		all.ServeHTTP(w, &request)
	})
}

func misdirected(w http.ResponseWriter, host string) {
	http.Error(w, "this connection is to doppelbox in place of "+host+", and the request is for another host", http.StatusMisdirectedRequest)
}

// bareHost is the host of a Host field, as names are compared.
func bareHost(field string) string {
	if host, _, err := net.SplitHostPort(field); err == nil {
		field = host
	}
	return strings.ToLower(strings.TrimSuffix(field, "."))
}
