package main

import (
	"cmp"
	"net"
	"net/url"
	"strings"
	"unicode"

	"github.com/doppelbox/doppelbox/keys"
	"golang.org/x/net/http/httpproxy"
)

// childEnv is what exec adds to the environment of the command. HTTP_PROXY is
// left as it is: the proxy takes HTTPS only.
func childEnv(getenv func(string) string, a *around, f trustFiles) []string {
	proxy, certs := "http://"+a.proxyAddr.String(), "https://"+a.certs.String()
	smtpHost, smtpPort, _ := net.SplitHostPort(a.smtp.String()) // An address of ours has both.
	bypass := noProxy(getenv("NO_PROXY"), getenv("no_proxy"))
	return append([]string{
		"HTTPS_PROXY=" + proxy, "https_proxy=" + proxy,
		"NO_PROXY=" + strings.Join(bypass, ","), "no_proxy=" + strings.Join(bypass, ","),
		"NODE_USE_ENV_PROXY=1", // Node 24 heeds the proxy only if told to.

		"SSL_CERT_FILE=" + f.bundle, "REQUESTS_CA_BUNDLE=" + f.requests, "CURL_CA_BUNDLE=" + f.curl, "NODE_EXTRA_CA_CERTS=" + f.node,
		"HTTPLIB2_CA_CERTS=" + f.httplib2, // Python's oauth2client, of Google's own sample, goes by httplib2.

		"DOPPELBOX_SMTP=" + a.smtp.String(), "DOPPELBOX_SMTP_HOST=" + smtpHost, "DOPPELBOX_SMTP_PORT=" + smtpPort,
		"DOPPELBOX_API=http://" + a.api.String(), "DOPPELBOX_PROXY=" + proxy,
		"DOPPELBOX_CERTS=" + certs + keys.PathCertificates, "DOPPELBOX_JWKS=" + certs + keys.PathJWKS,
		"DOPPELBOX_DISCOVERY=" + certs + keys.PathDiscovery, "DOPPELBOX_TOKENINFO=" + certs + keys.PathTokenInfo,
		"DOPPELBOX_CA=" + f.ca, "DOPPELBOX_CA_BUNDLE=" + f.bundle,
		"DOPPELBOX_ACCOUNT=" + a.account, "DOPPELBOX_DOMAIN=" + a.domain,
	}, javaEnv(getenv, a.proxyAddr, f.java, bypass)...)
}

// noProxy is the list of hosts that are reached without a proxy: the user's
// own, less what would lead past ours to the real Google, and this machine.
func noProxy(lists ...string) []string {
	var entries []string
	seen := map[string]bool{}
	for _, list := range append(lists, "localhost,127.0.0.1,::1") {
		for _, entry := range noProxyEntries(list) {
			if !seen[entry] && !covers(entry) {
				seen[entry] = true
				entries = append(entries, entry)
			}
		}
	}
	return entries
}

// noProxyEntries are the entries of a NO_PROXY. Between them are commas or, as
// curl has it, white space.
func noProxyEntries(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
}

// covers says whether an entry of NO_PROXY stands for a host that our proxy
// answers for: itself, a domain above it, with or without a dot or an asterisk
// in front, any other end of its name, as Python's requests compares no more
// than that, or everything. Programs differ in which of these they heed.
func covers(entry string) bool {
	if entry == "*" {
		return true
	}
	host, _, _ := strings.Cut(entry, ":")
	domain := strings.ToLower(strings.TrimSuffix(strings.TrimLeft(host, "*."), "."))
	for _, ours := range keys.GoogleHosts() {
		if domain != "" && strings.HasSuffix(ours, domain) {
			return true
		}
	}
	return false
}

// formerProxy is the proxy that the user's environment names for a target, as
// what is passed on goes by it.
func formerProxy(getenv func(string) string) (func(target string) (*url.URL, error), error) {
	var former string
	for _, name := range []string{"HTTPS_PROXY", "https_proxy"} {
		if former = getenv(name); former == "" {
			continue
		}
		if !strings.Contains(former, "://") {
			former = "http://" + former
		}
		// Neither it nor the parser's error is told: there may be a password in it.
		if parsed, err := url.Parse(former); err != nil || parsed.Hostname() == "" {
			return nil, hinted{usagef("%s is not the URL of a proxy", name), "what --pass-on lets through goes by it; it is http://HOST:PORT, perhaps with USER:PASSWORD@ before the host"}
		}
		break
	}
	bypass := noProxyEntries(cmp.Or(getenv("NO_PROXY"), getenv("no_proxy")))
	proxy := (&httpproxy.Config{HTTPSProxy: former, NoProxy: strings.Join(bypass, ",")}).ProxyFunc()
	return func(target string) (*url.URL, error) {
		return proxy(&url.URL{Scheme: "https", Host: target})
	}, nil
}
